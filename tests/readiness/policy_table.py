"""Policies of every shape, with the rules that the check finds, and an evaluator of IAM."""

from typing import Any, NamedTuple

from session_manager_permissions._evaluation import Answer
from session_manager_permissions._needs import CHANNELS, REGISTRATION
from session_manager_permissions._readiness.rules import CANNOT_BE_KNOWN
from session_manager_permissions._readiness.rules.permissions import (
    CHANNEL_MISSING,
    EXPLICIT_DENY,
    REGISTRATION_MISSING,
)

Statement = dict[str, Any]
Found = frozenset[str]
"""The rules that find something."""

ACTIONS = (*CHANNELS.actions, *REGISTRATION.actions)
REGISTER = REGISTRATION.actions[0]
AWS = "arn:aws:iam::aws:policy/"
REGION = "us-east-1"
"""The region of the check."""

READY = frozenset[str]()
NO_CHANNEL = frozenset({CHANNEL_MISSING.id})
NO_REGISTRATION = frozenset({REGISTRATION_MISSING.id})
NEITHER = NO_CHANNEL  # one finding says both
DENIED = frozenset({EXPLICIT_DENY.id})
UNKNOWN = frozenset({CANNOT_BE_KNOWN.id})

IN_REQUEST = "the evaluator is asked with a context; an instance's is not known"
EMPTY = "the evaluator has no statement of a policy of AWS that moto does not have"
ONE_RESOURCE = "the evaluator is asked about `*`; which instances there will be is not known"


def allow(*actions: object, on: object = "*", **more: object) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: object, on: object = "*", **more: object) -> Statement:
    return {"Effect": "Deny", "Action": list(actions), "Resource": on, **more}


def not_actions(effect: str, *actions: object) -> Statement:
    return {"Effect": effect, "NotAction": list(actions), "Resource": "*"}


class Row(NamedTuple):
    """A role's policies, and the rules that have something to say of its profile."""

    name: str
    found: Found
    inline: tuple[list[Statement], ...] = ()
    managed: tuple[list[Statement] | str, ...] = ()
    """The statements of one in the app, or the ARN of another."""
    boundary: list[Statement] | str | None = None
    simulated: Found | None = None
    """The rules by the evaluator's answers, where they are not the same."""
    why: str = ""


ALLOW_ALL = {"Effect": "Allow", "Action": "*"}
DENY_ALL = {"Effect": "Deny", "Action": "*"}
ALL = allow(*ACTIONS)
CHANNELS_ONLY = allow(*CHANNELS.actions)
REGISTER_ONLY = allow(REGISTER)


def one(name: str, found: Found, *statements: Statement) -> Row:
    """A row of one inline policy."""
    return Row(name, found, (list(statements),))


def differs(row: Row, simulated: Found, why: str) -> Row:
    return row._replace(simulated=simulated, why=why)


ALLOWING = [
    one("the actions by name", READY, ALL),
    one("two statements", READY, CHANNELS_ONLY, REGISTER_ONLY),
    Row("two policies that complete each other", READY, ([CHANNELS_ONLY], [REGISTER_ONLY])),
    Row("a managed policy", READY, (), ([ALL],)),
    one("everything", READY, allow("*")),
    one("two stars", READY, allow("ssmmessages:**", "ssm:**")),
    one("whole services", READY, allow("ssmmessages:*", "ssm:*")),
    one("a star behind", READY, allow("ssmmessages:Create*", "ssmmessages:Open*", "ssm:Update*")),
    one("a star within", READY, allow("ssmmessages:C*l", "ssmmessages:O*l", "ssm:U*InstanceInf*n")),
    one("question marks", READY, allow("ssmmessages:????*Channel", "ssm:?pdateInstance*")),
    one("both wildcards", READY, allow("ssmmessages:?*C?ann*", "ssm:*?Instance?nformation")),
    one("small letters", READY, allow(*(action.lower() for action in ACTIONS))),
    one("capitals", READY, allow(*(action.upper() for action in ACTIONS))),
    one("a resource among others", READY, allow(*ACTIONS, on=["arn:aws:s3:::bucket", "*"])),
    one("a condition that is empty", READY, allow(*ACTIONS, Condition={})),
]

