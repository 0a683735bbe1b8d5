"""`SessionPreferences`: the Session document, which configures how sessions run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import aws_cdk as cdk
from constructs import Construct

from session_manager_permissions import _limits, _needs

from . import logs
from .checks import refuse_wrong_text, refuse_wrong_type
from .keys import session_key, session_key_id
from .names import default_name, refuse_invalid_name
from .operators import Access, grant
from .tokens import TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_iam as iam
    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from aws_cdk.interfaces.aws_logs import ILogGroupRef
    from aws_cdk.interfaces.aws_s3 import IBucketRef


class _Settings(NamedTuple):
    """The settings of a Session document from which permissions follow."""

    document_name: str
    encryption_key: IKeyRef | IAliasRef | None
    log_bucket: IBucketRef | None
    log_prefix: str
    """As `normal_prefix` gives it: empty if there is none."""
    log_group: ILogGroupRef | None


class SessionPreferences(Construct):
    """The session preferences: an SSM document of type `Session`.

    Give it as `preferences` to `SessionManagerPermissions`. The instance's role then gets the
    permissions that the agent needs for this document. `grant_start_session` gives operators the
    permissions to start sessions with it:
    `aws ssm start-session --target ID --document-name NAME`.

    The account's default document, `SSM-SessionManagerRunShell`, nearly always exists already. Then
    it can't be created: import it with `SessionPreferences.from_document_name`.

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
        """Create the document. A change creates a new version of it, in place.

        Args:
            scope: the construct that this one is defined in.
            construct_id: the construct's id, unique in `scope`.
            document_name: 3 to 128 characters of `A-Z a-z 0-9 _ - .`.
                Default: - a name unique to the stack and the construct.
            encryption_key: the KMS key that encrypts session data, or an alias of it.
                Default: - no KMS encryption; session data is encrypted in transit by TLS.
            log_bucket: the S3 bucket that the agent uploads the log of a session to when the
                session ends.
                Default: - no logs in S3.
            log_prefix: the key prefix of the logs. Slashes at its ends do not matter.
                Default: - the top of the bucket.
            log_group: the CloudWatch log group for session logs.
                Default: - no logs in CloudWatch Logs.
            stream_logs: whether the agent sends logs to `log_group` while the session runs, instead
                of at its end.
                Default: - True, if there is a log group.
            enforce_s3_encryption: whether the agent refuses a session if it does not recognize the
                log bucket as encrypted. It recognizes `aws:kms` and `AES256`.
                Default: - True, if there is a bucket.
            enforce_cloudwatch_encryption: whether the agent refuses a session if the log group has
                no KMS key. Default: - False.
            idle_timeout: how long a session may have no input, from 1 to 60 minutes.
                Default: - Session Manager's, 20 minutes.
            max_duration: how long a session may last, from 1 to 1440 minutes.
                Default: - no maximum.
            run_as_enabled: whether sessions on Linux and macOS run as a user that you choose ("Run
                As"). The tag `SSMSessionRunAs` of the operator's IAM user or role names the user;
                without the tag, `run_as_user` does. If neither names a user, or if the instance
                does not have the user, no session starts.
                Default: - True, if there is a `run_as_user`; else False, and sessions run as
                `ssm-user`, which the agent creates.
            run_as_user: the user for operators without the tag: a user of the instance's operating
                system, or `NAME@DOMAIN` of a domain that the instance has joined. Session Manager
                refuses `root`. The agent does not create `ssm-user` while Run As is on, and the
                warning `session-manager-permissions:run-as-ssm-user` says so. Default: - none.
            linux_shell_profile: commands that run at the start of each session on Linux and macOS.
                They can't contain `{{…}}`, which CloudFormation or Systems Manager would replace.
                Default: - none.
            windows_shell_profile: the same for Windows. Default: - none.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: a document name that is not valid, the account's default or reserved; a key
                that can't decrypt session data; a prefix without a bucket; a wildcard in a prefix,
                a bucket or a log group; encryption enforced without a log group, or with one that
                is known to have no key; encryption enforced for a log bucket that is known to
                encrypt with `aws:kms:dsse`; a time out of bounds; a user name that is not valid,
                `root`, or a user beside `run_as_enabled=False`; a shell profile with `{{…}}`.
            RuntimeError: CDK's, for a time that is not in whole minutes.

        https://docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-run-as.html
        """
        refuse_wrong_type("stream_logs", stream_logs, bool)
        refuse_wrong_type("enforce_s3_encryption", enforce_s3_encryption, bool)
        refuse_wrong_type("enforce_cloudwatch_encryption", enforce_cloudwatch_encryption, bool)
        _refuse_wrong_profile("linux_shell_profile", linux_shell_profile)
        _refuse_wrong_profile("windows_shell_profile", windows_shell_profile)
        if document_name is not None:
            refuse_invalid_name("document_name", document_name, _limits.DOCUMENT, "Systems Manager")
            _refuse_taken_document_name(document_name)
        prefix = logs.normal_prefix(log_prefix, log_bucket)
        enforces_encryption = log_bucket is not None and enforce_s3_encryption
        content = {
            "schemaVersion": "1.0",
            "description": "Session Manager preferences",
            "sessionType": "Standard_Stream",
            "inputs": {
                "s3BucketName": "" if log_bucket is None else logs.bucket_name(log_bucket),
                "s3KeyPrefix": prefix,
                "s3EncryptionEnabled": enforces_encryption,
                "cloudWatchLogGroupName": "" if log_group is None else logs.group_name(log_group),
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
        if enforces_encryption:
            _refuse_encrypted_twice(log_bucket)
        refuse_wrong_text("construct_id", construct_id)
        super().__init__(scope, construct_id)
        if document_name is None:
            document_name = default_name(self, _limits.DOCUMENT)
            _refuse_taken_document_name(document_name)
        if run_as_user == "ssm-user":
            cdk.Annotations.of(self).add_warning_v2(
                "session-manager-permissions:run-as-ssm-user",
                "run_as_user 'ssm-user' turns Run As on, and with Run As the agent does not create "
                "this user: no session starts on an instance that does not have it; create the "
                "user yourself, or leave run_as_user out, and the agent creates it",
            )
        document = cdk.aws_ssm.CfnDocument(
            self,
            "Resource",
            content=content,
            document_type="Session",
            name=document_name,
            update_method="NewVersion",
        )
        self._settings = _Settings(document.ref, encryption_key, log_bucket, prefix, log_group)

    @staticmethod
    def from_document_name(
        scope: Construct,
        construct_id: str,
        document_name: str = "SSM-SessionManagerRunShell",
        *,
        encryption_key: IKeyRef | IAliasRef | None = None,
        log_bucket: IBucketRef | None = None,
        log_prefix: str | None = None,
        log_group: ILogGroupRef | None = None,
    ) -> SessionPreferences:
        """Import a Session document that exists. CDK does not read it: give its settings here.

        A log bucket that is known to encrypt with `aws:kms:dsse` gets the warning
        `session-manager-permissions:log-bucket-dsse`, as the document may enforce encrypted logs.

        Args:
            scope: the construct that the import is defined in.
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
        refuse_invalid_name("document_name", document_name, _limits.DOCUMENT, "Systems Manager")
        if encryption_key is not None:
            session_key(encryption_key)
        if log_bucket is not None:
            logs.bucket_arn(log_bucket)
            logs.warn_if_encrypted_twice(log_bucket)
        if log_group is not None:
            logs.group_arn(log_group)
        prefix = logs.normal_prefix(log_prefix, log_bucket)
        settings = _Settings(document_name, encryption_key, log_bucket, prefix, log_group)
        return _ExistingPreferences(scope, construct_id, settings)

    @property
    def document_name(self) -> str:
        """The document's name, for `--document-name`."""
        return self._settings.document_name

    @property
    def document_arn(self) -> str:
        """The document's ARN, in the account and region of this construct's stack.

        The ARN of one of AWS's own documents, such as `AWS-StartSSHSession`, has no account.
        """
        name = self._settings.document_name
        return cdk.Stack.of(self).format_arn(
            service="ssm",
            account="" if name.startswith(_needs.DOCUMENTS_OF_AWS) else None,
            resource="document",
            resource_name=name,
        )

    @property
    def encryption_key(self) -> IKeyRef | IAliasRef | None:
        """The key that encrypts session data."""
        return self._settings.encryption_key

    @property
    def log_bucket(self) -> IBucketRef | None:
        """The bucket of the session logs."""
        return self._settings.log_bucket

    @property
    def log_prefix(self) -> str | None:
        """The key prefix of the session logs in the bucket, without slashes at its ends."""
        return self._settings.log_prefix or None

    @property
    def log_group(self) -> ILogGroupRef | None:
        """The log group of the session logs."""
        return self._settings.log_group

    def grant_start_session(
        self,
        grantee: iam.IGrantable,
        *,
        instance_arns: Sequence[str] = (),
        instance_tags: Mapping[str, str | Sequence[str]] | None = None,
        all_instances: bool = False,
        allow_ssh: bool = False,
        allow_port_forwarding: bool = False,
        allow_remote_port_forwarding: bool = False,
        allow_interactive_commands: bool = False,
        allow_remote_desktop: bool = False,
        allow_console: bool = False,
        decrypt_sessions_only: bool = False,
    ) -> iam.Grant:
        """Let an operator start sessions with this document on the chosen instances.

        Grants these permissions:

        - `ssm:StartSession` on the instances and, in a separate statement, on the document.
        - `ssm:TerminateSession` and `ssm:ResumeSession` on the sessions whose tag says that the
          operator has started them.
        - `ssmmessages:OpenDataChannel` on sessions. The plug-in of the AWS CLI needs it, besides
          the token that Session Manager returns to the caller who starts the session.
        - `kms:GenerateDataKey` on the key, if there is one.

        IAM does not bind documents to instances: an operator with two grants may use either
        document on the instances of both.

        Args:
            grantee: a user, a group, a role, or another principal that CDK can grant to.
            instance_arns: the ARNs of the instances. Only in this way can you choose hybrid nodes:
                `arn:…:ssm:REGION:ACCOUNT:managed-instance/ID`.
                Default: - any EC2 instance with `instance_tags`.
            instance_tags: the tags that an instance must have. Each tag has one value, or one of
                several values. A `*` in a value is not a wildcard.
                Default: - any of `instance_arns`.
            all_instances: whether to choose every EC2 instance of the stack's account and region.
                Default: - False: give `instance_arns`, `instance_tags` or both.
            allow_ssh: SSH through Session Manager, `AWS-StartSSHSession`. Such sessions are neither
                logged nor encrypted with the key. Default: - False.
            allow_port_forwarding: forwarding to any port of the instance,
                `AWS-StartPortForwardingSession`. Default: - False.
            allow_remote_port_forwarding: forwarding through the instance to any host and port that
                it can reach, such as a database,
                `AWS-StartPortForwardingSessionToRemoteHost`. IAM can't restrict the host.
                Default: - False.
            allow_interactive_commands: single commands in a session,
                `AWS-StartInteractiveCommand` and `AWS-StartNonInteractiveCommand`. None of this
                document's settings applies to them. Default: - False.
            allow_remote_desktop: the desktop of a Windows instance in the console:
                `ssm-guiconnect:StartConnection`, `GetConnection` and `CancelConnection` on `*`, and
                `AWS-StartPortForwardingSession`, with which the operator can forward any port of
                the instance. Default: - False.
            allow_console: the actions with which the consoles of Systems Manager and EC2 list
                instances and sessions: `ssm:DescribeSessions`, `ssm:GetConnectionStatus`,
                `ssm:DescribeInstanceProperties`, `ssm:DescribeInstanceInformation` and
                `ec2:DescribeInstances` on `*`. Default: - False: the CLI needs none of them.
            decrypt_sessions_only: whether the operator may use the key for session data only.
                Default: - False: the operator may generate data keys for anything.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: no instances are chosen, or `all_instances` beside another choice; an ARN
                that is not an instance's; a tag without a value, or with a character that IAM
                accepts in no policy; a grantee whose permissions can't be changed from this app,
                such as an immutable role or a principal of another account; a grantee with
                conditions, which CDK would leave out.

        https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-quickstart.html
        """
        access = Access(
            document_arn=self.document_arn,
            encryption_key=self.encryption_key,
            instance_arns=instance_arns,
            instance_tags={} if instance_tags is None else instance_tags,
            all_instances=all_instances,
            allow_ssh=allow_ssh,
            allow_port_forwarding=allow_port_forwarding,
            allow_remote_port_forwarding=allow_remote_port_forwarding,
            allow_interactive_commands=allow_interactive_commands,
            allow_remote_desktop=allow_remote_desktop,
            allow_console=allow_console,
            decrypt_sessions_only=decrypt_sessions_only,
        )
        return grant(grantee, access, cdk.Stack.of(self))


class _ExistingPreferences(SessionPreferences):
    """The result of `from_document_name`, which has no resource."""

    def __init__(self, scope: Construct, construct_id: str, settings: _Settings) -> None:
        refuse_wrong_text("construct_id", construct_id)
        Construct.__init__(self, scope, construct_id)
        self._settings = settings


def _refuse_taken_document_name(document_name: str) -> None:
    """Refuse a name that no new document can have."""
    if document_name == _needs.DEFAULT_DOCUMENT:
        raise ValueError(
            f"document_name {document_name!r} is the account's default document, which nearly "
            "always exists already, and then can't be created: give another name, or import it "
            "with SessionPreferences.from_document_name()"
        )
    if document_name.startswith(_limits.RESERVED_DOCUMENTS):
        raise ValueError(
            f"document_name {document_name!r} begins with a prefix that AWS reserves "
            f"({', '.join(_limits.RESERVED_DOCUMENTS)}): give another name"
        )


def _minutes(argument: str, name: str, duration: cdk.Duration | None, most: int) -> dict[str, str]:
    """Return the input `name` in whole minutes, if a duration is given."""
    if duration is None:
        return {}
    refuse_wrong_type(argument, duration, cdk.Duration)
    minutes = duration.to_minutes()  # CDK refuses fractions of a minute
    if duration.is_unresolved():
        return {name: cdk.Tokenization.stringify_number(minutes)}
    if not 1 <= minutes <= most:
        raise ValueError(
            f"{argument} is {duration.to_human_string()}: give whole minutes from 1 to {most}"
        )
    return {name: f"{minutes:.0f}"}


def _refuse_unencrypted(log_group: ILogGroupRef | None) -> None:
    if log_group is None:
        raise ValueError("enforce_cloudwatch_encryption needs a log group: give log_group too")
    is_l2 = isinstance(log_group, cdk.aws_logs.LogGroup)
    cfn_group = log_group.node.default_child if is_l2 else log_group
    if isinstance(cfn_group, cdk.aws_logs.CfnLogGroup) and cfn_group.kms_key_id is None:
        raise ValueError(
            "enforce_cloudwatch_encryption would keep all sessions from starting: log_group "
            f"{log_group.node.path!r} has no KMS key; give the log group an encryption_key"
        )


def _refuse_encrypted_twice(log_bucket: IBucketRef | None) -> None:
    if log_bucket is not None and logs.is_encrypted_twice(log_bucket):
        raise ValueError(
            "enforce_s3_encryption would keep all sessions from starting: log_bucket "
            f"{log_bucket.node.path!r} encrypts with aws:kms:dsse, which the agent does not "
            "recognize; encrypt it with aws:kms or AES256, or give enforce_s3_encryption=False"
        )


def _refuse_wrong_profile(argument: str, profile: str | None) -> None:
    if profile is None:
        return
    refuse_wrong_text(argument, profile)
    found = re.search(r"\{\{[^{}]*\}\}", profile)
    if found:
        raise ValueError(
            f"{argument} has {found[0]!r}, which CloudFormation would resolve, or Systems Manager "
            "replace as a parameter: have the profile call a script on the instance, or, if it is "
            "to be resolved, give cdk.CfnDynamicReference(service, key).to_string()"
        )


def _run_as(*, run_as_enabled: bool | None, run_as_user: str | None) -> dict[str, bool | str]:
    """Return the inputs that say which user of the operating system sessions run as."""
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
    r"""Refuse a name that no user can have, or that the agent's shell would change.

    The agent runs `sh -c "id NAME"` without quotes, so that `DOMAIN\NAME` loses its backslash:
    `getUserCredentials` in amazon-ssm-agent/agent/session/shell.
    """
    refuse_wrong_text("run_as_user", run_as_user)
    if run_as_user == "root":
        raise ValueError(
            "run_as_user 'root' is refused by Session Manager: give a user who may use sudo"
        )
    fault = _limits.user_fault(TOKEN.sub("x", run_as_user))  # a token may turn out to be any name
    if fault:
        raise ValueError(f"run_as_user {run_as_user!r} {fault}")
