"""Find the resource by which a policy names a KMS key, and refuse a key that can't be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import aws_cdk as cdk

from session_manager_permissions import _limits

from .checks import described
from .tokens import (
    Environment,
    differ,
    is_name,
    is_token,
    parse_arn,
    referenced,
    refuse_wildcards,
    without_tokens,
)

if TYPE_CHECKING:
    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from constructs import IConstruct


class KeyResource(NamedTuple):
    """The resource, and for an alias the condition, with which a policy reaches one KMS key."""

    resource: str
    """The key's ARN; for an alias, the pattern of all keys of its account and region."""
    alias_name: str | None = None
    """The alias that the key must have, `alias/NAME`."""

    @property
    def is_aws_managed(self) -> bool:
        """Whether it is an AWS managed key, such as `alias/aws/s3`."""
        return self.alias_name is not None and self.alias_name.startswith("alias/aws/")

    def environment(self, key: IKeyRef | IAliasRef, stack: cdk.Stack) -> Environment | None:
        """Return the account and the region of the key; None if `stack` itself owns it."""
        arn = parse_arn(self.resource)
        if arn:
            return Environment.in_arn(arn)
        owner = cdk.Stack.of(key)
        return None if owner is stack else Environment.of(owner)


def session_key(key: IKeyRef | IAliasRef) -> KeyResource:
    """Return the resource of the sessions' key, given as a key or an alias: owned, imported or L1.

    Raises:
        TypeError: `key` is no KMS key or alias.
        ValueError: a policy can't name it, or it is known that it can't decrypt session data.
    """
    arn, alias_name, target = _read("encryption_key", key)
    _refuse_unfit("encryption_key", target)
    found = key_resource("encryption_key", arn, alias_name)
    if found.is_aws_managed:
        raise ValueError(
            f"encryption_key is the AWS managed key {found.alias_name!r}, which only its own "
            "service may use: give a customer managed key"
        )
    return found


def session_key_id(key: IKeyRef | IAliasRef) -> str:
    """Return the key as a Session document names it: by its ARN, or by the ARN of its alias.

    The ARN of an alias is used only if CDK does not know the key behind it. KMS takes both.
    """
    session_key(key)
    arn, _, target = _read("encryption_key", key)
    return arn if target is None else _read("encryption_key", target)[0]


def any_key(argument: str, key: IKeyRef | IAliasRef) -> KeyResource:
    """Return the resource of a key for any purpose."""
    arn, alias_name, _ = _read(argument, key)
    return key_resource(argument, arn, alias_name)


def key_resource(argument: str, arn: str, alias_name: str | None = None) -> KeyResource:
    """Return the resource of the key or the alias with this ARN.

    IAM knows a key by its ARN alone, and a statement on an alias's ARN grants nothing. For an alias
    the resource is all keys of its account and region, and a condition narrows them to the key that
    has the alias.
    https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html

    Raises:
        ValueError: a policy can't name it.
    """
    parts = parse_arn(arn)
    refuse_wildcards(argument, alias_name or (parts.resource if parts else arn))
    if parts is None:
        if without_tokens(arn) != arn:  # known at deployment only
            return KeyResource(arn)
        raise ValueError(f"{argument} is named by {arn!r}, which is not an ARN: {_BY_ARN}")
    if alias_name is None and parts.resource.startswith("alias/"):
        alias_name = parts.resource
    key_id = parts.resource.removeprefix("key/")
    is_key = alias_name is not None or (
        (key_id != parts.resource or without_tokens(key_id) != key_id)
        and is_name(key_id, _limits.KEY_ID)
    )
    if parts.service != "kms" or not parts.is_placed or not is_key:
        raise ValueError(
            f"{argument} has the ARN {arn!r}, which is not the ARN of one KMS key: {_BY_ARN}"
        )
    if alias_name is None:
        return KeyResource(arn)
    name = alias_name.removeprefix("alias/")
    is_alias = name != alias_name or without_tokens(name) != name
    if not (is_alias and is_name(name, _limits.ALIAS)):
        raise ValueError(
            f"{argument} has the alias name {alias_name!r}, which no key can have: "
            f"give it as 'alias/NAME', with a name of {_limits.ALIAS.rule}"
        )
    return KeyResource(str(parts._replace(resource="key/*")), alias_name)


