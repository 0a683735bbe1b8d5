"""Finds KMS keys in the account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _limits, _needs
from session_manager_permissions._quoting import in_python

from .asking import CannotAsk, one_of, well_formed
from .simulator import ConditionKey, Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .session import Session

DESCRIBE_KEY: Final = "kms:DescribeKey"


class LiveKey(NamedTuple):
    """A KMS key, with the ARN that the user gave and the key's own ARN."""

    given: str
    """The ARN of the key, or of an alias."""
    arn: str
    """The key's own ARN."""

    @property
    def alias_name(self) -> str | None:
        """The alias, `alias/NAME`, if the user named one."""
        resource = self.given.split(":", 5)[5]
        return resource if resource.startswith("alias/") else None

    def context(self, account: str) -> Context:
        """Return the condition keys for the caller's account and the alias."""
        caller, alias = ConditionKey("kms:CallerAccount", account), self.alias_name
        by_alias = (ConditionKey("kms:ResourceAliases", alias, "stringList"),) if alias else ()
        return (caller, *by_alias)

    def in_python(self, name: str) -> str:
        """Return the key as Python code for an argument, with this construct id."""
        return f'kms.Key.from_key_arn(scope, "{name}", {in_python(self.given)})'


def of_aws(key: str) -> CannotAsk:
    """Return the error about an AWS managed key."""
    way_out = "which only its own service may use: give a customer managed key"
    return CannotAsk(f"{key} is an AWS managed key, {way_out}")


def find_key(session: Session, arn: str) -> LiveKey:
    """Find the key with this ARN; for an alias, ask KMS which key it points to.

    Args:
        session: asks AWS.
        arn: the ARN of a key or an alias.

    Raises:
        CannotAsk: there is no such alias, its key is an AWS managed key, or the credentials may not
            call KMS.
    """
    key = LiveKey(arn, arn)
    if key.alias_name is None:
        return key
    if _needs.is_aws_managed(arn):
        raise of_aws(arn)
    found = describe_key(
        session,
        arn,
        on=f"the key behind {arn}, unless you give the key's own ARN",
        missing=f"there is no alias {arn}: give the key's own ARN",
    )
    return LiveKey(arn, found["Arn"])


def describe_key(
    session: Session, arn: str, *, on: str = "", missing: str = ""
) -> Mapping[str, Any]:
    """Ask KMS about the key with this ARN, or behind this alias.

    Raises:
        CannotAsk: there is no such key, or the credentials may not call KMS.
    """

    def read(found: Mapping[str, Any]) -> Mapping[str, Any]:
        key = found["KeyMetadata"]
        return {
            **key,
            # An answer without one of these is not from AWS.
            "KeyState": str(key["KeyState"]),
            "KeyUsage": str(key["KeyUsage"]),
            "KeyManager": one_of(key["KeyManager"], ("AWS", "CUSTOMER")),
            "Arn": well_formed(key["Arn"], _limits.key_fault),
            # `CustomerMasterKeySpec` is its old name.
            "KeySpec": str(key.get("KeySpec") or key["CustomerMasterKeySpec"]),
        }

    return session.in_region(arn.split(":")[3]).ask(
        DESCRIBE_KEY, read, on=on or arn, missing=missing or f"there is no KMS key {arn}", KeyId=arn
    )