NOT_ALLOWING = [
    Row("no policy", NEITHER),
    one("no registration", NO_REGISTRATION, CHANNELS_ONLY),
    one("no channels", NO_CHANNEL, REGISTER_ONLY),
    one("no control channel", NO_CHANNEL, allow(*ACTIONS[1:])),
    one("a name cut short", NEITHER, allow("ssmmessages:Create", "ssm:UpdateInstance")),
    one("a name too long", NO_CHANNEL, allow("ssmmessages:*Channels", REGISTER)),
    one("a question mark too many", NO_CHANNEL, allow("ssmmessages:*Channel?", REGISTER)),
    one("a question mark is one letter", NO_REGISTRATION, CHANNELS_ONLY, allow("ssm:?")),
    one("brackets are no wildcard", NO_CHANNEL, allow("ssmmessages:[CO]*", REGISTER)),
    one("another verb of the service", NO_REGISTRATION, CHANNELS_ONLY, allow("ssm:Describe*")),
    one("no resource type", NO_CHANNEL, allow("ssmmessages:*", on="arn:aws:ssm:*"), REGISTER_ONLY),
    one("another's resource", NEITHER, allow("*", on="arn:aws:s3:::bucket/*")),
]

NOT_ACTION = [
    one("all but IAM", READY, not_actions("Allow", "iam:*")),
    one("as PowerUserAccess", READY, not_actions("Allow", "iam:*", "organizations:*", "account:*")),
    one("all but Systems Manager", NO_REGISTRATION, not_actions("Allow", "ssm:*")),
    one("all but opening", NO_CHANNEL, not_actions("Allow", "ssmmessages:OPEN*")),
    one("all but all", NEITHER, not_actions("Allow", "*")),
    Row("two exceptions that complete each other", READY,
        ([not_actions("Allow", "ssm:*")], [not_actions("Allow", "ssmmessages:*")])),
    one("a deny of all else", READY, ALL, not_actions("Deny", "ssm:*", "ssmmessages:*")),
    one("a deny of all but the channels", DENIED, ALL, not_actions("Deny", "ssmmessages:*")),
]  # fmt: skip

DENYING = [
    one("a deny before the allow", DENIED, deny("ssmmessages:*"), ALL),
    one("a deny of one", DENIED, ALL, deny("ssmmessages:OpenDataChannel")),
    one("a deny in small letters", DENIED, ALL, deny("ssmmessages:open*channel")),
    one("a deny of registration", DENIED, ALL, deny(REGISTER)),
    Row("a deny in a managed policy", DENIED, ([ALL],), ([deny("ssmmessages:Create*")],)),
    one("a deny of what is not allowed", DENIED, deny("*")),
    one("a deny and no registration", DENIED | NO_REGISTRATION, deny("ssmmessages:*")),
    one("a deny of other actions", READY, ALL, deny("iam:*", "ec2messages:*")),
    one("a deny on another's resource", READY, ALL, deny("*", on="arn:aws:s3:::secret/*")),
    one("a deny of channels on a resource", READY, ALL, deny("ssmmessages:*", on="arn:aws:ssm:*")),
]

BUT_BUCKET = {"NotResource": "arn:aws:s3:::bucket"}
INSTANCES, SOME = "arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:*:*:instance/i-1*"
RESOURCES = [
    one("a deny on all but none", READY, ALL, {**DENY_ALL, "NotResource": "*"}),
    one("a deny on all resources but one", DENIED, ALL, {**DENY_ALL, **BUT_BUCKET}),
    one("an allow on all resources but one", READY, {**ALLOW_ALL, **BUT_BUCKET}),
    *(
        differs(row, simulated, ONE_RESOURCE)
        for row, simulated in (
            (one("registration of instances", READY, CHANNELS_ONLY, allow(REGISTER, on=INSTANCES)),
             NO_REGISTRATION),
            (one("a deny for some instances", UNKNOWN, ALL, deny("ssm:*", on=SOME)), READY),
            (one("registration of all instances but one", UNKNOWN, CHANNELS_ONLY,
                 {**ALLOW_ALL, "Action": REGISTER, "NotResource": SOME.rstrip("*")}), READY),
        )
    ),
]  # fmt: skip

