"""What keeps a session from opening, or does not: each cause is a change of the account.

`test_causes.py` has each command find them, `tests/deploy/test_diagnosis.py` those that moto and
MiniStack know.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import EndpointConnectionError, InvalidRegionError

from session_manager_permissions._verify.simulator import SESSION_ID, TARGET

from .nodes import (
    ACCOUNT,
    ACCOUNT_ROLE,
    ALIAS,
    CHANNELS,
    EVERYTHING,
    HYBRID,
    KEY,
    NODE,
    OTHER_ACCOUNT,
    REGION,
    REGISTER,
    ROLE,
    ROOT,
    USER,
    Question,
    World,
    allowing,
    both,
    encrypted,
    endpoint,
    group,
    key,
    nothing,
    policy,
    status,
    trusting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[World], object]

CHANNEL: Final = CHANNELS[1]
BUCKET: Final = "arn:aws:s3:::session-logs"
FOREIGN_KEY: Final = KEY.replace(ACCOUNT, OTHER_ACCOUNT)
OF_DOCUMENT: Final = (
    "encrypt log-to-s3 log-to-cloudwatch key-usable bucket-encryption log-group-encryption run-as"
)


class Cause(NamedTuple):
    """What is changed in an account in which all is well, and the checks that tell."""

    name: str
    does: Change
    fails: frozenset[str]
    unknown: frozenset[str]
    node: str
    operator: str | None

    def world(self) -> World:
        world = World()
        if self.node == HYBRID:
            world.is_hybrid()
        self.does(world)
        return world


def cause(
    name: str,
    does: Change,
    fails: str = "",
    unknown: str = "",
    *,
    node: str = NODE,
    operator: str | None = None,
) -> Cause:
    """A cause with the checks that fail and those that are unknown: no other is."""
    return Cause(name, does, frozenset(fails.split()), frozenset(unknown.split()), node, operator)


def never(name: str, does: Change, fails: str = "", unknown: str = "") -> Cause:
    """A cause on a node that never registered."""
    return cause(name, both(NEVER, does), f"connected registered {fails}", unknown)


def used(name: str, does: Change, fails: str = "", unknown: str = "") -> Cause:
    """A cause on a node whose sessions use a key, a bucket and a log group, both enforced."""
    return cause(name, both(using(), does), fails, unknown)


def under_account(name: str, does: Change, fails: str = "", unknown: str = "") -> Cause:
    """A cause where the account's role of Default Host Management does the work."""
    changed = both(UNDER_ACCOUNT, does)
    return cause(f"the account's role {name}", changed, fails, f"{unknown} default-host-management")


def hybrid(name: str, does: Change, fails: str = "", unknown: str = "") -> Cause:
    """A cause on a hybrid node."""
    return cause(name, does, fails, unknown, node=HYBRID)


def instance(**parts: object) -> Change:
    return lambda world: world.instance.update(parts)


def record(**parts: object) -> Change:
    return lambda world: (world.record or {}).update(parts)


def agent(version: str) -> Change:
    return record(AgentVersion=version)


def setting(**parts: object) -> Change:
    """Set attributes of the world."""
    return lambda world: vars(world).update(parts)


def denying(*actions: str) -> Change:
    return lambda world: world.denies.update(actions)


def using(**inputs: object) -> Change:
    return lambda world: world.uses(**inputs)


def having(name: str, answer: object) -> Change:
    return lambda world: world.has(name, answer)


def refusing(operation: str, code: str = "AccessDeniedException") -> Change:
    return lambda world: world.refuses(operation, code)


def on_all_and_instances(on_all: str, on_instances: str) -> Change:
    """Have IAM decide on the registration on `*` and on the instance."""

    def decides(asked: Question) -> dict[str, Any] | None:
        decision = on_all if asked.resource == "*" else on_instances
        return {"EvalDecision": decision} if asked.action == REGISTER else None

    return setting(decides=decides)


def channels_by_condition(*certain: str) -> Change:
    """Have IAM deny channels by a condition without a value, and some for certain."""

    def decides(asked: Question) -> dict[str, Any] | None:
        if asked.action not in CHANNELS:
            return None
        missing = [] if asked.action in certain else ["aws:SourceVpc"]
        return {"EvalDecision": "implicitDeny", "MissingContextValues": missing}

    return setting(decides=decides)


def key_policy(*statements: dict[str, Any]) -> Change:
    return having("kms:get_key_policy", policy(*statements))


def bucket_policy(*statements: dict[str, Any]) -> Change:
    return having("s3:get_bucket_policy", policy(*statements))


def bucket(algorithm: str, with_key: str | None = None) -> Change:
    return having("s3:get_bucket_encryption", encrypted(algorithm, with_key))


def log_groups(*names: str) -> Change:
    return having("logs:describe_log_groups", {"logGroups": [{"logGroupName": n} for n in names]})


