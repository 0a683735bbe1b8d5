"""Makes the answer of `verify` about a role: asks IAM what the role may do, and prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from session_manager_permissions import _needs
from session_manager_permissions._quoting import plainly
from session_manager_permissions._trust import SYSTEMS_MANAGER, ec2_in, trust

from .asking import CannotAsk, answered
from .checks import CHECKS
from .document import PORT, LiveDocument, read_document
from .identity import let_assume
from .keys import find_key
from .lines import is_deployment, with_profile
from .live_roles import LiveRole, find_role, role_of_profile
from .options import refuse_without_bucket
from .questions import Agent, Bucket, Uses
from .role_verdict import Verdict, ask
from .text import all_shown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console
    from rich.text import Text

    from .answers import CapabilityAnswer, RoleAnswer, TrustAnswer
    from .session import Session

_LABELS: Final = {name: check.label for name, check in CHECKS.items() if check.label}
"""What a role may do, in the order of the checks."""


def role_answer(arguments: argparse.Namespace, session: Session) -> RoleAnswer:
    """Ask IAM what a role may do, by the options of the command line.

    Raises:
        CannotAsk: there is no such role, profile, key or document, or AWS does not answer.
    """
    profile = arguments.instance_profile
    role = find_role(session, arguments.role or role_of_profile(session, profile))
    if ":role/aws-service-role/" in role.arn or ":role/aws-reserved/" in role.arn:
        raise CannotAsk(f"only AWS can change the role {role.arn}: give the role of an instance")
    role = role._replace(profile=profile)
    document = _document(arguments, session, role)
    arns = [document.key] if document.key else arguments.key
    keys = tuple(find_key(session, arn) for arn in arns)
    bucket_key = arguments.log_bucket_key
    needs_grant = bucket_key and not _needs.is_aws_managed(bucket_key)
    bucket = Bucket(key=find_key(session, bucket_key) if needs_grant else None)
    uses = Uses(document=document, keys=keys, bucket=bucket)
    by_ec2 = trust(role.trust_policy, ec2_in(role.partition))
    is_hybrid = profile is None and by_ec2.answer == "denied"
    agent = Agent(session=session, role=role, uses=uses, is_hybrid=is_hybrid)
    verdicts = [answered(verdict()) for _, verdict in ask(agent)]
    found = role_as_json(role, document, verdicts, session.profile)
    trusted = _trusted(role, session, of_instances=profile is not None)
    if trusted is not None:
        found["trust"] = trusted
        found["ready"] = found["ready"] and trusted["verdict"] == "allowed"
    return found


def _document(arguments: argparse.Namespace, session: Session, role: LiveRole) -> LiveDocument:
    """Read the document of `--document`; without it, the options say what sessions use."""
    name = arguments.document
    if name is None:
        return LiveDocument(
            log_bucket=arguments.log_bucket,
            log_prefix=arguments.log_prefix,
            log_group=arguments.log_group,
        )
    if session.region is None:
        raise CannotAsk("--document needs a region, and no region is known: give --region")
    document = read_document(session, name, role.account)
    refuse_without_bucket(document.log_bucket, arguments)
    return document


def _trusted(role: LiveRole, session: Session, *, of_instances: bool) -> TrustAnswer | None:
    """Tell whether the trust policy lets EC2 or, with `--role`, Systems Manager assume the role."""
    if role.trust_policy is None:
        return None
    ec2 = ec2_in(role.partition)
    services = (ec2,) if of_instances else (ec2, SYSTEMS_MANAGER)
    found = [trust(role.trust_policy, service) for service in services]
    best = min(found, key=lambda one: ("allowed", "unknown", "denied").index(one.answer))
    why = [best.why]
    if best.answer == "allowed" and best is not found[0]:
        why.append("the role is one for hybrid nodes and Default Host Management, and not for EC2")
    fix = () if best.answer == "allowed" else let_assume(role, best, ec2, session.region or "")
    return {"verdict": best.answer, "why": why, "fix": [*with_profile(fix, session.profile)]}


def role_as_json(
    role: LiveRole | None,
    document: LiveDocument,
    verdicts: Sequence[Verdict],
    aws_profile: str | None,
) -> RoleAnswer:
    """Return what `--output json` prints about a role.

    Args:
        role: the role.
        document: what sessions use.
        verdicts: what IAM says of the role.
        aws_profile: the profile of the AWS configuration, for the commands to run.
    """
    return {
        "version": 1,
        "ready": all(verdict.allowed for verdict in verdicts),
        "instance_profile": None if role is None else role.profile,
        "role": None if role is None else role.arn,
        "permissions_boundary": None if role is None else role.boundary,
        "document": document.name,
        "session_type": document.session_type,
        "capabilities": [
            {
                "capability": verdict.question.capability,
                "subject": verdict.question.subject,
                "allowed": verdict.allowed,
                "verdict": _verdict(verdict),
                "why": verdict.why,
                "fix": [*with_profile(verdict.fix, aws_profile)],
                "notes": verdict.notes,
                "answers": [*verdict.answers],
            }
            for verdict in verdicts
        ],
    }


def _verdict(verdict: Verdict) -> str:
    if verdict.allowed:
        return "allowed"
    return "unknown" if verdict.is_open else "denied"


def print_role(found: RoleAnswer, console: Console) -> None:
    """Print what a role may do, what denies the rest, and what would allow it."""
    from rich.table import Table  # noqa: PLC0415 # of an extra

    found = all_shown(found)
    capabilities = found["capabilities"]
    table = Table("capability", "answer", "why", show_lines=True)
    for column in table.columns[:2]:  # their headers must not be cut off in a narrow terminal
        column.min_width = len(str(column.header))
    trusted = found.get("trust")
    allowed_by = {fix: ["be assumed"] for fix in trusted["fix"]} if trusted else {}
    for one in capabilities:
        reasons = "\n".join([*one["why"], *one["notes"]])
        table.add_row(capability(one), answer(one["verdict"]), plainly(reasons))
        for fix in one["fix"]:
            allowed_by.setdefault(fix, []).append(_LABELS[one["capability"]])
    verdicts = {one["verdict"] for one in capabilities}
    if trusted and (trusted["fix"] or trusted["why"][1:]):
        verdicts.add(trusted["verdict"])
        table.add_row("be assumed", answer(trusted["verdict"]), plainly("\n".join(trusted["why"])))
    console.print(": ".join(filter(None, (found["instance_profile"], found["role"]))))
    console.print(table, soft_wrap=False)
    result = "not ready" if "denied" in verdicts else "it can't be known whether it is ready"
    console.print("ready" if found["ready"] else result, style="bold")
    for fix, labels in allowed_by.items():  # below the table, whose lines wrap and can't be copied
        console.print(f"- {', '.join(dict.fromkeys(labels))}: {fix}")
    asked = {one["capability"] for one in capabilities}
    if left_out := [label for name, label in _LABELS.items() if name not in asked]:
        console.print(f"Not asked: {', '.join(left_out)}.")
        if any(map(is_deployment, allowed_by)):
            more = "add the options of earlier ones"
            console.print(f"A deployment takes away what it does not name: {more}.")
    if found["session_type"] == PORT:
        console.print(
            f"Sessions with the document {found['document']} have the type {PORT}: the agent "
            "neither encrypts them with a key nor logs them."
        )
    console.print("Not judged: policies of keys and buckets, the network, the agent.")


def capability(found: CapabilityAnswer) -> Text:
    """Make the table cell that says what was asked."""
    label, subject = _LABELS[found["capability"]], found["subject"]
    return plainly(label if subject is None else f"{label}\n{subject}")


def answer(verdict: str) -> Text:
    """Make the table cell that says whether it is allowed."""
    return plainly(verdict, {"allowed": "green", "denied": "red"}.get(verdict, "yellow"))
