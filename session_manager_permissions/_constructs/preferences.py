"""`SessionPreferences`: the Session document that says how sessions are run, logged, encrypted."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import aws_cdk as cdk
from constructs import Construct

from session_manager_permissions import _limits

from .checks import refuse_wrong_text, refuse_wrong_type
from .keys import session_key, session_key_id
from .logs import (
    bucket_arn,
    bucket_name,
    group_arn,
    group_name,
    is_encrypted_twice,
    is_unencrypted,
    normal_prefix,
    warn_if_encrypted_twice,
)
from .operators import Access, grant
from .tokens import is_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_iam as iam
    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from aws_cdk.interfaces.aws_logs import ILogGroupRef
    from aws_cdk.interfaces.aws_s3 import IBucketRef

_ACCOUNT_DEFAULT: Final = "SSM-SessionManagerRunShell"
_UNIX_USER: Final = _limits.Name("the name of a Unix user", r"\w.-", 1, 32)
_DOMAIN_USER: Final = _limits.Name("the name of a user of a domain", r"\w.-", 1, 64)
_DOMAIN: Final = _limits.Name("a domain", "A-Za-z0-9.-", 1, 253)
_MAX_DOCUMENT: Final = 64 * 1024
"""Bytes of an SSM document: https://docs.aws.amazon.com/general/latest/gr/ssm.html"""
_RESERVED: Final = ("aws", "amazon", "amzn", "AWSEC2", "AWSConfigRemediation", "AWSSupport")
"""https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html"""


class _Says(NamedTuple):
    """What a Session document says, as far as permissions follow from it."""

    document_name: str
    encryption_key: IKeyRef | IAliasRef | None
    log_bucket: IBucketRef | None
    log_prefix: str | None
    log_group: ILogGroupRef | None
    enforce_s3_encryption: bool


