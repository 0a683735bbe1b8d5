"""Which statements does the role get? All of them are written here, and nowhere else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypedDict

from aws_cdk import aws_iam as iam

from ._arns import is_token
from ._keys import KeyResource, key_resource
from ._needs import CHANNEL_ACTIONS, DECRYPT_ACTION, LOG_ENCRYPTION_ACTION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from typing_extensions import Unpack


class SessionManagerOptions(TypedDict, total=False):
    """What Session Manager is used for: the options that decide the statements."""

    encryption_key: IKeyRef | IAliasRef | None
    """The KMS key that encrypts session data: a key or an alias, owned, imported or L1.

    Grants `kms:Decrypt` on that key alone; on an alias, on the key that has it at the time. The key
    is in the instance's region; one of another account must be granted there too; who starts a
    session needs `kms:GenerateDataKey` on it.
    Default: - session data is not encrypted with a KMS key, no KMS statement.
    """


def session_manager_statements(
    **options: Unpack[SessionManagerOptions],
) -> list[iam.PolicyStatement]:
    """The statements that let the agent on an instance use Session Manager, as data.

    For a managed policy, a permission set or a role of one's own; on a role that exists already,
    use `SessionManagerPermissions`, which has the same options.

    | Sid | actions | resources | when |
    |---|---|---|---|
    | `SessionManagerChannels` | the four `ssmmessages` channel actions | `*` | always |
    | `SessionManagerLogEncryption` | `s3:GetEncryptionConfiguration` | `*` | always |
    | `SessionManagerDecrypt` | `kms:Decrypt` | the key | `encryption_key` is a key |
    | `SessionManagerDecryptAlias…` | `kms:Decrypt` | the keys of its account and region, on the \
condition that they have that alias | `encryption_key` is an alias |

    Args:
        **options: those of `SessionManagerOptions`, each with its default there.

    Raises:
        TypeError: an option that does not exist, or one of the wrong type.
        ValueError: a key that can't decrypt session data.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-add-permissions-to-existing-profile.html
    """
    statements = statements_by_sid(options)
    key = options.get("encryption_key")
    if key is not None:
        allow_decrypt(statements, key, key_resource("encryption_key", key))
    return list(statements.values())


def statements_by_sid(options: SessionManagerOptions) -> dict[str, iam.PolicyStatement]:
    """The statements that `options` ask for, all but `allow_decrypt`'s, by Sid."""
    for name in options:
        if name not in SessionManagerOptions.__optional_keys__:
            known = ", ".join(sorted(SessionManagerOptions.__optional_keys__))
            raise TypeError(f"got an unexpected keyword argument {name!r}: there is {known}")
    statements: dict[str, iam.PolicyStatement] = {}
    _allow(statements, "SessionManagerChannels", CHANNEL_ACTIONS, "*")
    _allow(statements, "SessionManagerLogEncryption", (LOG_ENCRYPTION_ACTION,), "*")
    return statements


def allow_decrypt(
    statements: dict[str, iam.PolicyStatement], key: IKeyRef | IAliasRef, found: KeyResource
) -> iam.PolicyStatement:
    """Grant decryption by one more key, in the statement it returns: a new one or one there.

    A key and an alias can't share a statement: the alias's condition would deny the key.
    """
    sid, conditions = "SessionManagerDecrypt", None
    if found.alias_name is not None:
        name = key.node.path if is_token(found.alias_name) else found.alias_name
        sid += "Alias" + hashlib.sha256(name.encode()).hexdigest()[:8]
        conditions = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": found.alias_name}}
    if sid in statements:
        statements[sid].add_resources(found.resource)
        return statements[sid]
    return _allow(statements, sid, (DECRYPT_ACTION,), found.resource, conditions)


def _allow(
    statements: dict[str, iam.PolicyStatement],
    sid: str,
    actions: Sequence[str],
    resource: str,
    conditions: Mapping[str, object] | None = None,
) -> iam.PolicyStatement:
    statements[sid] = iam.PolicyStatement(
        sid=sid, actions=[*actions], resources=[resource], conditions=conditions
    )
    return statements[sid]
