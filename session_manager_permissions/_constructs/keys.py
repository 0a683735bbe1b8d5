"""Find the resource with which a policy names a KMS key, and refuse a key that can't be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeGuard, cast

import aws_cdk as cdk

from session_manager_permissions import _limits, _needs

from . import tokens
from .checks import described

if TYPE_CHECKING:
    from aws_cdk.aws_kms import CfnAlias, CfnKey, IAlias
    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from constructs import IConstruct


class KeyResource(NamedTuple):
    """The resource, and for an alias the condition, with which a policy names one KMS key."""

    resource: str
    """The key's ARN; for an alias, a pattern for all keys of its account and region."""
    alias_name: str | None = None
    """The alias that the key must have, `alias/NAME`."""

    @property
    def is_aws_managed(self) -> bool:
        """Whether it is an AWS managed key, such as `alias/aws/s3`."""
        return self.alias_name is not None and self.alias_name.startswith(_needs.AWS_MANAGED_ALIAS)


class SessionKey(NamedTuple):
    """The KMS key that encrypts session data."""

    given: IKeyRef | IAliasRef
    """The key or the alias, as the user gave it."""
    reached: KeyResource
    """The resource with which a policy names it."""


def session_key(key: IKeyRef | IAliasRef) -> SessionKey:
    """Read the sessions' key, given as a key or an alias: owned, imported or L1.

    Raises:
        TypeError: `key` is not a KMS key or alias.
        ValueError: a policy can't name it, or it is known that it can't decrypt session data.
    """
    arn, alias_name, target = _read(key)
    _refuse_unfit(target)
    found = key_resource("encryption_key", arn, alias_name)
    if found.is_aws_managed:
        raise ValueError(
            f"encryption_key is the AWS managed key {found.alias_name!r}, which only its own "
            "service may use: give a customer managed key"
        )
    return SessionKey(key, found)


def session_key_id(key: IKeyRef | IAliasRef) -> str:
    """Return the key as a Session document names it: by its ARN, or by the ARN of its alias.

    The ARN of an alias is used only if CDK does not know its key. KMS accepts both.
    """
    session_key(key)
    arn, _, target = _read(key)
    return arn if target is None else _read(target)[0]


def is_l1_key(key: object) -> TypeGuard[CfnKey]:
    """Tell whether it is an L1 key, or the replica of a multi-Region key, with the same ARN."""
    return isinstance(key, (cdk.aws_kms.CfnKey, cdk.aws_kms.CfnReplicaKey))


def any_key(argument: str, key: IKeyRef | IAliasRef) -> KeyResource:
    """Return the resource of a key for any purpose."""
    arn, alias_name, _ = _read(key)
    return key_resource(argument, arn, alias_name)


def key_resource(argument: str, arn: str, alias_name: str | None = None) -> KeyResource:
    """Return the resource of the key or the alias with this ARN, as `key_of_alias` has it.

    Raises:
        ValueError: a policy can't name it.
    """
    parts = tokens.parse_arn(arn)
    tokens.refuse_wildcards(argument, alias_name or (parts.resource if parts else arn))
    if parts is None and tokens.without_tokens(arn) != arn:  # known only at deployment
        return KeyResource(resource=arn)
    if parts is not None and alias_name is None and parts.resource.startswith(_needs.ALIAS):
        alias_name = parts.resource
    if (
        parts is None
        or parts.service != "kms"
        or not parts.is_placed
        or (alias_name is None and not _may_be(parts.resource, "key/", _limits.KEY_ID))
    ):
        raise ValueError(
            f"{argument} has the ARN {arn!r}, which is not the ARN of one KMS key: {_BY_ARN}"
        )
    if alias_name is None:
        return KeyResource(resource=arn)
    if not _may_be(alias_name, _needs.ALIAS, _limits.ALIAS):
        raise ValueError(
            f"{argument} has the alias name {alias_name!r}, which no key can have: "
            f"give it as 'alias/NAME', with a name of {_limits.ALIAS.rule}"
        )
    of_its_keys, _ = _needs.key_of_alias(str(parts._replace(resource=_needs.ALIAS)))
    return KeyResource(resource=of_its_keys, alias_name=alias_name)


def _may_be(text: str, prefix: str, limit: _limits.Name) -> bool:
    """Tell whether `text` may be the prefix with a name. A token in it may be any text."""
    name = text.removeprefix(prefix)
    return (name != text or tokens.without_tokens(name) != name) and tokens.is_name(name, limit)