REGIONAL = {"StringEquals": {"aws:RequestedRegion": REGION}}
ELSEWHERE = {"StringNotEquals": {"aws:RequestedRegion": REGION}}
SECURE = {"Bool": {"aws:SecureTransport": "true"}}
INSECURE = {"Bool": {"aws:SecureTransport": "false"}}
REVOKED = {"DateLessThan": {"aws:TokenIssueTime": "2026-01-01T00:00:00Z"}}
OF_INSTANCE = {"ArnLike": {"ssm:SourceInstanceARN": INSTANCES}}
CONDITIONS = [
    one("by region", READY, allow("*", Condition=REGIONAL)),
    one("in other regions", NEITHER, allow("*", Condition=ELSEWHERE)),
    one("channels by region", READY, allow("ssmmessages:*", Condition=REGIONAL), REGISTER_ONLY),
    one("with a condition and without", READY, allow("*", Condition=OF_INSTANCE), ALL),
    one("a condition on what is not needed", READY, ALL, deny("s3:*", Condition=SECURE)),
    one("a deny in other regions", READY, ALL, deny("*", Condition=ELSEWHERE)),
    one("a deny in the region", DENIED, ALL, deny("*", Condition=REGIONAL)),
    one("a deny on a condition, none allowed", NEITHER, deny("*", Condition=OF_INSTANCE)),
    one("a deny on a condition and one without", DENIED,
        ALL, deny("ssm:*", Condition=OF_INSTANCE), deny("ssmmessages:*")),
    *(differs(one(name, UNKNOWN, *statements), simulated, IN_REQUEST)
      for name, simulated, statements in (
          ("by the instance's ARN", NEITHER, [allow("*", Condition=OF_INSTANCE)]),
          ("sessions revoked", READY, [ALL, deny("*", Condition=REVOKED)]))),
    one("by transport", READY, allow("*", Condition=SECURE)),
    one("a deny by transport", DENIED, deny("*", Condition=SECURE)),
    one("a deny without TLS", READY, ALL, deny("*", Condition=INSECURE)),
]  # fmt: skip


def bounded(name: str, found: Found, boundary: list[Statement] | str) -> Row:
    return Row(name, found, ([ALL],), boundary=boundary)


BOUNDARIES = [
    bounded("a boundary of all", READY, [allow("*")]),
    Row("a boundary of what is needed", READY, ([allow("*")],), boundary=[ALL]),
    bounded("a boundary of all but IAM", READY, [not_actions("Allow", "iam:*")]),
    bounded("a boundary of AWS", READY, f"{AWS}PowerUserAccess"),
    Row("a boundary, and no policy", NEITHER, boundary=[allow("*")]),
    Row("a boundary, and no registration", NO_REGISTRATION, ([CHANNELS_ONLY],), boundary=[ALL]),
    bounded("a boundary of S3", NEITHER, [allow("s3:*")]),
    bounded("a boundary of the channels", NO_REGISTRATION, [CHANNELS_ONLY]),
    bounded("a boundary of registration", NO_CHANNEL, [REGISTER_ONLY]),
    bounded("a boundary with a deny", DENIED, [allow("*"), deny("ssm:*")]),
    bounded("an AWS boundary of S3", NEITHER, f"{AWS}AmazonS3FullAccess"),
    differs(bounded("a boundary on a condition", UNKNOWN, [allow("*", Condition=OF_INSTANCE)]),
        NEITHER, IN_REQUEST),
]  # fmt: skip

CORE = f"{AWS}AmazonSSMManagedInstanceCore"
MANAGED = [
    Row("AWS's", READY, (), (CORE,)),
    Row("AWS's that reads", NEITHER, (), (f"{AWS}ReadOnlyAccess",)),
    Row("AWS's and a deny", DENIED, ([deny("ssm:*")],), (CORE,)),
    Row("AWS's for EKS, and inline", READY, ([ALL],), (f"{AWS}AmazonEKSWorkerNodePolicy",)),
    Row("AWS's of a path", NEITHER, (), (f"{AWS}service-role/AmazonEC2RoleforAWSCodeDeploy",)),
    *(Row(f"AWS's {name}, and inline", DENIED, ([ALL],), (f"{AWS}{name}",))
      for name in ("AWSDenyAll", "AmazonSecurityLakePermissionsBoundary")),
    *(differs(Row(f"AWS's {name}, and inline", UNKNOWN, ([ALL],), (f"{AWS}{name}",)), READY, EMPTY)
      for name in ("AWSNewerThanTheData", "service-role/AmazonSSMManagedInstanceCore")),
    differs(Row("AWS's that is not known", UNKNOWN, (), (f"{AWS}AWSNewerThanTheData",)),
        NEITHER, EMPTY),
]  # fmt: skip

