"""What ends the command without an answer: its status is 2, and one line says why."""

import json
import shlex
from typing import Any, Final

import pytest

from .causes import SESSION_OF_ROLE, Change, having, refusing, setting
from .nodes import ACCOUNT, DOCUMENT, HYBRID, KEY, NODE, OF_SSO, ROLE, USER, World, both
from .running import run

OF_ROLE: Final = "verify --role web-server"
OF_DOCUMENT: Final = f"{OF_ROLE} --document {DOCUMENT}"
OF_PROFILE: Final = "verify --instance-profile web-server"
OF_NODE: Final = f"verify --instance-id {NODE}"
OF_HYBRID: Final = f"verify --instance-id {HYBRID}"
NEEDS: Final = "the credentials lack"
NOT_AWS: Final = (
    "the answer of {} did not come from AWS: look for a proxy, check AWS_ENDPOINT_URL, "
    "or try again\n"
)
NO_ID: Final = {"OwnerId": ACCOUNT, "Instances": [{"InstanceId": NODE}]}
NO_RESULTS: Final[tuple[Any, ...]] = ({}, {"EvaluationResults": [{}]})
NO_PROFILES: Final[tuple[Any, ...]] = ({}, {"Roles": [{}]})
WIDE: Final = ("*", "eu-*", "?", "${aws:RequestedRegion}", "eu west", "a:b", "é", "")
OPTIONS: Final = {"key": KEY, "log-bucket": "logs", "log-prefix": "web", "log-bucket-key": KEY}
# As Go's `strconv.ParseBool` would refuse the strings.
NO_BOOLEANS: Final[tuple[object, ...]] = ("yes", "tRUE", " true", 0, 1, [], {})


@pytest.mark.parametrize(("line", "says"), [
    ("", "COMMAND"),
    *((f"audit --tag {tag}", f"'{tag}' is not KEY=VALUE") for tag in ("=prod", "env=")),
    ("audit --region ''", "'' is not the name of a region"),
    *((f"audit --{name} ''", "'' is not a path") for name in ("file", "profiles-file")),
    (f"{OF_ROLE} --agent-diagnostics a.json", "--agent-diagnostics needs --instance-id"),
    (f"{OF_ROLE} --wait 1", "--wait needs --instance-id"),
    *((f"{OF_NODE} --{name} {of}", f"--{name} can't be used with --instance-id")
      for name, of in OPTIONS.items()),
    *((f"verify --instance-id {text}", "is not the id of an instance")
      for text in ("i-1234567", "I-12345678")),
    *((f"{OF_NODE} --operator {arn}", "argument --operator: ")
      for arn in (f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:group/a", "alice")),
    *((f"{OF_NODE} --wait={time}", f"{time!r} is not a number of seconds")
      for time in ("0", "-1", "1.5", "soon", "9999999")),
    *((f"policy --log-group /ssm --{name} {shlex.quote(text)}",
       f"argument --{name}: {text!r} is not ")
      for name in ("region", "account", "partition") for text in WIDE),
    *((f"policy --log-group /ssm --region eu-west-1 --account {text}",
       f"argument --account: {text!r} is not the id of an account: 12 digits")
      for text in (ACCOUNT[1:], f"{ACCOUNT}0", "aws")),
    *((f"{OF_DOCUMENT} --{name} {of}", f"--{name} can't be used with --document")
      for name, of in (("log-bucket", "logs"), ("log-prefix", "web"), ("log-group", "/a"))),
    (f"{OF_DOCUMENT} --log-bucket-key {KEY}", f"--log-bucket-key {KEY} has no bucket"),
])  # fmt: skip
def test_a_wrong_command_line(line: str, says: str) -> None:
    found = run(World(setting(document={"sessionType": "Port"})), *shlex.split(line))

    assert (found.status, found.out) == (2, "")
    assert says in found.err


@pytest.mark.parametrize("id_", [NODE, "i-12345678"])
@pytest.mark.parametrize("operator", ["caller", USER, ROLE, SESSION_OF_ROLE])
def test_a_right_command_line(id_: str, operator: str) -> None:
    assert run(World(), "verify", "--instance-id", id_, "--operator", operator).status != 2


def document(text: object, **inputs: object) -> Change:
    """Give the account a document with this text, or with this session type and inputs."""
    content = {"sessionType": text, "inputs": inputs} if inputs else text
    content = content if isinstance(content, str) else json.dumps(content)
    return having("ssm:get_document", {"Content": content})


BOOLEANS: Final = (
    *(("s3EncryptionEnabled", value) for value in NO_BOOLEANS),
    *(("cloudWatchEncryptionEnabled", "yes"), ("runAsEnabled", "yes")),
)


@pytest.mark.parametrize(("line", "says", "does"), [
    *((OF_DOCUMENT, f"{DOCUMENT} is not a Session document", document(of))
      for of in ("schemaVersion: '1.0'", "[]", {"sessionType": ["Port"]},
                 {"sessionType": "Port", "inputs": ["a"]})),
    (OF_DOCUMENT, f"{DOCUMENT} has 7 for s3BucketName",
     document("Standard_Stream", s3BucketName=7)),
    *((OF_DOCUMENT, f"{DOCUMENT} has {value!r} for {name}", document(kind, **{name: value}))
      for kind in ("Standard_Stream", "Port") for name, value in BOOLEANS),
    (OF_PROFILE, f"{NEEDS} iam:GetInstanceProfile on the instance profile web-server\n",
     refusing("iam:GetInstanceProfile")),
    (OF_PROFILE, f"{NEEDS} iam:GetRole on the role web-server\n", refusing("iam:GetRole")),
    (OF_PROFILE, f"{NEEDS} iam:SimulatePrincipalPolicy on {ROLE}\n",
     refusing("iam:SimulatePrincipalPolicy")),
    (OF_ROLE, f"only AWS can change the role {OF_SSO}", setting(of_role={"Arn": OF_SSO})),
    (OF_ROLE, NOT_AWS.format("iam"), having("iam:get_role", {"Role": {}})),
    *((OF_ROLE, NOT_AWS.format("iam"), having("iam:simulate_principal_policy", answer))
      for answer in NO_RESULTS),
    *((OF_PROFILE, NOT_AWS.format("iam"),
       having("iam:get_instance_profile", {"InstanceProfile": found})) for found in NO_PROFILES),
    (OF_NODE, NOT_AWS.format("ec2"), having("ec2:describe_instances", {"Reservations": [NO_ID]})),
    (OF_HYBRID, NOT_AWS.format("sts"),
     both(World.is_hybrid, having("sts:get_caller_identity", {"Arn": "alice"}))),
])  # fmt: skip
def test_an_answer_of_aws_that_says_nothing(line: str, says: str, does: Change) -> None:
    found = run(World(does), *line.split())

    assert (found.status, found.out, found.err.count("\n")) == (2, "", 1)
    assert found.err.startswith("session-manager-permissions: ")
    assert says in found.err
