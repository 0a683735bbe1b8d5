"""Match the patterns of IAM policies, as far as a policy is known. Independent of CDK.

An answer is True, False, or None if only the deployment or the request decides.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN: Final = "\0"
"""In a text, stands for a part that is only known at deployment."""
MARKS: Final = 0xE000
"""The first of the characters that stand for unknown parts in texts that are compared.

Equal parts have the same character.
"""
ARN_PART: Final = "+"
"""In a form, such as the form of an ARN, stands for characters other than colons and slashes."""


def matches(pattern: str, asked: str) -> bool | None:
    """Tell whether the pattern matches."""
    wide = widest(pattern).replace("[", "[[]")  # IAM has no sets of characters
    fits = fnmatchcase(asked, wide)
    return None if fits and (UNKNOWN in pattern or "${" in pattern) else fits


def has_marks(text: str) -> bool:
    """Tell whether some part of a text is only known at deployment."""
    return any(ord(one) >= MARKS for one in text)


def widest(pattern: str) -> str:
    """Return the pattern with a wildcard for each part that is not known yet."""
    return "*".join(split_at(pattern.replace(UNKNOWN, "*"), "${", "}")[::2])


def may_match(pattern: str, form: str) -> bool:
    """Tell whether the pattern matches any text of a form, such as the ARN of any instance.

    Reads both texts in parallel. `*` and `ARN_PART` may each match any number of characters.
    """
    pattern = widest(pattern)
    done, left = set(), [(0, 0)]
    while left:
        here = left.pop()
        if here in done:
            continue
        done.add(here)
        at, of = here
        if here == (len(pattern), len(form)):
            return True
        one, other = pattern[at : at + 1], form[of : of + 1]
        part = other == ARN_PART
        if one == "*":
            left.append((at + 1, of))
        if part:
            left.append((at, of + 1))
        if one and other and (one in {"*", "?", other} or (part and one not in ":/")):
            left.append((at + (one != "*"), of + (not part)))
    return False


def split_at(text: str, opens: str, closes: str) -> list[str]:
    """Split a text at the parts between two marks. Every second entry is such a part.

    It takes one pass, even if many opening marks have no closing mark.
    """
    first, *others = text.split(opens)
    parts, between = [], [first]
    for other in others:
        inner, closed, rest = other.partition(closes)
        if closed:
            parts += ["".join(between), inner]
            between = [rest]
        else:
            between += [opens, other]
    return [*parts, "".join(between)]


def any_matches(answers: Sequence[bool | None], *, negated: bool = False) -> bool | None:
    """Tell whether any answer is True; for `NotAction` and `NotResource`, whether none is."""
    if True in answers:
        return not negated
    return None if None in answers else negated


def all_hold(*facts: bool | None) -> bool | None:
    """Tell whether all facts are True: False if one is False, None if that is not known."""
    return False if False in facts else None if None in facts else True


def as_list(value: object) -> list[Any]:
    """Return `value` as a list, as a policy element with one entry need not be a list."""
    return value if isinstance(value, list) else [value]
