"""Policies of every shape and what comes of them: for the check, and for IAM's simulator."""

from __future__ import annotations

from typing import Any, NamedTuple

from session_manager_permissions._needs import CHANNELS, REGISTRATION
from session_manager_permissions._readiness.policies import Answer
from session_manager_permissions._readiness.rules import (
    CANNOT_BE_KNOWN,
    CHANNEL_MISSING,
    EXPLICIT_DENY,
    REGISTRATION_MISSING,
)

Statement = dict[str, Any]

ACTIONS = (*CHANNELS.actions, *REGISTRATION.actions)
REGISTER = REGISTRATION.actions[0]
AWS = "arn:aws:iam::aws:policy/"

READY = frozenset[str]()
NO_CHANNEL = frozenset({CHANNEL_MISSING})
NO_REGISTRATION = frozenset({REGISTRATION_MISSING})
NEITHER = NO_CHANNEL  # one finding says both
DENIED = frozenset({EXPLICIT_DENY})
UNKNOWN = frozenset({CANNOT_BE_KNOWN})

IN_REQUEST = "the simulator is asked with a context; an instance's is not known"
NO_BOUNDARY = "the local AWS's simulator leaves the permissions boundary out"
ONE_RESOURCE = "the simulator is asked about `*`; which instances there will be is not known"


def allow(*actions: object, on: object = "*", **more: object) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: object, on: object = "*", **more: object) -> Statement:
    return {"Effect": "Deny", "Action": list(actions), "Resource": on, **more}


def not_actions(effect: str, *actions: object) -> Statement:
    return {"Effect": effect, "NotAction": list(actions), "Resource": "*"}


class Row(NamedTuple):
    """A role's policies, and the rules that have something to say of its profile."""

    name: str
    found: frozenset[str]
    inline: tuple[list[Statement], ...] = ()
    managed: tuple[list[Statement] | str, ...] = ()
    """The statements of one in the app, or the ARN of another."""
    boundary: list[Statement] | str | None = None
    simulated: frozenset[str] | None = None
    """What comes of the simulator's answers, where it is not the same."""
    why: str = ""


ALL = allow(*ACTIONS)
CHANNELS_ONLY = allow(*CHANNELS.actions)
REGISTER_ONLY = allow(REGISTER)


def one(name: str, found: frozenset[str], *statements: Statement) -> Row:
    """A row of one inline policy."""
    return Row(name, found, (list(statements),))


def differs(row: Row, simulated: frozenset[str], why: str) -> Row:
    return row._replace(simulated=simulated, why=why)


ALLOWING = [
    one("the actions by name", READY, ALL),
    one("two statements", READY, CHANNELS_ONLY, REGISTER_ONLY),
    Row("two policies that complete each other", READY, ([CHANNELS_ONLY], [REGISTER_ONLY])),
    Row("a policy for each action", READY, tuple([allow(action)] for action in ACTIONS)),
    Row("inline and managed complete each other", READY, ([CHANNELS_ONLY],), ([REGISTER_ONLY],)),
    Row("a managed policy", READY, (), ([ALL],)),
    Row("two managed policies", READY, (), ([CHANNELS_ONLY], [REGISTER_ONLY])),
    one("an action that is no list", READY, {"Effect": "Allow", "Action": "*", "Resource": "*"}),
    one("everything", READY, allow("*")),
    one("everything, with a colon", READY, allow("*:*")),
    one("two stars", READY, allow("ssmmessages:**", "ssm:**")),
    one("whole services", READY, allow("ssmmessages:*", "ssm:*")),
    one("a star in front", READY, allow("ssmmessages:*Channel", REGISTER)),
    one("a star behind", READY, allow("ssmmessages:Create*", "ssmmessages:Open*", "ssm:Update*")),
    one("a star within", READY, allow("ssmmessages:C*l", "ssmmessages:O*l", "ssm:U*InstanceInf*n")),
    one("stars around", READY, allow("ssmmessages:*Control*", "ssmmessages:*Data*", "ssm:*Info*")),
    one(
        "question marks", READY, allow("ssmmessages:????*Channel", "ssm:UpdateInstanceInformatio?")
    ),
    one("question mark for one letter", READY, allow("ssmmessages:*Channe?", "ssm:?pdate*")),
    one("both wildcards", READY, allow("ssmmessages:?*C?ann*", "ssm:*?Instance?nformation")),
    one("small letters", READY, allow(*(action.lower() for action in ACTIONS))),
    one("capitals", READY, allow(*(action.upper() for action in ACTIONS))),
    one("capitals and a star", READY, allow("SSMMESSAGES:O*", "SsmMessages:c*", "SSM:update*")),
    one("a resource in a list", READY, allow(*ACTIONS, on=["*"])),
    one("a resource among others", READY, allow(*ACTIONS, on=["arn:aws:s3:::bucket", "*"])),
    one("a condition that is empty", READY, allow(*ACTIONS, Condition={})),
    one("statements that allow twice", READY, ALL, CHANNELS_ONLY),
]

