"""Tell whether the condition of a policy holds for a call. Knows nothing of CDK.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ._patterns import UNKNOWN, any_matches, as_list, matches

if TYPE_CHECKING:
    from collections.abc import Mapping

Known = dict[str, str | None]
"""The condition keys that a call has, in lower case; None for a value that is not known."""

_ABSENT: Final = ("kms:viaservice", "kms:grantisforawsresource")
"""The condition keys that a call to KMS lacks, unless a service makes it."""
_EXACT: Final = ("bool", "stringequals", "stringequalsignorecase")
_BY_PATTERN: Final = ("arnequals", "arnlike", "stringlike")
_OLD_TLS: Final = ("numericlessthan", "s3:tlsversion")
_OLDEST_TLS: Final = "1.2"
"""AWS takes nothing older.

https://docs.aws.amazon.com/general/latest/gr/aws-security-credentials.html
"""


def of_principal(arn: str) -> Known:
    """Return the condition keys of each call that a user or a role makes itself."""
    account = arn.split(":")[4]
    return {
        "aws:principalaccount": account,
        "aws:principalarn": arn,
        "aws:principalisawsservice": "false",
        "aws:securetransport": "true",
        "aws:viaawsservice": "false",
        "kms:calleraccount": account,
    }


def holds(condition: Mapping[str, Any], known: Mapping[str, str | None]) -> bool | None:
    """Tell whether a condition holds for a call with these condition keys; None if unknown."""
    facts = [
        _one_holds(operator.lower(), key.lower(), as_list(values), known)
        for operator, keys in condition.items()
        for key, values in keys.items()
    ]
    return False if False in facts else None if None in facts else True


def _one_holds(
    operator: str, key: str, values: list[object], known: Mapping[str, str | None]
) -> bool | None:
    if (operator, key) == _OLD_TLS:
        return None if any(str(one) > _OLDEST_TLS for one in values) else False
    if key not in known and key not in _ABSENT:
        return None
    if operator == "null":
        return str(key not in known).lower() in [str(one).lower() for one in values]
    name = operator.removesuffix("ifexists")
    positive = name.replace("not", "")
    negated = positive != name
    if positive not in (*_EXACT, *_BY_PATTERN):
        return None
    if key not in known:
        return negated or name != operator
    return _matches(positive, known[key], values, negated=negated)


def _matches(
    operator: str, value: str | None, values: list[object], *, negated: bool
) -> bool | None:
    if value is None:
        return None
    lowers = operator in ("bool", "stringequalsignorecase")
    wanted = [str(one).lower() if lowers else str(one) for one in values]
    value = value.lower() if lowers else value
    if operator in _BY_PATTERN:
        return any_matches([matches(one, value) for one in wanted], negated=negated)
    exact = [None if "${" in one or UNKNOWN in one else one == value for one in wanted]
    return any_matches(exact, negated=negated)
