"""Reads the policy of a key or a bucket, and the grants of a key, and tells whom they allow.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from session_manager_permissions import _limits
from session_manager_permissions._evaluation import Answer, Request, evaluate, names_role
from session_manager_permissions._patterns import as_list
from session_manager_permissions._quoting import in_shell

from .asking import CannotAsk, NotPermitted, NotThere, tried
from .lines import aws, in_json, with_statement
from .simulator import OF_ONE_CALL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from session_manager_permissions._conditions import RequestContext

    from .session import Session
    from .simulator import Call


class Admission(NamedTuple):
    """What a resource's own policy decides about a principal's call."""

    answer: Literal["named", "account", "closed", "denied", "unknown"]
    """`named`: the policy allows the principal itself. `account`: the policy lets IAM policies
    decide. `closed`: the policy does neither. `denied`: a Deny in the policy applies."""
    why: str
    """A clause, without a full stop."""
    fix: tuple[str, ...] = ()
    """What to change in the policy, so that it allows the call."""
    error: CannotAsk | None = None
    """Why the policy, or the grants of the key, could not be read."""

    @property
    def is_shut(self) -> bool:
        """Tell whether the policy denies the call, whatever IAM policies allow."""
        return self.answer in ("denied", "closed")


class ResourcePolicy(NamedTuple):
    """The policy of a key or a bucket."""

    session: Session
    """Asks AWS for the policy, and for the organization if the policy has a condition on one."""
    of: str
    """The key or the bucket, as a message names it."""
    statements: tuple[Any, ...] = ()
    error: CannotAsk | None = None
    """Why the policy could not be read."""
    key: str = ""
    """The ARN of the key, if the policy is that of a key. For a bucket, IAM policies count whatever
    the bucket's policy allows."""
    grants: Callable[[], list[dict[str, Any]]] = list
    """Asks for the grants of the key, each as a statement."""

    def admits(
        self, principal: str, call: Call, each: RequestContext, *, by_iam: bool
    ) -> Admission:
        """Tell whether the policy lets a user or a role make a call, or a grant of the key does.

        A grant is enough if nothing denies the call. Few roles have a grant: if the credentials may
        not read the grants, the answer is the one without grants, and says so.

        Args:
            principal: the ARN of the user or the role.
            call: the call. The values of its samples are not known.
            each: the condition keys of each call that the user or the role makes.
            by_iam: whether the policies of IAM allow it.
        """
        found = self._admits(principal, call, each, by_iam=by_iam)
        is_denied = found.answer == "closed" or (found.answer == "account" and not by_iam)
        grants = tried(self.grants) if is_denied else []
        if not grants:
            return found
        if isinstance(grants, CannotAsk):
            why = f"{found.why}; a grant may allow it, and the grants could not be read: {grants}"
            answer = found.answer if isinstance(grants, NotPermitted) else "unknown"
            return found._replace(answer=answer, why=why, error=grants)
        of, whole = f"{self.of}, together with its grants,", (*self.statements, *grants)
        policy = self._replace(of=of, statements=whole, grants=list)
        granted = policy.admits(principal, call, each, by_iam=by_iam)
        return found if granted.answer == found.answer else granted._replace(fix=found.fix)

    def _admits(  # noqa: PLR0911 # one for each answer
        self, principal: str, call: Call, each: RequestContext, *, by_iam: bool
    ) -> Admission:
        """Tell whether the policy, without grants of the key, lets the principal make the call."""
        does = "deny" if by_iam and not self.key else "allow"
        if error := self._unread_by(principal.split(":")[4]):
            why = f"the policy of {self.of} may {does} it, and could not be read: {error}"
            return Admission("unknown", why, error=error)
        known = {key.name: None if key.is_sample else key.value for key in call.with_own.context}
        of_others = {key for key, action in OF_ONE_CALL.items() if action != call.action}
        each, error = with_organization(self.session, self.statements, each)
        context = each._replace(lacks=each.lacks | of_others).made_by(principal).knowing(known)
        request = Request(call.action, partial(_is_about, principal), context, call.resource)
        itself = evaluate(self.statements, request)
        request = request._replace(is_about=partial(_is_about, principal, by_account=True))
        allows_everything = [] if self.key else [_ALLOWS_EVERYTHING]
        by_account = evaluate([*self.statements, *allows_everything], request)
        if itself.answer is Answer.EXPLICIT_DENY:
            fix = f"remove the Deny from the policy of {self.of}, or exclude {principal} from it"
            return Admission("denied", f"the policy of {self.of} denies it", (fix,))
        if by_account.answer is Answer.IMPLICIT_DENY:
            why = f"the policy of {self.of} allows neither the account nor {principal}"
            return Admission("closed", why, self._letting_iam_decide(principal))
        left_to_iam = Admission("account", f"the policy of {self.of} lets IAM policies decide")
        if itself.answer is Answer.IMPLICIT_DENY and not by_iam:
            return left_to_iam
        fix = f"find out whether the conditions in the policy of {self.of} are met"
        if any(one["Effect"] == "Deny" for one in by_account.by):
            why = f"a Deny in the policy of {self.of} may apply, depending on its conditions"
            return Admission("unknown", why, (fix,), error)
        if itself.answer is Answer.ALLOWED:
            return Admission("named", f"the policy of {self.of} directly allows {principal}")
        if by_iam and by_account.answer is Answer.ALLOWED:
            return left_to_iam
        why = f"the policy of {self.of} may allow it, depending on its conditions"
        return Admission("unknown", why, (fix,), error)

    def _unread_by(self, account: str) -> CannotAsk | None:
        """Say why the policy could not be read; None if it was.

        Another account can't read the policy of a key, whatever its permissions.
        https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html
        """
        if self.error and self.key and (owner := self.key.split(":")[4]) != account:
            return CannotAsk(f"only its account, {owner}, can read it: ask there")
        return self.error

    def _letting_iam_decide(self, principal: str) -> tuple[str, ...]:
        """Say how to change the policy of a key so that IAM policies can allow the key's use."""
        put = f"kms put-key-policy --key-id {in_shell(self.key, _limits.key_fault, 'KEY')}"
        partition, account = (principal.split(":")[part] for part in (1, 4))
        root = f"arn:{partition}:iam::{account}:root"
        uses = ("kms:Decrypt", "kms:GenerateDataKey")  # neither action changes the key
        allows = _ALLOWS_EVERYTHING | {"Principal": {"AWS": root}, "Action": uses}
        whole = with_statement({"Version": "2012-10-17", "Statement": [*self.statements]}, allows)
        what_it_does = (
            f"the command adds a statement to the policy that lets {root} use the key, and keeps "
            "all others: run it as somebody who may change the policy"
        )
        more = f"--policy-name default --policy {in_json(whole)}"
        return (aws(put, self.key.split(":")[3], more), what_it_does)