def is_in_region(
    scope: IConstruct, found: KeyResource, there: Environment | None, here: Environment
) -> bool:
    """Tell whether the key may be in the region of the stack that `scope` is in.

    Warns on `scope` of a key of another account, as the key policy there must allow the role too.

    Args:
        scope: the construct that gets the warning.
        found: the key.
        there: the account and the region of the key; None if it is of the same stack.
        here: the account and the region of the stack.
    """
    if there is None:
        return True
    if differ(there.account, here.account):
        cdk.Annotations.of(scope).add_warning_v2(
            "session-manager-permissions:key-of-another-account",
            f"encryption_key {found.resource} belongs to account {there.account}: the role can use "
            "it only if its key policy allows that too",
        )
    return not differ(there.region, here.region)


def warn_of_no_key_in_region(scope: IConstruct, region: str | None, way_out: str) -> None:
    """Warn that instances in a region can't decrypt without a key of that region."""
    cdk.Annotations.of(scope).add_warning_v2(
        "session-manager-permissions:no-key-in-region",
        f"no encryption key is in {region}, the region of this stack: instances there can't "
        f"decrypt their sessions; {way_out}",
    )


_BY_ARN = "give the key by its ARN, kms.Key.from_key_arn(scope, id, 'arn:…:key/ID')"


def _read(argument: str, key: IKeyRef | IAliasRef) -> tuple[str, str | None, IKeyRef | None]:
    """Return the ARN, the alias name and the key if CDK knows it, reading each property once."""
    # No cost: whoever holds a key has loaded this module.
    from aws_cdk import aws_kms as kms  # noqa: PLC0415

    if isinstance(key, kms.CfnKey):
        return key.attr_arn, None, key
    if isinstance(key, kms.CfnAlias):
        name = key.alias_name
        target = referenced(key.target_key_id)
        arn = cdk.Stack.of(key).format_arn(service="kms", resource=name)
        return arn, name, cast("IKeyRef", target.target) if target else None
    found: str | None = getattr(key, "key_arn", None)
    if found is None:
        return _referenced_arn(argument, key), None, None
    alias_name: str | None = getattr(key, "alias_name", None)
    if alias_name is None:
        return found, None, cast("IKeyRef", key)
    alias = cast("kms.IAlias", key)
    if isinstance(key, kms.Alias):  # the L2's name may be a reference, that of its L1 is literal
        alias_name = cast("kms.CfnAlias", key.node.default_child).alias_name
    try:
        return found, alias_name, alias.alias_target_key
    except RuntimeError:  # CDK does not know the key of an alias that is imported by name
        return found, alias_name, None


def _referenced_arn(argument: str, key: object) -> str:
    """Return the ARN of a key that is neither L1 nor L2: that of `kms.CfnKey.from_key_arn`."""
    reference = getattr(key, "key_ref", None)
    if reference is None:
        raise TypeError(f"{argument} must be a KMS key or alias, got {described(key)}: {_BY_ARN}")
    arn: str = reference.key_arn
    return arn


def _refuse_unfit(argument: str, key: object) -> None:
    """Refuse a key that is known not to be a symmetric encryption key."""
    from aws_cdk import aws_kms as kms  # noqa: PLC0415

    usage = None
    if isinstance(key, kms.Key):
        cfn_key: object = key.node.default_child  # CDK itself refuses a usage that does not fit
    else:
        cfn_key = key
        usage = key.key_usage if isinstance(key, kms.CfnKey) else None
    if not isinstance(cfn_key, kms.CfnKey):
        return
    for name, value, fit in (
        ("key_spec", cfn_key.key_spec, "SYMMETRIC_DEFAULT"),
        ("key_usage", usage, "ENCRYPT_DECRYPT"),
    ):
        if value is not None and value != fit and not is_token(value):
            raise ValueError(
                f"{argument} {cast('IConstruct', key).node.path!r} has the {name} {value}, and "
                f"Session Manager takes symmetric encryption keys only: give a key of {name} {fit}"
            )
