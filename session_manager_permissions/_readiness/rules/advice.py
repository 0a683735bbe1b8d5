"""Policies that grant more or less than intended. These findings change no verdict."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _needs
from session_manager_permissions._readiness.marks import ALIAS, KEYS, marked
from session_manager_permissions._readiness.policies import DECRYPT
from session_manager_permissions._readiness.templates.functions import listed, quoted, text
from session_manager_permissions._readiness.templates.model import Resource, ReturnValue, Template

from .remedies import Advice, Fix, Set
from .rule import Finding, allows_of, warning
from .statements import AWS_MANAGED
from .writer import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.asked import PolicyReader
    from session_manager_permissions._readiness.roles import Policy, Role, Roles

    from .sessions import SessionRules

KEY_NOT_BY_ARN: Final = warning(
    "key-not-by-arn",
    "`kms:Decrypt` on an alias or a bare key id, which grants nothing",
    "the policy",
)
DECRYPT_ON_ALL_KEYS: Final = warning(
    "decrypt-on-all-keys", "`kms:Decrypt` on every key, unconditionally", "the policy"
)
DEPRECATED_POLICY: Final = warning("deprecated-policy", "`AmazonEC2RoleforSSM`", "the role")
RULES: Final = (KEY_NOT_BY_ARN, DECRYPT_ON_ALL_KEYS, DEPRECATED_POLICY)

_ANY_KEY: Final = "arn:aws:kms:-:-:key/-"  # matches only patterns that name no particular key
_ALIAS_OR_ID: Final = re.compile(
    r"(arn:[^:]*:kms:[^:]*:[^:]*:)?alias/.*"
    r"|(key/)?(mrk-[0-9a-f]{32}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12})",
    re.DOTALL,
)


def of_role(roles: Roles, rules: SessionRules, role: Role) -> Iterator[Finding]:
    """Find AWS managed policies that AWS has deprecated."""
    for name, without in roles.deprecated(role):
        allows = allows_of(rules.of_calls(without, role.resource))
        why = f"the AWS managed policy {name} is deprecated: it allows more than the agent needs, "
        why += "such as reading every S3 object"
        fixes = (_replace(role.resource, name, _needs.AWS_MANAGED_DEPRECATED[name]), *allows[:1])
        yield DEPRECATED_POLICY.found(role.resource, "Properties.ManagedPolicyArns", why, *fixes)


def of_policy(reader: PolicyReader, policy: Policy) -> Iterator[Finding]:
    """Find statements about KMS keys that grant nothing, or access to every key."""
    for statement in reader.statements(policy, (DECRYPT,)):
        on_kms = tuple(action for action in statement.actions if action.startswith("kms:"))
        named = statement._replace(actions=on_kms)
        if not statement.allows or statement.not_actions or named.covers_action(DECRYPT) is False:
            continue
        if named.applies(DECRYPT, _ANY_KEY):
            why = f"{statement.name} allows kms:Decrypt on every key whose key policy allows "
            why += "access by IAM policies"
            fix = Advice(
                "name the keys that encrypt sessions, as the argument encryption_key of "
                "SessionManagerPermissions does",
                f"name the ARNs of the keys that encrypt sessions in the Resource of "
                f"{statement.name}",
            )
            yield DECRYPT_ON_ALL_KEYS.found(policy.resource, policy.location, why, fix)
        named_keys = [] if statement.not_resources else listed(statement.written_resource)
        for key in named_keys:
            is_no_key = _is_no_key(key, policy.resource)
            if is_no_key and not _is_by_arn_too(key, named_keys, policy.resource.template):
                why = f"{statement.name} allows kms:Decrypt on {quoted(key)}, which grants "
                why += "nothing: a policy names a key by its ARN alone, not by an alias or a key id"
                fix = Advice(
                    "give the key or its alias to the argument encryption_key of "
                    "SessionManagerPermissions instead",
                    f"name the ARN of the key, and not {quoted(key)}, in the Resource of "
                    f"{statement.name}",
                )
                yield KEY_NOT_BY_ARN.found(policy.resource, policy.location, why, fix)


def _is_no_key(key: object, resource: Resource) -> bool:
    """Tell whether a statement's resource is an alias or a key id, and not the ARN of a key."""
    value = resource.template.value(key)
    match value:
        case (ReturnValue(found, ""),):
            return found.type in {*KEYS, ALIAS}
    return _ALIAS_OR_ID.fullmatch(marked(value)) is not None


def _is_by_arn_too(key: object, among: list[Any], template: Template) -> bool:
    """Tell whether the key of an alias, or of a key id, is named by its ARN as well."""
    named = marked(template.value(key))
    for one in template.resources.values():
        if one.type == ALIAS and named.endswith(marked((ReturnValue(one),))):
            named = marked(template.value(one.properties.get("TargetKeyId")))
    its_end = f":key/{named.rpartition('/')[2]}"
    return any(marked(template.value(one)).endswith(its_end) for one in among)


# Fixes -------------------------------------------------------------------------------------------


def _replace(role: Resource, name: str, instead: str) -> Fix:
    """Replace an AWS managed policy of a role by another one, if the role names it once."""
    path, there = "ManagedPolicyArns", listed(written(role, "ManagedPolicyArns"))
    names = [text(one).rpartition("/")[2] for one in there]
    old, new = (one.rpartition("/")[2] for one in (name, instead))
    if names.count(old) != 1:
        its = repr(role.logical_id)
        return Advice(f"remove {name} from {its}, and attach {instead} unless the role has it")
    number = names.index(old)
    if new in names:
        return Set(role, path, there[:number] + there[number + 1 :])
    return Set(role, f"{path}.{number}", {"Fn::Sub": f"{AWS_MANAGED}{instead}"})