class SessionPreferences(Construct):
    """How sessions are run: an SSM document of type `Session`, and what follows from it.

    Given as `preferences` to `SessionManagerPermissions`, the instance's role gets what the
    document makes its agent need; `grant_start_session` gives it to operators. They start a session
    by `aws ssm start-session --target ID --document-name NAME`.

    The account's default document, `SSM-SessionManagerRunShell`, nearly always exists and can't be
    made again; `SessionPreferences.from_document_name` stands for it.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        document_name: str | None = None,
        encryption_key: IKeyRef | IAliasRef | None = None,
        log_bucket: IBucketRef | None = None,
        log_prefix: str | None = None,
        log_group: ILogGroupRef | None = None,
        stream_logs: bool = True,
        enforce_s3_encryption: bool = True,
        enforce_cloudwatch_encryption: bool = False,
        idle_timeout: cdk.Duration | None = None,
        max_duration: cdk.Duration | None = None,
        run_as_enabled: bool | None = None,
        run_as_user: str | None = None,
        linux_shell_profile: str | None = None,
        windows_shell_profile: str | None = None,
    ) -> None:
        """Make the document; a change makes a new version of it, in place.

        Args:
            scope: where in the tree the construct is made.
            construct_id: the construct's id, unique in `scope`.
            document_name: 3 to 128 characters of `A-Z a-z 0-9 _ - .`.
                Default: - a name unique to the stack and the construct.
            encryption_key: the KMS key that encrypts session data: a key or an alias.
                Default: - session data is encrypted in transit by TLS alone.
            log_bucket: the S3 bucket that session logs are put into when a session ends.
                Default: - no logs in S3.
            log_prefix: their key prefix, with or without slashes at its ends.
                Default: - the top of the bucket.
            log_group: the CloudWatch log group for session logs. Default: - no logs there.
            stream_logs: whether logs go to `log_group` while the session runs, or at its end.
                Default: - True, where there is a log group.
            enforce_s3_encryption: whether a session is refused whose log bucket is not encrypted
                in a way that the agent knows, with `aws:kms` or `AES256`.
                Default: - True, where there is a bucket.
            enforce_cloudwatch_encryption: whether a session is refused whose log group has no KMS
                key. Default: - False.
            idle_timeout: 1 to 60 minutes without input that end a session.
                Default: - Session Manager's, 20 minutes.
            max_duration: 1 to 1440 minutes that end a session. Default: - no maximum.
            run_as_enabled: whether sessions on Linux and macOS run as a user that is chosen, "Run
                As". The tag `SSMSessionRunAs` of the operator's IAM user or role names it, and
                where there is no such tag, `run_as_user` does. Without either, as with a user that
                the instance does not have, no session starts.
                Default: - True, where there is a `run_as_user`; else False, and sessions run as
                `ssm-user`, which the agent makes.
            run_as_user: the user of the instance's operating system, or of a domain that it has
                joined, `NAME@DOMAIN`, for operators without the tag. Session Manager refuses
                `root`. `ssm-user` is a user like any other here: the agent does not make it while
                Run As is on, which the warning `session-manager-permissions:run-as-ssm-user` says.
                Default: - none.
            linux_shell_profile: commands run at the start of each session on Linux and macOS;
                without `{{…}}`, which CloudFormation and Systems Manager take for theirs.
                Default: - none.
            windows_shell_profile: likewise on Windows. Default: - none.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: a name that is not valid, the account's default or reserved; a key that
                can't decrypt session data; a prefix without a bucket, or a prefix, a bucket or a
                log group with a wildcard; encryption enforced on no log group, or on one that is
                known to have no key; encryption enforced on a log bucket that is known to encrypt
                with `aws:kms:dsse`; a time that is out of bounds or not in whole minutes; a user
                name that is not valid, `root`, or a user beside `run_as_enabled=False`; a shell
                profile with a `{{…}}`; a document over 64 KiB.

        https://docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-run-as.html
        """
        cdk.Stack.of(scope)
        for argument, flag in (
            ("stream_logs", stream_logs),
            ("enforce_s3_encryption", enforce_s3_encryption),
            ("enforce_cloudwatch_encryption", enforce_cloudwatch_encryption),
        ):
            refuse_wrong_type(argument, flag, bool)
        for argument, profile in (
            ("linux_shell_profile", linux_shell_profile),
            ("windows_shell_profile", windows_shell_profile),
        ):
            if profile is not None:
                _refuse_wrong_profile(argument, profile)
        if document_name is not None:
            _refuse_invalid_document_name(document_name)
            _refuse_taken_document_name(document_name)
        prefix = normal_prefix(log_prefix, log_bucket)
        enforces_s3_encryption = log_bucket is not None and enforce_s3_encryption
        content = {
            "schemaVersion": "1.0",
            "description": "Session Manager preferences",
            "sessionType": "Standard_Stream",
            "inputs": {
                "s3BucketName": "" if log_bucket is None else bucket_name(log_bucket),
                "s3KeyPrefix": prefix,
                "s3EncryptionEnabled": enforces_s3_encryption,
                "cloudWatchLogGroupName": "" if log_group is None else group_name(log_group),
                "cloudWatchEncryptionEnabled": enforce_cloudwatch_encryption,
                "cloudWatchStreamingEnabled": log_group is not None and stream_logs,
                "kmsKeyId": "" if encryption_key is None else session_key_id(encryption_key),
                **_run_as(run_as_enabled=run_as_enabled, run_as_user=run_as_user),
                **_minutes("idle_timeout", "idleSessionTimeout", idle_timeout, 60),
                **_minutes("max_duration", "maxSessionDuration", max_duration, 1440),
                "shellProfile": {
                    "linux": linux_shell_profile or "",
                    "windows": windows_shell_profile or "",
                },
            },
        }
        if enforce_cloudwatch_encryption:
            _refuse_unencrypted(log_group)
        if enforces_s3_encryption:
            _refuse_encrypted_twice(log_bucket)
        size = len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
        if size > _MAX_DOCUMENT:
            raise ValueError(
                f"linux_shell_profile and windows_shell_profile make a document of {size} bytes, "
                f"and it may have {_MAX_DOCUMENT}: have them call a script on the instance"
            )
        from aws_cdk import aws_ssm as ssm  # noqa: PLC0415 - a second that not everyone spends

        refuse_wrong_text("construct_id", construct_id)
        super().__init__(scope, construct_id)
        if document_name is None:
            document_name = cdk.Names.unique_resource_name(
                self,
                max_length=_limits.DOCUMENT.longest,
                separator="-",
                allowed_special_characters=_limits.DOCUMENT.signs,
            )
            _refuse_taken_document_name(document_name)
        if run_as_user == "ssm-user":
            cdk.Annotations.of(self).add_warning_v2(
                "session-manager-permissions:run-as-ssm-user",
                "run_as_user 'ssm-user' turns Run As on, and then the agent does not make that "
                "user: no session starts on an instance that does not have it; make the user there "
                "by other means, or leave run_as_user out, and the agent makes it",
            )
        document = ssm.CfnDocument(
            self,
            "Resource",
            content=content,
            document_type="Session",
            name=document_name,
            update_method="NewVersion",
        )
        self._says = _Says(
            document.ref,
            encryption_key,
            log_bucket,
            prefix or None,
            log_group,
            enforce_s3_encryption=enforces_s3_encryption,
        )

    @staticmethod
    def from_document_name(
        scope: Construct,
        construct_id: str,
        document_name: str = _ACCOUNT_DEFAULT,
        *,
        encryption_key: IKeyRef | IAliasRef | None = None,
        log_bucket: IBucketRef | None = None,
        log_prefix: str | None = None,
        log_group: ILogGroupRef | None = None,
    ) -> SessionPreferences:
        """A Session document that exists; what it says is to be told, CDK does not read it.

        A log bucket that is known to encrypt with `aws:kms:dsse` has the warning
        `session-manager-permissions:log-bucket-dsse`, as the document may enforce encrypted logs.

        Args:
            scope: where in the tree the import is made.
            construct_id: the import's id, unique in `scope`.
            document_name: its name. Default: - `SSM-SessionManagerRunShell`, the account's default.
            encryption_key: the key in its `kmsKeyId`. Default: - none.
            log_bucket: the bucket in its `s3BucketName`. Default: - none.
            log_prefix: the prefix in its `s3KeyPrefix`. Default: - none.
            log_group: the log group in its `cloudWatchLogGroupName`. Default: - none.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: a name that is not valid; a key that can't decrypt session data; a prefix
                without a bucket, or a prefix, a bucket or a log group with a wildcard.
        """
        _refuse_invalid_document_name(document_name)
        if encryption_key is not None:
            session_key(encryption_key)
        if log_bucket is not None:
            bucket_arn(log_bucket)
            warn_if_encrypted_twice(log_bucket)
        if log_group is not None:
            group_arn(log_group)
        says = _Says(
            document_name,
            encryption_key,
            log_bucket,
            normal_prefix(log_prefix, log_bucket) or None,
            log_group,
            enforce_s3_encryption=True,
        )
        return _ExistingPreferences(scope, construct_id, says)

    @property
    def document_name(self) -> str:
        """The document's name, for `--document-name`."""
        return self._says.document_name

    @property
    def document_arn(self) -> str:
        """The document's ARN, in the account and region of this construct's stack."""
        return cdk.Stack.of(self).format_arn(
            service="ssm", resource="document", resource_name=self._says.document_name
        )

    @property
    def encryption_key(self) -> IKeyRef | IAliasRef | None:
        """The key that encrypts session data."""
        return self._says.encryption_key

    @property
    def log_bucket(self) -> IBucketRef | None:
        """The bucket of the session logs."""
        return self._says.log_bucket

    @property
    def log_prefix(self) -> str | None:
        """The key prefix of the session logs in the bucket, without slashes at its ends."""
        return self._says.log_prefix

    @property
    def log_group(self) -> ILogGroupRef | None:
        """The log group of the session logs."""
        return self._says.log_group

    @property
    def enforce_s3_encryption(self) -> bool:
        """Whether a session is refused whose log bucket is not encrypted.

        Of a document that exists it is assumed.
        """
        return self._says.enforce_s3_encryption

    def grant_start_session(
        self,
        grantee: iam.IGrantable,
        *,
        instance_arns: Sequence[str] = (),
        instance_tags: Mapping[str, str | Sequence[str]] | None = None,
        all_instances: bool = False,
        allow_ssh: bool = False,
        allow_port_forwarding: bool = False,
        allow_interactive_commands: bool = False,
        allow_remote_desktop: bool = False,
        allow_console: bool = False,
    ) -> iam.Grant:
        """Let an operator start sessions with this document on the instances chosen.

        Grants `ssm:StartSession` on the instances and, in a statement of its own, on the document;
        `ssm:TerminateSession` and `ssm:ResumeSession` on the sessions whose tag says that the
        operator has started them; `ssmmessages:OpenDataChannel` on sessions, by which the plug-in
        opens the channel with the token that whoever starts a session alone is given;
        `kms:GenerateDataKey` on the key, where there is one.

        IAM does not bind documents to instances: an operator with two grants may use either
        document on either's instances.

        Args:
            grantee: a user, a group, a role, or what else can be granted to.
            instance_arns: the instances, by ARN. Default: - any with the tags.
            instance_tags: tags that an instance must all have, each with its value or its possible
                values. Default: - any of the ARNs.
            all_instances: every EC2 instance of the stack's account and region.
                Default: - False: `instance_arns`, `instance_tags` or both are given.
            allow_ssh: SSH through Session Manager, `AWS-StartSSHSession`; neither logged nor
                encrypted with the key. Default: - False.
            allow_port_forwarding: `AWS-StartPortForwardingSession` and `…ToRemoteHost`.
                Default: - False.
            allow_interactive_commands: single commands in a session,
                `AWS-StartInteractiveCommand` and `AWS-StartNonInteractiveCommand`. Nothing that
                this document says holds for them. Default: - False.
            allow_remote_desktop: the desktop of a Windows instance in the console:
                `ssm-guiconnect:StartConnection`, `GetConnection` and `CancelConnection` on `*`, and
                `AWS-StartPortForwardingSession`, by which any port of the instance can be
                forwarded. Default: - False.
            allow_console: what the consoles of Systems Manager and EC2 list with:
                `ssm:DescribeSessions`, `ssm:GetConnectionStatus`,
                `ssm:DescribeInstanceProperties`, `ssm:DescribeInstanceInformation` and
                `ec2:DescribeInstances` on `*`. Default: - False: the CLI needs none of it.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: the instances are not chosen, or chosen twice; an ARN that is no instance's,
                or a pattern; a tag without a value; a grantee that nothing can be granted to from
                here, an immutable role or whoever is of another account; a user or a group by a
                name that it can't have.

        https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-quickstart.html
        """
        access = Access(
            instance_arns,
            {} if instance_tags is None else instance_tags,
            all_instances=all_instances,
            allow_ssh=allow_ssh,
            allow_port_forwarding=allow_port_forwarding,
            allow_interactive_commands=allow_interactive_commands,
            allow_remote_desktop=allow_remote_desktop,
            allow_console=allow_console,
        )
        return grant(self.document_arn, self.encryption_key, grantee, access, cdk.Stack.of(self))


