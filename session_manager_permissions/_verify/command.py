"""The command `session-manager-permissions`: its command line, and how it prints an answer."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Final, TypeAlias

from session_manager_permissions import _limits
from session_manager_permissions._quoting import rendered

from . import options
from .agent import read_diagnostics
from .asking import CannotAsk, before_aws, without_passwords
from .audit import answering as audits
from .checks import policy_for_audit, policy_for_credentials
from .diagnosis import Diagnosis, diagnose
from .node import find_node
from .operators import operator_fault
from .options import add_flag, add_option
from .policy import DESCRIPTION, add_arguments, inline_policy
from .report import node_as_json, print_diagnosis
from .role import print_role, role_answer, role_as_json
from .session import Session, Waiting, aws_session
from .text import INTERRUPTED, PROGRAM, line_of, say
from .waiting import wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .audit.result import AuditResult

    # argparse has no public name for it
    Subcommands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001

_WAIT: Final = "600"
"""How many seconds `--wait` waits if no number is given."""
READY, NOT_READY, CANNOT_ASK = 0, 1, 2
"""The exit statuses; argparse, too, exits with the last for a wrong command line."""

_DESCRIPTION: Final = """\
Find out why a session does not open. With --instance-id, the command checks everything that a
session on a node needs: the instance, its role, its network, the session preferences and the
operator. With --role or --instance-profile, it asks only IAM. IAM answers whether Session Manager
can reach an instance with this role, and whether the role may use the key, the bucket and the log
group of the session preferences. The command changes nothing.
"""
_USAGE: Final = f"""\
{PROGRAM} verify --instance-id ID [options]
       {PROGRAM} verify (--role NAME_OR_ARN | --instance-profile NAME) [options]
       {PROGRAM} verify --print-permissions
"""
_EPILOG: Final = f"""\
examples:
  {PROGRAM} verify --instance-id i-0123456789abcdef0 --operator caller
  {PROGRAM} verify --instance-id i-0123456789abcdef0 --wait 300
  {PROGRAM} verify --instance-profile web-server
  {PROGRAM} verify --role web-server --region us-west-2 \\
      --key arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab \\
      --log-bucket session-logs --log-prefix web --log-group /ssm/sessions
  {PROGRAM} verify --role web-server --region us-west-2 \\
      --document SSM-SessionManagerRunShell
  {PROGRAM} verify --role web-server --output json

exit status:
  {READY}  ready: the node is connected and no check fails, or IAM allows all that was asked
  {NOT_READY}  not ready, or not known: the output says why, and what to do about it
  {CANNOT_ASK}  AWS could not be asked, or the answer could not be written: see standard error

A role is ready if it can be assumed, and may reach Session Manager, register the instance, and use
each key, bucket and log group that you name. IAM takes the role's policies, its permissions
boundary and the organization's service control policies into account. The policies of keys and
buckets, the network and the agent are checked only with --instance-id.

