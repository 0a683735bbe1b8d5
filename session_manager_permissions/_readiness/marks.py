"""Write values as texts that can be compared, even if a part is known only at deployment."""

from __future__ import annotations

import re
from typing import Final

from session_manager_permissions._patterns import MARKS

from .templates.model import ARNS, ReturnValue, Unresolved, Value

ALIAS: Final = "AWS::KMS::Alias"
KEYS: Final = ("AWS::KMS::Key", "AWS::KMS::ReplicaKey")
"""The keys of KMS."""

_DIGITS: Final = {ord(digit): MARKS + number for number, digit in enumerate("-0123456789abcdef")}
_REFERRED_BY: Final = {
    "AWS::IAM::Role": "RoleName",
    ALIAS: "AliasName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
}
"""The property that sets the name that `Ref` returns, by the type of the resource."""


def marked(value: Value) -> str:
    """Return a value as a text, with marks in place of each part that is known only at deployment.

    Equal parts have the same marks. The partition of an ARN is left out if it is written or covers
    every partition, as `*` and `aws*` do: a policy can't name resources of another partition.
    """
    return re.sub(r"^arn:(\*|aws\*|[^:*?]*):", "arn::", "".join(map(_marked_part, value)))


def _marked_part(part: str | ReturnValue | Unresolved) -> str:
    if isinstance(part, ReturnValue):
        resource, attribute = part
        known = resource.template.value
        if attribute == "Arn" and resource.type in ARNS:
            return marked(resource.arn)
        name = resource.properties.get(_REFERRED_BY.get(resource.type, ""))
        if not attribute and name is not None:
            return marked(known(name))
    return part if isinstance(part, str) else f"{hash(part):x}".translate(_DIGITS)
