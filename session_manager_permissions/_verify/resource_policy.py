"""Reads the policy of a key or a bucket, and tells whom it lets in.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from session_manager_permissions._patterns import any_matches, as_list, covers_action, matches

from .asking import CannotAsk, NotThere

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .session import Session

_ABSENT: Final = ("kms:viaservice", "kms:grantisforawsresource")
"""The condition keys that no call of the agent or of an operator to KMS has."""
_POSITIVE: Final = ("arnequals", "arnlike", "bool", "stringequals", "stringlike")
"""The operators of conditions that fail if the key is absent."""


class Admission(NamedTuple):
    """What a resource's own policy says of a principal."""

    answer: Literal["named", "account", "closed", "denied", "unknown"]
    """`named`: it allows the principal itself. `account`: it leaves it to the policies of IAM.
    `closed`: it does neither."""
    why: str
    """A clause, without a full stop."""


class ResourcePolicy(NamedTuple):
    """The policy of a key or a bucket."""

    of: str
    """What it belongs to, as a message names it."""
    statements: tuple[Any, ...]
    error: CannotAsk | None = None
    """Why it could not be read."""

    def admits(  # noqa: PLR0911 # one for each answer
        self, principal: str, action: str, resource: str
    ) -> Admission:
        """Tell whether the policy lets a user or a role do something to the resource."""
        if self.error:
            why = f"the policy of {self.of} may allow it, and could not be read: {self.error}"
            return Admission("unknown", why)
        found: dict[tuple[str, str], bool | None] = {}
        for effect, kind, applies in self._applying(principal, action, resource):
            if applies is not False:
                found[effect, kind] = found.get((effect, kind)) or applies
        denies = [found[key] for key in found if key[0] == "Deny"]
        if True in denies:
            return Admission("denied", f"the policy of {self.of} denies it")
        if None in denies:
            why = f"a Deny in the policy of {self.of} may apply, as its conditions decide"
            return Admission("unknown", why)
        if found.get(("Allow", "named")):
            return Admission("named", f"the policy of {self.of} allows {principal} itself")
        if found.get(("Allow", "account")):
            return Admission("account", f"the policy of {self.of} leaves it to policies of IAM")
        if found:
            why = f"the policy of {self.of} may allow it, as its conditions decide"
            return Admission("unknown", why)
        why = f"the policy of {self.of} lets neither the account nor {principal} in"
        return Admission("closed", why)

    def _applying(
        self, principal: str, action: str, resource: str
    ) -> Iterator[tuple[str, str, bool | None]]:
        """Yield the effect of each statement, whom it is about, and whether it applies."""
        for entry in self.statements:
            about = _is_about(entry, principal)
            if about is None:
                continue
            kind, is_sure = about
            facts = (
                is_sure or None,
                covers_action(entry, action.lower()),
                _covers_resource(entry, resource),
                _holds(entry.get("Condition", {}), principal),
            )
            applies = False if False in facts else None if None in facts else True
            yield entry["Effect"], kind, applies


def _is_about(entry: Mapping[str, Any], principal: str) -> tuple[str, bool] | None:
    """Tell whom a statement is about, and whether that is certain; None if about others."""
    if "NotPrincipal" in entry:
        return "named", False
    named = entry["Principal"]
    listed = as_list(named if named == "*" else named.get("AWS", []))
    account = principal.split(":")[4]
    # A deny on the account is one on each of its principals.
    of_account = "account" if entry["Effect"] == "Allow" else "named"
    if "*" in listed or principal in listed:
        return "named", True
    if {account, f"{principal.split(':iam:', maxsplit=1)[0]}:iam::{account}:root"} & {*listed}:
        return of_account, True
    name = principal.rpartition("/")[2]
    sessions = f":assumed-role/{name}/"
    if any(sessions in one for one in listed):
        return "named", False
    return None


def _covers_resource(entry: Mapping[str, Any], resource: str) -> bool | None:
    negated = "NotResource" in entry
    patterns = as_list(entry.get("NotResource" if negated else "Resource", "*"))
    return any_matches([matches(one, resource) for one in patterns], negated=negated)


def _holds(condition: Mapping[str, Any], principal: str) -> bool | None:
    """Tell whether a condition holds for a call that the principal makes itself."""
    facts = [
        _one_holds(operator.lower(), key.lower(), values, principal)
        for operator, keys in condition.items()
        for key, values in keys.items()
    ]
    return False if False in facts else None if None in facts else True


def _one_holds(operator: str, key: str, values: object, principal: str) -> bool | None:
    known = {
        "aws:principalaccount": principal.split(":")[4],
        "aws:principalarn": principal,
        "aws:securetransport": "true",
        "kms:calleraccount": principal.split(":")[4],
    }
    if operator not in _POSITIVE:
        return None
    if key in _ABSENT:
        return False
    if key not in known:
        return None
    wanted = [str(one).lower() if operator == "bool" else str(one) for one in as_list(values)]
    exact = operator == "stringequals"
    return any_matches([one == known[key] if exact else matches(one, known[key]) for one in wanted])


def policy_of(session: Session, resource: str, account: str) -> ResourcePolicy | None:
    """Read the policy of a key, or of the bucket of an object; None of anything else.

    That of a key of another account lets nobody in alone, as the account of the caller has to as
    well.

    Args:
        session: asks AWS.
        resource: the ARN of the key or of the object.
        account: the account that owns the bucket. S3 does not tell of a bucket of another one.
    """
    service, _, owner, name = resource.split(":", 5)[2:] if ":" in resource else ("", "", "", "")
    if service == "kms":
        return key_policy(session, resource) if owner == account else None
    if service != "s3":
        return None
    bucket = name.partition("/")[0]
    on, of = resource.partition("/")[0], f"the bucket {bucket}"
    asked = {"Bucket": bucket, "ExpectedBucketOwner": account}
    return _read(session, "s3:GetBucketPolicy", of, on=on, region=None, **asked)


def key_policy(session: Session, arn: str) -> ResourcePolicy:
    """Read the policy of a key."""
    asked = {"KeyId": arn, "PolicyName": "default"}
    of, region = f"the key {arn}", arn.split(":")[3]
    return _read(session, "kms:GetKeyPolicy", of, on=arn, region=region, **asked)


def _read(
    session: Session, call: str, of: str, *, on: str, region: str | None, **asked: str
) -> ResourcePolicy:
    def read(found: Mapping[str, Any]) -> ResourcePolicy:
        return ResourcePolicy(of, tuple(as_list(json.loads(found["Policy"])["Statement"])))

    missing = f"{of} has no policy"
    found = session.tried(call, read, on=on, missing=missing, region=region, **asked)
    if isinstance(found, NotThere):
        return ResourcePolicy(of, ())
    return ResourcePolicy(of, (), found) if isinstance(found, CannotAsk) else found
