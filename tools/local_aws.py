"""A local AWS, MiniStack with IAM enforced, and the real CDK CLI on it: for the demo and tests."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.client import BaseClient

ROOT = Path(__file__).resolve().parent.parent
CLI = ROOT / "node_modules" / ".bin" / "cdk"
COMMAND = Path(sys.executable).with_name("session-manager-permissions")
REGION = "us-east-1"
ADMINISTRATOR = {"AccessKeyId": "test", "SecretAccessKey": "test"}


class CliRun(NamedTuple):
    """The result of a command."""

    exit_code: int
    output: str


@dataclass(frozen=True)
class LocalAws:
    """One that runs; `local_aws()` starts it."""

    folder: Path
    port: int
    pid: int

    @property
    def endpoint(self) -> str:
        """Where every service answers."""
        return f"http://127.0.0.1:{self.port}"

    def client(
        self,
        service: str,
        credentials: Mapping[str, str] = ADMINISTRATOR,
        region: str = REGION,
    ) -> BaseClient:
        """A client that reads neither the environment nor the files of a real account."""
        return self._session.create_client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"),
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    @cached_property
    def _session(self) -> Session:  # one, as each reads the models of the services anew
        unset = (None, None, None, None)
        nothing = (None, None, os.devnull, None)
        return Session({"profile": unset, "config_file": nothing, "credentials_file": nothing})

    def cdk(
        self,
        *arguments: str,
        project: Path | None = None,
        credentials: Mapping[str, str] = ADMINISTRATOR,
        show: Callable[[str], object] = lambda _: None,
    ) -> CliRun:
        """Run `cdk` as a user would.

        Args:
            arguments: those of the CLI.
            project: the folder to run it in. Default: `self.project`.
            credentials: an access key. Default: that of the administrator.
            show: gets each line as it comes.
        """
        command = [str(CLI), *arguments]
        environment = self._environment(credentials)
        return _run(command, project or self.project, environment, show)

    def verify(self, *arguments: str, command: Path = COMMAND) -> subprocess.CompletedProcess[str]:
        """Run `session-manager-permissions verify` in `self.project`, apart from its warnings."""
        return subprocess.run(
            [command, "verify", *arguments],
            cwd=self.project,
            env=self._environment(),
            capture_output=True,
            check=False,
            encoding="utf-8",
        )

    def audit(self, *arguments: str, systems_manager: str, show: Callable[[str], object]) -> CliRun:
        """Run `session-manager-permissions audit` in `self.project`.

        Args:
            arguments: those of the command.
            systems_manager: the address that answers for Systems Manager.
            show: gets each line as it comes.
        """
        environment = self._environment() | {"AWS_ENDPOINT_URL_SSM": systems_manager}
        return _run([str(COMMAND), "audit", *arguments], self.project, environment, show)

    @cached_property
    def project(self) -> Path:
        """A folder that is to the CLI what the repository is, so that no look-up lands there."""
        project = self.folder / "project"
        project.mkdir(exist_ok=True)
        settings = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))
        settings |= {
            "app": shlex.join([sys.executable, str(ROOT / "app.py")]),
            "notices": False,
            "requireApproval": "never",
        }
        (project / "cdk.json").write_text(json.dumps(settings), encoding="utf-8")
        return project

    def _environment(self, credentials: Mapping[str, str] = ADMINISTRATOR) -> dict[str, str]:
        """The user's own, without what leads to a real account or past this AWS."""
        leads_away = ("AWS_", "CDK_")  # each option of the CLI has a variable, `CDK_PROFILE`
        kept = {
            name: value
            for name, value in os.environ.items()
            if name == "CDK_VALIDATION"  # its validator takes most of the time
            or not (name.startswith(leads_away) or name.upper().endswith("_PROXY"))
        }
        return kept | {
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "true",
            "CDK_HOME": str(self.folder / "cdk-home"),
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
            "NODE_OPTIONS": "--no-warnings",  # the AWS SDK's of Node 20
            "NO_COLOR": "1",
            "TMPDIR": str(self.folder),
        }


def _run(
    command: list[str],
    cwd: Path,
    environment: Mapping[str, str],
    show: Callable[[str], object],
) -> CliRun:
    lines = []
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,  # a group of its own, to be ended with all that it started
    ) as process:
        try:
            for line in process.stdout or ():
                lines.append(line)
                show(line.rstrip())
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return CliRun(process.returncode, "".join(lines))


@contextmanager
def local_aws() -> Iterator[LocalAws]:
    """A local AWS that listens on 127.0.0.1 alone and leaves nothing behind.

    Raises:
        RuntimeError: it did not start, or the CLI is not installed.
    """
    if not CLI.exists():
        raise RuntimeError(f"{CLI.relative_to(ROOT)} is missing: run `npm install`")
    with TemporaryDirectory(prefix="local-aws-") as name:
        folder = Path(name)
        port = free_port()
        with (
            (folder / "server.log").open("w", encoding="utf-8") as log,
            # leaving this block closes the server's stdin, which ends it
            subprocess.Popen(
                [sys.executable, __file__],
                env=_server_environment(folder, port),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for those who still need it to clean up
            ) as server,
        ):
            wait_until_ready(server, port, folder / "server.log")
            yield LocalAws(folder, port, server.pid)


