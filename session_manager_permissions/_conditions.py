"""Judge the `Condition` of a statement by what is known of a call. Knows nothing of CDK.

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
    """The values of keys, by the names of these in lower case.

    None stands for a value that is not known, of a key that the call certainly has.
    """
    lacks: frozenset[str] = frozenset()
    """The keys that the call certainly lacks, in lower case, unless they have a value."""
    perhaps: Mapping[str, tuple[str, ...]] = {}
    """Keys in lower case, each with all values that it may have; empty if the call may lack it."""
    among: tuple[tuple[str, str], ...] = ()
    """Keys of several values, in lower case, each with a value that the call certainly has."""
    read: Callable[[object], str] = _as_text
    """Reads a value of a condition as a text, with `UNKNOWN` for what is not known."""

    def knowing(self, values: Mapping[str, str | None]) -> RequestContext:
        """Return the context in which these keys have these values as well."""
        known = {key.lower(): value for key, value in values.items()}
        return self._replace(values={**self.values, **known})

    def by_value(self, key: str) -> list[RequestContext]:
        """Return each context that the call may have: one for each value that the key may have."""
        if key not in self.perhaps:
            return [self]
        without = self._replace(lacks=self.lacks | {key})
        return [self.knowing({key: one}) if one else without for one in self.perhaps[key]]

    def made_by(self, arn: str) -> RequestContext:
        """Return the context of calls that a user or a role makes itself."""
        keys = principal_keys(arn)
        return self.knowing({**keys, "kms:CallerAccount": keys["aws:PrincipalAccount"]})


NO_CONTEXT: Final = RequestContext({})
"""The context of calls of which nothing is known."""
_OF_SERVICES: Final = frozenset(
    {
        *("aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "kms:grantisforawsresource"),
        *("aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths"),
    }
)
"""The keys, in lower case, that no call of a user or a role has, nor one that S3 makes for it."""
_NOT_OF_OWN_CALLS: Final = _OF_SERVICES | {"kms:viaservice"}
"""The keys, in lower case, of no call that a user or a role makes itself."""
_CONTEXTS: Final = (
    *("aws:dynamodb:", "aws:ebs:", "aws:identitystore:", "aws:lambda:", "aws:logs:", "aws:rds:"),
    *("aws:s3:", "aws:sns:", "aws:sqs:", "aws:sso:", "parameter_arn", "secretarn", "secretversion"),
)
NOT_OF_SESSION: Final = _NOT_OF_OWN_CALLS | {f"kms:encryptioncontext:{one}" for one in _CONTEXTS}
"""How the keys begin, in lower case, of no call that opens a session or uses its key.

The encryption contexts are those with which services use keys for other data.
"""
_OWN_KEYS: Final = frozenset({f"{ENCRYPTION_KEY}-customer-algorithm"})
"""The header of an upload that brings a key along, which the agent never does."""
NOT_OF_AGENT: Final = _OF_SERVICES | {
    *("aws:federatedprovider", "aws:multifactorauthage", "aws:principalservicename"),
    *("aws:sourceidentity", "aws:username"),
}
"""The condition keys, in lower case, that no call of the agent has.

It has the credentials of a role that a service assumes.
"""
NOT_OF_PROFILE: Final = frozenset({"ssm:sourceinstancearn"})
"""The condition key, in lower case, that no call with the role of an instance profile has.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
"""
OF_ANY_CALLER: Final = RequestContext({}, lacks=_NOT_OF_OWN_CALLS | _OWN_KEYS).knowing(REQUEST_KEYS)
"""What is known of each call that a user or a role makes itself."""
EACH_CALL: Final = OF_ANY_CALLER.knowing({"aws:PrincipalType": "AssumedRole"})._replace(
    lacks=OF_ANY_CALLER.lacks | NOT_OF_AGENT,
    # AWS does not document whether a call with the credentials of an instance lacks it.
    perhaps={"aws:multifactorauthpresent": ("false", "")},
)
"""What is known of each call that an agent makes itself."""
FROM_EC2: Final = EACH_CALL._replace(lacks=EACH_CALL.lacks | NOT_OF_PROFILE)
"""What is known of each call that an agent makes with the role of an instance profile."""


def principal_keys(arn: str) -> dict[str, str]:
    """Return the condition keys by which each call says which user or role makes it."""
    return {"aws:PrincipalAccount": arn.split(":")[4], "aws:PrincipalArn": arn}


_EXACT: Final[dict[str, Callable[[str, str], bool]]] = {
    "bool": lambda asked, has: asked.lower() == has.lower(),
    "stringequals": lambda asked, has: asked == has,
    "stringequalsignorecase": lambda asked, has: asked.lower() == has.lower(),
}
_OF_ARNS: Final = ("arnequals", "arnlike")
_BY_PATTERN: Final = (*_OF_ARNS, "stringlike")
_JUDGED: Final = (*_EXACT, *_BY_PATTERN)
"""The operators that are judged, in lower case, as IAM ignores their case.

`Null` is judged as well, and so is each negated form. Of a key that a call lacks, all are judged.
"""
_TLS: Final = ("numericlessthan", "s3:tlsversion")
_TLS_OF_EACH: Final = ("1", "1.0", "1.1", "1.2")
"""The versions of TLS that no call is below, as AWS accepts nothing older than 1.2.

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
        for key, asked in _entries(keys):
            values = [*map(context.read, as_list(asked))]
            may_be = context.by_value(key.lower())
            answers = {_is_met(operator.lower(), key.lower(), values, one) for one in may_be}
            if answers == {False}:
                return None
            if answers != {True}:
                found.append(key)
    return found


def _entries(written: object) -> list[tuple[str, object]]:
    if not isinstance(written, dict) or not written:
        return [("", {"": []})]
    if any(name.startswith("Fn::") for name in dict.keys(written)):
        return [("", {"": []})]
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
    """Tell whether the value that a key has is one that is asked for."""
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
        return None if found and operator in _OF_ARNS and not _fits_arn(pattern, has) else found
    return None if _is_open(asked) else _EXACT[operator](asked, has)


def _fits_arn(pattern: str, arn: str) -> bool:
    """Tell whether each of the six parts of an ARN matches its own part of the pattern.

    IAM checks the parts one by one. It does not document what a wildcard for several parts does.
    """
    patterns, parts = (text.split(":", 5) for text in (pattern, arn))
    return len(patterns) == len(parts) and all(map(matches, patterns, parts))


def _differs(asked: str, arn: str) -> bool:
    """Tell whether an ARN is another one by a part that is known of both, even if in lower case."""
    patterns, parts = (text.lower().split(":") for text in (asked, arn))
    known = (one for one in zip(patterns, parts, strict=False) if not any(map(_is_open, one)))
    return len(patterns) == len(parts) and False in (matches(*one) for one in known)


def _is_open(text: str) -> bool:
    """Tell whether a part of a text is known at the deployment or in the request only."""
    return UNKNOWN in text or "${" in text or has_marks(text)
