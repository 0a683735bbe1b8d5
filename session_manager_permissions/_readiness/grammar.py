"""Tell whether IAM refuses a policy document, which makes the deployment fail.

The grammar of identity policies:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions._patterns import UNKNOWN, as_list

from .templates import PARTITIONS, is_function, mapping, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Refusal(NamedTuple):
    """Why IAM refuses a document, or may refuse it."""

    reason: str
    """The end of a sentence such as "because its statement 1 has no Effect"."""
    certain: bool = True
    """False where AWS does not document the rule, or where a value decides that is not known."""


_STATEMENT_ELEMENTS: Final = {
    *("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"),
}
"""The elements of a statement of a role's policy, which can't have a `Principal`."""

_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_OPERATORS: Final = {
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *("StringLike", "StringNotLike", "NumericEquals", "NumericNotEquals", "NumericLessThan"),
    *("NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals", "DateEquals"),
    *("DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan"),
    *("DateGreaterThanEquals", "Bool", "BinaryEquals", "IpAddress", "NotIpAddress"),
    *("ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike", "Null"),
}
"""The condition operators, without the additions `ForAnyValue:`, `ForAllValues:`, `IfExists`.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""


def refusal(document: dict[str, Any], partition: str | None = None) -> Refusal | None:
    """Tell why IAM refuses the document as an identity policy; None if it accepts the document.

    If there are several reasons, one that is certain is returned first. The value of an intrinsic
    function is not known, and is assumed to be accepted.

    Args:
        document: a policy document without `Fn::If` and `AWS::NoValue`.
        partition: the partition that it is deployed to, such as `aws-cn`; None if that is not
            known.
    """
    return min(_refusals(document, partition), key=lambda one: not one.certain, default=None)


def _is_in_any_case(name: str, known: set[str]) -> bool:
    """Tell whether `name` is known in another case, which AWS does not say that IAM accepts."""
    return name.lower() in {one.lower() for one in known}


def _refusals(document: dict[str, Any], partition: str | None) -> Iterator[Refusal]:
    if is_function(document):
        return
    for found in (
        *_other_elements(document, {"Version", "Id", "Statement"}, "a policy"),
        *_unless_one_of("Version", document.get("Version", _VERSIONS[0]), _VERSIONS),
    ):
        yield found._replace(reason=f"it {found.reason}")
    statements = document.get("Statement")
    if statements is None or statements == []:
        yield Refusal("it has no Statement")
    entries = as_list(statements)
    sids = [text(mapping(entry).get("Sid", "")) for entry in entries]
    for sid, times in Counter(sids).items():
        if sid and UNKNOWN not in sid and times > 1:
            yield Refusal(f"{times} of its statements have the Sid {sid!r}, which must be unique")
    for number, (sid, entry) in enumerate(zip(sids, entries, strict=True), 1):
        called = f"statement {sid!r}" if sid and UNKNOWN not in sid else f"statement {number}"
        for found in _in_statement(entry, partition):
            yield found._replace(reason=f"its {called} {found.reason}")


def _in_statement(entry: object, partition: str | None) -> Iterator[Refusal]:
    if not isinstance(entry, dict):
        yield Refusal("is not a mapping", certain=isinstance(entry, str))
        return
    if is_function(entry):
        return
    yield from _in_head(entry)
    for name, negated, judge in (
        ("Action", "NotAction", _in_action),
        ("Resource", "NotResource", partial(_in_resource, deployed_to=partition)),
    ):
        if name in entry and negated in entry:
            yield Refusal(f"has both {name} and {negated}")
        elif name not in entry and negated not in entry:
            yield Refusal(f"has neither {name} nor {negated}")
        for element in (name, negated):
            if element in entry:
                yield from _in_list(element, entry[element], judge)
    yield from _in_condition(entry.get("Condition", {}))


