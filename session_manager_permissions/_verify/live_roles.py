"""Finds roles and instance profiles in the account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _limits
from session_manager_permissions._conditions import EACH_CALL
from session_manager_permissions._quoting import in_shell

from .asking import CannotAsk, well_formed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from session_manager_permissions._conditions import RequestContext

    from .session import Session

_HERE: Final = (
    "in the account of the credentials: give one that exists there, or use other credentials"
)


class LiveRole(NamedTuple):
    """A role of the account."""

    arn: str
    boundary: str | None = None
    """The ARN of its permissions boundary."""
    created: datetime | None = None
    trust_policy: Any = None
    """Its trust policy; None if it was not read."""
    tags: Mapping[str, str] = {}
    id: str = ""
    """Its unique id; "" if it was not read."""
    profile: str | None = None
    """The name of the instance profile by which it was found, if any."""

    def calls_on(self, node_id: str) -> RequestContext:
        """Return the condition keys of each call that a node makes with the role."""
        return EACH_CALL.knowing({"aws:userid": f"{self.id}:{node_id}"} if self.id else {})

    @property
    def partition(self) -> str:
        """The partition, such as `aws-us-gov`."""
        return self.arn.split(":")[1]

    @property
    def account(self) -> str:
        """The account's id."""
        return self.arn.split(":")[4]

    @property
    def name(self) -> str:
        """Its name, without the path."""
        return self.arn.rpartition("/")[2]

    @property
    def word(self) -> str:
        """Its name as a word of a shell command."""
        return in_shell(self.name, _limits.ROLE.fault, "ROLE")


class LiveProfile(NamedTuple):
    """An instance profile of the account."""

    id: str | None
    """Its unique id. A later profile of the same name has another one."""
    role: LiveRole | None


def find_role(session: Session, role: str) -> LiveRole:
    """Find the role with this name or ARN.

    Raises:
        CannotAsk: the account has no such role, or the credentials may not call IAM.
    """
    name = role.rpartition("/")[2]
    found = session.ask(
        "iam:GetRole",
        lambda found: _live_role(found["Role"]),
        on=f"the role {name}",
        missing=f"there is no role {name!r} {_HERE}",
        RoleName=name,
    )
    # Role names are unique in an account, so an ARN without the path means the same role.
    if role.startswith("arn:") and role.split(":")[4] != found.account:
        raise CannotAsk(
            f"there is no role {role} in the account of the credentials, which has {found.arn}: "
            "give that one, or use credentials of the other account"
        )
    return found


def find_profile(session: Session, name: str) -> LiveProfile:
    """Find the instance profile of this name.

    Raises:
        CannotAsk: the account has no such profile, or the credentials may not call IAM.
    """

    def read(found: Mapping[str, Any]) -> LiveProfile:
        profile = found["InstanceProfile"]
        roles = (_live_role(one)._replace(profile=name) for one in profile["Roles"])
        return LiveProfile(profile.get("InstanceProfileId"), next(roles, None))

    return session.ask(
        "iam:GetInstanceProfile",
        read,
        on=f"the instance profile {name}",
        missing=f"there is no instance profile {name!r} {_HERE}",
        InstanceProfileName=name,
    )


def role_of_profile(session: Session, name: str) -> str:
    """Find the ARN of the role in an instance profile.

    Raises:
        CannotAsk: the account has no such profile, the profile has no role, or the credentials may
            not call IAM.
    """
    role = find_profile(session, name).role
    if role is None:
        raise CannotAsk(
            f"the instance profile {name!r} has no role, and only a role has permissions: add a "
            "role to it"
        )
    return role.arn


def _live_role(found: Mapping[str, Any]) -> LiveRole:
    """Read a role as IAM describes it."""
    return LiveRole(
        well_formed(found["Arn"], lambda arn: _limits.role_fault(arn) or _limits.arn_fault(arn)),
        boundary=found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        created=found.get("CreateDate"),
        trust_policy=found.get("AssumeRolePolicyDocument"),
        tags=tags_of(found),
        id=found["RoleId"],
    )


def tags_of(found: Mapping[str, Any], name: str = "Tags") -> dict[str, str]:
    """Return the tags in a description by AWS, by their keys."""
    return {tag["Key"]: tag["Value"] for tag in found.get(name, [])}
