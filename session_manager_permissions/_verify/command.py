"""`session-manager-permissions verify`: the command line, and how an answer is printed."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .document import read_document
from .simulator import (
    CannotAsk,
    Uses,
    ask,
    find_key,
    find_role,
    questions,
    role_of_profile,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.table import Table
    from rich.text import Text
    from types_boto3_iam.client import IAMClient
    from types_boto3_kms.client import KMSClient
    from types_boto3_ssm.client import SSMClient

    from .simulator import Answer, Role, Verdict

READY, NOT_READY, CANNOT_ASK = 0, 1, 2
"""The exit statuses; the last is argparse's own for a wrong command line."""

_PROGRAM: Final = "session-manager-permissions"
_LABELS: Final = {
    "reach": "reach Session Manager",
    "register": "register the instance",
    "encrypt": "encrypt sessions",
    "log-to-s3": "log to S3",
    "log-to-cloudwatch": "log to CloudWatch",
}
_DESCRIPTION: Final = """\
Ask IAM whether an instance with this role can be reached by Session Manager, and whether it can use
the key, the bucket and the log group that the session preferences name. Nothing is changed.
"""
_EPILOG: Final = f"""\
examples:
  {_PROGRAM} verify --instance-profile web-server
  {_PROGRAM} verify --role web-server --region us-west-2 \\
      --key arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab \\
      --log-bucket session-logs --log-prefix web --log-group /ssm/sessions
  {_PROGRAM} verify --role web-server --region us-west-2 \\
      --document SSM-SessionManagerRunShell
  {_PROGRAM} verify --role web-server --output json

exit status:
  {READY}  ready: the role may do all that was asked
  {NOT_READY}  not ready: the output says what is denied, by which policy, and what would allow it
  {CANNOT_ASK}  the question could not be asked, or the answer not written; standard error says why

The role must be able to reach Session Manager and to register, and to use each key, bucket and log
group given. IAM answers for the role's policies, its permissions boundary and the organization's
service control policies, not for the policies of keys and buckets, the network and the agent.

The credentials need iam:GetInstanceProfile, iam:GetRole and iam:SimulatePrincipalPolicy,
kms:DescribeKey where a key is given by an alias, and ssm:GetDocument for --document.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: the arguments. Default: - those of the process.

    Returns:
        The exit status: `READY`, `NOT_READY` or `CANNOT_ASK`.
    """
    arguments = _parser().parse_args(argv)
    try:
        return _verify(arguments)
    except CannotAsk as error:
        text = str(error)
    except Exception as error:  # noqa: BLE001 # Python would end with 1, which is an answer
        text = f"an error of the program, {type(error).__name__}: {error}: report it"
    with suppress(AttributeError, OSError):  # no standard error: the status alone says it
        sys.stderr.write(f"{_PROGRAM}: {' '.join(text.splitlines())}\n")
    return CANNOT_ASK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description="Session Manager on roles and instance profiles that exist."
    )
    verify = parser.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "verify",
        help="ask IAM whether a role is ready for Session Manager",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    of = verify.add_argument_group("whom to ask about").add_mutually_exclusive_group(required=True)
    of.add_argument(
        "--instance-profile", metavar="NAME", type=_name, help="the role of this instance profile"
    )
    of.add_argument("--role", metavar="NAME_OR_ARN", type=_role, help="this role")
    uses = verify.add_argument_group("what the session preferences name")
    uses.add_argument(
        "--document",
        metavar="NAME",
        type=_document,
        help="the Session document that sessions are started with, such as "
        "SSM-SessionManagerRunShell: the key, the bucket, the prefix and the log group are read "
        "from it",
    )
    uses.add_argument(
        "--key",
        metavar="ARN",
        type=_key,
        action="append",
        default=[],
        help="the KMS key, or alias, that encrypts sessions; of each region, so it can be repeated",
    )
    uses.add_argument(
        "--log-bucket", metavar="BUCKET", type=_bucket, help="the S3 bucket of the session logs"
    )
    uses.add_argument(
        "--log-prefix", metavar="PREFIX", type=_prefix, help="the prefix of the logs in that bucket"
    )
    uses.add_argument(
        "--log-bucket-key",
        metavar="ARN",
        type=_key,
        help="the KMS key, or alias, that the bucket encrypts with",
    )
    uses.add_argument(
        "--log-group", metavar="GROUP", type=_group, help="the CloudWatch log group of the logs"
    )
    aws = verify.add_argument_group("the account")
    aws.add_argument("--profile", metavar="PROFILE", help="a profile of the AWS configuration")
    aws.add_argument(
        "--region",
        metavar="REGION",
        help="where the instances are; without it the profile's, or the environment's",
    )
    verify.add_argument(
        "--output", choices=("table", "json"), default="table", help="default: %(default)s"
    )
    return parser


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    """A type for argparse: what IAM would not take, or would take as a pattern, is refused here."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return text

    return check


_name = _matching(r"[\w+=,.@-]{1,128}", "an instance profile's name")
_role = _matching(
    r"(arn:[\w-]+:iam::\d{12}:role/([\x21-\x7e]+/)?)?[\w+=,.@-]{1,64}", "a role's name or its ARN"
)
_key = _matching(
    r"arn:[\w-]+:kms:[\w-]+:\d{12}:(key/[\w-]+|alias/[\w/-]+)", "the ARN of a KMS key or an alias"
)
_document = _matching(r"[\w.-]{3,128}", "a document's name")
_bucket = _matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name")
_prefix = _matching(
    r"(?!.*\$\{)[^*?\x00-\x1f\x7f-\x9f\u0100-\U0010ffff]+",  # IAM takes no policy with more
    "a prefix of objects that a policy can name: give it without * ? ${ and control characters, in "
    "characters up to U+00FF",
)
_group = _matching(r"[\w./#-]{1,512}", "a log group's name")


def _verify(arguments: argparse.Namespace) -> int:
    if arguments.document is None:
        _refuse_what_is_of_no_bucket(arguments)
    _import_extra("boto3")
    if arguments.output == "table":
        _import_extra("rich")
    role, verdicts = _asked(arguments)
    if arguments.output == "json":
        found = as_json(role, arguments.instance_profile, verdicts)
        _print(lambda: f"{json.dumps(found, indent=2)}\n")
    else:
        _print(lambda: _shown(arguments, role, verdicts))
    return READY if is_ready(verdicts) else NOT_READY


def _print(shown: Callable[[], str]) -> None:
    """Write to standard output, with an escape for what it can't show."""
    out = sys.stdout
    if out is None:  # as `>&-` leaves it
        raise CannotAsk("standard output is closed: give it, or send it to /dev/null")
    try:
        text = shown()  # rich, too, writes: nothing at all, which without a buffer may fail
        encoding = out.encoding or "utf-8"
        out.write(text.encode(encoding, "backslashreplace").decode(encoding))
        out.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # or Python tries again at the end
        raise CannotAsk(
            f"the answer can't be written: {error}: give standard output room, and a reader that "
            "stays"
        ) from None


