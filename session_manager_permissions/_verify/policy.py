"""Makes the inline policy that an instance's role needs, for users who do not deploy it with CDK.

It is the policy that `SessionManagerPermissions` synthesizes for the same options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _limits, _needs
from session_manager_permissions._partitions import KNOWN, partition_of

from .asking import CannotAsk
from .keys import of_aws
from .options import add_flag, add_key_and_bucket, add_option, refuse_without_bucket

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable

DESCRIPTION: Final = """\
Print the inline policy that an instance's role needs for Session Manager, as JSON: what the CDK
construct SessionManagerPermissions deploys, for those who use Terraform, CloudFormation or the
console. The command asks AWS nothing.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    uses = parser.add_argument_group("the session preferences")
    add_key_and_bucket(uses)
    group_help = (
        "the CloudWatch log group for session logs: its ARN, or its name together with --region "
        "and --account"
    )
    add_option(uses, "--log-group", "GROUP_OR_ARN", group_help, _limits.log_group_fault)
    grants = parser.add_argument_group("what is granted")
    registration_help = (
        "let the role register its instance with Systems Manager; the instance then leaves Default "
        "Host Management"
    )
    add_flag(grants, "--allow-registration", registration_help)
    grants.add_argument(
        "--no-check-log-encryption",
        dest="check_log_encryption",
        action="store_false",
        help="do not let the role read how the log bucket is encrypted",
    )
    only_help = "let the keys decrypt session data and nothing else"
    add_flag(grants, "--decrypt-sessions-only", only_help)
    aws = parser.add_argument_group("the account")
    add_option(aws, "--region", "REGION", "the region of the log group", _limits.REGION.fault)
    add_option(aws, "--account", "ACCOUNT", "the account of the log group", _limits.account_fault)
    partition_help = (
        "the partition, such as aws-us-gov (default: that of the ARNs and of --region, else aws)"
    )
    add_option(aws, "--partition", "PARTITION", partition_help, _limits.PARTITION.fault)


def inline_policy(options: Namespace) -> dict[str, Any]:
    """Make the policy document.

    Args:
        options: the parsed command line.

    Raises:
        CannotAsk: a prefix or a bucket's key without a bucket; a log group whose region or account
            is not known; an AWS managed key for sessions; several partitions.
    """
    refuse_without_bucket(options.log_bucket, options)
    partition = _partition(options)
    bucket = options.log_bucket
    needs = [
        *_needs.needed(
            bucket_arn=None if bucket is None else f"arn:{partition}:s3:::{bucket}",
            bucket_key=_bucket_key(options.log_bucket_key),
            prefix=_needs.joined(options.log_prefix or ""),
            group_arn=_log_group_arn(options, partition),
            allow_registration=options.allow_registration,
            check_log_encryption=options.check_log_encryption,
        ),
        *(_decrypt(key, sessions_only=options.decrypt_sessions_only) for key in options.key),
    ]
    return {"Version": "2012-10-17", "Statement": _statements(needs)}


def _partition(options: Namespace) -> str:
    given = [*options.key, options.log_bucket_key, options.log_group]
    found = {arn.split(":")[1] for arn in given if arn and arn.startswith("arn:")}
    found |= {options.partition} if options.partition else set()
    of_region = partition_of(options.region or "")
    # A region of a partition that is not known yet has a name like those of `aws`.
    if of_region and (of_region.name != "aws" or found <= KNOWN):
        found.add(of_region.name)
    if len(found) > 1:
        raise CannotAsk(
            "the ARNs, --region and --partition are of several partitions, "
            f"{', '.join(sorted(found))}: make a policy for each"
        )
    return found.pop() if found else "aws"


def _log_group_arn(options: Namespace, partition: str) -> str | None:
    group: str | None = options.log_group
    if group is None or group.startswith("arn:"):
        return group and group.removesuffix(":*")
    if options.region is None or options.account is None:
        raise CannotAsk(
            f"--log-group {group} does not say its region and account: give its ARN, or --region "
            "and --account too"
        )
    return f"arn:{partition}:logs:{options.region}:{options.account}:log-group:{group}"


def _bucket_key(arn: str | None) -> tuple[str, str | None] | None:
    """Return the key and its alias; None without a key, or for `aws/s3`, which needs no grant."""
    return None if arn is None or _needs.is_aws_managed(arn) else _needs.key_of_alias(arn)


def _decrypt(arn: str, *, sessions_only: bool) -> _needs.NeededStatement:
    if _needs.is_aws_managed(arn):
        raise of_aws(f"--key {arn}")
    return _needs.decrypt(*_needs.key_of_alias(arn), sessions_only=sessions_only)


def _statements(needs: Iterable[_needs.NeededStatement]) -> list[dict[str, Any]]:
    """Write each need as a statement. Needs with the same Sid share one statement."""
    by_sid: dict[str, list[_needs.NeededStatement]] = {}
    for need in needs:
        by_sid.setdefault(need.sid, []).append(need)
    return [
        {
            "Sid": sid,
            "Effect": "Allow",
            "Action": _one_or_more(same[0].actions),
            "Resource": _one_or_more(dict.fromkeys(need.resource for need in same)),
            **({"Condition": same[0].conditions} if same[0].conditions else {}),
        }
        for sid, same in by_sid.items()
    ]


def _one_or_more(values: Iterable[str]) -> str | list[str]:
    """Write a list as CDK does: a single element is not in a list."""
    several = [*values]
    return several[0] if len(several) == 1 else several
