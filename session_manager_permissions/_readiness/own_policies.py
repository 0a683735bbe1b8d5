"""Decides what the policies of the app's keys and buckets allow a role.

https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from session_manager_permissions._evaluation import Answer
from session_manager_permissions._network.facts import Unknown
from session_manager_permissions._patterns import has_marks

from .marks import KEYS, marked
from .parts import PartKind, Parts
from .policies import EVERYTHING, Statement, decide, read
from .templates.functions import is_mapping, listed
from .templates.model import may_be_equal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .asked import Asked
    from .decisions import Ability, Decisions
    from .roles import Role
    from .templates.model import Resource

_Whom: TypeAlias = Literal["role", "account"]
_Meant: TypeAlias = tuple[_Whom, bool]
"""Whom a statement is about, and whether that is certain."""

_BUCKET: Final = PartKind("bucket", ("AWS::S3::Bucket",))


class OwnPolicies:
    """Decides by the policy of a key or a bucket together with the policies of a role."""

    def __init__(self, parts: Parts, decisions: Decisions) -> None:
        self._parts = parts
        self._decisions = decisions
        self._roles = decisions.roles

    def answer(self, resource: Resource, role: Role, asked: Asked, ability: Ability) -> Answer:
        """Decide about an action of a role.

        Args:
            resource: the key or the bucket.
            role: the role.
            asked: the action, and its resource: the key, the bucket, or a part of the bucket.
            ability: what IAM policies decide. The permissions boundary also limits what the policy
                of the resource allows.
        """
        if ability.decision.answer is Answer.EXPLICIT_DENY:
            return Answer.EXPLICIT_DENY
        answer = self._answer_with_own_policy(resource, role, asked, ability)
        return answer if self._parts.changed(resource) is None else min(answer, Answer.UNKNOWN)

    def _answer_with_own_policy(
        self, resource: Resource, role: Role, asked: Asked, ability: Ability
    ) -> Answer:
        (action,) = asked.actions
        there, own = (one.template.stack.account for one in (resource, role.resource))
        is_foreign = not may_be_equal(there, own)
        found = [*self._statements(resource, role, asked)]
        # A Deny for the account applies to each of its roles.
        of_role = [one for about, one in found if about == "role" or not one.allows]
        of_account = [one for about, one in found if about == "account" or not one.allows]
        if not is_foreign and (resource.type not in KEYS or "KeyPolicy" not in resource.properties):
            # The default policy of a key, too, lets the IAM policies of the account decide.
            of_account.append(EVERYTHING)
        itself = max(decide(of_role, action, "*").answer, ability.boundary.answer)
        if self._decisions.may_deny(role, asked):
            itself = max(itself, Answer.UNKNOWN)
        by_account = decide(of_account, action, "*").answer
        if is_foreign:  # both accounts have to allow it
            return max(min(itself, by_account), ability.decision.answer)
        return min(itself, max(by_account, ability.decision.answer))

    def _statements(
        self, resource: Resource, role: Role, asked: Asked
    ) -> Iterator[tuple[_Whom, Statement]]:
        """Yield the statements about an action, each with the principal that it is about."""
        there = role.resource.template
        knows = {"aws:PrincipalArn": marked(role.arn)} if role.in_app else {}
        once, key = self._parts.worlds.once, ("own policies", resource)
        for owner, written, is_its in once(key, lambda: [*self._documents(resource)]):
            context = self._decisions.policies.context(owner.template, there, asked).knowing(knows)
            found = read(written, "", partial(self._parts.text, owner), asked.actions, context)
            for one in self._decisions.policies.on(owner.template, found, asked):
                for about, is_sure in self._principals(owner, one.principal, role):
                    yield about, one._replace(certain=one.certain and is_its and is_sure)

    def _documents(self, resource: Resource) -> Iterator[tuple[Resource, object, bool]]:
        """Yield each policy that a key or a bucket may have, with its resource.

        The last value tells whether the policy is certainly that of the key or the bucket.
        """
        if resource.type in KEYS:
            if "KeyPolicy" in resource.properties:
                yield resource, resource.properties["KeyPolicy"], True
            return
        name = self._parts.text(resource, resource.properties.get("BucketName", ""))
        for one in self._parts.by_type["AWS::S3::BucketPolicy"]:
            if not one.exists:
                continue
            bucket = self._parts.reference(one, one.properties.get("Bucket"), _BUCKET)
            is_its = None if isinstance(bucket, Unknown) else bucket in {resource, name}
            if is_its is not False:
                yield one, one.properties.get("PolicyDocument"), is_its is True

    def _principals(self, owner: Resource, principal: object, role: Role) -> Iterator[_Meant]:
        """Yield whether a statement is about a role or its account, and whether that is certain."""
        if principal == "*":
            yield "role", True
        elif not is_mapping(principal):
            yield "role", False
        else:
            for one in listed(principal.get("AWS")):
                yield from self._aws_principal(owner, one, role)

    def _aws_principal(self, owner: Resource, written: object, role: Role) -> Iterator[_Meant]:
        known = marked(owner.template.value(written))
        found = role if known == marked(role.arn) else self._roles.role_of(owner.template, written)
        account = marked(role.resource.template.value({"Ref": "AWS::AccountId"}))
        of = re.match("arn::iam::([^:]*):", known)
        named = of[1] if of else known if known.isdecimal() else account
        is_own = named == account
        if not is_own and not has_marks(named + account):
            return
        if found is not None:
            if found.resource is role.resource:
                yield "role", is_own
        elif known == "*":
            yield "role", True
        elif known in (named, f"arn::iam::{named}:root"):
            yield "account", is_own
        elif ":role/" in known:
            if self._roles.may_be(role, owner.template, written):
                yield "role", False
        elif has_marks(known) or ":assumed-role/" in known:
            yield "role", False