class _ExistingPreferences(SessionPreferences):
    """What `from_document_name` gives: no resource."""

    def __init__(self, scope: Construct, construct_id: str, says: _Says) -> None:
        refuse_wrong_text("construct_id", construct_id)
        Construct.__init__(self, scope, construct_id)
        self._says = says


def _refuse_invalid_document_name(document_name: str) -> None:
    refuse_wrong_text("document_name", document_name)
    if not is_name(document_name, _limits.DOCUMENT):
        raise ValueError(
            f"document_name {document_name!r} is not a name that Systems Manager takes: "
            f"{_limits.DOCUMENT.rule}"
        )


def _refuse_taken_document_name(document_name: str) -> None:
    """Refuse the name of a new document that can't be made."""
    if document_name == _ACCOUNT_DEFAULT:
        raise ValueError(
            f"document_name {document_name!r} is the account's default document, which nearly "
            "always exists and then can't be made: give another name, or use "
            "SessionPreferences.from_document_name() for the one that exists"
        )
    if document_name.startswith(_RESERVED):
        raise ValueError(
            f"document_name {document_name!r} begins as AWS's own documents do, which it refuses "
            f"({', '.join(_RESERVED)}): give another name"
        )


def _minutes(argument: str, name: str, duration: cdk.Duration | None, most: int) -> dict[str, str]:
    """The input `name`, in whole minutes; none where nothing is said."""
    if duration is None:
        return {}
    refuse_wrong_type(argument, duration, cdk.Duration)
    if duration.is_unresolved():
        try:
            return {name: cdk.Tokenization.stringify_number(duration.to_minutes())}
        except RuntimeError:  # CDK converts no token
            raise ValueError(
                f"{argument} is known at deployment only, and not in minutes: give "
                "cdk.Duration.minutes()"
            ) from None
    minutes, rest = divmod(round(duration.to_milliseconds(integral=False)), 60_000)
    if rest or not 1 <= minutes <= most:
        raise ValueError(
            f"{argument} is {duration.to_human_string()}: give whole minutes from 1 to {most}"
        )
    return {name: str(minutes)}