NOT_ALLOWING = [
    Row("no policy", NEITHER),
    one("other actions", NEITHER, allow("s3:*", "logs:*")),
    one("no registration", NO_REGISTRATION, CHANNELS_ONLY),
    one("no channels", NO_CHANNEL, REGISTER_ONLY),
    *(
        one(f"no {action}", NO_CHANNEL, allow(*(other for other in ACTIONS if other != action)))
        for action in CHANNELS.actions
    ),
    one("a name cut short", NEITHER, allow("ssmmessages:Create", "ssm:UpdateInstance")),
    one("a name too long", NO_CHANNEL, allow("ssmmessages:*Channels", REGISTER)),
    one("a question mark too many", NO_CHANNEL, allow("ssmmessages:*Channel?", REGISTER)),
    one("a question mark is one letter", NO_REGISTRATION, CHANNELS_ONLY, allow("ssm:?")),
    one("brackets are no wildcard", NO_CHANNEL, allow("ssmmessages:[CO]*", REGISTER)),
    one("the messages of before", NO_CHANNEL, allow("ec2messages:*", "ssm:*")),
    one("another verb of the service", NO_REGISTRATION, CHANNELS_ONLY, allow("ssm:Describe*")),
    one("no resource type", NO_CHANNEL, allow("ssmmessages:*", on="arn:aws:ssm:*"), REGISTER_ONLY),
    one("another's resource", NEITHER, allow("*", on="arn:aws:s3:::bucket/*")),
]

NOT_ACTION = [
    one("all but IAM", READY, not_actions("Allow", "iam:*")),
    one("as PowerUserAccess", READY, not_actions("Allow", "iam:*", "organizations:*", "account:*")),
    one("all but Systems Manager", NO_REGISTRATION, not_actions("Allow", "ssm:*")),
    one("all but the channels", NO_CHANNEL, not_actions("Allow", "ssmmessages:*")),
    one("all but opening", NO_CHANNEL, not_actions("Allow", "ssmmessages:OPEN*")),
    one("all but all", NEITHER, not_actions("Allow", "*")),
    Row(
        "two exceptions that complete each other",
        READY,
        ([not_actions("Allow", "ssm:*")], [not_actions("Allow", "ssmmessages:*")]),
    ),
    one("a deny of all else", READY, ALL, not_actions("Deny", "ssm:*", "ssmmessages:*")),
    one("a deny of all but S3", DENIED, ALL, not_actions("Deny", "s3:*")),
    one("a deny of all but the channels", DENIED, ALL, not_actions("Deny", "ssmmessages:*")),
]

DENYING = [
    one("a deny of the channels", DENIED, ALL, deny("ssmmessages:*")),
    one("a deny before the allow", DENIED, deny("ssmmessages:*"), ALL),
    one("a deny of all", DENIED, ALL, deny("*")),
    one("a deny of one", DENIED, ALL, deny("ssmmessages:OpenDataChannel")),
    one("a deny in small letters", DENIED, ALL, deny("ssmmessages:open*channel")),
    one("a deny of registration", DENIED, ALL, deny(REGISTER)),
    Row("a deny in another policy", DENIED, ([ALL], [deny("ssm:*")])),
    Row("a deny in a managed policy", DENIED, ([ALL],), ([deny("ssmmessages:Create*")],)),
    one("a deny of what is not allowed", DENIED, deny("*")),
    one("a deny and no registration", DENIED | NO_REGISTRATION, deny("ssmmessages:*")),
    one("a deny of other actions", READY, ALL, deny("iam:*", "ec2messages:*")),
    one("other actions denied, none allowed", NEITHER, deny("s3:*")),
    one("a deny on another's resource", READY, ALL, deny("*", on="arn:aws:s3:::secret/*")),
    one("a deny of channels on a resource", READY, ALL, deny("ssmmessages:*", on="arn:aws:ssm:*")),
]

