"""Judge the `Condition` of a statement by the known condition keys of a call. Independent of CDK.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from ._needs import ENCRYPTION_KEY, REQUEST_KEYS
from ._patterns import MARKS, UNKNOWN, any_matches, as_list, has_marks, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class RequestContext(NamedTuple):
    """What is known of the condition keys of a call."""

    values: Mapping[str, str | None]
    """The values of keys, by the names of the keys in lower case.

    None means that the call certainly has the key, but its value is not known.
    """
    lacks: frozenset[str] = frozenset()
    """The keys that the call certainly lacks, in lower case, unless they have a value."""
    perhaps: Mapping[str, tuple[str, ...]] = {}
    """All possible values of keys, by lower-case names; empty if the call may lack the key."""
    among: tuple[tuple[str, str], ...] = ()
    """Multivalued keys, in lower case, each with a value that the call certainly has."""
    read: Callable[[object], str] = _as_text
    """Reads a value of a condition as a text, with `UNKNOWN` for what is not known."""

    def knowing(self, values: Mapping[str, str | None]) -> RequestContext:
        """Return the context with additional keys and values."""
        known = {key.lower(): value for key, value in values.items()}
        return self._replace(values={**self.values, **known})

    def by_value(self, key: str) -> list[RequestContext]:
        """Return the possible contexts of the call: one for each possible value of the key."""
        if key not in self.perhaps:
            return [self]
        without = self._replace(lacks=self.lacks | {key})
        return [self.knowing({key: one}) if one else without for one in self.perhaps[key]]

    def made_by(self, arn: str) -> RequestContext:
        """Return the context of calls that a user or a role makes directly."""
        keys = principal_keys(arn)
        return self.knowing({**keys, "kms:CallerAccount": keys["aws:PrincipalAccount"]})


NO_CONTEXT: Final = RequestContext({})
"""The context of calls of which nothing is known."""
_SERVICE_KEYS: Final = frozenset(
    {
        *("aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "kms:grantisforawsresource"),
        *("aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths"),
    }
)
"""The keys, in lower case, that no call of a user or a role has, and no call of S3 for it."""
_NOT_OF_OWN_CALLS: Final = _SERVICE_KEYS | {"kms:viaservice"}
"""The keys, in lower case, that no direct call of a user or a role has."""
_CONTEXTS: Final = (
    *("aws:dynamodb:", "aws:ebs:", "aws:identitystore:", "aws:lambda:", "aws:logs:", "aws:rds:"),
    *("aws:s3:", "aws:sns:", "aws:sqs:", "aws:sso:", "parameter_arn", "secretarn", "secretversion"),
)
NOT_OF_SESSION: Final = _NOT_OF_OWN_CALLS | {f"kms:encryptioncontext:{one}" for one in _CONTEXTS}
"""The prefixes, in lower case, of keys that no call has which opens a session or uses its key.

The encryption contexts among them belong to services that use keys for other data.
"""
_OWN_KEYS: Final = frozenset({f"{ENCRYPTION_KEY}-customer-algorithm"})
"""The header of an upload with a customer-provided key, which the agent never sends."""
NOT_OF_AGENT: Final = _SERVICE_KEYS | {
    *("aws:federatedprovider", "aws:multifactorauthage", "aws:principalservicename"),
    *("aws:sourceidentity", "aws:username"),
}
"""The condition keys, in lower case, that no call of the agent has.

The agent has the credentials of a role that a service assumes.
"""
NOT_OF_PROFILE: Final = frozenset({"ssm:sourceinstancearn"})
"""The condition key, in lower case, that no call with the role of an instance profile has.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
"""
OF_ANY_CALLER: Final = RequestContext({}, lacks=_NOT_OF_OWN_CALLS | _OWN_KEYS).knowing(REQUEST_KEYS)
"""The known keys of each direct call of a user or a role."""
EACH_CALL: Final = OF_ANY_CALLER.knowing({"aws:PrincipalType": "AssumedRole"})._replace(
    lacks=OF_ANY_CALLER.lacks | NOT_OF_AGENT,
    # AWS does not document whether a call with the credentials of an instance lacks it.
    perhaps={"aws:multifactorauthpresent": ("false", "")},
)
"""The known keys of each direct call of an agent."""
FROM_EC2: Final = EACH_CALL._replace(lacks=EACH_CALL.lacks | NOT_OF_PROFILE)
"""The known keys of each call of an agent with the role of an instance profile."""


def principal_keys(arn: str) -> dict[str, str]:
    """Return the condition keys that name the user or the role that makes a call."""
    return {"aws:PrincipalAccount": arn.split(":")[4], "aws:PrincipalArn": arn}


_EXACT: Final[dict[str, Callable[[str, str], bool]]] = {
    "bool": lambda asked, has: asked.lower() == has.lower(),
    "stringequals": lambda asked, has: asked == has,
    "stringequalsignorecase": lambda asked, has: asked.lower() == has.lower(),
}
_ON_ARNS: Final = ("arnequals", "arnlike")
_BY_PATTERN: Final = (*_ON_ARNS, "stringlike")
_JUDGED: Final = (*_EXACT, *_BY_PATTERN)
"""The operators that are judged, in lower case, as IAM ignores their case.