def _refuse_what_is_of_no_bucket(arguments: argparse.Namespace) -> None:
    for option, value in (
        ("--log-prefix", arguments.log_prefix),
        ("--log-bucket-key", arguments.log_bucket_key),
    ):
        if value and not arguments.log_bucket:
            raise CannotAsk(f"{option} {value} is of a bucket: give --log-bucket too")


def _import_extra(module: str) -> None:
    try:
        import_module(module)
    except ImportError as error:
        raise CannotAsk(
            f"{error.name} is not installed: pip install '{_PROGRAM}[verify]'"
        ) from None


def _asked(arguments: argparse.Namespace) -> tuple[Role, list[Verdict]]:
    """Ask; what boto3 raises before AWS has answered is said in a line."""
    from botocore.exceptions import (  # noqa: PLC0415 # of an extra
        BotoCoreError,
        NoCredentialsError,
        NoRegionError,
    )

    sys.stdin = sys.stdin or io.StringIO()  # closed by `<&-`: botocore may ask for an MFA code
    try:
        session = AwsSession(arguments.profile, arguments.region)
        iam, region = session.iam(), session.region
        role = find_role(iam, arguments.role or role_of_profile(iam, arguments.instance_profile))
        uses = _uses(arguments, session, role)
        return role, ask(iam, role, questions(role, uses, region), region)
    except NoCredentialsError:
        raise CannotAsk(
            "no credentials: sign in with the AWS CLI, or give --profile or AWS_PROFILE"
        ) from None
    except EOFError:
        raise CannotAsk(
            "no credentials: the profile asks for an MFA code, and there is no terminal to type it "
            "in: sign in with the AWS CLI first, or run this in a terminal"
        ) from None
    except NoRegionError:  # where AWS_ENDPOINT_URL says where IAM is
        raise CannotAsk(
            "a request is to a region, and none is known: give --region or AWS_REGION"
        ) from None
    except BotoCoreError as error:
        raise CannotAsk(str(error)) from None
    except (ValueError, OSError) as error:  # AWS_MAX_ATTEMPTS=often, a file that is not there
        raise CannotAsk(
            f"a variable or a setting of AWS can't be used: {error}: correct it"
        ) from None