For a role, the credentials need iam:GetInstanceProfile, iam:GetRole and
iam:SimulatePrincipalPolicy, for a key that you name by an alias kms:DescribeKey, and for --document
ssm:GetDocument. For a node, --print-permissions prints what they need.
"""


def main(
    argv: Sequence[str] | None = None, add: Callable[[Subcommands], None] = lambda _: None
) -> int:
    """Run the command.

    Args:
        argv: the arguments. Default: - those of the process.
        add: adds the subcommands of other modules. Default: - there are none.

    Returns:
        The exit status: `READY`, `NOT_READY` or `CANNOT_ASK`.
    """
    try:
        arguments = _parser(add).parse_args(argv)
        return int(arguments.run(arguments))
    except CannotAsk as error:
        text = str(error)
    except KeyboardInterrupt:
        INTERRUPTED.set()
        text = "interrupted before there was an answer"
    except Exception as error:  # noqa: BLE001 # Python would exit with 1, `NOT_READY`
        text = without_passwords(f"an internal error, {type(error).__name__}: {error}: report it")
    say(text)
    return CANNOT_ASK


class _Parser(argparse.ArgumentParser):
    """A parser that keeps `--` as the value of an option. Python before 3.13 drops it."""

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> object:
        if action.option_strings and arg_strings == ["--"]:
            value = self._get_value(action, "--")
            self._check_value(action, value)
            return value
        return super()._get_values(action, arg_strings)


def _parser(add: Callable[[Subcommands], None] = lambda _: None) -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    about = "Find out whether Session Manager reaches the instances, and if not, why."
    parser: argparse.ArgumentParser = _Parser(prog=PROGRAM, description=about)
    version = f"{PROGRAM} {metadata.version(PROGRAM)}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add(commands)
    add_command = partial(commands.add_parser, formatter_class=argparse.RawDescriptionHelpFormatter)
    policy_help = "print the inline policy that an instance's role needs"
    policy = add_command("policy", help=policy_help, description=DESCRIPTION)
    add_arguments(policy)
    policy.set_defaults(run=_policy)
    audit_help = "report the instances of the account that can't be reached, and why"
    audit = add_command(
        "audit", help=audit_help, description=audits.DESCRIPTION, epilog=audits.EPILOG
    )
    audits.add_arguments(audit)
    audit.set_defaults(run=_audit)
    verify_help = "find out why a session does not open, or whether a role is ready"
    verify = add_command(
        "verify", help=verify_help, usage=_USAGE, description=_DESCRIPTION, epilog=_EPILOG
    )
    of = verify.add_argument_group("what to ask about").add_mutually_exclusive_group(required=True)
    profile_help, fault = "the role of this instance profile", _limits.INSTANCE_PROFILE.fault
    add_option(of, "--instance-profile", "NAME", profile_help, fault)
    add_option(of, "--role", "NAME_OR_ARN", "the role", _limits.role_fault)
    id_help = "the instance or the hybrid node (mi-...) to diagnose"
    add_option(of, "--instance-id", "ID", id_help, _limits.node_fault)
    print_help = "print the policy that the credentials need for --instance-id, and exit"
    add_flag(of, "--print-permissions", print_help)
    uses = verify.add_argument_group("the session preferences")
    document_help = (
        "the Session document that sessions are started with: the command reads the key, the "
        "bucket, the prefix and the log group from it (default, with --instance-id: "
        "SSM-SessionManagerRunShell, where it exists)"
    )
    add_option(uses, "--document", "NAME_OR_ARN", document_help, options.document_fault)
    options.add_key_and_bucket(uses)
    group_help = "the CloudWatch log group for session logs"
    add_option(uses, "--log-group", "GROUP", group_help, _limits.LOG_GROUP.fault)
    node = verify.add_argument_group("with --instance-id")
    operator_help = "the user or the role that starts the session, or `caller`"
    add_option(node, "--operator", "ARN", operator_help, operator_fault)
    diagnostics_help = "what `sudo ssm-cli get-diagnostics --output json` printed on the node"
    add_option(node, "--agent-diagnostics", "FILE", diagnostics_help)
    wait_help = (
        "repeat the checks until the node is ready, or a check fails that waiting can't fix, for "
        "at most this many seconds (%(const)s if you give no number)"
    )
    add_option(node, "--wait", "SECONDS", wait_help, _seconds_fault, nargs="?", const=_WAIT)
    aws = verify.add_argument_group("the account")
    add_option(aws, "--profile", "PROFILE", "a profile of the AWS configuration")
    region_help = "the region of the instances (default: the profile's or the environment's)"
    add_option(aws, "--region", "REGION", region_help)
    options.add_output(verify, ("table", "json"))
    verify.set_defaults(run=_verify)
    return parser


def _verify(arguments: argparse.Namespace) -> int:
    """Run `verify`, and return its exit status."""
    if arguments.print_permissions:
        _print_json(policy_for_credentials())
        return READY
    _refuse_unused_options(arguments)
    options.import_extras(("boto3", *options.EXTRAS[arguments.output]))
    found: Mapping[str, object]
    with said_in_a_line(arguments.profile):
        if arguments.instance_id is None:
            with (waiting := Waiting()).said(say):
                session = aws_session(arguments.profile, arguments.region, waiting)
                asked = role_answer(arguments, session)
            found, show = asked, partial(print_role, asked)
        else:
            diagnosis = _diagnosed(arguments)
            found, show = _node_as_json(diagnosis), partial(print_diagnosis, diagnosis)
    if arguments.output == "json":
        _print_json(found)
    else:
        print_text(lambda: rendered(show))
    return READY if found["ready"] else NOT_READY


def _policy(arguments: argparse.Namespace) -> int:
    _print_json(inline_policy(arguments))
    return READY


def _audit(arguments: argparse.Namespace) -> int:
    """Run `audit`, and return its exit status."""
    if arguments.print_permissions:
        _print_json(policy_for_audit())
        return READY
    audits.refuse_unusable(arguments)
    options.import_extras(("boto3", *options.EXTRAS[arguments.output]))
    try:
        with said_in_a_line(arguments.profile):
            result = audits.answer(arguments)
        _show_audit(arguments, result)
    finally:
        INTERRUPTED.clear()
    return audits.exit_status(result)


def _show_audit(arguments: argparse.Namespace, result: AuditResult) -> None:
    """Write the answer to its file, or print it. Print it as well if the file can't be written."""
    show = partial(audits.as_text, arguments, result)
    if arguments.file is None:
        print_text(show)
    try:
        audits.write_files(arguments, result)
    except CannotAsk:
        if arguments.file is not None:  # an audit takes long, so its answer must not be lost
            print_text(show)
        raise