def _refuse_unencrypted(log_group: ILogGroupRef | None) -> None:
    if log_group is None:
        raise ValueError(
            "enforce_cloudwatch_encryption has no log group to hold for: give log_group too"
        )
    if is_unencrypted(log_group):
        raise ValueError(
            f"enforce_cloudwatch_encryption ends each session: log_group {log_group.node.path!r} "
            "has no KMS key; give the log group an encryption_key"
        )


def _refuse_encrypted_twice(log_bucket: IBucketRef | None) -> None:
    if log_bucket is not None and is_encrypted_twice(log_bucket):
        raise ValueError(
            f"enforce_s3_encryption ends each session: log_bucket {log_bucket.node.path!r} "
            "encrypts with aws:kms:dsse, which the agent does not take for encrypted; encrypt it "
            "with aws:kms or AES256, or give enforce_s3_encryption=False"
        )


def _refuse_wrong_profile(argument: str, profile: str) -> None:
    refuse_wrong_text(argument, profile)
    found = re.search(r"\{\{[^{}]*\}\}", profile)
    if found:
        raise ValueError(
            f"{argument} has {found[0]!r}, which CloudFormation would resolve, or Systems Manager "
            "take for a parameter: have it call a script on the instance, or give "
            "cdk.CfnDynamicReference(service, key).to_string() where it is to be resolved"
        )