_ALLOWS_EVERYTHING: Final = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
_ORGANIZATION_KEYS: Final = frozenset({"aws:principalorgid", "aws:principalorgpaths"})
"""The condition keys, in lower case, that a call from an account outside organizations lacks."""
_UNKNOWN: Final[dict[str, Any]] = {"Bool": {}}
"""Stands for a condition of which nothing is known."""


def _is_about(
    principal: str, statement: Mapping[str, Any], *, by_account: bool = False
) -> bool | None:
    """Tell whether a statement is about a user or a role, or also about its account.

    A Deny for the account applies to each of its principals.
    """
    is_wide = by_account or statement["Effect"] == "Deny"
    account = principal.split(":")[4] if is_wide else ""
    return names_role(statement.get("Principal"), principal, account)


def with_organization(
    session: Session, policy: object, context: RequestContext
) -> tuple[RequestContext, CannotAsk | None]:
    """Add the account's organization to the context of a call, if a policy has a key for it.

    Returns:
        The context of the call, and the error if AWS did not name the organization.
    """
    if not re.search("aws:(principal|resource)org", json.dumps(policy), re.IGNORECASE):
        return context, None
    found = session.tried(
        "organizations:DescribeOrganization", lambda found: str(found["Organization"]["Id"])
    )
    if isinstance(found, NotThere):
        return context._replace(lacks=context.lacks | _ORGANIZATION_KEYS), None
    if isinstance(found, CannotAsk):
        return context, found
    return context.knowing({"aws:PrincipalOrgID": found}), None