`Null` and each negated form are judged as well. If a call lacks the key, all operators are judged.
"""
_TLS: Final = ("numericlessthan", "s3:tlsversion")
_TLS_OF_EACH: Final = ("1", "1.0", "1.1", "1.2")
"""The minimum versions of TLS that each call has, as AWS accepts no version older than 1.2.

https://docs.aws.amazon.com/general/latest/gr/aws-security-credentials.html
"""


def holds(condition: object, context: RequestContext) -> bool | None:
    """Tell whether a condition holds for a call; None if that is not known."""
    undecided = open_keys(condition, context)
    return False if undecided is None else None if undecided else True


def open_keys(condition: object, context: RequestContext = EACH_CALL) -> list[str] | None:
    """Return the keys that decide whether a condition holds; None if it certainly does not hold.

    An empty text stands for a part of the condition that can't be read.
    """
    found: list[str] = []
    for operator, keys in _entries(condition) if condition else ():
        for key, asked in _entries(keys) or _UNREADABLE:
            values = [*map(context.read, as_list(asked))]
            may_be = context.by_value(key.lower())
            answers = {_is_met(operator.lower(), key.lower(), values, one) for one in may_be}
            if answers == {False}:
                return None
            if answers != {True}:
                found.append(key)
    return found


_UNREADABLE: Final[list[tuple[str, object]]] = [("", {"": []})]
"""Stands for the entries of a part of a condition that can't be read."""


def _entries(written: object) -> list[tuple[str, object]]:
    if not isinstance(written, dict):
        return _UNREADABLE
    if any(name.startswith("Fn::") for name in dict.keys(written)):
        return _UNREADABLE
    return [*written.items()]


def _is_met(operator: str, key: str, asked: list[str], context: RequestContext) -> bool | None:
    if (operator, key) == _TLS and asked:
        return False if {*asked} <= {*_TLS_OF_EACH} else None
    is_absent = key in context.lacks and key not in context.values
    quantifier, _, operator = operator.rpartition(":")
    if quantifier and not is_absent:
        several = product(asked, [value for name, value in context.among if name == key])
        is_one = any(_compared(operator, *pair) for pair in several)
        return True if quantifier == "foranyvalue" and is_one else None
    if not asked or not (is_absent or key in context.values):
        return None
    if operator == "null":
        return any_matches([_compared("bool", one, str(is_absent)) for one in asked])
    name = operator.removesuffix("ifexists")
    positive = name.replace("not", "", 1)
    is_negated = positive != name
    if is_absent:
        holds_without = quantifier == "forallvalues" if quantifier else is_negated
        return holds_without or name != operator
    has = context.values[key]
    return any_matches([_compared(positive, one, has) for one in asked], negated=is_negated)


def _compared(operator: str, asked: str, has: str | None) -> bool | None:
    """Tell whether the value of a key matches the value in the condition."""
    if operator not in _JUDGED:
        return None
    if asked == has or (operator, asked) == ("stringlike", "*"):  # any value
        return True
    if has is None:
        return None
    if _is_open(has):  # a `*` matches a part that is not known as well, such as a role's name
        fits = operator in _BY_PATTERN and "?" not in asked and _fits_arn(asked, has)
        return fits or (False if _differs(asked, has) else None)
    if operator in _BY_PATTERN:
        pattern = "".join(UNKNOWN if ord(one) >= MARKS else one for one in asked)
        found = matches(pattern, has)
        return None if found and operator in _ON_ARNS and not _fits_arn(pattern, has) else found
    return None if _is_open(asked) else _EXACT[operator](asked, has)


def _fits_arn(pattern: str, arn: str) -> bool:
    """Tell whether each of the six parts of an ARN matches its own part of the pattern.

    IAM checks the parts one by one. It does not document what a wildcard for several parts does.
    """
    patterns, parts = (text.split(":", 5) for text in (pattern, arn))
    return len(patterns) == len(parts) and all(map(matches, patterns, parts))


def _differs(asked: str, arn: str) -> bool:
    """Tell whether two ARNs differ in a part that is known of both, even regardless of case."""
    patterns, parts = (text.lower().split(":") for text in (asked, arn))
    known = (one for one in zip(patterns, parts, strict=False) if not any(map(_is_open, one)))
    return len(patterns) == len(parts) and False in (matches(*one) for one in known)


def _is_open(text: str) -> bool:
    """Tell whether a part of a text is known only at deployment or in the request."""
    return UNKNOWN in text or "${" in text or has_marks(text)