ROWS = [
    *(*ALLOWING, *NOT_ALLOWING, *NOT_ACTION, *DENYING),
    *(*RESOURCES, *CONDITIONS, *BOUNDARIES, *MANAGED),
]


class ResourceRow(NamedTuple):
    """One question about one resource."""

    name: str
    answer: Answer
    action: str
    resource: str
    statements: list[Statement]


KEYS = "arn:aws:kms:eu-west-1:111122223333:"
KEY = f"{KEYS}key/1234abcd-12ab-34cd-56ef-1234567890ab"
LOG = "arn:aws:s3:::logs/sessions/abc-0123.log"


def on_key(name: str, answer: Answer, *statements: Statement) -> ResourceRow:
    return ResourceRow(name, answer, "kms:Decrypt", KEY, list(statements))


def on_log(name: str, answer: Answer, *statements: Statement) -> ResourceRow:
    return ResourceRow(name, answer, "s3:PutObject", LOG, list(statements))


OTHER_KEY = f"{KEY[:-1]}c"
BUT_KEY = {"Effect": "Allow", "Action": "kms:Decrypt", "NotResource": KEY}
DENY_BUT_KEY = {"Effect": "Deny", "Action": "kms:*", "NotResource": f"{KEY[:-4]}*"}
FOR_SESSIONS = {"Null": {"kms:EncryptionContext:aws:ssm:SessionId": "false"}}
ALLOWED, UNKNOWN_, NOT_ALLOWED = Answer.ALLOWED, Answer.UNKNOWN, Answer.IMPLICIT_DENY
RESOURCE_ROWS = [
    on_key("the key", ALLOWED, allow("kms:Decrypt", on=KEY)),
    on_key("another key", NOT_ALLOWED, allow("kms:Decrypt", on=OTHER_KEY)),
    on_key("all keys of its account", ALLOWED, allow("kms:*", on=f"{KEYS}key/*")),
    on_key("any partition", ALLOWED, allow("kms:*", on="arn:*:kms:*:*:key/*")),
    on_key("a star across colons", ALLOWED, allow("kms:*", on="arn:aws:kms:*:key/1234*")),
    on_key("question marks", ALLOWED, allow("kms:*", on=KEY.replace("1234abcd", "????????"))),
    on_key("a question mark too few", NOT_ALLOWED, allow("kms:*", on=f"{KEY[:-2]}?")),
    on_key("capitals in a resource", NOT_ALLOWED, allow("kms:*", on=KEY.replace("b", "B"))),
    on_key("a deny of the key", Answer.EXPLICIT_DENY, allow("kms:*"), deny("kms:De*", on=KEY)),
    on_key("a deny of another", ALLOWED, allow("kms:*"), deny("*", on=OTHER_KEY)),
    on_key("all but the key", NOT_ALLOWED, BUT_KEY),
    on_key("all but another", ALLOWED, {**BUT_KEY, "NotResource": [OTHER_KEY, "arn:aws:s3:::b"]}),
    on_key("a deny of all but the key", ALLOWED, allow("kms:Decrypt", on=KEY), DENY_BUT_KEY),
    on_key("sessions only", UNKNOWN_, allow("kms:Decrypt", Condition=FOR_SESSIONS)),
    on_log("objects below a prefix", ALLOWED, allow("s3:Put*", on="arn:aws:s3:::logs/s*")),
    on_log("the bucket alone", NOT_ALLOWED, allow("s3:*", on="arn:aws:s3:::logs")),
    on_log("a variable", UNKNOWN_, allow("s3:*", on="arn:aws:s3:::logs/${aws:userid}*")),
    on_log("a variable elsewhere", NOT_ALLOWED, allow("s3:*", on="arn:aws:s3:::${a}/x")),
    on_log("brackets", NOT_ALLOWED, allow("s3:*", on="arn:aws:s3:::[logs]*")),
]


def document(statements: list[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


EC2 = {"Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
EC2_TRUST: dict[str, Any] = document([{"Effect": "Allow", **EC2}])