def policy_of(session: Session, who: str, call: Call, *, by_iam: bool) -> ResourcePolicy | None:
    """Read the policy of a key, or of the bucket of an object; None for any other resource.

    For a key of another account, the key's policy is not enough, as the caller's account has to
    allow the call too. A grant is enough, unless the key's policy, which only the key's account can
    read, denies the call.

    Args:
        session: asks AWS.
        who: the ARN of the user or the role. S3 shows a bucket's policy to its own account alone.
        call: the call, on the key or on the object.
        by_iam: whether the policies of IAM allow it.
    """
    resource, account = call.resource, who.split(":")[4]
    service, _, owner, name = resource.split(":", 5)[2:] if ":" in resource else ("", "", "", "")
    if service == "kms" and owner != account and not by_iam:
        by_account = _ALLOWS_EVERYTHING | {"Principal": {"AWS": account}}
        return _unread_key(session, resource, is_foreign=True)._replace(statements=(by_account,))
    if service == "kms":
        return key_policy(session, resource)
    if service != "s3":
        return None
    bucket = name.partition("/")[0]
    of = ResourcePolicy(session, f"the bucket {bucket}")
    asked = {"on": resource.partition("/")[0], "Bucket": bucket, "ExpectedBucketOwner": account}
    return _read("s3:GetBucketPolicy", of, **asked)


def key_policy(session: Session, arn: str) -> ResourcePolicy:
    """Read the policy of a key."""
    asked = {"on": arn, "missing": f"there is no KMS key {arn}", "KeyId": arn}
    return _read("kms:GetKeyPolicy", _unread_key(session, arn), **asked, PolicyName="default")


def _unread_key(session: Session, arn: str, *, is_foreign: bool = False) -> ResourcePolicy:
    """Return the policy of a key before it is read, with the function that reads its grants."""
    there = session.in_region(arn.split(":")[3])
    grants = partial(_grants, there, arn, is_foreign=is_foreign)
    return ResourcePolicy(there, f"the key {arn}", key=arn, grants=grants)


def _grants(session: Session, arn: str, *, is_foreign: bool) -> list[dict[str, Any]]:
    """Ask for the grants of a key, except those to services.

    Whether constraints are met, and what the policy of a foreign key denies, is not known.

    Raises:
        CannotAsk: AWS could not be asked.
    """

    def read(found: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            _ALLOWS_EVERYTHING
            | {
                "Principal": {"AWS": one["GranteePrincipal"]},
                "Action": [f"kms:{operation}" for operation in one["Operations"]],
                "Condition": _UNKNOWN if one.get("Constraints") else {},
            }
            for one in found["Grants"]
            if "GranteePrincipal" in one
        ]

    found = session.ask("kms:ListGrants", read, on=arn, KeyId=arn)
    return [one | {"Condition": _UNKNOWN} for one in found] if is_foreign else found


def _read(call: str, policy: ResourcePolicy, **asked: str) -> ResourcePolicy:
    """Read a policy: return it with its statements, or with the error if they can't be read."""

    def read(found: Mapping[str, Any]) -> ResourcePolicy:
        statements = as_list(json.loads(found["Policy"])["Statement"])
        # Each statement of a policy has an Effect: an answer without one is not from AWS.
        each = tuple(one | {"Effect": one["Effect"]} for one in statements)
        return policy._replace(statements=each)

    found = policy.session.tried(call, read, **asked)
    if isinstance(found, NotThere) and not policy.key:  # each key that exists has a policy
        return policy
    return policy._replace(error=found) if isinstance(found, CannotAsk) else found