def _run_as(*, run_as_enabled: bool | None, run_as_user: str | None) -> dict[str, bool | str]:
    """The inputs that say which user of the operating system sessions run as."""
    if run_as_enabled is not None:
        refuse_wrong_type("run_as_enabled", run_as_enabled, bool)
    if run_as_user is None:
        return {"runAsEnabled": run_as_enabled is True, "runAsDefaultUser": ""}
    _refuse_invalid_user(run_as_user)
    if run_as_enabled is False:
        raise ValueError(
            f"run_as_enabled=False leaves run_as_user {run_as_user!r} without effect: give one of "
            "the two"
        )
    return {"runAsEnabled": True, "runAsDefaultUser": run_as_user}


def _refuse_invalid_user(run_as_user: str) -> None:
    r"""Refuse what no user can have for a name, and a name that the agent's shell would change.

    The agent runs `sh -c "id NAME"`, without quotes: `getUserCredentials` in
    amazon-ssm-agent/agent/session/shell, so that `DOMAIN\NAME` loses its backslash.
    """
    refuse_wrong_text("run_as_user", run_as_user)
    if run_as_user == "root":
        raise ValueError(
            "run_as_user 'root' is refused by Session Manager: give a user who may use sudo"
        )
    name, at, domain = run_as_user.partition("@")
    if at:
        is_user = is_name(name, _DOMAIN_USER) and is_name(domain, _DOMAIN)
        is_user = is_user and not name.startswith("-")
    else:
        is_user = is_name(name, _UNIX_USER) and name[0] not in "0123456789.-"
    if not is_user:
        raise ValueError(
            f"run_as_user {run_as_user!r} is not the name of a Unix user: 1 to 32 characters of "
            "A-Z a-z 0-9 _ . -, the first a letter or _; of a domain's user, NAME@DOMAIN"
        )