RESOURCES = [
    one(
        "a deny on all resources but none",
        READY,
        ALL,
        {"Effect": "Deny", "Action": "*", "NotResource": "*"},
    ),
    one(
        "a deny on all resources but one",
        DENIED,
        ALL,
        {"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::bucket"},
    ),
    one(
        "an allow on all resources but one",
        READY,
        {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::bucket"},
    ),
    differs(
        one(
            "registration of instances",
            READY,
            CHANNELS_ONLY,
            allow(
                REGISTER,
                on=[
                    "arn:aws:ec2:*:*:instance/*",
                ],
            ),
        ),
        NO_REGISTRATION,
        ONE_RESOURCE,
    ),
    differs(
        one(
            "a deny for one instance", UNKNOWN, ALL, deny("ssm:*", on="arn:aws:ec2:*:instance/i-1*")
        ),
        READY,
        ONE_RESOURCE,
    ),
    differs(
        one(
            "registration of all instances but one",
            UNKNOWN,
            CHANNELS_ONLY,
            {"Effect": "Allow", "Action": REGISTER, "NotResource": "arn:aws:ec2:*:*:instance/i-1"},
        ),
        READY,
        ONE_RESOURCE,
    ),
]

REGIONAL = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
SECURE = {"Bool": {"aws:SecureTransport": "true"}}
INSECURE = {"Bool": {"aws:SecureTransport": "false"}}
CONDITIONS = [
    differs(one("by region", UNKNOWN, allow("*", Condition=REGIONAL)), READY, IN_REQUEST),
    differs(one("by transport", READY, allow("*", Condition=SECURE)), NEITHER, IN_REQUEST),
    differs(one("without TLS", NEITHER, allow("*", Condition=INSECURE)), READY, IN_REQUEST),
    differs(
        one(
            "by transport and region",
            UNKNOWN,
            allow("*", Condition=SECURE | REGIONAL),
        ),
        NEITHER,
        IN_REQUEST,
    ),
    differs(
        one("a deny by transport", DENIED, ALL, deny("*", Condition=SECURE)), READY, IN_REQUEST
    ),
    one(
        "a deny of what is encrypted or not",
        DENIED,
        ALL,
        deny("*", Condition={"BoolIfExists": {"aws:securetransport": ["true", "false"]}}),
    ),
    differs(
        one(
            "a deny by transport, as a parameter has it",
            UNKNOWN,
            ALL,
            deny("*", Condition={"Bool": {"aws:SecureTransport": "${aws:username}"}}),
        ),
        READY,
        IN_REQUEST,
    ),
    differs(
        one(
            "channels by region", UNKNOWN, allow("ssmmessages:*", Condition=REGIONAL), REGISTER_ONLY
        ),
        READY,
        IN_REQUEST,
    ),
    differs(
        one(
            "by the instance's ARN",
            UNKNOWN,
            allow(
                "*", Condition={"ArnLike": {"ssm:SourceInstanceARN": "arn:aws:ec2:*:*:instance/*"}}
            ),
        ),
        NEITHER,
        IN_REQUEST,
    ),
    one("with a condition and without", READY, allow("*", Condition=SECURE), ALL),
    one("a condition on what is not needed", READY, ALL, deny("s3:*", Condition=SECURE)),
    one("a deny on a condition, none allowed", NEITHER, deny("*", Condition=REGIONAL)),
    differs(
        one(
            "a deny in other regions",
            UNKNOWN,
            ALL,
            deny("*", Condition={"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}),
        ),
        READY,
        IN_REQUEST,
    ),
    differs(
        one(
            "a deny without TLS",
            READY,
            ALL,
            deny("*", Condition=INSECURE),
        ),
        DENIED,
        IN_REQUEST,
    ),
    differs(
        one(
            "sessions revoked",
            UNKNOWN,
            ALL,
            deny("*", Condition={"DateLessThan": {"aws:TokenIssueTime": "2026-01-01T00:00:00Z"}}),
        ),
        READY,
        IN_REQUEST,
    ),
    one(
        "a deny on a condition and one without",
        DENIED,
        ALL,
        deny("ssm:*", Condition=REGIONAL),
        deny("ssmmessages:*"),
    ),
]

BOUNDARIES = [
    Row("a boundary of all", READY, ([ALL],), boundary=[allow("*")]),
    Row("a boundary of what is needed", READY, ([allow("*")],), boundary=[ALL]),
    Row("a boundary of two statements", READY, ([ALL],), boundary=[CHANNELS_ONLY, REGISTER_ONLY]),
    Row("a boundary of all but IAM", READY, ([ALL],), boundary=[not_actions("Allow", "iam:*")]),
    Row("a boundary of AWS", READY, ([ALL],), boundary=f"{AWS}PowerUserAccess"),
    Row("a boundary, and no policy", NEITHER, boundary=[allow("*")]),
    Row("a boundary, and no registration", NO_REGISTRATION, ([CHANNELS_ONLY],), boundary=[ALL]),
    *(
        differs(row, READY, NO_BOUNDARY)
        for row in (
            Row("a boundary of S3", NEITHER, ([ALL],), boundary=[allow("s3:*")]),
            Row("a boundary of the channels", NO_REGISTRATION, ([ALL],), boundary=[CHANNELS_ONLY]),
            Row("a boundary of registration", NO_CHANNEL, ([ALL],), boundary=[REGISTER_ONLY]),
            Row("a boundary with a deny", DENIED, ([ALL],), boundary=[allow("*"), deny("ssm:*")]),
            Row("an AWS boundary of S3", NEITHER, ([ALL],), boundary=f"{AWS}AmazonS3FullAccess"),
            Row(
                "a boundary on a condition",
                UNKNOWN,
                ([ALL],),
                boundary=[allow("*", Condition=REGIONAL)],
            ),
        )
    ),
]

AWS_MANAGED = [
    Row(name, found, (), (f"{AWS}{name}",))
    for name, found in {
        "AdministratorAccess": READY,
        "AmazonSSMManagedInstanceCore": READY,
        "PowerUserAccess": READY,
        "AmazonDynamoDBFullAccess": NEITHER,
        "AmazonEC2FullAccess": NEITHER,
        "AmazonEC2ReadOnlyAccess": NEITHER,
        "AmazonEKSWorkerNodePolicy": NEITHER,
        "AmazonEKS_CNI_Policy": NEITHER,
        "AmazonS3FullAccess": NEITHER,
        "AmazonS3ReadOnlyAccess": NEITHER,
        "AmazonSNSFullAccess": NEITHER,
        "AmazonSQSFullAccess": NEITHER,
        "AWSCloudFormationFullAccess": NEITHER,
        "AWSXRayDaemonWriteAccess": NEITHER,
        "CloudWatchAgentServerPolicy": NEITHER,
        "CloudWatchLogsFullAccess": NEITHER,
        "ReadOnlyAccess": NEITHER,
        "SecurityAudit": NEITHER,
    }.items()
]
MANAGED = [
    *AWS_MANAGED,
    Row("AWS's and a deny", DENIED, ([deny("ssm:*")],), (f"{AWS}AmazonSSMManagedInstanceCore",)),
    Row("AWS's for EKS, and inline", READY, ([ALL],), (f"{AWS}AmazonEKSWorkerNodePolicy",)),
    Row("AWS's of a path", NEITHER, (), (f"{AWS}service-role/AmazonEC2RoleforAWSCodeDeploy",)),
    *(
        differs(
            Row(f"AWS's {name}, and inline", found, ([ALL],), (f"{AWS}{name}",)),
            READY,
            "the local AWS has no such policy, and takes one that it does not have as empty",
        )
        for name, found in {
            "AWSDenyAll": DENIED,
            "AWSNewerThanTheData": UNKNOWN,
            "AmazonSecurityLakePermissionsBoundary": DENIED,
            "service-role/AmazonSSMManagedInstanceCore": UNKNOWN,
        }.items()
    ),
    differs(
        Row("AWS's that is not known", UNKNOWN, (), (f"{AWS}AWSNewerThanTheData",)),
        NEITHER,
        "the local AWS takes a policy of AWS that it does not have as empty",
    ),
]

ROWS = [
    *ALLOWING,
    *NOT_ALLOWING,
    *NOT_ACTION,
    *DENYING,
    *RESOURCES,
    *CONDITIONS,
    *BOUNDARIES,
    *MANAGED,
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


RESOURCE_ROWS = [
    on_key("the key", Answer.ALLOWED, allow("kms:Decrypt", on=KEY)),
    on_key("the key in a list", Answer.ALLOWED, allow("kms:Decrypt", on=["arn:aws:s3:::b", KEY])),
    on_key("another key", Answer.IMPLICIT_DENY, allow("kms:Decrypt", on=KEY[:-1] + "c")),
    on_key("all keys of its account", Answer.ALLOWED, allow("kms:*", on=f"{KEYS}key/*")),
    on_key("all keys of a region", Answer.ALLOWED, allow("kms:*", on="arn:aws:kms:eu-west-1:*")),
    on_key("another region", Answer.IMPLICIT_DENY, allow("kms:*", on="arn:aws:kms:us-*:*:key/*")),
    on_key("any partition", Answer.ALLOWED, allow("kms:*", on="arn:*:kms:*:*:key/*")),
    on_key("a star across colons", Answer.ALLOWED, allow("kms:*", on="arn:aws:kms:*:key/1234*")),
    on_key(
        "question marks", Answer.ALLOWED, allow("kms:*", on=KEY.replace("1234abcd", "????????"))
    ),
    on_key("a question mark too few", Answer.IMPLICIT_DENY, allow("kms:*", on=f"{KEY[:-2]}?")),
    on_key(
        "capitals in a resource", Answer.IMPLICIT_DENY, allow("kms:*", on=KEY.replace("b", "B"))
    ),
    on_key("an alias", Answer.IMPLICIT_DENY, allow("kms:Decrypt", on=f"{KEYS}alias/sessions")),
    on_key("a deny of the key", Answer.EXPLICIT_DENY, allow("kms:*"), deny("kms:De*", on=KEY)),
    on_key("a deny of another", Answer.ALLOWED, allow("kms:*"), deny("*", on=f"{KEY[:-1]}c")),
    on_key(
        "all but the key",
        Answer.IMPLICIT_DENY,
        {"Effect": "Allow", "Action": "kms:Decrypt", "NotResource": KEY},
    ),
    on_key(
        "all but another",
        Answer.ALLOWED,
        {
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "NotResource": [f"{KEY[:-1]}c", "arn:aws:s3:::b"],
        },
    ),
    on_key(
        "a deny of all but the key",
        Answer.ALLOWED,
        allow("kms:Decrypt", on=KEY),
        {"Effect": "Deny", "Action": "kms:*", "NotResource": f"{KEY[:-4]}*"},
    ),
    on_key(
        "sessions only",
        Answer.UNKNOWN,
        allow(
            "kms:Decrypt", Condition={"Null": {"kms:EncryptionContext:aws:ssm:SessionId": "false"}}
        ),
    ),
    on_log("objects below a prefix", Answer.ALLOWED, allow("s3:Put*", on="arn:aws:s3:::logs/s*")),
    on_log("objects of another", Answer.IMPLICIT_DENY, allow("s3:*", on="arn:aws:s3:::logs/x/*")),
    on_log("the bucket alone", Answer.IMPLICIT_DENY, allow("s3:*", on="arn:aws:s3:::logs")),
    on_log("one letter", Answer.ALLOWED, allow("s3:*", on="arn:aws:s3:::log?/*/abc-*.log")),
    on_log(
        "a policy variable", Answer.UNKNOWN, allow("s3:*", on="arn:aws:s3:::logs/${aws:userid}*")
    ),
    on_log("a variable elsewhere", Answer.IMPLICIT_DENY, allow("s3:*", on="arn:aws:s3:::${a}/x")),
    on_log("brackets", Answer.IMPLICIT_DENY, allow("s3:*", on="arn:aws:s3:::[logs]*")),
]


def template(row: Row) -> dict[str, Any]:
    """A template with a profile whose role has the policies of the row."""
    role: dict[str, Any] = {
        "AssumeRolePolicyDocument": EC2_TRUST,
        "Policies": [
            {"PolicyName": f"Inline{number}", "PolicyDocument": document(statements)}
            for number, statements in enumerate(row.inline)
        ],
        "ManagedPolicyArns": [],
    }
    resources: dict[str, Any] = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": role},
        "Profile": {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"Roles": [{"Ref": "Role"}]},
        },
    }

    def managed(logical_id: str, policy: list[Statement] | str) -> object:
        if isinstance(policy, str):
            return policy
        properties = {"PolicyDocument": document(policy)}
        resources[logical_id] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}
        return {"Ref": logical_id}

    for number, policy in enumerate(row.managed):
        role["ManagedPolicyArns"].append(managed(f"Managed{number}", policy))
    if row.boundary is not None:
        role["PermissionsBoundary"] = managed("Boundary", row.boundary)
    return {"Resources": resources}


def document(statements: list[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


EC2_TRUST: dict[str, Any] = document(
    [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ]
)