def described_key(**parts: object) -> Change:
    return having("kms:describe_key", {"KeyMetadata": key(**parts)})


def statuses(*found: dict[str, Any]) -> Change:
    return having("ec2:describe_instance_status", {"InstanceStatuses": [*found]})


def run_as(user: str) -> Change:
    return using(runAsEnabled=True, runAsDefaultUser=user)


def by(operator: str, name: str, value: object) -> dict[str, Any]:
    return PUBLIC | {"Condition": {operator: {name: value}}}


def denies(operator: str, name: str, value: object) -> dict[str, Any]:
    """Return a statement that denies the key, or uploads to the bucket, by a condition."""
    denied = {"Effect": "Deny", "Action": ["kms:*", "s3:PutObject"]}
    return by(operator, name, value) | denied


def behind(service: str, action: str, *resources: str) -> Change:
    """Have an endpoint whose policy allows this alone, and whose group lets all in."""
    of = [*resources] or "*"
    allowed = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": of}
    names = {"PrivateDnsOnlyForInboundResolverEndpoint": False}  # of the endpoint of S3
    made = endpoint(service, PolicyDocument=json.dumps({"Statement": [allowed]}), DnsOptions=names)
    anybody = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    opened = group("sg-endpoints", IpPermissions=anybody)
    return both(
        having("ec2:describe_vpc_endpoints", {"VpcEndpoints": [made]}),
        having("ec2:describe_security_groups", {"SecurityGroups": [group("sg-web"), opened]}),
    )


def trusts(service: str, **parts: object) -> Change:
    return lambda world: setattr(world, "trust", {"Statement": [trusting(service) | parts]})


def without_profile(world: World) -> None:
    del world.instance["IamInstanceProfile"]


def without_a_role(world: World) -> None:
    assert world.record
    del world.record["IamRole"]


def with_a_strange_subnet(world: World) -> None:
    world.answers["ec2:describe_subnets"]["Subnets"][0]["CidrBlock"] = "10.0.0.0/x"


def of_ports(world: World) -> None:
    world.document["sessionType"] = "Port"


def of_ports_with(properties: dict[str, str]) -> Change:
    return setting(document={"sessionType": "Port", "properties": properties})


NEVER: Final = World.never_registered
LOST: Final = World.is_lost
ONLINE: Final = World.is_online_only
UNDER_ACCOUNT: Final = World.has_host_management
NOT_TRUSTED: Final = trusts("lambda.amazonaws.com")
PERHAPS_TRUSTED: Final = trusts("ec2.amazonaws.com", Condition={"Bool": {}})
PUBLIC: Final = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
BY_TAG: Final = allowing(ROLE, "kms:*", Condition={"StringEquals": {"aws:ResourceTag/team": "web"}})
DENY_BY_TAG: Final = BY_TAG | {"Effect": "Deny"}
CALLER, PRINCIPAL, VIA = "kms:CallerAccount", "aws:PrincipalArn", "kms:ViaService"
OF_S3: Final = f"s3.{REGION}.amazonaws.com"
SSE: Final = "s3:x-amz-server-side-encryption"
DSSE: Final = bucket("aws:kms:dsse")
NO_BUCKET: Final = refusing("s3:GetBucketEncryption", "NoSuchBucket")
NOT_ENFORCED: Final = using(s3EncryptionEnabled=False, cloudWatchEncryptionEnabled=False)
BY_PARAMETER: Final = using(s3EncryptionEnabled="{{e}}", cloudWatchEncryptionEnabled="{{e}}")
NO_KEY: Final = using(kmsKeyId="")
DENIED_LOGS: Final = denying("s3:PutObject", "logs:PutLogEvents")
NO_PROFILE: Final = refusing("iam:GetInstanceProfile", "AccessDenied")
OF_PROFILE: Final = "instance-profile role-assumable register reach"
METADATA_OFF: Final = instance(MetadataOptions={"HttpEndpoint": "disabled"})
DENIED_KEY: Final = denying("kms:Decrypt")
DENIED_BUCKET: Final = denying("s3:PutObject")
DENIED_BUCKET_KEY: Final = denying("kms:GenerateDataKey")
NO_SETTING: Final = refusing("ssm:GetServiceSetting")
SOURCE: Final = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
ARN, OF_REGION = "aws:SourceArn", f"arn:aws:ssm:{REGION}:{ACCOUNT}:"
NO_TIERS: Final = refusing("ssm:GetServiceSetting", "ServiceSettingNotFound")
UNKNOWN_ALIAS: Final = both(bucket("aws:kms", "alias/logs"), refusing("kms:DescribeKey"))
BY_KEY: Final = bucket("aws:kms", KEY)
UNKNOWN_KEY: Final = both(BY_KEY, refusing("kms:DescribeKey"))
OLD: Final = "2.3.50.0"