def _diagnosed(arguments: argparse.Namespace) -> Diagnosis:
    """Diagnose the node of `--instance-id`: once, or with `--wait` until it is ready."""
    node_id, file = arguments.instance_id, arguments.agent_diagnostics
    tell = line_of(sys.stderr)
    waiting = Waiting(lambda call: tell(f"waiting for {call}"))
    with waiting.said(say):
        session = aws_session(arguments.profile, arguments.region, waiting)
    if session.region is None:
        raise CannotAsk("--instance-id needs a region, and no region is known: give --region")
    rows = None if file is None else read_diagnostics(file, node_id)

    def diagnosed(anew: Session, *, explains: bool = True) -> Diagnosis:
        try:
            with waiting.said(say):
                node = find_node(anew, node_id)
                named = arguments.document, arguments.operator, rows
                return diagnose(node, *named, explains=explains)
        finally:
            tell("")

    if arguments.wait is None:
        return diagnosed(session)
    return wait_until_ready(
        lambda is_last: diagnosed(session.anew(), explains=is_last), int(arguments.wait), say
    )


def _seconds_fault(text: str) -> str | None:
    """Say why a text is not a number of seconds."""
    is_one = re.fullmatch(r"[1-9]\d{0,5}", text, re.ASCII)
    return None if is_one else "is not a number of seconds: 1 to 999999"


def _refuse_unused_options(arguments: argparse.Namespace) -> None:
    """Refuse options that the subject does not use, and options that `--document` replaces."""
    of_document = ("key", "log_bucket", "log_prefix", "log_group")
    unused: tuple[str, ...] = ("operator", "agent_diagnostics", "wait")
    why = "needs --instance-id: give it too, or leave out {flag}"
    if arguments.instance_id is not None:
        unused = (*of_document, "log_bucket_key")
        why = "can't be used with --instance-id, which reads it from the document: give --document"
    options.refuse(arguments, unused, why)
    if arguments.document is None:
        options.refuse_without_bucket(arguments.log_bucket, arguments)
    else:
        why = "can't be used with --document, which names it too: leave out {flag}"
        options.refuse(arguments, of_document, why)


def _print_json(found: Mapping[str, object]) -> None:
    print_text(lambda: f"{json.dumps(found, indent=2)}\n")


def print_text(render: Callable[[], str]) -> None:
    """Write to standard output; escape the characters that its encoding lacks."""
    out = sys.stdout
    if out is None:  # the shell's `>&-` closed it
        raise CannotAsk("standard output is closed: open it, or redirect it to /dev/null")
    try:
        text = render()  # rich writes an empty text itself, which can fail on an unbuffered stream
        encoding = out.encoding or "utf-8"
        out.write(text.encode(encoding, "backslashreplace").decode(encoding))
        out.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # else Python tries again at exit
        way_out = "make room for standard output, and keep its reader open"
        raise CannotAsk(f"the answer can't be written: {error}: {way_out}") from None


@contextmanager
def said_in_a_line(profile: str | None) -> Iterator[None]:
    """Turn an error that boto3 raises before AWS answers into a `CannotAsk` of one line.

    Args:
        profile: the profile of the AWS configuration, if it is given.
    """
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 # of an extra

    sys.stdin = sys.stdin or io.StringIO()  # `<&-` closed it, and botocore may ask for an MFA code
    try:
        yield
    except (BotoCoreError, EOFError) as error:
        raise CannotAsk(before_aws(error, profile)) from None
    except (ValueError, OSError) as error:  # AWS_MAX_ATTEMPTS=often, a file that does not exist
        what = "an environment variable, or a setting in the AWS config file"
        raise CannotAsk(f"{what}, can't be used: {error}: correct it") from None


def _node_as_json(diagnosis: Diagnosis) -> dict[str, object]:
    """Return the answer about a node, with what its role may do."""
    identity, document = diagnosis.identity, diagnosis.preferences.document
    found = role_as_json(identity.role, document, identity.verdicts, diagnosis.node.session.profile)
    found["instance_profile"] = identity.profile
    return {**found, "ready": diagnosis.ready, **node_as_json(diagnosis)}