def _in_head(entry: dict[str, Any]) -> Iterator[Refusal]:
    yield from _other_elements(entry, _STATEMENT_ELEMENTS, "a policy of a role")
    if "Effect" in entry:
        yield from _unless_one_of("Effect", entry["Effect"], ("Allow", "Deny"))
    else:
        yield Refusal("has no Effect")
    sid = text(entry.get("Sid", ""))
    if not isinstance(entry.get("Sid", ""), (str, dict)):
        yield Refusal("has a Sid that is not a string", certain=False)
    elif UNKNOWN not in sid and re.search("[^0-9A-Za-z]", sid):
        yield Refusal(f"has the Sid {sid!r}, and a Sid has letters and digits only")


def _other_elements(entry: dict[str, Any], known: set[str], of: str) -> Iterator[Refusal]:
    for name in entry:
        if name not in known:
            reason = f"has the element {name!r}, which {of} can't have"
            yield Refusal(reason, certain=not _is_in_any_case(name, known))


def _unless_one_of(element: str, value: object, known: tuple[str, ...]) -> Iterator[Refusal]:
    written = text(value)
    if not isinstance(value, (str, dict)):
        yield Refusal(f"has a {element} that is not a string", certain=False)
    elif UNKNOWN not in written and written not in known:
        neither = " nor ".join(repr(one) for one in known)
        yield Refusal(f"has the {element} {written!r}, which is neither {neither}")


def _in_list(
    element: str, value: object, judge: Callable[[str], Iterator[Refusal]]
) -> Iterator[Refusal]:
    """Refuse the entries of an element; `judge` yields what follows the entry in the reasons."""
    if value == []:
        yield Refusal(f"has an empty {element}")
    for one in as_list(value):
        written = text(one)
        if isinstance(one, dict) and not is_function(one):
            yield Refusal(f"has a mapping in its {element}")
        elif not isinstance(one, (str, dict)):
            # CloudFormation may convert a number to a string, and refuses null.
            yield Refusal(f"has an entry in its {element} that is not a string", certain=False)
        else:
            for found in judge(written):
                shown = written.replace(UNKNOWN, "…")
                yield found._replace(reason=f"has {shown!r} in its {element}{found.reason}")


def _in_action(action: str) -> Iterator[Refusal]:
    service, colon, name = action.partition(":")
    if action == "*" or UNKNOWN in action:
        return
    if not colon:
        yield Refusal(": an action is 'service:Name' or '*'")
    elif ":" in name:
        yield Refusal(": an action has one colon")
    elif service != "*" and re.search("[^a-zA-Z0-9.-]", service):
        yield Refusal(", and no service has such a name")
    elif not service or not name:
        yield Refusal("", certain=False)


def _in_resource(resource: str, *, deployed_to: str | None) -> Iterator[Refusal]:
    parts = resource.split(":")
    prefix, partition, service = [*parts, "", ""][:3]
    if deployed_to and parts[2:] and partition in PARTITIONS - {deployed_to}:
        yield Refusal(f", and its stack is deployed to the partition {deployed_to!r}")
        return
    if resource == "*" or UNKNOWN in resource:
        return
    reason = ": a resource is an ARN or '*'"
    few = not parts[5:]  # an ARN has six parts, but a `*` at the end also matches colons
    if not parts[1:]:
        yield Refusal(reason, certain=resource != "")
    elif partition not in {"*", *PARTITIONS}:
        # Some partitions are not public, and IAM may accept some wildcards.
        yield Refusal(reason, certain=re.match(r"aws|[^a-z]*[*?$]", partition) is None)
    elif not parts[2:] or (few and "::" in resource):
        yield Refusal(reason)
    elif prefix != "arn" or re.search(r"^$|[*?]", service) or (few and resource[-1] != "*"):
        yield Refusal(reason, certain=False)


def _in_condition(condition: object) -> Iterator[Refusal]:
    if not isinstance(condition, dict):
        yield Refusal("has a Condition that is not a mapping")
        return
    if is_function(condition):
        return
    for name, keys in condition.items():
        operator = re.sub("^For(AnyValue|AllValues):|IfExists$", "", name)
        if not isinstance(keys, dict):
            yield Refusal(f"has a Condition whose {name!r} is not a mapping")
        elif operator not in _OPERATORS and keys:
            reason = f"has {name!r} in its Condition, which is not a condition operator"
            yield Refusal(reason, certain=not _is_in_any_case(operator, _OPERATORS))