STATES: Final = [
    cause("connected", nothing),
    cause("connected, with everything used", using()),
    cause("preferences that name nothing", using(**dict.fromkeys(EVERYTHING, ""))),
    never("never registered", nothing, unknown="agent"),
    never(
        "no managed node by an error",
        refusing("ssm:DescribeInstanceInformation", "InvalidInstanceId"),
        unknown="agent",
    ),
    never("no status yet", statuses(), unknown="agent"),
    cause("lost", LOST, "connected registered"),
    cause("inactive", both(LOST, record(PingStatus="Inactive")), "connected registered"),
    cause("online and not connected", ONLINE, "connected"),
    cause("connected though lost", lambda w: w.is_lost("connected"), unknown="registered"),
    cause("connected without a record", setting(record=None), unknown="registered"),
    never("stopped", instance(State={"Name": "stopped"}), "instance-running"),
    never("stopping", instance(State={"Name": "stopping"}), "instance-running"),
    never("pending", instance(State={"Name": "pending"}), "instance-running"),
    never("terminated", instance(State={"Name": "terminated"}), "instance-running"),
    never("system impaired", statuses(status("impaired")), "instance-running"),
    cause(
        "instance impaired",
        both(LOST, statuses(status("ok", "impaired"))),
        "instance-running connected registered",
    ),
    never(
        "volumes impaired",
        statuses(status() | {"AttachedEbsStatus": {"Status": "impaired"}}),
        "instance-running",
    ),
]

IDENTITY: Final = [
    never("no profile", without_profile, "instance-profile"),
    never("an empty profile", setting(of_profile={"Roles": []}), "instance-profile"),
    never(
        "a deleted profile",
        refusing("iam:GetInstanceProfile", "NoSuchEntity"),
        "instance-profile",
    ),
    never(
        "a profile that was deleted and made again",
        setting(of_profile={"InstanceProfileId": "AIPA2"}),
        "instance-profile",
    ),
    cause("a profile whose id is none of AWS", setting(of_profile={"InstanceProfileId": "x"})),
    never("no trust", NOT_TRUSTED, "role-assumable"),
    cause("no trust any more", NOT_TRUSTED, "role-assumable"),
    never("perhaps trusted", PERHAPS_TRUSTED, unknown="role-assumable"),
    cause("perhaps trusted, and connected", PERHAPS_TRUSTED),
    never("metadata off", METADATA_OFF, "metadata"),
    never("metadata not said", instance(MetadataOptions={}), unknown="metadata"),
    never("may not register", denying(REGISTER), "register"),
    cause("may not register any more", denying(REGISTER), "register"),
    cause("denied on the instances", on_all_and_instances("allowed", "explicitDeny"), "register"),
    cause("denied on all", on_all_and_instances("explicitDeny", "explicitDeny"), "register"),
    cause("not on the instances", on_all_and_instances("allowed", "implicitDeny")),
    cause("on the instances alone", on_all_and_instances("implicitDeny", "allowed")),
    cause("denied on all but the instances", on_all_and_instances("explicitDeny", "allowed")),
    cause("no channels", both(ONLINE, denying(CHANNEL)), "reach connected"),
    cause("no channels any more", denying(*CHANNELS), "reach"),
    cause("channels by a condition", channels_by_condition(), unknown="reach"),
    cause("a channel for certain, others by a condition", channels_by_condition(CHANNEL), "reach"),
    never("no registration, no channels", denying(REGISTER, *CHANNELS), "register reach"),
    never(
        "no profile, and metadata off",
        both(without_profile, METADATA_OFF),
        "instance-profile metadata",
    ),
]

HOST_MANAGEMENT: Final = [
    under_account("in place of a profile", without_profile),
    under_account("in place of one that may not register", denying(f"{ROLE} {REGISTER}")),
    under_account("in place of one that is not trusted", NOT_TRUSTED, unknown="role-assumable"),
    under_account("beside one that is perhaps trusted", PERHAPS_TRUSTED),
    under_account(
        "that may not decrypt",
        both(without_profile, using(), denying(f"{ACCOUNT_ROLE} kms:Decrypt")),
        "encrypt",
    ),
    under_account(
        "and metadata off",
        both(NEVER, without_profile, METADATA_OFF),
        "metadata connected registered",
    ),
    under_account(
        "for which the endpoint does not let the agent ask",
        both(NEVER, without_profile, behind("ssm", "ssm:Update*")),
        "path-ssm connected registered",
    ),
    under_account(
        "for which the endpoint lets the agent ask",
        both(NEVER, without_profile, behind("ssm", "ssm:*")),
        "connected registered",
    ),
    under_account(
        "and an agent of a strange version", both(denying(REGISTER), agent("next")), "register"
    ),
    cause(
        "an agent that takes no account's role",
        both(UNDER_ACCOUNT, denying(REGISTER), agent("3.1.0.0")),
        "register",
    ),
    cause(
        "no channels, which the account's role does not fix",
        both(UNDER_ACCOUNT, ONLINE, denying(f"{ROLE} {CHANNEL}")),
        "reach connected",
    ),
    cause("no setting at all", both(without_profile, NO_TIERS), "instance-profile"),
    cause(
        "an empty setting",
        both(denying(REGISTER), lambda w: w.has_host_management("")),
        "register",
    ),
]

