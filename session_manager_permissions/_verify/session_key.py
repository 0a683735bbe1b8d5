"""Checks whether the key of the sessions can be used."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _limits, _needs
from session_manager_permissions._conditions import EACH_CALL
from session_manager_permissions._quoting import in_shell

from .asking import CannotAsk, NotThere, tried
from .checks import KEY_USABLE, Evidence, Outcome
from .keys import DESCRIBE_KEY, LiveKey, describe_key
from .lines import aws
from .resource_policy import key_policy
from .simulator import Call, request_context, session_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .identity import Identity
    from .node import Node

_USABLE: Final = ("Enabled", "Updating")
_UNUSABLE: Final = re.compile("Creating|Disabled|Pending(Import|(Replica)?Deletion)|Unavailable")
"""The states in which KMS decrypts, and those in which it does not.

https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""
_ASYMMETRIC: Final = ("RSA_2048", "RSA_3072", "RSA_4096", "SM2")
"""The specs of keys that can decrypt, but can't generate data keys."""
_AWS_MANAGED: Final = "the key is an AWS managed one, which only its own service may use"
_ANOTHER_KEY: Final = "set kmsKeyId of the document to a symmetric customer managed key"


def find_session_key(node: Node, given: str | None) -> tuple[Outcome, LiveKey | None]:
    """Check the key of sessions, and return it as well, if IAM can be asked about it."""
    if given is None:
        return KEY_USABLE.skipped("sessions use no key"), None
    itself, region = LiveKey(given, given), given.split(":")[3]
    named = KEY_USABLE.of(given, Evidence("ssm:GetDocument", "inputs.kmsKeyId", given))
    if region != node.region:
        why = f"the key is in {region}, and the agent calls KMS in the node's region, {node.region}"
        fix = f"set kmsKeyId of the document to a key of {node.region}"
        return named.failed(why, fix=fix), None
    if _needs.is_aws_managed(given):
        return named.failed(_AWS_MANAGED, fix=_ANOTHER_KEY), None
    found = tried(lambda: describe_key(node.session, given))
    if isinstance(found, NotThere):
        key = KEY_USABLE.of(given, Evidence(DESCRIBE_KEY, "KeyMetadata", None))
        fix = "set kmsKeyId of the document to a key that exists"
        return key.failed(str(found), fix=fix), None
    if isinstance(found, CannotAsk):
        return KEY_USABLE.of(given).unasked(found), None if itself.alias_name else itself
    return _usable(node, given, found), LiveKey(given, found["Arn"])


def _usable(node: Node, given: str, found: Mapping[str, Any]) -> Outcome:
    """Check whether a key that exists can encrypt sessions."""
    names = ("KeyState", "KeySpec", "KeyUsage", "KeyManager")
    evidence = (Evidence(DESCRIBE_KEY, f"KeyMetadata.{name}", found.get(name)) for name in names)
    key = KEY_USABLE.of(given, *evidence)
    fault = key_fault(node, found)
    if isinstance(fault, CannotAsk):
        return key.unasked(fault)
    why, fix = fault
    if why:
        failed = key.failed(why, fix=fix or (_ANOTHER_KEY,))
        return replace(failed, is_passing=found["KeyState"] == "Creating")
    return key.passed("the key can encrypt and decrypt")


def key_fault(node: Node, found: Mapping[str, Any]) -> tuple[str, tuple[str, ...]] | CannotAsk:
    """Say why a key can't encrypt sessions, and which commands help; "" if it can.

    A state, a spec or a usage that is not known here is returned as a `CannotAsk`.
    """
    state, spec, usage = found["KeyState"], found["KeySpec"], found["KeyUsage"]
    if _UNUSABLE.fullmatch(state):
        cancel = ["cancel-key-deletion"] if state.endswith("Deletion") else []
        enable = ["enable-key"] if cancel or state == "Disabled" else []
        why = f"the key is in the state {state}, in which it can't decrypt"
        return why, _by_owner(node, found["Arn"], *cancel, *enable)
    has = f"the key has the usage {usage} and the spec {spec}"
    if usage in ("GENERATE_VERIFY_MAC", "KEY_AGREEMENT", "SIGN_VERIFY") or spec in _ASYMMETRIC:
        return f"{has}, so it can't generate data keys", ()
    if state not in _USABLE or (usage, spec) != ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"):
        return CannotAsk(f"{has}, and is in the state {state}: whether it can decrypt is not known")
    return _AWS_MANAGED if found["KeyManager"] == "AWS" else "", ()


def _by_owner(node: Node, arn: str, *commands: str) -> tuple[str, ...]:
    """Return commands about a key, which KMS accepts only in its region and from its account."""
    region, owner = arn.split(":")[3:5]
    if commands and owner != node.account:
        return (f"have the account {owner}, which owns the key, run {' and '.join(commands)}",)
    named = in_shell(arn, _limits.key_fault, "KEY")
    return tuple(aws(f"kms {command} --key-id {named}", region) for command in commands)


def judged_by_its_policy(node: Node, usable: Outcome, key: LiveKey, identity: Identity) -> Outcome:
    """Judge the key by its own policy: unless that allows it, no policy of the role counts."""
    policy = key_policy(node.spare, key.arn)
    unknown = f"arn:{node.partition}:iam::{node.account}:role/ROLE"
    role = identity.role.arn if identity.role else unknown
    context = request_context(role, node.region, key.arn.split(":")[4])
    decrypt = Call("kms:Decrypt", key.arn, context, session_context(node.id))
    each = identity.role.calls_on(node.id) if identity.role else EACH_CALL
    # Another check says whether the role's IAM policies allow the call.
    admission = policy.admits(role, decrypt, each, by_iam=True)
    evidence = Evidence("kms:GetKeyPolicy", "Policy", admission.answer)
    judged = KEY_USABLE.of(usable.subject, *usable.evidence, evidence)
    lets_in = admission.answer in ("named", "account")
    has_deny = any(one["Effect"] == "Deny" for one in policy.statements)
    errors = [one for one in (admission.error, identity.error) if one]
    if identity.error and not policy.error and (has_deny or not lets_in):
        why = f"the key's own policy depends on the role, which is not known: {identity.error}"
        return judged.unknown(why, fix=admission.fix, errors=errors)
    if lets_in:
        return judged.passed(*usable.why, admission.why)
    if admission.answer == "unknown" or identity.role is None:
        return judged.unknown(admission.why, fix=admission.fix, errors=errors)
    return judged.failed(admission.why, fix=admission.fix, errors=errors)
