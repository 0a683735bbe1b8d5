"""The diagnosis of one node: which check fails, which is unknown, and what each says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, InvalidRegionError

from session_manager_permissions._verify.asking import CannotAsk

from .nodes import (
    ACCOUNT,
    ACCOUNT_ROLE,
    ALIAS,
    HYBRID,
    KEY,
    NODE,
    OTHER_ACCOUNT,
    REGION,
    ROLE,
    USER,
    World,
    allowing,
    both,
    dhcp_options,
    diagnosed,
    encrypted,
    endpoint,
    group,
    key,
    nothing,
    of_verdict,
    one,
    policy,
    refusal,
    status,
    trusting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

REGISTER: Final = "ssm:UpdateInstanceInformation"
CHANNEL: Final = "ssmmessages:OpenControlChannel"
SYMPTOMS: Final = {"connected", "registered"}


class Row(NamedTuple):
    """What is wrong with the world, and what must be found."""

    name: str
    breaks: Callable[[World], object]
    fails: frozenset[str]
    unknown: frozenset[str] = frozenset()
    says: str = ""
    """A part of the first failing check that is no symptom, or of the first unknown one."""
    node: str = NODE


def row(
    name: str, *fails: str, does: Callable[[World], object], unknown: str = "", says: str = ""
) -> Row:
    return Row(name, does, frozenset(fails), frozenset(unknown.split()), says)


def hybrid(
    name: str, *fails: str, does: Callable[[World], object], unknown: str = "", says: str = ""
) -> Row:
    def breaks(world: World) -> None:
        world.is_hybrid()
        does(world)

    return row(name, *fails, does=breaks, unknown=unknown, says=says)._replace(node=HYBRID)


def instance(**parts: object) -> Callable[[World], object]:
    return lambda world: world.instance.update(parts)


def denying(*actions: str) -> Callable[[World], object]:
    return lambda world: world.denies.update(actions)


def using(**inputs: object) -> Callable[[World], object]:
    return lambda world: world.uses(**inputs)


def having(name: str, answer: object) -> Callable[[World], object]:
    return lambda world: world.has(name, answer)


def refusing(operation: str, code: str = "AccessDeniedException") -> Callable[[World], object]:
    return lambda world: world.refuses(operation, code)


def not_trusting(world: World) -> None:
    world.trust = {"Statement": [trusting("lambda.amazonaws.com")]}


FOREIGN_KEY: Final = KEY.replace(ACCOUNT, OTHER_ACCOUNT)


def trusting_perhaps(world: World) -> None:
    world.trust = {"Statement": [trusting("ec2.amazonaws.com") | {"Condition": {"Bool": {}}}]}


def profile_id(found: str) -> Callable[[World], object]:
    """Have the account's profile of this name have another id than the instance's."""

    def change(world: World) -> None:
        answer = world._profile()  # noqa: SLF001 # the answer of the world itself
        answer["InstanceProfile"]["InstanceProfileId"] = found
        world.has("iam:get_instance_profile", answer)

    return change


def only(service: str, action: str) -> dict[str, Any]:
    """An endpoint whose policy allows this alone."""
    allowed = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"}
    names = {"PrivateDnsOnlyForInboundResolverEndpoint": False}  # of the endpoint of S3
    policy_ = json.dumps({"Statement": [allowed]})
    return endpoint(service, PolicyDocument=policy_, DnsOptions=names)


def without_profile(world: World) -> None:
    del world.instance["IamInstanceProfile"]


def agent(version: str) -> Callable[[World], object]:
    return lambda world: (world.record or {}).update(AgentVersion=version)


ROOT: Final = f"arn:aws:iam::{ACCOUNT}:root"
PUBLIC: Final = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}


def by(operator: str, key: str, value: object) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


VIA: Final = by("StringEquals", "kms:ViaService", "s3.eu-west-1.amazonaws.com")
BY_TAG: Final = by("StringEquals", "aws:ResourceTag/team", "web")
OPEN_TO_ALL: Final = group(
    "sg-endpoints", IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
)
NEVER: Final = World.never_registered
LOST: Final = World.is_lost
ONLINE: Final = World.is_online_only
UNDER_ACCOUNT: Final = World.has_host_management
NO_GROUP: Final = having("logs:describe_log_groups", {"logGroups": []})
OTHER_GROUP: Final = having(
    "logs:describe_log_groups", {"logGroups": [{"logGroupName": "/ssm/sessions-of-others"}]}
)
PLAIN_GROUP: Final = having(
    "logs:describe_log_groups", {"logGroups": [{"logGroupName": "/ssm/sessions"}]}
)
EMPTY_PROFILE: Final = having("iam:get_instance_profile", {"InstanceProfile": {"Roles": []}})
WINDOWS: Final = instance(Platform="windows")


def dsse(world: World) -> None:
    world.has("s3:get_bucket_encryption", encrypted("aws:kms:dsse"))


KEYS: Final[list[tuple[str, dict[str, object], str]]] = [
    ("disabled", {"KeyState": "Disabled"}, f"aws kms enable-key --key-id {KEY}"),
    ("to be deleted", {"KeyState": "PendingDeletion"}, "aws kms cancel-key-deletion"),
    ("without material", {"KeyState": "PendingImport"}, "decrypts nothing"),
    ("asymmetric", {"KeySpec": "RSA_2048"}, "RSA_2048"),
    ("of an old API", {"KeySpec": None, "CustomerMasterKeySpec": "RSA_2048"}, "RSA_2048"),
    ("for signatures", {"KeyUsage": "SIGN_VERIFY"}, "SIGN_VERIFY"),
    ("AWS's own", {"KeyManager": "AWS"}, "an AWS managed one"),
]

ROWS: Final = [
    # states
    row("connected", does=nothing),
    row("connected, with everything used", does=using()),
    row("never registered", *SYMPTOMS, does=NEVER, unknown="agent"),
    row("lost", *SYMPTOMS, does=LOST),
    row("online and not connected", "connected", does=ONLINE),
    row("connected though lost", does=lambda w: w.is_lost("connected"), unknown="registered"),
    row(
        "connected without a record",
        does=lambda w: setattr(w, "record", None),
        unknown="registered",
    ),
    row(
        "no managed node by an error",
        *SYMPTOMS,
        does=both(NEVER, refusing("ssm:DescribeInstanceInformation", "InvalidInstanceId")),
        unknown="agent",
    ),
    *(
        row(
            state,
            "instance-running",
            *SYMPTOMS,
            does=both(NEVER, instance(State={"Name": state})),
            says=says,
        )
        for state, says in {
            "stopped": f"aws ec2 start-instances --instance-ids {NODE} --region eu-west-1",
            "stopping": f"aws ec2 wait instance-stopped --instance-ids {NODE} --region eu-west-1",
            "pending": "wait until it runs",
            "terminated": "launch another instance",
        }.items()
    ),
    *(
        row(
            f"{name} impaired",
            "instance-running",
            *SYMPTOMS,
            does=both(
                LOST, having("ec2:describe_instance_status", {"InstanceStatuses": [status(*ill)]})
            ),
            says=says,
        )
        for name, ill, says in [
            ("system", ("impaired", "ok"), "aws ec2 stop-instances"),
            ("instance", ("ok", "impaired"), "aws ec2 reboot-instances"),
        ]
    ),
    row(
        "volumes impaired",
        "instance-running",
        *SYMPTOMS,
        does=both(
            LOST,
            having(
                "ec2:describe_instance_status",
                {"InstanceStatuses": [status() | {"AttachedEbsStatus": {"Status": "impaired"}}]},
            ),
        ),
        says="aws ec2 stop-instances",
    ),
    row(
        "no status yet",
        *SYMPTOMS,
        does=both(NEVER, having("ec2:describe_instance_status", {"InstanceStatuses": []})),
        unknown="agent",
    ),
    # identity
    row("no profile", "instance-profile", *SYMPTOMS, does=both(NEVER, without_profile)),
    row(
        "an empty profile",
        "instance-profile",
        *SYMPTOMS,
        does=both(NEVER, EMPTY_PROFILE),
        says="aws iam add-role-to-instance-profile --instance-profile-name web-server",
    ),
    row(
        "a deleted profile",
        "instance-profile",
        *SYMPTOMS,
        does=both(NEVER, refusing("iam:GetInstanceProfile", "NoSuchEntity")),
        says="does not exist any more",
    ),
    row(
        "a profile that was deleted and made again",
        "instance-profile",
        *SYMPTOMS,
        does=both(NEVER, profile_id("AIPA2")),
        says="aws ec2 replace-iam-instance-profile-association --region eu-west-1 "
        "--iam-instance-profile Name=web-server",
    ),
    row("a profile whose id is none of AWS", does=profile_id("unknown")),
    row("no trust", "role-assumable", *SYMPTOMS, does=both(NEVER, not_trusting)),
    row("no trust any more", "role-assumable", does=not_trusting),
    row(
        "perhaps trusted",
        *SYMPTOMS,
        does=both(NEVER, trusting_perhaps),
        unknown="role-assumable",
        says="look at what is unknown: role-assumable",
    ),
    row("perhaps trusted, and connected", does=trusting_perhaps),
    row(
        "metadata off",
        "metadata",
        *SYMPTOMS,
        does=both(NEVER, instance(MetadataOptions={"HttpEndpoint": "disabled"})),
        says="modify-instance-metadata-options",
    ),
    row(
        "metadata not said",
        *SYMPTOMS,
        does=both(NEVER, instance(MetadataOptions={})),
        unknown="metadata",
    ),
    row("may not register", "register", *SYMPTOMS, does=both(NEVER, denying(REGISTER))),
    row("may not register any more", "register", does=denying(REGISTER)),
    row("no channels", "reach", "connected", does=both(ONLINE, denying(CHANNEL))),
    # Default Host Management
    row(
        "the account's role in place of a profile",
        does=both(without_profile, UNDER_ACCOUNT),
        unknown="default-host-management",
        says=f"the role {ACCOUNT_ROLE} of the account does the work",
    ),
    row(
        "the account's role in place of one that may not register",
        does=both(denying(f"{ROLE} {REGISTER}"), UNDER_ACCOUNT),
        unknown="default-host-management",
    ),
    row(
        "the account's role in place of one that is not trusted",
        does=both(not_trusting, UNDER_ACCOUNT),
        unknown="role-assumable default-host-management",
    ),
    row(
        "the account's role may not decrypt",
        "encrypt",
        does=both(without_profile, UNDER_ACCOUNT, using(), denying(f"{ACCOUNT_ROLE} kms:Decrypt")),
        unknown="default-host-management",
    ),
    row(
        "an agent that takes no account's role",
        "register",
        does=both(denying(REGISTER), UNDER_ACCOUNT, agent("3.1.0.0")),
    ),
    row(
        "an agent of a strange version",
        "register",
        does=both(denying(REGISTER), UNDER_ACCOUNT, agent("next")),
        unknown="default-host-management",
    ),
    row(
        "no channels, which the account's role does not fix",
        "reach",
        "connected",
        does=both(ONLINE, denying(f"{ROLE} {CHANNEL}"), UNDER_ACCOUNT),
    ),
    row(
        "no setting at all",
        "instance-profile",
        does=both(without_profile, refusing("ssm:GetServiceSetting", "ServiceSettingNotFound")),
    ),
    row(
        "an empty setting",
        "register",
        does=both(denying(REGISTER), lambda w: w.has_host_management("")),
    ),
    row(
        "perhaps trusted, and an account's role",
        does=both(trusting_perhaps, UNDER_ACCOUNT),
        unknown="default-host-management",
        says="whether the profile's role or the account's role",
    ),
    # keys
    *(
        row(
            f"a key: {name}",
            "key-usable",
            does=both(using(), having("kms:describe_key", {"KeyMetadata": key(**parts)})),
            says=says,
        )
        for name, parts, says in KEYS
    ),
    row(
        "no such key",
        "key-usable",
        does=both(using(), refusing("kms:DescribeKey", "NotFoundException")),
        says=f"there is no {KEY}",
    ),
    row(
        "a key of another region",
        "key-usable",
        does=using(kmsKeyId=KEY.replace("eu-west-1", "us-east-1")),
        says="the key is in us-east-1, and the node in eu-west-1",
    ),
    row("an alias", does=using(kmsKeyId="alias/sessions")),
    row(
        "an alias that can't be resolved",
        does=both(using(kmsKeyId=ALIAS), refusing("kms:DescribeKey")),
        unknown="key-usable encrypt",
        says="kms:DescribeKey",
    ),
    row("may not decrypt", "encrypt", does=both(using(), denying("kms:Decrypt"))),
    *(
        row(
            f"the policy of the key: {name}; {denied} denied",
            *fails,
            does=both(
                using(),
                having("kms:get_key_policy", policy(*statements)),
                denying(denied),
            ),
            unknown=unknown,
            says="",
        )
        for name, statements, denied, fails, unknown in (
            ("names the role", [allowing(ROLE, "kms:Decrypt")], "kms:Decrypt", (), ""),
            ("names all", [allowing("*", "kms:*")], "kms:Decrypt", (), ""),
            ("is for all", [PUBLIC], "kms:Decrypt", (), ""),
            (
                "names a session of the role",
                [allowing(f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/{NODE}", "kms:*")],
                "nothing",
                (),
                "key-usable",
            ),
            *(
                (
                    f"is by {operator} {key_}: {value}",
                    [PUBLIC | by(operator, key_, value)],
                    "nothing",
                    fails,
                    unknown,
                )
                for operator, key_, value, fails, unknown in (
                    ("StringEquals", "kms:CallerAccount", ACCOUNT, (), ""),
                    ("StringEquals", "kms:CallerAccount", "4" * 12, ("key-usable",), ""),
                    ("StringEquals", "aws:PrincipalArn", "*", ("key-usable",), ""),
                    ("ArnLike", "aws:PrincipalArn", [USER, "arn:aws:iam::*:role/*"], (), ""),
                    ("Bool", "aws:SecureTransport", True, (), ""),
                    ("StringNotEquals", "kms:CallerAccount", "4" * 12, (), "key-usable"),
                )
            ),
            (
                "denies calls without TLS",
                [
                    allowing(ROOT, "kms:*"),
                    PUBLIC | {"Effect": "Deny"} | by("Bool", "aws:SecureTransport", "false"),
                ],
                "nothing",
                (),
                "",
            ),
            ("names nobody", [], "nothing", ("key-usable",), ""),
            ("names another", [allowing(USER, "kms:*")], "nothing", ("key-usable",), ""),
            ("is by a service", [allowing(ROOT, "kms:*", **VIA)], "nothing", ("key-usable",), ""),
            (
                "is by an unknown condition",
                [allowing(ROLE, "kms:*", **BY_TAG)],
                "nothing",
                (),
                "key-usable",
            ),
            (
                "may allow what IAM denies",
                [allowing(ROLE, "kms:*", **BY_TAG)],
                "kms:Decrypt",
                (),
                "key-usable encrypt",
            ),
            (
                "denies the role",
                [allowing(ROOT, "kms:*"), allowing(ROLE, "kms:*") | {"Effect": "Deny"}],
                "nothing",
                ("key-usable",),
                "",
            ),
            (
                "denies all but another",
                [
                    allowing(ROOT, "kms:*"),
                    {"Effect": "Deny", "NotPrincipal": {"AWS": USER}, "Action": "kms:*"},
                ],
                "nothing",
                (),
                "key-usable",
            ),
        )
    ),
    row(
        "a condition on the service that a call comes by, which no call of the agent does",
        "encrypt",
        does=both(
            using(), denying("kms:Decrypt"), lambda w: setattr(w, "missing", ["kms:ViaService"])
        ),
    ),
    row(
        "the policy of the bucket names the role",
        does=both(
            using(),
            denying("s3:PutObject"),
            having("s3:get_bucket_policy", policy(allowing(ROLE, "s3:PutObject"))),
        ),
    ),
    row(
        "the policy of the bucket names another role",
        "log-to-s3",
        does=both(
            using(),
            denying("s3:PutObject"),
            having("s3:get_bucket_policy", policy(allowing(ACCOUNT_ROLE, "s3:PutObject"))),
        ),
    ),
    row(
        "a key of another account that names the role, which IAM does not allow",
        "encrypt",
        does=both(
            using(kmsKeyId=FOREIGN_KEY),
            having("kms:describe_key", {"KeyMetadata": key(Arn=FOREIGN_KEY)}),
            denying("kms:Decrypt"),
            having("kms:get_key_policy", policy(allowing(ROLE, "kms:*"))),
        ),
        says="kms:Decrypt: implicit deny",
    ),
    row(
        "the policy of the bucket may not be read",
        does=both(using(), denying("s3:PutObject"), refusing("s3:GetBucketPolicy", "AccessDenied")),
        unknown="log-to-s3",
        says="s3:GetBucketPolicy",
    ),
    *(
        row(
            f"logs enforced, and the endpoint of {service} allows {allowed} alone",
            *fails,
            does=both(
                using(s3EncryptionEnabled=enforced, cloudWatchEncryptionEnabled=enforced),
                having("ec2:describe_vpc_endpoints", {"VpcEndpoints": [only(service, allowed)]}),
                having(
                    "ec2:describe_security_groups",
                    {"SecurityGroups": [group("sg-web"), OPEN_TO_ALL]},
                ),
            ),
            unknown=unknown,
            says="",
        )
        for service, allowed, enforced, fails, unknown in (
            ("s3", "s3:PutObject", True, ("path-s3",), ""),
            ("s3", "s3:PutObject", "{{enforce}}", (), "path-s3"),
            ("s3", "s3:PutObject", False, (), ""),
            ("s3", "s3:*", True, (), ""),
            ("logs", "logs:*Stream*", True, ("path-logs",), ""),
            ("logs", "logs:*", True, (), ""),
        )
    ),
    *(
        row(
            f"Default Host Management, and the endpoint of ssm allows {allowed} alone",
            *fails,
            *SYMPTOMS,
            does=both(
                NEVER,
                without_profile,
                UNDER_ACCOUNT,
                having("ec2:describe_vpc_endpoints", {"VpcEndpoints": [only("ssm", allowed)]}),
                having(
                    "ec2:describe_security_groups",
                    {"SecurityGroups": [group("sg-web"), OPEN_TO_ALL]},
                ),
            ),
            unknown="default-host-management",
            says="",
        )
        for allowed, fails in (("ssm:Update*", ("path-ssm",)), ("ssm:*", ()))
    ),
    # logs
    row("a bucket by dsse", "bucket-encryption", does=both(using(), dsse)),
    row("a bucket by dsse, not enforced", does=both(using(s3EncryptionEnabled=False), dsse)),
    row(
        "a bucket by dsse, enforced by a parameter",
        does=both(using(s3EncryptionEnabled="{{enforce}}"), dsse),
        unknown="bucket-encryption",
    ),
    row(
        "a bucket that does not encrypt",
        "bucket-encryption",
        does=both(
            using(),
            refusing("s3:GetBucketEncryption", "ServerSideEncryptionConfigurationNotFoundError"),
        ),
        says="the bucket encrypts with nothing",
    ),
    row(
        "no such bucket",
        "bucket-encryption",
        does=both(using(), refusing("s3:GetBucketEncryption", "NoSuchBucket")),
        says="there is no bucket 'session-logs'",
    ),
    row(
        "no such bucket, not enforced",
        "bucket-encryption",
        does=both(
            using(s3EncryptionEnabled=False), refusing("s3:GetBucketEncryption", "NoSuchBucket")
        ),
    ),
    *(
        row(
            f"a bucket with its key as {given}",
            "log-to-s3",
            does=both(
                using(),
                having("s3:get_bucket_encryption", encrypted("aws:kms", given)),
                denying("kms:GenerateDataKey"),
            ),
        )
        for given in (KEY, KEY.rpartition("/")[2], "alias/logs", ALIAS)
    ),
    *(
        row(
            f"a bucket with a key that is not known: {given}, and {denied} denied",
            *fails,
            does=both(
                using(kmsKeyId=""),
                having("s3:get_bucket_encryption", encrypted("aws:kms", given)),
                refusing("kms:DescribeKey"),
                denying(denied),
            ),
            unknown=unknown,
            says="",
        )
        for given, denied, fails, unknown in (
            ("alias/logs", "kms:GenerateDataKey", (), "log-to-s3"),
            ("alias/logs", "s3:PutObject", ("log-to-s3",), ""),
            (KEY, "kms:GenerateDataKey", ("log-to-s3",), ""),
            (KEY, "nothing", (), ""),
        )
    ),
    *(
        row(
            f"a bucket with what is no key: {given}",
            does=both(using(), having("s3:get_bucket_encryption", encrypted("aws:kms", given))),
            unknown="log-to-s3",
            says=f"the default encryption of the bucket 'session-logs' names the key {given!r}",
        )
        for given in ("arn:x", "arn:aws:kms:a b:1:key/x", "a/b", 'x", y("')
    ),
    row(
        "a bucket with a key in a region that botocore asks in no request",
        does=both(
            using(),
            having("s3:get_bucket_encryption", encrypted("aws:kms", KEY.replace(REGION, "-x-"))),
            having("kms:describe_key", InvalidRegionError(region_name="-x-")),
        ),
        unknown="key-usable",
        says="",
    ),
    row(
        "a key whose ARN is none",
        does=both(using(), having("kms:describe_key", {"KeyMetadata": key(Arn="arn:x")})),
        unknown="key-usable",
        says="what answered for kms is not AWS",
    ),
    row(
        "a subnet whose block is none",
        *SYMPTOMS,
        does=both(
            NEVER,
            lambda w: w.answers["ec2:describe_subnets"]["Subnets"][0].update(
                CidrBlock="10.0.0.0/x"
            ),
        ),
        unknown="path-ssm path-ssmmessages",
    ),
    row(
        "a bucket with the key of S3 that AWS manages, which needs no grant",
        does=both(
            using(kmsKeyId=""),
            having("s3:get_bucket_encryption", encrypted("aws:kms", KEY)),
            having("kms:describe_key", {"KeyMetadata": key(KeyManager="AWS")}),
            denying("kms:GenerateDataKey"),
        ),
    ),
    row("no such group", "log-group-encryption", does=both(using(), NO_GROUP)),
    row("a longer name of a group", "log-group-encryption", does=both(using(), OTHER_GROUP)),
    row(
        "no such group, not enforced",
        "log-group-encryption",
        does=both(using(cloudWatchEncryptionEnabled=False), NO_GROUP),
        says="aws logs create-log-group --log-group-name /ssm/sessions --region eu-west-1",
    ),
    row(
        "a group without a key",
        "log-group-encryption",
        does=both(using(), PLAIN_GROUP),
        says="aws logs associate-kms-key",
    ),
    row(
        "a group without a key, not enforced",
        does=both(using(cloudWatchEncryptionEnabled=False), PLAIN_GROUP),
    ),
    row(
        "a group without a key, enforced by a parameter",
        does=both(using(cloudWatchEncryptionEnabled="{{enforce}}"), PLAIN_GROUP),
        unknown="log-group-encryption",
    ),
    row(
        "a group that is streamed to by a text",
        "log-group-encryption",
        does=using(cloudWatchStreamingEnabled="true"),
        says="so that the agent drops each session",
    ),
    row(
        "a group that is streamed to by a parameter",
        does=using(cloudWatchStreamingEnabled="{{stream}}"),
        unknown="log-group-encryption",
    ),
    row("a group that is streamed to", does=using(cloudWatchStreamingEnabled=True)),
    row(
        "no group to stream to",
        does=using(cloudWatchStreamingEnabled="false", cloudWatchLogGroupName=""),
    ),
    row(
        "may not log",
        "log-to-s3",
        "log-to-cloudwatch",
        does=both(using(), denying("s3:PutObject", "logs:PutLogEvents")),
    ),
    row(
        "may not log, and nothing is enforced",
        "log-to-s3",
        "log-to-cloudwatch",
        does=both(
            using(s3EncryptionEnabled=False, cloudWatchEncryptionEnabled=False),
            denying("s3:PutObject", "logs:PutLogEvents"),
        ),
    ),
    # Run As
    row("Run As", does=using(runAsEnabled=True, runAsDefaultUser="web")),
    row(
        "Run As root, where a tag of the operator may win",
        does=using(runAsEnabled="true", runAsDefaultUser="root"),
        unknown="run-as",
        says="wins over it",
    ),
    row(
        "Run As what a shell would act on",
        does=using(runAsEnabled=True, runAsDefaultUser="$(touch P)"),
        unknown="run-as",
        says="ask for this one on the node: id USER",
    ),
    row(
        "Run As ssm-user",
        does=using(runAsEnabled=True, runAsDefaultUser="ssm-user"),
        unknown="run-as",
        says="the agent does not make",
    ),
    row(
        "Run As nobody",
        does=using(runAsEnabled=True, runAsDefaultUser=" "),
        unknown="run-as",
        says="give --operator",
    ),
    row("Run As by a parameter", does=using(runAsEnabled="{{run}}"), unknown="run-as"),
    row(
        "Run As on Windows",
        does=both(
            using(runAsEnabled=True, runAsDefaultUser="web"),
            lambda w: (w.record or {}).update(PlatformType="Windows"),
        ),
        unknown="run-as",
    ),
    row(
        "Run As in a document of ports, whose sessions run as nobody",
        does=both(
            using(runAsEnabled=True), lambda w: (w.document or {}).update(sessionType="Port")
        ),
    ),
    # what may not be asked
    row(
        "no record by a denial",
        does=refusing("ssm:DescribeInstanceInformation"),
        unknown="agent registered",
    ),
    row("no connection by a denial", does=refusing("ssm:GetConnectionStatus"), unknown="connected"),
    row(
        "no status by a denial",
        *SYMPTOMS,
        does=both(NEVER, refusing("ec2:DescribeInstanceStatus", "UnauthorizedOperation")),
        unknown="instance-running",
    ),
    row(
        "no profile by a denial",
        does=refusing("iam:GetInstanceProfile", "AccessDenied"),
        unknown="instance-profile role-assumable register reach",
    ),
    row(
        "no profile by a denial, and an account's role",
        does=both(refusing("iam:GetInstanceProfile", "AccessDenied"), UNDER_ACCOUNT),
        unknown="instance-profile role-assumable register reach default-host-management",
    ),
    row(
        "no setting by a denial",
        does=both(without_profile, refusing("ssm:GetServiceSetting")),
        unknown="instance-profile default-host-management",
    ),
    *(
        row(
            f"no setting by a denial, and a role that lacks {action}",
            does=both(
                using(),
                denying(f"{ROLE} {action}", f"{ROLE} {REGISTER}"),
                refusing("ssm:GetServiceSetting"),
            ),
            unknown=f"register {unknown} default-host-management",
        )
        for action, unknown in (
            (REGISTER, ""),
            (CHANNEL, "reach"),
            ("kms:Decrypt", "encrypt"),
        )
    ),
    row(
        "no setting by a denial, and a role that EC2 can't assume",
        does=both(not_trusting, refusing("ssm:GetServiceSetting")),
        unknown="role-assumable default-host-management",
    ),
    row(
        "no simulator by a denial",
        does=both(using(), refusing("iam:SimulatePrincipalPolicy", "AccessDenied")),
        unknown="register reach encrypt log-to-s3 log-to-cloudwatch",
    ),
    row(
        "no document by a denial",
        does=refusing("ssm:GetDocument"),
        unknown=(
            "encrypt log-to-s3 log-to-cloudwatch key-usable bucket-encryption "
            "log-group-encryption run-as"
        ),
        says="ssm:GetDocument",
    ),
    *(
        row(
            f"a document whose {flag} the agent can't read",
            check,
            does=using(**{flag: "perhaps"}),
            unknown=" ".join(
                {
                    *("encrypt", "log-to-s3", "log-to-cloudwatch", "key-usable"),
                    *("bucket-encryption", "log-group-encryption", "run-as"),
                }
                - {check}
            ),
            says=f"set {flag} of the document to true or false",
        )
        for flag, check in {
            "runAsEnabled": "run-as",
            "s3EncryptionEnabled": "bucket-encryption",
            "cloudWatchEncryptionEnabled": "log-group-encryption",
        }.items()
    ),
    row(
        "no key by a denial", does=both(using(), refusing("kms:DescribeKey")), unknown="key-usable"
    ),
    row(
        "no bucket by a denial",
        does=both(using(), refusing("s3:GetBucketEncryption", "AccessDenied")),
        unknown="bucket-encryption",
        says="s3:GetEncryptionConfiguration on arn:aws:s3:::session-logs",
    ),
    row(
        "no group by a denial",
        does=both(using(), refusing("logs:DescribeLogGroups")),
        unknown="log-group-encryption",
    ),
    row(
        "throttled for good",
        does=both(using(), refusing("kms:DescribeKey", "ThrottlingException")),
        unknown="key-usable",
        says="kms:DescribeKey failed: ThrottlingException",
    ),
    row(
        "an endpoint that is not there",
        does=both(
            using(),
            having(
                "logs:describe_log_groups", EndpointConnectionError(endpoint_url="https://logs")
            ),
        ),
        unknown="log-group-encryption",
        says="Could not connect",
    ),
    # the agent's version, and the tier
    *(
        row(f"an agent of {version}{name}", *fails, does=both(agent(version), does), says=says)
        for version, name, does, fails, says in [
            ("2.3.50.0", ", connected", nothing, (), ""),
            (
                "2.3.50.0",
                ", not connected",
                ONLINE,
                ("agent", "connected"),
                "Session Manager takes",
            ),
            (
                "2.3.68.0",
                ", and a key",
                using(),
                ("agent",),
                "the key of the document takes 2.3.539",
            ),
            (
                "2.3.539.0",
                ", and Run As",
                using(runAsEnabled=True, runAsDefaultUser="web"),
                ("agent",),
                f"aws ssm send-command --instance-ids {NODE} --document-name AWS-UpdateSSMAgent",
            ),
            (
                "2.3.672.0",
                ", and all of it",
                using(runAsEnabled=True, runAsDefaultUser="web"),
                (),
                "",
            ),
            ("2.3.50.0", ", and lost", LOST, ("agent", *SYMPTOMS), "install the newest agent"),
        ]
    ),
    row("a version that is none", "connected", does=both(ONLINE, agent("new")), unknown="agent"),
    hybrid("hybrid, standard tier", "tier", does=lambda w: setattr(w, "tier", "standard")),
    hybrid(
        "hybrid, standard tier, and lost",
        "tier",
        *SYMPTOMS,
        does=both(LOST, lambda w: setattr(w, "tier", "standard")),
        says="aws ssm update-service-setting --setting-id /ssm/managed-instance/activation-tier "
        "--setting-value advanced --region eu-west-1",
    ),
    hybrid("hybrid, another tier", does=lambda w: setattr(w, "tier", "golden"), unknown="tier"),
    hybrid("hybrid, no tiers", does=refusing("ssm:GetServiceSetting", "ServiceSettingNotFound")),
    hybrid("hybrid, no tier by a denial", does=refusing("ssm:GetServiceSetting"), unknown="tier"),
    # hybrid nodes
    hybrid("hybrid", does=nothing),
    hybrid("hybrid, with everything used", does=using()),
    hybrid("hybrid and lost", *SYMPTOMS, does=LOST),
    hybrid("hybrid, by EC2", "role-assumable", does=not_trusting),
    hybrid("hybrid, no channels", "reach", "connected", does=both(ONLINE, denying(CHANNEL))),
    hybrid(
        "hybrid, no role any more",
        "role-assumable",
        does=refusing("iam:GetRole", "NoSuchEntity"),
        says="aws ssm update-managed-instance-role",
    ),
    hybrid(
        "hybrid, no role by a denial",
        does=refusing("iam:GetRole", "AccessDenied"),
        unknown="role-assumable",
    ),
    hybrid(
        "hybrid, no role on record",
        does=both(using(), lambda w: (w.record or {}).pop("IamRole")),
    ),
]


@pytest.mark.parametrize("said", ROWS, ids=lambda said: said.name)
def test_each_failing_check_is_the_right_one(said: Row) -> None:
    world = World()
    said.breaks(world)

    found = diagnosed(world, said.node)

    assert of_verdict(found, "fail") == said.fails
    assert of_verdict(found, "unknown") == said.unknown
    unasked = "connected" in said.unknown
    assert found.ready == (not said.fails and not unasked)
    told = found.cause or next((one for one in found.checks if one.verdict == "unknown"), None)
    if told:
        assert said.says in " ".join([*told.why, *told.fix])
    for check in found.checks:
        if check.verdict == "fail":
            assert check.why
            assert check.fix
            assert check.evidence


def test_checks_are_in_their_order_and_each_is_there() -> None:
    world = World()
    world.uses()

    found = diagnosed(world, operator=USER)

    names = """
        instance-running connected registered instance-profile role-assumable metadata agent tier
        register reach default-host-management path-ssm path-ssmmessages path-kms path-logs path-s3
        encrypt log-to-s3 log-to-cloudwatch key-usable bucket-encryption log-group-encryption run-as
        operator plugin
    """
    assert [check.name for check in found.checks] == names.split()


def test_what_the_connection_shows_is_proven() -> None:
    found = diagnosed(World())

    assert of_verdict(found, "proven") == {
        "instance-running",
        "role-assumable",
        "metadata",
        "path-ssm",
        "path-ssmmessages",
    }


def test_a_symptom_says_what_to_fix_first() -> None:
    world = World()
    world.never_registered()
    without_profile(world)
    not_said = one(diagnosed(world), "registered").fix

    world = World()
    world.never_registered()
    late = one(diagnosed(world), "registered").fix
    assert not_said[0] == "first fix instance-profile"
    assert "sudo systemctl restart amazon-ssm-agent" in not_said[2]
    assert late[0].startswith("nothing that the connection needs fails: restart the agent")
    assert late[2].startswith("aws ec2 reboot-instances")


def test_what_sessions_need_is_no_cause_of_a_symptom() -> None:
    world = World()
    disabled = key(KeyState="Disabled")
    both(NEVER, using(), having("kms:describe_key", {"KeyMetadata": disabled}))(world)

    found = diagnosed(world)

    assert one(found, "key-usable").verdict == "fail"
    assert found.cause == one(found, "connected")
    assert found.cause.fix[0].startswith("nothing that the connection needs fails")


def test_the_agent_of_windows_and_of_a_hybrid_node() -> None:
    world = World()
    world.never_registered()
    WINDOWS(world)
    found = diagnosed(world)
    assert "on the node: Restart-Service AmazonSSMAgent" in one(found, "registered").fix
    assert found.to_run[0].startswith(r'on the node: & "$env:ProgramFiles\Amazon\SSM\ssm-cli.exe"')
    assert "Remote Desktop" in found.to_run[1]
    world.has("ssm:get_connection_status", {"Status": "connected"})
    assert "Get-PSDrive" in diagnosed(world).to_run[0]

    world = World()
    world.is_hybrid()
    world.is_lost()
    assert "reboot-instances" not in "".join(one(diagnosed(world, HYBRID), "registered").fix)


def test_the_node_itself_is_asked_about() -> None:
    world = World()
    diagnosed(world)
    arns = {arn for asked in world.asked for arn in asked.get("ResourceArns", [])}
    assert arns == {"*", f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/{NODE}"}

    world = World()
    world.is_hybrid()
    world.partition = "aws-cn"
    diagnosed(world, HYBRID)
    arns = {arn for asked in world.asked for arn in asked.get("ResourceArns", [])}
    assert arns == {"*", f"arn:aws-cn:ssm:eu-west-1:{ACCOUNT}:managed-instance/{HYBRID}"}


SESSION_ID = "kms:EncryptionContext:aws:ssm:SessionId"


@pytest.mark.parametrize("says_what_misses", [True, False])
@pytest.mark.parametrize("denied_in_a_session", [True, False])
def test_a_key_may_be_for_sessions_alone_or_for_all_but_sessions(
    *, denied_in_a_session: bool, says_what_misses: bool
) -> None:
    world = World()
    world.uses()
    contexts = []

    def simulate(asked: dict[str, Any]) -> dict[str, Any]:
        context = {
            one["ContextKeyName"]: one["ContextKeyValues"] for one in asked["ContextEntries"]
        }
        world.denies, world.missing = set(), []
        if "kms:Decrypt" in asked["ActionNames"]:
            contexts.append(context)
            if (SESSION_ID in context) is denied_in_a_session:
                world.denies = {"kms:Decrypt"}
            if SESSION_ID not in context and (denied_in_a_session or says_what_misses):
                world.missing = [SESSION_ID]
        return world._simulate(asked)  # noqa: SLF001 # the answers of the world itself

    world.simulates = simulate

    found = one(diagnosed(world), "encrypt")

    assert found.verdict == ("fail" if denied_in_a_session else "pass")
    assert contexts[-1]["kms:EncryptionContext:aws:ssm:TargetId"] == [NODE]


@pytest.mark.parametrize("action", [REGISTER, CHANNEL, "kms:Decrypt"])
def test_a_denial_that_a_condition_may_turn_around_is_not_certain(action: str) -> None:
    world = World()
    world.uses()
    world.denies.add(action)
    world.missing = ["aws:ResourceTag/team"]
    world.has_host_management()

    found = diagnosed(world)

    assert of_verdict(found, "fail") == set()
    names = {REGISTER: "register", CHANNEL: "reach", "kms:Decrypt": "encrypt"}
    check = one(found, names[action])
    assert check.verdict == "unknown"
    assert "conditions on aws:ResourceTag/team" in str(check.why)
    assert check.subject in {ROLE, KEY}


def caller(world: World) -> None:
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/alice"
    world.has("sts:get_caller_identity", {"Account": ACCOUNT, "Arn": arn})


def replaced(world: World) -> None:
    """The account's role does the work, because the profile's role may not register."""
    world.has_host_management()
    world.denies.add(f"{ROLE} {REGISTER}")


def bounded(world: World) -> None:
    """The role has a permissions boundary, and another VPC has DNS servers of its own."""
    options = [dhcp_options("dopt-1", "AmazonProvidedDNS"), dhcp_options("dopt-2", "10.0.0.53")]
    world.has("ec2:describe_dhcp_options", {"DhcpOptions": options})

    def simulate(asked: dict[str, Any]) -> dict[str, Any]:
        found = world._simulate(asked)  # noqa: SLF001 # the answers of the world itself
        for result in found["EvaluationResults"]:
            result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": True}
        return found

    world.simulates = simulate


@pytest.mark.parametrize("form", ["each resource", "the first alone", "refused", "organization"])
def test_what_shares_a_request_is_answered_about_each_resource(form: str) -> None:
    world = World()
    world.uses()
    plain = world._simulate  # noqa: SLF001 # the answers of the world itself

    def simulate(asked: dict[str, Any]) -> dict[str, Any]:
        arns = asked["ResourceArns"]
        if form == "refused" and (arns[1:] or asked["ActionNames"][1:]):
            raise refusal("SimulatePrincipalPolicy", "InvalidInput")
        found = plain(asked)
        for result in found["EvaluationResults"]:
            of_streams = result["EvalActionName"] == "logs:CreateLogStream"
            if form == "the first alone":
                result.pop("ResourceSpecificResults", None)
                result["EvalResourceName"] = arns[0]
                result["EvalDecision"] = "allowed"
            for specific in result.get("ResourceSpecificResults", []):
                if of_streams and "log-stream" not in specific["EvalResourceName"]:
                    specific["EvalResourceDecision"] = "explicitDeny"
            if form == "organization" and of_streams:
                result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": not arns[1:]}
        return found

    world.simulates = simulate
    found = diagnosed(world)

    assert of_verdict(found, "fail") == set()
    assert one(found, "log-to-cloudwatch").verdict == "pass"
    assert len(one(found, "log-to-cloudwatch").evidence) == 4
    assert of_verdict(found, "unknown") == set()


BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"


@pytest.mark.parametrize("allows", [True, False])
@pytest.mark.parametrize("named_by", ["GetRole", "GetInstanceProfile", "nothing"])
def test_a_permissions_boundary_is_named(named_by: str, *, allows: bool) -> None:
    world = World()
    role = world._role() | {"PermissionsBoundary": {"PermissionsBoundaryArn": BOUNDARY}}  # noqa: SLF001 # as it was
    if named_by == "GetRole":
        world.has("iam:get_role", {"Role": role})
    elif named_by == "GetInstanceProfile":
        world.has("iam:get_instance_profile", {"InstanceProfile": {"Roles": [role]}})
    else:
        world.refuses("iam:GetRole", "AccessDenied")

    def simulate(asked: dict[str, Any]) -> dict[str, Any]:
        found = world._simulate(asked)  # noqa: SLF001 # the answers of the world itself
        for result in found["EvaluationResults"]:
            result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allows}
        return found

    world.denies = set() if allows else {CHANNEL}
    world.simulates = simulate

    found = diagnosed(world)

    boundary = None if named_by == "nothing" else BOUNDARY
    assert found.identity.role
    assert found.identity.role.boundary == boundary
    assert world.calls.count("iam:get_role") == (named_by != "GetInstanceProfile")
    why = f"implicit deny by the permissions boundary {boundary or 'of the role'}"
    assert allows or why in one(found, "reach").why[0]


@pytest.mark.parametrize(
    ("operator", "breaks"),
    [
        pytest.param(USER, both(NEVER, nothing), id="a user"),
        pytest.param("caller", both(ONLINE, caller), id="the caller"),
        pytest.param("caller", both(NEVER, caller), id="the caller of a node that never was"),
        pytest.param(USER, both(NEVER, replaced), id="a user, by the account's role"),
        pytest.param("caller", both(NEVER, replaced, caller), id="the caller, by its role"),
        pytest.param("caller", both(NEVER, replaced, caller, bounded), id="and in a boundary"),
    ],
)
def test_it_asks_little(operator: str, breaks: Callable[[World], object]) -> None:
    world = World()
    world.uses(kmsKeyId=ALIAS, runAsEnabled=True, runAsDefaultUser="web")
    world.has("s3:get_bucket_encryption", encrypted("aws:kms", ALIAS.replace("sessions", "logs")))
    world.has("ec2:describe_vpc_endpoints", {"VpcEndpoints": [endpoint("logs")]})
    breaks(world)

    found = diagnosed(world, operator=operator)

    assert len(world.calls) <= 30
    assert one(found, "operator").verdict == "pass"
    requests = [json.dumps(made) for made in zip(world.calls, world.asked, strict=True)]
    assert len(requests) == len({*requests})


def test_a_connected_node_that_uses_nothing_has_its_network_left_alone() -> None:
    world = World()

    diagnosed(world)

    of_network = [name for name in world.calls if name.startswith("ec2:")]
    assert of_network == ["ec2:describe_instances"]


@pytest.mark.parametrize(
    ("breaks", "node", "says"),
    [
        pytest.param(
            refusing("ec2:DescribeInstances", "InvalidInstanceID.NotFound"),
            NODE,
            f"there is no instance {NODE} in eu-west-1",
            id="no such instance",
        ),
        pytest.param(
            having("ec2:describe_instances", {"Reservations": []}),
            NODE,
            f"there is no instance {NODE} in eu-west-1",
            id="nothing at all",
        ),
        pytest.param(
            refusing("ec2:DescribeInstances", "UnauthorizedOperation"),
            NODE,
            "they need ec2:DescribeInstances on *",
            id="not permitted",
        ),
        pytest.param(
            lambda world: setattr(world, "record", None),
            HYBRID,
            f"there is no managed node {HYBRID} in eu-west-1",
            id="no such node",
        ),
        pytest.param(
            refusing("ssm:DescribeInstanceInformation"),
            HYBRID,
            "they need ssm:DescribeInstanceInformation on *",
            id="a node that can't be read",
        ),
    ],
)
def test_a_node_that_can_not_be_read(
    breaks: Callable[[World], object], node: str, says: str
) -> None:
    world = World()
    breaks(world)

    with pytest.raises(CannotAsk, match=r".") as caught:
        diagnosed(world, node)

    assert says in str(caught.value)


def test_the_document_that_is_named_has_to_be_there() -> None:
    with pytest.raises(CannotAsk, match="there is no document 'Mine'"):
        diagnosed(World(), document="Mine")


def test_a_document_that_is_named_may_be_denied() -> None:
    world = World()
    world.refuses("ssm:GetDocument")

    assert "encrypt" in of_verdict(diagnosed(world, document="Mine"), "unknown")


def test_a_port_session_uses_nothing() -> None:
    world = World()
    world.document = {"sessionType": "Port"}

    found = one(diagnosed(world, document="Ports"), "encrypt")

    assert found.verdict == "skipped"
    assert "neither encrypts nor logs" in found.why[0]


def test_a_role_that_is_not_known_is_asked_for_nothing() -> None:
    world = World()
    world.uses()
    world.refuses("iam:GetInstanceProfile", "AccessDenied")

    found = diagnosed(world)

    assert one(found, "encrypt").verdict == "unknown"
    assert not any("simulate" in name for name in world.calls)


@pytest.mark.parametrize(
    ("call", "answer", "check"),
    [
        (
            "s3:get_bucket_encryption",
            {"ServerSideEncryptionConfiguration": {"Rules": []}},
            "bucket-encryption",
        ),
        ("kms:describe_key", {"KeyMetadata": None}, "key-usable"),
        ("logs:describe_log_groups", {}, "log-group-encryption"),
        ("ssm:get_connection_status", {}, "connected"),
        ("ssm:get_connection_status", {"Status": "reconnecting"}, "connected"),
        ("iam:get_instance_profile", {"InstanceProfile": None}, "instance-profile"),
        (
            "iam:get_instance_profile",
            {"InstanceProfile": {"Roles": [{"Arn": "web-server"}]}},
            "instance-profile",
        ),
        ("iam:simulate_principal_policy", {"EvaluationResults": [None]}, "reach"),
    ],
)
def test_an_answer_that_is_not_of_aws_is_no_verdict(
    call: str, answer: dict[str, Any], check: str
) -> None:
    world = World()
    world.uses()
    world.has(call, answer)

    found = diagnosed(world)

    assert of_verdict(found, "fail") == set()
    assert "is not AWS" in one(found, check).why[0]


@pytest.mark.parametrize(
    ("call", "answer", "node"),
    [
        (
            "ec2:describe_instances",
            {"Reservations": [{"OwnerId": ACCOUNT, "Instances": [{"InstanceId": NODE}]}]},
            NODE,
        ),
        ("sts:get_caller_identity", {"Account": ACCOUNT, "Arn": "alice"}, HYBRID),
    ],
)
def test_without_what_each_node_has_it_can_not_be_asked(
    call: str, answer: dict[str, Any], node: str
) -> None:
    world = World()
    if node == HYBRID:
        world.is_hybrid()
    world.has(call, answer)

    with pytest.raises(CannotAsk, match="is not AWS"):
        diagnosed(world, node)


def test_a_record_of_an_agent_that_never_reported_in() -> None:
    world = World()
    world.never_registered()
    world.record = {"InstanceId": NODE}

    check = one(diagnosed(world), "registered")

    assert check.verdict == "fail"
    assert check.why[0].endswith("is not known to have reported in: PingStatus is not set")
    assert check.evidence


def test_an_error_of_a_bucket_that_is_none_of_these() -> None:
    world = World()
    world.uses()
    world.has("s3:get_bucket_encryption", refusal("GetBucketEncryption", "SlowDown"))

    assert isinstance(world.answers["s3:get_bucket_encryption"], ClientError)
    assert "SlowDown" in one(diagnosed(world), "bucket-encryption").why[0]


@pytest.mark.parametrize(
    ("breaks", "within"),
    [
        (both(World.never_registered, denying("ssm:UpdateInstanceInformation")), "30 minutes"),
        (both(World.is_online_only, denying("ssmmessages:CreateControlChannel")), "an hour"),
        (World.never_registered, "an hour"),
    ],
    ids=["registration", "channels", "nothing known"],
)
def test_when_the_agent_tries_again_depends_on_what_was_denied(
    breaks: Callable[[World], object], within: str
) -> None:
    world = World()
    breaks(world)

    found = one(diagnosed(world), "connected")

    assert f"until it tries again by itself, within {within}" in "\n".join(found.fix)


@pytest.mark.parametrize(
    ("enforced", "breaks", "verdicts"),
    [
        pytest.param(True, nothing, ("unknown", "unknown"), id="foreign"),
        pytest.param(True, dsse, ("fail", "unknown"), id="foreign, and no encryption counts"),
        pytest.param(True, denying("s3:PutObject"), ("unknown", "fail"), id="foreign, and denied"),
        pytest.param(
            True,
            both(denying("s3:PutObject"), refusing("s3:GetBucketPolicy", "AccessDenied")),
            ("unknown", "fail"),
            id="foreign, denied, and its policy too",
        ),
    ],
)
def test_a_bucket_of_another_account_is_not_known(
    enforced: bool,  # noqa: FBT001 # a parameter of the table
    breaks: Callable[[World], object],
    verdicts: tuple[str, str],
) -> None:
    world = World()
    world.uses(s3EncryptionEnabled=enforced)
    breaks(world)
    answer = world.answers["s3:get_bucket_encryption"]

    def of_owner() -> Any:  # noqa: ANN401
        if "ExpectedBucketOwner" in world.asked[-1]:
            assert world.asked[-1]["ExpectedBucketOwner"] == ACCOUNT
            raise refusal("GetBucketEncryption", "AccessDenied")
        return answer

    world.has("s3:get_bucket_encryption", of_owner)

    found = diagnosed(world)

    checks = [one(found, name) for name in ("bucket-encryption", "log-to-s3")]
    assert tuple(check.verdict for check in checks) == verdicts
    for check in checks:
        assert check.verdict == "fail" or f"is not of the account {ACCOUNT}" in check.why[0]
    asked = zip(world.calls, world.asked, strict=True)
    for of_bucket in (said for call, said in asked if call == "s3:get_bucket_policy"):
        assert of_bucket == {"Bucket": "session-logs", "ExpectedBucketOwner": ACCOUNT}


@pytest.mark.parametrize(
    ("document", "version", "says"),
    [
        ({"portNumber": "80"}, "2.3.600.0", "forwarding a port takes 2.3.672.0"),
        ({"portNumber": "80"}, "2.3.672.0", ""),
        (
            {"host": "{{ host }}"},
            "3.1.1373.9",
            "forwarding the port of another host takes 3.1.1374",
        ),
        ({"host": "{{ host }}"}, "3.1.1374.0", ""),
        (None, "3.1.1.0", ""),
    ],
)
def test_what_forwards_ports_needs_a_newer_agent(
    document: dict[str, str] | None, version: str, says: str
) -> None:
    world = World()
    world.document = {"sessionType": "Port", "properties": document}
    agent(version)(world)

    check = one(diagnosed(world, document="Ports"), "agent")

    assert check.verdict == ("fail" if says else "pass")
    assert says in check.why[0]
    assert not says or "Plugin with name Port is not supported" in check.why[1]


def test_a_record_that_can_not_be_read_has_no_version() -> None:
    world = World()
    world.refuses("ssm:DescribeInstanceInformation")

    assert one(diagnosed(world), "agent").verdict == "unknown"