KEYS: Final = [
    used("a disabled key", described_key(KeyState="Disabled"), "key-usable"),
    used("a key to be deleted", described_key(KeyState="PendingDeletion"), "key-usable"),
    used("a key without material", described_key(KeyState="PendingImport"), "key-usable"),
    used("an asymmetric key", described_key(KeySpec="RSA_2048"), "key-usable"),
    used(
        "an asymmetric key of an old API",
        described_key(KeySpec=None, CustomerMasterKeySpec="RSA_2048"),
        "key-usable",
    ),
    used("a key for signatures", described_key(KeyUsage="SIGN_VERIFY"), "key-usable"),
    used("a key of AWS's own", described_key(KeyManager="AWS"), "key-usable"),
    used("no such key", refusing("kms:DescribeKey", "NotFoundException"), "key-usable"),
    used("a key of another region", using(kmsKeyId=KEY.replace(REGION, "us-east-1")), "key-usable"),
    used("an alias", using(kmsKeyId="alias/sessions")),
    used(
        "an alias that can't be resolved",
        both(using(kmsKeyId=ALIAS), refusing("kms:DescribeKey")),
        unknown="key-usable encrypt",
    ),
    used("no key by a denial", refusing("kms:DescribeKey"), unknown="key-usable"),
    used(
        "throttled for good",
        refusing("kms:DescribeKey", "ThrottlingException"),
        unknown="key-usable",
    ),
    used("a key whose ARN is none", described_key(Arn="arn:x"), unknown="key-usable"),
    used("may not decrypt", DENIED_KEY, "encrypt"),
    used(
        "a condition on the service that a call comes by, which no call of the agent does",
        both(DENIED_KEY, setting(missing=["kms:ViaService"])),
        "encrypt",
    ),
    used(
        "a disabled key, and may not decrypt",
        both(described_key(KeyState="Disabled"), DENIED_KEY),
        "key-usable encrypt",
    ),
    # the policy of the key
    used("the key names the role", both(DENIED_KEY, key_policy(allowing(ROLE, "kms:Decrypt")))),
    used("the key names all", both(DENIED_KEY, key_policy(allowing("*", "kms:*")))),
    used("the key is for all", both(DENIED_KEY, key_policy(PUBLIC))),
    used("the key may not be read", refusing("kms:GetKeyPolicy"), unknown="key-usable"),
    used("the key names nobody", key_policy(), "key-usable"),
    used("the key names another", key_policy(allowing(USER, "kms:*")), "key-usable"),
    used(
        "the key names a session of the role",
        key_policy(allowing(f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/{NODE}", "kms:*")),
        unknown="key-usable",
    ),
    used("the key is by the account", key_policy(by("StringEquals", CALLER, ACCOUNT))),
    used("the key is by others", key_policy(by("StringEquals", CALLER, "4" * 12)), "key-usable"),
    used(
        "the key is by all but others",
        key_policy(by("StringNotEquals", CALLER, "4" * 12)),
    ),
    *(
        used(f"the key denies {name}", key_policy(allowing(ROOT, "kms:*"), denied), fails, unknown)
        for name, denied, fails, unknown in (
            ("outsiders", denies("StringNotEquals", CALLER, ACCOUNT), "", ""),
            ("the account", denies("StringNotEquals", CALLER, "4" * 12), "key-usable", ""),
            ("other roles", denies("ArnNotLike", PRINCIPAL, "arn:aws:iam::*:role/team/*"), "", ""),
            ("this role", denies("StringNotLike", PRINCIPAL, "*/admin"), "key-usable", ""),
            ("people", denies("Bool", "aws:PrincipalIsAWSService", "false"), "key-usable", ""),
            ("calls by no service", denies("StringNotEquals", VIA, OF_S3), "key-usable", ""),
            ("calls by a service", denies("StringLike", VIA, "*"), "", ""),
            ("what is no session", denies("Null", SESSION_ID, "true"), "", ""),
            ("sessions by their ids", denies("StringLike", SESSION_ID, "a*"), "", "key-usable"),
            ("another node", denies("StringEquals", TARGET, "i-0"), "", ""),
            (
                "an organization",
                denies("StringNotEquals", "aws:PrincipalOrgID", "o-1"),
                "",
                "key-usable",
            ),
            ("a text", denies("StringEquals", CALLER, "${aws:PrincipalAccount}"), "", "key-usable"),
            ("by a date", denies("DateLessThan", CALLER, "2020-01-01"), "", "key-usable"),
        )
    ),
    used(
        "the key is by a service if one makes the call",
        key_policy(by("StringEqualsIfExists", VIA, OF_S3)),
    ),
    used("the key is by a text", key_policy(by("StringEquals", PRINCIPAL, "*")), "key-usable"),
    used(
        "the key is by patterns",
        key_policy(by("ArnLike", PRINCIPAL, [USER, "arn:aws:iam::*:role/*"])),
    ),
    used("the key is by TLS", key_policy(by("Bool", "aws:SecureTransport", value=True))),
    used(
        "the key denies calls without TLS",
        key_policy(
            allowing(ROOT, "kms:*"),
            by("Bool", "aws:SecureTransport", "false") | {"Effect": "Deny"},
        ),
    ),
    used(
        "the key is by a service",
        key_policy(by("StringEquals", "kms:ViaService", f"s3.{REGION}.amazonaws.com")),
        "key-usable",
    ),
    used("the key is by a tag", key_policy(BY_TAG), unknown="key-usable"),
    used(
        "the key may allow what IAM denies, and lets the account in",
        both(DENIED_KEY, key_policy(BY_TAG, allowing(ROOT, "kms:*"))),
        unknown="encrypt",
    ),
    used(
        "the key lets the account in by a tag, and IAM denies",
        both(DENIED_KEY, key_policy(BY_TAG | {"Principal": {"AWS": ROOT}})),
        "encrypt",
        "key-usable",
    ),
    used("the key denies by a tag whom it lets in nowhere", key_policy(DENY_BY_TAG), "key-usable"),
    used(
        "the key may allow what IAM denies",
        both(DENIED_KEY, key_policy(BY_TAG)),
        unknown="key-usable encrypt",
    ),
    used(
        "the key denies the role",
        key_policy(allowing(ROOT, "kms:*"), allowing(ROLE, "kms:*") | {"Effect": "Deny"}),
        "key-usable",
    ),
    used(
        "the key denies all but another",
        key_policy(
            allowing(ROOT, "kms:*"),
            {"Effect": "Deny", "NotPrincipal": {"AWS": USER}, "Action": "kms:*"},
        ),
        unknown="key-usable",
    ),
]

LOGS: Final = [
    used("a bucket by dsse", DSSE, "bucket-encryption"),
    used("a bucket by dsse, not enforced", both(NOT_ENFORCED, DSSE)),
    used(
        "a bucket by dsse, enforced by a parameter",
        both(BY_PARAMETER, DSSE),
        unknown="bucket-encryption",
    ),
    used(
        "a bucket that does not encrypt",
        refusing("s3:GetBucketEncryption", "ServerSideEncryptionConfigurationNotFoundError"),
        "bucket-encryption",
    ),
    used("no such bucket", NO_BUCKET, "bucket-encryption"),
    used("no such bucket, not enforced", both(NOT_ENFORCED, NO_BUCKET), "bucket-encryption"),
    used(
        "no bucket by a denial",
        refusing("s3:GetBucketEncryption", "AccessDenied"),
        unknown="bucket-encryption",
    ),
    *(
        used(
            f"a bucket with its key as {given}",
            both(bucket("aws:kms", given), DENIED_BUCKET_KEY),
            "log-to-s3",
        )
        for given in (KEY, KEY.rpartition("/")[2], "alias/logs", ALIAS)
    ),
    used("an alias of a bucket, not known", both(NO_KEY, UNKNOWN_ALIAS), unknown="log-to-s3"),
    used(
        "an alias of a bucket, not known, and no logs",
        both(NO_KEY, UNKNOWN_ALIAS, DENIED_BUCKET),
        "log-to-s3",
    ),
    used("the key of a bucket, not known", both(NO_KEY, UNKNOWN_KEY)),
    *(
        used(f"a bucket whose key {name}", both(NO_KEY, BY_KEY, does), "bucket-encryption")
        for name, does in {
            "is disabled": described_key(KeyState="Disabled"),
            "is for signatures": described_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY"),
            "does not exist": refusing("kms:DescribeKey", "NotFoundException"),
        }.items()
    ),
    used(
        "the key of a bucket, not known, and denied",
        both(NO_KEY, UNKNOWN_KEY, DENIED_BUCKET_KEY),
        "log-to-s3",
    ),
    used(
        "the key of S3 that AWS manages, which needs no grant",
        both(NO_KEY, BY_KEY, described_key(KeyManager="AWS"), DENIED_BUCKET_KEY),
    ),
    *(
        used(f"a bucket with no key: {given}", bucket("aws:kms", given), unknown="log-to-s3")
        for given in ("arn:x", "arn:aws:kms:a b:1:key/x", "a/b", 'x", y("')
    ),
    used(
        "a bucket with a key in a region that botocore asks in no request",
        both(
            bucket("aws:kms", KEY.replace(REGION, "-x-")),
            having("kms:describe_key", InvalidRegionError(region_name="-x-")),
        ),
        unknown="key-usable",
    ),
    used(
        "the bucket names the role",
        both(DENIED_BUCKET, bucket_policy(allowing(ROLE, "s3:PutObject"))),
    ),
    used(
        "the bucket names another role",
        both(DENIED_BUCKET, bucket_policy(allowing(ACCOUNT_ROLE, "s3:PutObject"))),
        "log-to-s3",
    ),
    cause(
        "a key of another account that names the role, which IAM does not allow",
        both(
            using(kmsKeyId=FOREIGN_KEY),
            described_key(Arn=FOREIGN_KEY),
            denying("kms:Decrypt"),
            having("kms:get_key_policy", policy(allowing(ROLE, "kms:*"))),
        ),
        "encrypt",
    ),
    *(
        used(f"the bucket denies {name}", bucket_policy(denied), fails, unknown)
        for name, denied, fails, unknown in (
            ("all", PUBLIC | {"Effect": "Deny", "Action": "s3:*"}, "log-to-s3", ""),
            ("calls without TLS", denies("Bool", "aws:SecureTransport", "false"), "", ""),
            ("old TLS", denies("NumericLessThan", "s3:TlsVersion", ["1.1", 1.2]), "", ""),
            ("TLS 1.2", denies("NumericLessThan", "s3:TlsVersion", 1.3), "", "log-to-s3"),
            ("uploads without a header", denies("Null", SSE, "true"), "", ""),
            ("other encryption", denies("StringNotEquals", SSE, "AES256"), "", ""),
            ("its own encryption", denies("StringNotEquals", SSE, "aws:kms"), "log-to-s3", ""),
            (
                "ACLs",
                denies("StringNotEquals", "s3:x-amz-acl", "bucket-owner-full-control"),
                "",
                "",
            ),
            ("other networks", denies("StringNotEquals", "aws:SourceVpce", "v"), "", "log-to-s3"),
        )
    ),
    used(
        "the policy of the bucket may not be read, and IAM allows it",
        refusing("s3:GetBucketPolicy", "AccessDenied"),
        unknown="log-to-s3",
    ),
    used(
        "the key of the bucket lets nobody in",
        both(NO_KEY, BY_KEY, key_policy()),
        "log-to-s3",
    ),
    used(
        "the key of the bucket lets all in by way of S3",
        both(
            NO_KEY,
            BY_KEY,
            DENIED_KEY,
            DENIED_BUCKET_KEY,
            key_policy(by("StringEquals", VIA, OF_S3)),
        ),
    ),
    used(
        "the policy of the bucket may not be read",
        both(DENIED_BUCKET, refusing("s3:GetBucketPolicy", "AccessDenied")),
        unknown="log-to-s3",
    ),
    used("may not see how it encrypts", denying("s3:GetEncryptionConfiguration"), "log-to-s3"),
    used("may not log", DENIED_LOGS, "log-to-s3 log-to-cloudwatch"),
    used(
        "may not log, not enforced", both(NOT_ENFORCED, DENIED_LOGS), "log-to-s3 log-to-cloudwatch"
    ),
    used("no such group", log_groups(), "log-group-encryption"),
    used("no such group, not enforced", both(NOT_ENFORCED, log_groups()), "log-group-encryption"),
    used("a longer name of a group", log_groups("/ssm/sessions-2"), "log-group-encryption"),
    used("a group without a key", log_groups("/ssm/sessions"), "log-group-encryption"),
    used("a group without a key, not enforced", both(NOT_ENFORCED, log_groups("/ssm/sessions"))),
    used(
        "a group without a key, enforced by a parameter",
        both(BY_PARAMETER, log_groups("/ssm/sessions")),
        unknown="log-group-encryption",
    ),
    used(
        "no group by a denial", refusing("logs:DescribeLogGroups"), unknown="log-group-encryption"
    ),
    used(
        "an endpoint that is not there",
        having("logs:describe_log_groups", EndpointConnectionError(endpoint_url="https://logs")),
        unknown="log-group-encryption",
    ),
    cause("streamed to", using(cloudWatchStreamingEnabled=True)),
    cause(
        "streamed to by a text",
        using(cloudWatchStreamingEnabled="true"),
        "log-group-encryption",
    ),
    cause(
        "streamed to by a parameter",
        using(cloudWatchStreamingEnabled="{{stream}}"),
        unknown="log-group-encryption",
    ),
    cause(
        "no group to stream to",
        using(cloudWatchStreamingEnabled="false", cloudWatchLogGroupName=""),
    ),
    used("enforced, and S3 for objects", behind("s3", "s3:PutObject"), "path-s3"),
    used("enforced, and S3 for all", behind("s3", "s3:*")),
    used("S3 for the bucket", behind("s3", "s3:*", f"{BUCKET}/web/*", BUCKET)),
    used("S3 for another bucket", behind("s3", "s3:*", f"{BUCKET}-2/*"), "path-s3"),
    used("KMS for the key", behind("kms", "kms:*", KEY)),
    used("KMS for another key", behind("kms", "kms:*", f"{KEY}0"), "path-kms"),
    used("enforced, and logs for streams", behind("logs", "logs:*Stream*"), "path-logs"),
    used("enforced, and logs for all", behind("logs", "logs:*")),
    used(
        "enforced by a parameter, and S3 for objects",
        both(BY_PARAMETER, behind("s3", "s3:PutObject")),
        unknown="path-s3",
    ),
    used("not enforced, and S3 for objects", both(NOT_ENFORCED, behind("s3", "s3:PutObject"))),
]

RUN_AS: Final = [
    cause("Run As", run_as("web")),
    cause("Run As of ports, whose sessions run as nobody", both(run_as(""), of_ports)),
    cause(
        "Run As root, where a tag of the operator may win",
        using(runAsEnabled="true", runAsDefaultUser="root"),
        unknown="run-as",
    ),
    cause("Run As what a shell would act on", run_as("$(touch P)"), unknown="run-as"),
    cause("Run As ssm-user", run_as("ssm-user"), unknown="run-as"),
    cause("Run As nobody", run_as(" "), unknown="run-as"),
    cause("Run As by a parameter", using(runAsEnabled="{{run}}"), unknown="run-as"),
    cause(
        "Run As on Windows", both(run_as("web"), record(PlatformType="Windows")), unknown="run-as"
    ),
]

NOT_ASKED: Final = [
    cause(
        "no record by a denial",
        refusing("ssm:DescribeInstanceInformation"),
        unknown="agent registered",
    ),
    cause("no connection by a denial", refusing("ssm:GetConnectionStatus"), unknown="connected"),
    never(
        "no status by a denial",
        refusing("ec2:DescribeInstanceStatus", "UnauthorizedOperation"),
        unknown="instance-running",
    ),
    cause("no profile by a denial", NO_PROFILE, unknown=OF_PROFILE),
    under_account("and no profile by a denial", NO_PROFILE, unknown=OF_PROFILE),
    cause(
        "no setting by a denial",
        both(without_profile, NO_SETTING),
        unknown="instance-profile default-host-management",
    ),
    *(
        used(
            f"no setting by a denial, and a role that lacks {action}",
            both(denying(f"{ROLE} {action}", f"{ROLE} {REGISTER}"), NO_SETTING),
            unknown=f"register {check} default-host-management",
        )
        for action, check in ((REGISTER, ""), (CHANNEL, "reach"), ("kms:Decrypt", "encrypt"))
    ),
    cause(
        "no setting by a denial, and a role that EC2 can't assume",
        both(NOT_TRUSTED, NO_SETTING),
        unknown="role-assumable default-host-management",
    ),
    used(
        "no simulator by a denial",
        refusing("iam:SimulatePrincipalPolicy", "AccessDenied"),
        unknown="register reach encrypt log-to-s3 log-to-cloudwatch",
    ),
    cause("no document by a denial", refusing("ssm:GetDocument"), unknown=OF_DOCUMENT),
    *(
        cause(
            f"a document whose {flag} the agent can't read",
            using(**{flag: "perhaps"}),
            check,
            OF_DOCUMENT.replace(check, ""),
        )
        for flag, check in {
            "runAsEnabled": "run-as",
            "s3EncryptionEnabled": "bucket-encryption",
            "cloudWatchEncryptionEnabled": "log-group-encryption",
        }.items()
    ),
    used(
        "a bucket without rules",
        having("s3:get_bucket_encryption", {"ServerSideEncryptionConfiguration": {"Rules": []}}),
        unknown="bucket-encryption",
    ),
    used(
        "a bucket that is busy",
        refusing("s3:GetBucketEncryption", "SlowDown"),
        unknown="bucket-encryption",
    ),
    used(
        "a key without a description",
        having("kms:describe_key", {"KeyMetadata": None}),
        unknown="key-usable",
    ),
    used(
        "no list of groups", having("logs:describe_log_groups", {}), unknown="log-group-encryption"
    ),
    cause(
        "no connection in the answer", having("ssm:get_connection_status", {}), unknown="connected"
    ),
    cause(
        "a connection of a strange kind",
        having("ssm:get_connection_status", {"Status": "reconnecting"}),
        unknown="connected",
    ),
    cause(
        "no profile in the answer",
        having("iam:get_instance_profile", {"InstanceProfile": None}),
        unknown=OF_PROFILE,
    ),
    cause("a role whose ARN is none", setting(of_role={"Arn": "web-server"}), unknown=OF_PROFILE),
    cause(
        "no result of the simulator",
        having("iam:simulate_principal_policy", {"EvaluationResults": [None]}),
        unknown="register reach",
    ),
    never("a record without a ping", setting(record={"InstanceId": NODE}), unknown="agent"),
    never(
        "a subnet whose block is none",
        with_a_strange_subnet,
        unknown="path-ssm path-ssmmessages",
    ),
]

AGENTS: Final = [
    cause(f"an agent of {OLD}, connected", agent(OLD)),
    cause(f"an agent of {OLD}, not connected", both(ONLINE, agent(OLD)), "agent connected"),
    cause(f"an agent of {OLD}, and lost", both(LOST, agent(OLD)), "agent connected registered"),
    used("an agent of 2.3.68.0, and a key", agent("2.3.68.0"), "agent"),
    cause("an agent of 2.3.539.0, and Run As", both(run_as("web"), agent("2.3.539.0")), "agent"),
    cause("an agent of 2.3.672.0, and all of it", both(run_as("web"), agent("2.3.672.0"))),
    *(
        cause(
            f"an agent of {version}, and a document of ports with {' '.join(properties)}",
            both(of_ports_with(properties), agent(version)),
            fails,
        )
        for version, properties, fails in (
            ("2.3.600.0", {"portNumber": "80"}, "agent"),
            ("2.3.672.0", {"portNumber": "80"}, ""),
            ("3.1.1373.9", {"host": "{{ host }}"}, "agent"),
            ("3.1.1374.0", {"host": "{{ host }}"}, ""),
            ("3.1.1.0", {}, ""),
        )
    ),
    cause("a version that is none", both(ONLINE, agent("new")), "connected", "agent"),
]

OPERATORS: Final = [
    cause("an operator who may", using(), "plugin", operator=USER),
    *(
        cause(
            f"an operator without {action}",
            both(using(), denying(f"{USER} {action}")),
            "operator plugin",
            operator=USER,
        )
        for action in ("ssm:StartSession", "ssmmessages:OpenDataChannel", "kms:GenerateDataKey")
    ),
    *(
        cause(
            f"an operator, and a key {name}",
            both(using(), key_policy(allowing(ROLE, "kms:*"), *statements)),
            f"{fails} plugin",
            unknown,
            operator=USER,
        )
        for name, statements, fails, unknown in (
            ("for the role alone", [], "operator", ""),
            ("for both", [allowing(USER, "kms:*")], "", ""),
            ("for both by a tag", [BY_TAG | {"Principal": {"AWS": USER}}], "", "operator"),
        )
    ),
]

HYBRID_NODES: Final = [
    hybrid("hybrid", nothing),
    hybrid("hybrid, with everything used", using()),
    hybrid("hybrid and lost", LOST, "connected registered"),
    hybrid("hybrid, standard tier", setting(tier="standard"), "tier"),
    hybrid(
        "hybrid, standard tier, and lost",
        both(LOST, setting(tier="standard")),
        "tier connected registered",
    ),
    hybrid("hybrid, another tier", setting(tier="golden"), unknown="tier"),
    hybrid("hybrid, no tiers", NO_TIERS),
    hybrid("hybrid, no tier by a denial", NO_SETTING, unknown="tier"),
    hybrid("hybrid, by EC2", NOT_TRUSTED, "role-assumable"),
    *(
        hybrid(
            f"hybrid and lost, by {name}",
            both(LOST, trusts("ssm.amazonaws.com", Condition=condition)),
            f"{fails} connected registered",
            unknown,
        )
        for name, condition, fails, unknown in (
            ("its account and region", {**SOURCE, "ArnEquals": {ARN: f"{OF_REGION}*"}}, "", ""),
            ("its account", SOURCE, "", ""),
            (
                "a node",
                {"ArnEquals": {ARN: f"{OF_REGION}managed-instance/*"}},
                "",
                "role-assumable",
            ),
            ("another region", {"ArnLike": {ARN: "*:us-east-1:*:*"}}, "role-assumable", ""),
            ("an organization", {"StringLike": {"aws:SourceOrgID": "o"}}, "", "role-assumable"),
        )
    ),
    hybrid("hybrid, no channels", both(ONLINE, denying(CHANNEL)), "reach connected"),
    hybrid("hybrid, may not decrypt", both(using(), DENIED_KEY), "encrypt"),
    hybrid("hybrid, no role any more", refusing("iam:GetRole", "NoSuchEntity"), "role-assumable"),
    hybrid(
        "hybrid, no role by a denial",
        refusing("iam:GetRole", "AccessDenied"),
        unknown="role-assumable",
    ),
    hybrid("hybrid, no role on record", both(using(), without_a_role)),
]

CAUSES: Final = [
    *(*STATES, *IDENTITY, *HOST_MANAGEMENT, *KEYS, *LOGS, *RUN_AS, *NOT_ASKED, *AGENTS),
    *(*OPERATORS, *HYBRID_NODES),
]