def is_in_region(scope: IConstruct, key: SessionKey, here: tokens.Environment) -> bool:
    """Tell whether the key may be in the region of a stack.

    For a key of another account, add a warning to `scope`, as its key policy must allow the role.

    Args:
        scope: the construct that gets the warning.
        key: the key.
        here: the account and the region of the stack.
    """
    arn = key.reached.resource
    if tokens.parse_arn(arn):
        there = tokens.Environment.in_arn(arn)
    else:
        there = tokens.Environment.of(cdk.Stack.of(key.given))
    if tokens.differ(there.account, here.account):
        cdk.Annotations.of(scope).add_warning_v2(
            "session-manager-permissions:key-of-another-account",
            f"encryption_key {key.given.node.path!r} belongs to account {there.account}: the role "
            "can use it only if its key policy allows that too",
        )
    return not tokens.differ(there.region, here.region)


def warn_of_no_key_in_region(scope: IConstruct, region: str | None, way_out: str) -> None:
    """Warn that instances in a region can't decrypt session data without a key in that region."""
    cdk.Annotations.of(scope).add_warning_v2(
        "session-manager-permissions:no-key-in-region",
        f"no encryption key is in {region}, the region of this stack: instances there can't "
        f"decrypt their sessions; {way_out}",
    )


_BY_ARN = "give the key by its ARN, kms.Key.from_key_arn(scope, id, 'arn:…:key/ID')"


def _read(key: IKeyRef | IAliasRef) -> tuple[str, str | None, IKeyRef | None]:
    """Return the ARN, the alias name and the key if CDK knows it, reading each property once."""
    if is_l1_key(key):
        return key.attr_arn, None, key
    if isinstance(key, cdk.aws_kms.CfnAlias):
        name = key.alias_name
        arn = cdk.Stack.of(key).format_arn(service="kms", resource=name)
        target = tokens.referenced(key.target_key_id)
        return arn, name, target if is_l1_key(target) else None
    found: str | None = getattr(key, "key_arn", None)
    if found is None:  # neither L1 nor L2: what `kms.CfnKey.from_key_arn` gives, or a user's class
        return _read_reference(key)
    alias_name: str | None = getattr(key, "alias_name", None)
    if alias_name is None:
        return found, None, cast("IKeyRef", key)
    alias = cast("IAlias", key)
    try:
        target = alias.alias_target_key
    except RuntimeError:  # CDK does not know the key of an alias that is imported by name
        return found, alias_name, None
    if isinstance(alias, cdk.aws_kms.Alias):
        # The name of the L2 may be a reference, and that of its L1 is literal.
        alias_name = cast("CfnAlias", alias.node.default_child).alias_name
    else:
        there = target.env  # an alias is in the account and the region of its key
        found = cdk.Stack.of(alias).format_arn(
            service="kms", region=there.region, account=there.account, resource=alias_name
        )
    return found, alias_name, target


def _read_reference(key: IKeyRef | IAliasRef) -> tuple[str, str | None, None]:
    """Return the ARN and the alias name of a construct that has only a reference."""
    if hasattr(key, "key_ref"):
        return key.key_ref.key_arn, None, None
    if hasattr(key, "alias_ref"):
        name = key.alias_ref.alias_name
        return cdk.Stack.of(key).format_arn(service="kms", resource=name), name, None
    raise TypeError(
        f"encryption_key must be a KMS key or alias, got {described(key)}: {_BY_ARN}, or by its "
        "alias, kms.Alias.from_alias_name(scope, id, 'alias/NAME')"
    )


def _refuse_unfit(key: IKeyRef | None) -> None:
    """Refuse a key that is known not to be a symmetric encryption key.

    KMS itself refuses a `key_usage` that does not fit the `key_spec`.
    """
    cfn_key = None if key is None else tokens.referenced(_read(key)[0])
    if not isinstance(cfn_key, cdk.aws_kms.CfnKey):
        return
    spec = cfn_key.key_spec
    if spec is not None and spec != "SYMMETRIC_DEFAULT" and not tokens.is_token(spec):
        raise ValueError(
            f"encryption_key {cast('IConstruct', key).node.path!r} has the key_spec {spec}, and "
            "Session Manager accepts only symmetric encryption keys: give a key with the key_spec "
            "SYMMETRIC_DEFAULT"
        )