class AwsSession:
    """Clients of boto3 for a profile and a region, or for what the environment says."""

    def __init__(self, profile: str | None, region: str | None) -> None:
        from boto3 import Session  # noqa: PLC0415 # of an extra
        from botocore.config import Config  # noqa: PLC0415

        # boto3 alone of all that AWS makes does not read AWS_REGION.
        region = region or os.environ.get("AWS_REGION") or None
        self._session: Any = Session(profile_name=profile, region_name=region)
        # The mode that waits and asks again where AWS throttles; AWS_MAX_ATTEMPTS says how often.
        self._config = Config(retries={"mode": "standard"}, user_agent_extra=_PROGRAM)

    @property
    def region(self) -> str | None:
        """The region, if one is known."""
        region: str | None = self._session.region_name
        return region

    def iam(self) -> IAMClient:
        """A client of IAM, which is the same in all regions of a partition."""
        client: IAMClient = self._session.client("iam", config=self._config)
        return client

    def ssm(self) -> SSMClient:
        """A client of Systems Manager in the region."""
        client: SSMClient = self._session.client("ssm", config=self._config)
        return client

    def kms(self, region: str) -> KMSClient:
        """A client of KMS in the region of a key."""
        client: KMSClient = self._session.client("kms", region_name=region, config=self._config)
        return client


def _uses(arguments: argparse.Namespace, session: AwsSession, role: Role) -> Uses:
    is_checked = True
    if arguments.document is not None:
        is_checked = _read_document(arguments, session, role)
        _refuse_what_is_of_no_bucket(arguments)
    bucket_key = arguments.log_bucket_key
    return Uses(
        keys=tuple(find_key(session.kms, arn) for arn in arguments.key),
        log_bucket=arguments.log_bucket,
        log_prefix=arguments.log_prefix or "",
        log_bucket_key=None if bucket_key is None else find_key(session.kms, bucket_key),
        checks_log_encryption=is_checked,
        log_group=arguments.log_group,
    )


def _read_document(arguments: argparse.Namespace, session: AwsSession, role: Role) -> bool:
    """Set as arguments what the document says; whether it has the bucket's encryption checked."""
    for option in ("key", "log_bucket", "log_prefix", "log_group"):
        if getattr(arguments, option):
            flag = f"--{option.replace('_', '-')}"
            raise CannotAsk(
                f"{flag} is given twice, as the document of --document says it: leave out {flag}"
            )
    if session.region is None:
        raise CannotAsk("a document is in a region, and none is known: give --region")
    name = arguments.document
    document = read_document(session.ssm(), name, role, session.region)
    try:
        arguments.key = [_key(document.key)] if document.key else []
        arguments.log_bucket = document.log_bucket and _bucket(document.log_bucket)
        arguments.log_prefix = document.log_prefix and _prefix(document.log_prefix)
        arguments.log_group = document.log_group and _group(document.log_group)
    except argparse.ArgumentTypeError as error:
        raise CannotAsk(
            f"the document {name} names what can't be asked about: {error}; mend it"
        ) from None
    if not arguments.log_bucket:
        arguments.log_prefix = None  # of no bucket, so of no use
    return document.checks_log_encryption