def free_port() -> int:
    """Find a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _server_environment(folder: Path, port: int) -> dict[str, str]:
    return {
        "AUTH": "true",  # IAM is enforced
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": f"unix://{folder}/none",  # it would tidy up containers
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "PATH": os.environ["PATH"],
        "SERVICES": "cloudcontrol,cloudformation,ec2,iam,kms,logs,route53,s3,ssm,sts",
        "SFTP_ENABLED": "0",
        "TMPDIR": str(folder),
    }


def wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until a server listens, for a minute at most; where it ends, say what it said."""
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the local AWS did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")


@dataclass(frozen=True)
class ExistingProfile:
    """An instance profile and its role, as some other team made them; `existing_profile()`."""

    aws: LocalAws
    name: str
    role_name: str
    role_arn: str
    bucket: str

    def inline_policies(self) -> list[str]:
        """The names of the role's inline policies."""
        listed = self.aws.client("iam").list_role_policies(RoleName=self.role_name)
        return list(listed["PolicyNames"])

    def description(self) -> dict[str, object]:
        """All that IAM tells of profile and role, the documents of their policies included."""
        iam = self.aws.client("iam")
        role = {"RoleName": self.role_name}
        return {
            "profile": iam.get_instance_profile(InstanceProfileName=self.name)["InstanceProfile"],
            "role": iam.get_role(**role)["Role"],
            "attached": iam.list_attached_role_policies(**role)["AttachedPolicies"],
            "inline": {
                name: iam.get_role_policy(**role, PolicyName=name)["PolicyDocument"]
                for name in self.inline_policies()
            },
        }

    def simulate(self, *actions: str, resource: str = "*") -> bool:
        """Whether IAM's simulator allows all of these: MiniStack has no service for some."""
        results = self.aws.client("iam").simulate_principal_policy(
            PolicySourceArn=self.role_arn, ActionNames=actions, ResourceArns=[resource]
        )["EvaluationResults"]
        return all(result["EvalDecision"] == "allowed" for result in results)

    def can_decrypt(self, key_arn: str) -> bool:
        """Whether KMS decrypts by this key when the role asks."""
        encrypted = self.aws.client("kms").encrypt(KeyId=key_arn, Plaintext=b"session data")
        return self._can("kms", "decrypt", CiphertextBlob=encrypted["CiphertextBlob"])

    def can_see_log_encryption(self) -> bool:
        """Whether S3 tells the role how the bucket is encrypted."""
        return self._can("s3", "get_bucket_encryption", Bucket=self.bucket)

    def can_list_bucket(self) -> bool:
        """Whether the role may still do what its own team gave it."""
        return self._can("s3", "list_objects_v2", Bucket=self.bucket)

    def credentials(self) -> dict[str, str]:
        """The role's own, as an instance has them."""
        sts = self.aws.client("sts")
        assumed = sts.assume_role(RoleArn=self.role_arn, RoleSessionName="instance")
        return dict(assumed["Credentials"])

    def _can(self, service: str, call: str, **arguments: object) -> bool:
        """Whether a call with the role's own credentials is let through."""
        try:
            getattr(self.aws.client(service, self.credentials()), call)(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"AccessDenied", "AccessDeniedException"}:
                raise
            return False
        return True


def existing_profile(aws: LocalAws, name: str) -> ExistingProfile:
    """Make an instance profile, its role with a policy, and a bucket."""
    iam = aws.client("iam")
    account = aws.client("sts").get_caller_identity()["Account"]
    role_name, bucket = f"{name}-role", f"{name}-bucket"
    trusted = {
        "Service": "ec2.amazonaws.com",
        "AWS": f"arn:aws:iam::{account}:root",  # so that it can be asked what the role may do
    }
    role = iam.create_role(
        RoleName=role_name,
        AssumeRolePolicyDocument=_policy(Principal=trusted, Action="sts:AssumeRole"),
        Tags=[{"Key": "team", "Value": "other"}],
    )["Role"]
    iam.put_role_policy(
        RoleName=role_name,
        PolicyName="list-bucket",
        PolicyDocument=_policy(Action="s3:ListBucket", Resource=f"arn:aws:s3:::{bucket}"),
    )
    profile = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role_name)
    # AWS answers a look-up from IAM; MiniStack's Cloud Control API has a store of its own, where
    # `Name` is the identifier.
    for kind, resource in {
        "Role": {"Name": role_name, "Arn": role["Arn"]},
        "InstanceProfile": {"Name": name, "Arn": profile["Arn"], "Roles": [role_name]},
    }.items():
        aws.client("cloudcontrol").create_resource(
            TypeName=f"AWS::IAM::{kind}", DesiredState=json.dumps(resource)
        )
    aws.client("s3").create_bucket(Bucket=bucket)
    return ExistingProfile(aws, name, role_name, role["Arn"], bucket)


def allow(profile: ExistingProfile, *actions: str) -> None:
    """Give the role a policy of its own team that allows the actions on every resource."""
    profile.aws.client("iam").put_role_policy(
        RoleName=profile.role_name,
        PolicyName="own",
        PolicyDocument=_policy(Action=actions, Resource="*"),
    )


def create_key(aws: LocalAws) -> str:
    """Make a KMS key whose policy leaves it to IAM who may use it, and give its ARN."""
    return str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])


def _policy(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


if __name__ == "__main__":
    # Be MiniStack until stdin closes: so it ends with its parent, even with one that is killed.
    from ministack.app import main  # configured by the environment when imported

    def end() -> None:
        """End the process with its parent."""
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    main()
