"""Join and split texts, even if some of their parts are not known."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Network
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

from .functions import UNKNOWN, split_dynamic, text
from .model import ARNS, NAMED_BY, OF_IAM, ReturnValue, Template, Unresolved, Value, merged

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_PARTS: Final = 100  # of a text that is put together; a name or an ARN has a few
_MOST_CHARACTERS: Final = 10_000  # of such a text

OF_ENVIRONMENT: Final = ("AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::URLSuffix")
"""Pseudo parameters with one value in all stacks of an account and region."""

_HAVING_ARN: Final = re.compile("AWS::(DynamoDB|ECR|IAM|KMS|Lambda|Logs|S3|SecretsManager|SQS)::")
"""Services whose resources have an attribute `Arn` with the service's name in lower case."""

DYNAMIC: Final = "{{resolve"
"""The beginning of a dynamic reference. As an `expression`, it marks a text that contains one."""

_REST: Final = "the rest of a list"
"""Stands for the entries from the first part of a text on that may contain the separator."""

_SEPARATORS: Final = re.compile("(:?instance-profile|:?policy|:?role)?[ ,/:;|]+")
"""Separators that can't be in an EC2 id, an account id, or the name of a region or partition.

In an ARN of IAM, a name follows one of the words.
"""

_WITH_SLASHES: Final = ("AWS::KMS::Alias", "AWS::Logs::LogGroup")
"""The types in `ARNS` whose names may contain slashes."""
_WITH_ID: Final = re.compile(
    "AWS::EC2::(Instance|InternetGateway|LaunchTemplate|NatGateway|NetworkAcl|NetworkInterface|"
    "RouteTable|SecurityGroup|Subnet|VPC|VPCEndpoint)"
)
"""Types whose `Ref` is an EC2 id, and so are those attributes whose names end in `Id`."""


def as_text(value: Value) -> str:
    """Return a value as a text, with `UNKNOWN` for each part that is only known at deployment."""
    return "".join(map(_text, value))


def _text(part: str | ReturnValue | Unresolved) -> str:
    if isinstance(part, ReturnValue) and part.attribute == "Arn":
        of_service = _HAVING_ARN.match(part.resource.type)
        partition = part.resource.template.stack.partition
        arn = f"arn:{partition.name if partition else 'aws'}"
        return f"{arn}:{of_service[1].lower()}:{UNKNOWN}" if of_service else UNKNOWN
    return part if isinstance(part, str) else UNKNOWN


def scalar(value: object) -> Value | None:
    """Return a number or a boolean as the text that CloudFormation makes of it."""
    return (json.dumps(value),) if isinstance(value, (bool, int, float)) else None


def literal(template: Template, string: str) -> Value:
    """Return a string of a template, with its dynamic references as unknown parts."""
    if "{{" not in string:
        return (string,) if string else ()
    return merged(
        Unresolved(template, f"{{{{resolve:{part}}}}}") if place % 2 else part
        for place, part in enumerate(split_dynamic(string))
    )


def joined(values: Iterable[Value], separator: str = "") -> Value:
    """Join values; the result is unknown if it is too long, or contains a dynamic reference."""
    parts = merged(
        part
        for place, value in enumerate(values)
        for part in ((separator, *value) if place else value)
    )
    strings = [part for part in parts if isinstance(part, str)]
    # The hash stands for the parts: a value that contained other values could grow without end.
    if len(parts) > _MOST_PARTS or any(len(one) > _MOST_CHARACTERS for one in strings):
        return (Unresolved(hash(parts)),)
    if any(DYNAMIC in one for one in strings):
        # CloudFormation resolves the reference after it joins the parts.
        return (Unresolved(parts, DYNAMIC),)
    return parts


def split(value: Value, separator: str) -> list[Value]:
    """Split a text into entries; the last one is `_REST` if not all entries are known."""
    entries: list[list[str | ReturnValue | Unresolved]] = [[]]
    for part in value:
        if isinstance(part, str):
            first, *others = part.split(separator)
            entries[-1].append(first)
            entries += [[other] for other in others]
        elif _is_plain(part, separator):
            entries[-1].append(part)
        else:
            rest = Unresolved(hash((value, separator, len(entries))), _REST)
            return [*(joined([tuple(entry)]) for entry in entries[:-1]), (rest,)]
    return [joined([tuple(entry)]) for entry in entries]


def is_open(several: list[Value]) -> bool:
    """Tell whether a list may have more entries than are known."""
    match several:
        case [*_, (Unresolved(_, expression),)]:
            return expression == _REST
    return False


def _is_plain(part: ReturnValue | Unresolved, separator: str) -> bool:
    """Tell whether the value certainly does not contain the separator."""
    if not _SEPARATORS.fullmatch(separator):
        return False
    if isinstance(part, Unresolved):
        return part.expression in OF_ENVIRONMENT
    type_, attribute = part.resource.type, part.attribute
    if type_ in ARNS and type_ not in OF_IAM and not attribute:
        return "/" not in separator or type_ not in _WITH_SLASHES
    is_arn = type_ == "AWS::IAM::ManagedPolicy" and not {*separator} & {*":/"}
    if (type_ in OF_IAM or is_arn) and not attribute:
        name = text(part.resource.written.get(NAMED_BY[type_], ""))
        return "," not in separator or not ("," in name or UNKNOWN in name)
    return _WITH_ID.fullmatch(type_) is not None and (not attribute or attribute.endswith("Id"))


def blocks(block: str, count: str, bits: str) -> list[Value] | None:
    """Return the blocks that `Fn::Cidr` makes of an IPv4 block; None if they are not known."""
    try:
        several = IPv4Network(block).subnets(new_prefix=32 - int(bits))
        return [(str(one),) for one in islice(several, min(int(count), 256))]
    except ValueError:
        return None


def stripped(value: Value) -> Value:
    """Return an entry without the blanks around it, which CloudFormation removes."""
    parts = [*value]
    for end, strip in ((0, str.lstrip), (-1, str.rstrip)):
        if parts and isinstance(parts[end], str):
            parts[end] = strip(str(parts[end]))
    return tuple(part for part in parts if part)


def certainly_differ(one: Value, other: Value) -> bool:
    """Tell whether two texts that begin and end differently have different values."""
    match one, other:
        case ((str(), *_), (str(), *_)) | ((*_, str()), (*_, str())):
            return True
        case ((), (*parts,)) | ((*parts,), ()):
            # the text of a resource's reference is never empty
            return not all(isinstance(one, Unresolved) and one.may_be_empty for one in parts)
    return False


def without_the_same(one: Value, other: Value) -> tuple[Value, Value]:
    """Return two texts without their common beginning and their common end."""
    pair = [_characters(one), _characters(other)]
    for _ in range(2):  # the second time from the end
        same = takewhile(lambda both: both[0] == both[1], zip(*pair, strict=False))
        number = len([*same])
        pair = [several[number:][::-1] for several in pair]
    return merged(pair[0]), merged(pair[1])


def _characters(value: Value) -> list[str | ReturnValue | Unresolved]:
    """Return the characters of a value, and its unknown parts."""
    return [one for part in value for one in (part if isinstance(part, str) else (part,))]