def is_ready(verdicts: Sequence[Verdict]) -> bool:
    """Whether all that was asked is allowed: reaching, registering, and all that was named."""
    return all(verdict.allowed for verdict in verdicts)


def as_json(
    role: Role, instance_profile: str | None, verdicts: Sequence[Verdict]
) -> dict[str, object]:
    """What `--output json` prints; docs/verify.md has its fields."""
    return {
        "version": 1,
        "ready": is_ready(verdicts),
        "instance_profile": instance_profile,
        "role": role.arn,
        "permissions_boundary": role.boundary,
        "capabilities": [
            {
                "capability": verdict.question.capability,
                "subject": verdict.question.subject,
                "allowed": verdict.allowed,
                "why": verdict.why,
                "fix": verdict.fix,
                "notes": verdict.notes,
                "answers": [_answer_as_json(answer) for answer in verdict.answers],
            }
            for verdict in verdicts
        ],
    }


def _answer_as_json(answer: Answer) -> dict[str, object]:
    return {
        "action": answer.action,
        "resource": answer.resource,
        "decision": answer.decision,
        "matched_statements": [statement._asdict() for statement in answer.statements],
        "allowed_by_permissions_boundary": answer.boundary_allows,
        "allowed_by_organizations": answer.organization_allows,
        "decision_details": dict(answer.details),
        "missing_context_values": list(answer.missing_context),
    }


def _shown(arguments: argparse.Namespace, role: Role, verdicts: Sequence[Verdict]) -> str:
    """What `--output table` prints, made for standard output and not yet written to it."""
    from rich.console import Console  # noqa: PLC0415 # of an extra

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    profile = arguments.instance_profile
    with console.capture() as shown:  # as it writes, rich ends the process with 1 where it can't
        console.print(f"{profile}: {role.arn}" if profile else role.arn)
        console.print(verdict_table(verdicts), soft_wrap=False)
        console.print("ready" if is_ready(verdicts) else "not ready", style="bold")
        for verdict in verdicts:
            for fix in verdict.fix:  # below the table, where lines stay whole and can be copied
                console.print(f"- {_LABELS[verdict.question.capability]}: {fix}")
        asked = {verdict.question.capability for verdict in verdicts}
        left_out = [label for capability, label in _LABELS.items() if capability not in asked]
        if left_out:
            console.print(f"Not asked: {', '.join(left_out)}.")
        console.print("Not judged: policies of keys and buckets, the network, the agent.")
    return shown.get()


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """A table of what a role may do, and of what denies the rest."""
    from rich.table import Table  # noqa: PLC0415 # of an extra

    table = Table("capability", "answer", "why", show_lines=True)
    for verdict in verdicts:
        reasons = "\n".join([*verdict.why, *verdict.notes])
        table.add_row(capability(verdict), answer(verdict), _plainly(reasons))
    return table


def capability(verdict: Verdict) -> Text:
    """The cell of a table that says what was asked."""
    label, subject = _LABELS[verdict.question.capability], verdict.question.subject
    return _plainly(label if subject is None else f"{label}\n{subject}")


def answer(verdict: Verdict) -> Text:
    """The cell of a table that says whether it is allowed."""
    return _plainly(*(("allowed", "green") if verdict.allowed else ("denied", "red")))


def _plainly(text: str, style: str = "") -> Text:
    """Text in which brackets and colons, as in ARNs, are what they are."""
    from rich.text import Text  # noqa: PLC0415 # of an extra

    return Text(text, style, overflow="fold")
