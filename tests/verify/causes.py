"""Changes of an account that keep a session from opening, or that do not.

`test_causes.py` runs each command on every cause, `tests/deploy/test_diagnosis.py` on those that
moto and MiniStack support.
"""

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from botocore.exceptions import EndpointConnectionError, InvalidRegionError
from botocore.session import get_session

from session_manager_permissions._needs import SESSION_KEY, TARGET_KEY

from . import nodes
from .nodes import ACCOUNT, KEY, REGION, REGISTER, ROLE, ROOT, USER, Question, World, allowing, both

Change = Callable[[World], object]

CHANNEL: Final = nodes.CHANNELS[1]
PROFILES: Final = "iam:GetInstanceProfile"
RECORDS: Final = "ssm:DescribeInstanceInformation"
CONNECTIONS: Final = "ssm:GetConnectionStatus"
ENCRYPTION: Final = "s3:GetBucketEncryption"
PUT: Final = "s3:PutObject"
DELETED: Final = "AIDACKCEVSQ6C2EXAMPLE"
"""The unique id by which a policy names a deleted user."""
BUCKET: Final = "arn:aws:s3:::session-logs"
OF_TAG: Final = "arn:aws:s3:::${aws:PrincipalTag/bucket}"
GROUP: Final = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/ssm/sessions"
US: Final = "us-east-1"
KEY_IN_US: Final = KEY.replace(REGION, US)
FOREIGN_KEY: Final = KEY.replace(ACCOUNT, nodes.OTHER_ACCOUNT)
OF_DOCUMENT: Final = (
    "encrypt log-to-s3 log-to-cloudwatch key-usable bucket-encryption log-group-encryption run-as "
    "path-kms path-logs path-s3"
)


class Cause(NamedTuple):
    """Changes of an account in which sessions open, and the checks that report them."""

    name: str
    does: Change
    fails: frozenset[str]
    unknown: frozenset[str]
    node: str
    operator: str | None

    def world(self) -> World:
        world = World()
        if self.node == nodes.HYBRID:
            world.is_hybrid()
        self.does(world)
        return world


def cause(told: str, *does: Change, node: str = nodes.NODE, operator: str | None = None) -> Cause:
    """A cause, with the checks that fail and, each with a `?`, those that are unknown."""
    checks = frozenset(told.split())
    unknown = frozenset(one for one in checks if one.endswith("?"))
    asked = frozenset(one.removesuffix("?") for one in unknown)
    return Cause("", both(*does), checks - unknown, asked, node, operator)


def perhaps(checks: str) -> str:
    """The checks as unknown ones, each with a `?`."""
    return " ".join(f"{one}?" for one in checks.split())


def never(told: str, *does: Change) -> Cause:
    """A cause on a node that never registered."""
    return cause(f"connected registered {told}", NEVER, *does)


def used(told: str, *does: Change) -> Cause:
    """A cause on a node whose sessions use a key, a bucket and a log group, both enforced."""
    return cause(told, using(), *does)


def under_account(told: str, *does: Change) -> Cause:
    """A cause on a node whose agent uses the role of Default Host Management."""
    return cause(f"{told} default-host-management?", UNDER_ACCOUNT, *does)


def hybrid(told: str, *does: Change) -> Cause:
    """A cause on a hybrid node."""
    return cause(told, *does, node=nodes.HYBRID)


def named(*tables: dict[str, Cause]) -> list[Cause]:
    """The causes of some tables, with their names."""
    return [one._replace(name=name) for table in tables for name, one in table.items()]


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


def refusing(operation: str, code: str = "", if_: nodes.If | None = None) -> Change:
    return lambda world: world.refuses(operation, code, if_)


def on_all_and_instances(on_all: str, on_instances: str) -> Change:
    """Make IAM's answers about the registration on `*` and on the instance differ."""

    def decides(asked: Question) -> dict[str, Any] | None:
        decision = on_all if asked.resource == "*" else on_instances
        return {"EvalDecision": decision} if asked.action == REGISTER else None

    return setting(decides=decides)


def key_policy(*statements: dict[str, Any]) -> Change:
    return having("kms:get_key_policy", nodes.policy(*statements))


def granting(to: str, *operations: str, **parts: object) -> Change:
    """Add a grant of the key that allows somebody calls, and one for a service."""
    grant = {"GranteePrincipal": to, "Operations": operations or ["Decrypt", "GenerateDataKey"]}
    service = {"GranteeServicePrincipal": "rds.amazonaws.com", "Operations": ["Decrypt"]}
    return having("kms:list_grants", {"Grants": [service, grant | parts]})


def key_by(operator: str, name: str, value: object) -> Change:
    return key_policy(by(operator, name, value))


def streaming(value: object, **inputs: object) -> Change:
    return using(cloudWatchStreamingEnabled=value, **inputs)


def bucket_policy(*statements: dict[str, Any]) -> Change:
    return having("s3:get_bucket_policy", nodes.policy(*statements))


def bucket(algorithm: str, with_key: str | None = None, **parts: object) -> Change:
    return having("s3:get_bucket_encryption", nodes.encrypted(algorithm, with_key, **parts))


def log_groups(*names: str) -> Change:
    return having("logs:describe_log_groups", {"logGroups": [{"logGroupName": n} for n in names]})


def described_key(**parts: object) -> Change:
    return having("kms:describe_key", {"KeyMetadata": nodes.key(**parts)})


def statuses(*found: dict[str, Any]) -> Change:
    return having("ec2:describe_instance_status", {"InstanceStatuses": [*found]})


def run_as(user: str) -> Change:
    return using(runAsEnabled=True, runAsDefaultUser=user)


def by(operator: str, name: str, value: object) -> dict[str, Any]:
    return PUBLIC | {"Condition": {operator: {name: value}}}


def denies(operator: str, name: str, value: object) -> dict[str, Any]:
    """Return a statement that denies the key, or uploads to the bucket, by a condition."""
    return by(operator, name, value) | {"Effect": "Deny", "Action": ["kms:*", PUT]}


def behind(service: str, action: str | list[str], *resources: str, **parts: object) -> Change:
    """Add an endpoint whose policy allows only this, and whose group allows all inbound traffic."""
    of = [*resources] or "*"
    one = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": of} | parts
    dns = {"PrivateDnsOnlyForInboundResolverEndpoint": False}  # of the endpoint of S3
    its = nodes.endpoint(service, PolicyDocument=json.dumps({"Statement": [one]}), DnsOptions=dns)
    anybody = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    opened = nodes.group("sg-endpoints", IpPermissions=anybody)
    return both(
        having("ec2:describe_vpc_endpoints", {"VpcEndpoints": [its]}),
        having("ec2:describe_security_groups", {"SecurityGroups": [nodes.group("sg-web"), opened]}),
    )


def trusts(service: str, **parts: object) -> Change:
    return lambda world: setattr(world, "trust", {"Statement": [nodes.trusting(service) | parts]})


def without_profile(world: World) -> None:
    del world.instance["IamInstanceProfile"]


def without_a_role(world: World) -> None:
    assert world.record
    del world.record["IamRole"]


def tagged(user: str, key: str = "SSMSessionRunAs", user_id: str = nodes.OWN_ID) -> Change:
    """Give the operators a tag, by default the one that names the user of their sessions."""
    tags = [{"Key": key, "Value": user}] if user else []

    def change(world: World) -> None:
        world.has("iam:get_user", {"User": {"Arn": USER, "UserId": user_id, "Tags": tags}})
        world.of_role = {"Tags": tags}

    return change


def decides(*missing: str, if_: Callable[[Question], bool], says: str = "implicitDeny") -> Change:
    """Make IAM deny some calls, and name the condition keys for which it was given no value."""
    found = {"EvalDecision": says, "MissingContextValues": [*missing]}
    return setting(decides=lambda asked: found if if_(asked) else None)


def in_account(account: str, key: str = "aws:ResourceAccount", of: str = "") -> Change:
    """Make IAM allow only resources of an account, and name the key if it was given no value.

    Actions that do not begin with `of` are allowed anyway.
    """

    def found(asked: Question) -> dict[str, Any]:
        missing = [] if key in asked.told else [key]
        is_its = asked.told.get(key) == [account] or not asked.action.startswith(of)
        decision = "allowed" if is_its else "implicitDeny"
        return {"EvalDecision": decision, "MissingContextValues": missing}

    return setting(decides=found)


def of_decrypt(asked: Question) -> bool:
    return asked.action == "kms:Decrypt"


def of_channels(asked: Question) -> bool:
    return asked.action in nodes.CHANNELS


def of_instance(asked: Question) -> bool:
    return ":instance/" in asked.resource and asked.action == START


def denied_by_tag(asked: Question) -> dict[str, Any] | None:
    """Deny sessions on nodes with a tag by an organization's policy; IAM does not name its key."""
    of_tag = "aws:ResourceTag/team" in asked.told
    says, of = ("explicitDeny", BY_ORGANIZATION) if of_tag else ("allowed", IN_ORGANIZATION)
    return {"EvalDecision": says, **of} if of_instance(asked) else None


def denied_by_own_tag(asked: Question) -> dict[str, Any] | None:
    """Deny sessions to operators with a tag by a policy."""
    says = "explicitDeny" if OWN_TAG in asked.told else "allowed"
    found = {"EvalDecision": says, "MissingContextValues": [OWN_TAG]}
    return found if of_instance(asked) else None


def of_own_channel(asked: Question) -> bool:
    return (asked.who, asked.action) == (USER, OF_OPERATOR[1])


def certainly_no_channel(asked: Question) -> dict[str, Any] | None:
    missing = [MFA] if of_instance(asked) else []
    denied = of_instance(asked) or of_own_channel(asked)
    return {"EvalDecision": "implicitDeny", "MissingContextValues": missing} if denied else None


def names_no_document(asked: dict[str, Any]) -> bool:
    told = {one["ContextKeyName"]: one["ContextKeyValues"] for one in asked["ContextEntries"]}
    return told.get(ACCESS_CHECK) == ["false"]


def calling(action: str, key: str, value: str) -> Callable[[Question], bool]:
    return lambda asked: asked.action.startswith(action) and asked.told[key] == [value]


def of_document(asked: Question) -> bool:
    return ":document/" in asked.resource


def checks_the_document(asked: Question) -> dict[str, Any] | None:
    """Allow a session on the instance only if AWS checks the document, which no policy allows."""
    checked = asked.told.get(ACCESS_CHECK) == ["true"]
    denied = of_document(asked) or (of_instance(asked) and not checked)
    return {"EvalDecision": "implicitDeny"} if denied else None


def of_channel(*, by_name: bool) -> Callable[[Question], bool]:
    def is_one(asked: Question) -> bool:
        of = asked.resource.partition(":session/")[2]
        is_channel = asked.action == "ssmmessages:OpenDataChannel"
        return bool(of) and is_channel and of.startswith("alice-") is by_name

    return is_one


def by_session_tag(asked: Question) -> bool:
    of_session = asked.action in {"ssm:ResumeSession", "ssm:TerminateSession"}
    return of_session and asked.told.get(SESSION_TAG) != asked.told.get("aws:userid")


def allows_an_id(asked: Question) -> dict[str, Any] | None:
    """Allow a session only to the caller with a certain `aws:userid`."""
    found = asked.told.get("aws:userid", [])
    denied = asked.action == START and found != [nodes.OWN_ID]
    missing = [] if found else ["aws:userid"]
    return {"EvalDecision": "implicitDeny", "MissingContextValues": missing} if denied else None


def of_ports(world: World) -> None:
    world.document["sessionType"] = "Port"


def of_type(session_type: str) -> Change:
    return both(using(), lambda w: w.document.update(sessionType=session_type))


def of_ports_with(properties: dict[str, str]) -> Change:
    return setting(document={"sessionType": "Port", "properties": properties})


NEVER: Final = World.never_registered
LOST: Final = World.is_lost
ONLINE: Final = World.is_online_only
UNDER_ACCOUNT: Final = World.has_host_management
NOT_TRUSTED: Final = trusts("lambda.amazonaws.com")
BY_NO_SERVICE: Final = {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}
OUTSIDERS: Final = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
EXCEPT_SERVICES: Final = setting(
    trust={
        "Statement": [nodes.trusting("ec2.amazonaws.com"), OUTSIDERS | {"Condition": BY_NO_SERVICE}]
    }
)
PERHAPS_TRUSTED: Final = trusts("ec2.amazonaws.com", Condition={"Bool": {}})
PUBLIC: Final = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
BY_TAG: Final = allowing(ROLE, "kms:*", Condition={"StringEquals": {"aws:ResourceTag/team": "web"}})
DENY_BY_TAG: Final = BY_TAG | {"Effect": "Deny"}
CALLER, PRINCIPAL, VIA = "kms:CallerAccount", "aws:PrincipalArn", "kms:ViaService"
CALLED, USER_ID, USER_NAME = "aws:RequestedRegion", "aws:userid", "aws:username"
OF_S3: Final = f"s3.{REGION}.amazonaws.com"
KEY_BY_S3: Final = key_by("StringEquals", VIA, OF_S3)
SSE: Final = "s3:x-amz-server-side-encryption"
OWN_KEY: Final = f"{SSE}-customer-algorithm"
WITH_KEY: Final = f"{SSE}-aws-kms-key-id"
FOREIGN: Final = refusing(ENCRYPTION, if_=lambda asked: "ExpectedBucketOwner" in asked)
"""The bucket is in another account, so S3 denies calls that expect the node's account as owner."""
NO_ACCOUNT_ROLE: Final = both(
    UNDER_ACCOUNT,
    refusing(
        *("iam:SimulatePrincipalPolicy", "NoSuchEntity"),
        if_=lambda asked: asked["PolicySourceArn"] == nodes.ACCOUNT_ROLE,
    ),
)
"""Default Host Management names a role that does not exist."""
DSSE: Final = bucket("aws:kms:dsse")
NO_BUCKET: Final = refusing(ENCRYPTION, "NoSuchBucket")
NOT_ENFORCED: Final = using(s3EncryptionEnabled=False, cloudWatchEncryptionEnabled=False)
BY_PARAMETER: Final = using(s3EncryptionEnabled="{{e}}", cloudWatchEncryptionEnabled="{{e}}")
NO_KEY: Final = using(kmsKeyId="")
DENIED_LOGS: Final = denying(PUT, "logs:PutLogEvents")
NO_PROFILE: Final = refusing(PROFILES)
BY_POLICY: Final = "You are not authorized, with an explicit deny in a service control policy. x"
BY_NONE: Final = "You are not authorized because no service control policy allows the action"
STATUS: Final = "DescribeInstanceStatus", "UnauthorizedOperation"
OF_PROFILE: Final = "instance-profile role-assumable register reach"
NO_METADATA: Final = instance(MetadataOptions={"HttpEndpoint": "disabled"})
BY_WORKSPACES: Final = instance(Operator={
    "Managed": True, "Principal": "workspaces-instances.amazonaws.com", "HiddenByDefault": True,
})  # fmt: skip
ONLY_IMDSV2: Final = instance(MetadataOptions={"HttpEndpoint": "enabled", "HttpTokens": "required"})
DENIED_KEY: Final = denying("kms:Decrypt")
DENIED_BUCKET: Final = denying(PUT)
DENIED_BUCKET_KEY: Final = denying("kms:GenerateDataKey")
UNSEEN: Final = denying("s3:GetEncryptionConfiguration")
NO_SETTING: Final = refusing("ssm:GetServiceSetting")
SOURCE: Final = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
ARN, OF_REGION = "aws:SourceArn", f"arn:aws:ssm:{REGION}:{ACCOUNT}:"
NO_TIERS: Final = refusing("ssm:GetServiceSetting", "ServiceSettingNotFound")
SOME_ALIAS: Final = both(bucket("aws:kms", "alias/logs"), refusing("kms:DescribeKey"))
BY_KEY: Final = bucket("aws:kms", KEY)
SOME_ID: Final = bucket("aws:kms", KEY.rpartition("/")[2])
NOWHERE: Final = setting(
    bucket_region="nowhere", partition_of=get_session().get_partition_for_region)  # fmt: skip
SOME_KEY: Final = both(BY_KEY, refusing("kms:DescribeKey"))
OLD: Final = "2.3.50.0"
WRITING: Final = behind("logs", ["logs:CreateLogStream", "logs:PutLogEvents"])
START: Final = "ssm:StartSession"
OF_OPERATOR: Final = (START, "ssmmessages:OpenDataChannel", "kms:GenerateDataKey")
NAMED: Final = {"SourcePolicyId": "NoSessions", "SourcePolicyType": "IAM Policy"}
MFA: Final = "aws:MultiFactorAuthPresent"
DENIES: Final = {"EvalDecision": "explicitDeny", "MatchedStatements": [NAMED]}
BY_MFA: Final = DENIES | {"MissingContextValues": [MFA]}
BY_BOUNDARY: Final = {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}}
BY_ORGANIZATION: Final = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}
IN_ORGANIZATION: Final = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": True}}
EC2_TAG: Final = "ec2:ResourceTag/team"
OF_INSTANCE: Final = "ec2:SourceInstanceARN"
OWN_TAG: Final = "aws:PrincipalTag/team"
ACCESS_CHECK: Final = "ssm:SessionDocumentAccessCheck"
OF_OBJECT: Final = "kms:EncryptionContext:aws:s3:arn"
NOT_OF_CHANNEL: Final = (ACCESS_CHECK, "aws:CalledVia")
SESSION_TAG: Final = "ssm:resourceTag/aws:ssmmessages:session-id"
VPC: Final = "aws:SourceVpc"
ORG: Final = "aws:PrincipalOrgID"
OWNER, OWNER_ORG, OWNER_S3 = "aws:ResourceAccount", "aws:ResourceOrgID", "s3:ResourceAccount"
NOT_TOLD: Final = refusing("organizations:DescribeOrganization")
NO_ORG: Final = refusing("organizations:DescribeOrganization", "AWSOrganizationsNotInUseException")
"""The account is in no organization."""
OF_OTHERS: Final = (EC2_TAG, "iam:PassedToService", "aws:RequestTag/team", "aws:username")
"""The condition keys of statements about other actions, which IAM names as well."""
BY_NODE: Final = decides("ssm:SourceInstanceARN", if_=of_channels)
OTHERS_BY_VPC: Final = decides(VPC, if_=lambda asked: asked.action in {*nodes.CHANNELS} - {CHANNEL})
WITHOUT_MFA: Final = setting(missing=[MFA])
DATA_KEY: Final = "kms:GenerateDataKey"
NO_DATA_KEY: Final = denying(f"{USER} {DATA_KEY}")
RESUME, END = (f"{USER} ssm:{verb}Session" for verb in ("Resume", "Terminate"))
SESSION_OF_ROLE: Final = f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/x"
OF_NODE: Final = f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/{nodes.NODE}"
ELSEWHERE: Final = f"arn:aws:iam::{nodes.OTHER_ACCOUNT}:role/web"

STATES: Final = {
    "connected": cause(""),
    "connected, with everything used": cause("", using()),
    "preferences that name nothing": cause("", using(**dict.fromkeys(nodes.EVERYTHING, ""))),
    "never registered": never("agent?"),
    "no managed node by an error": never("agent?", refusing(RECORDS, "InvalidInstanceId")),
    "no status yet": never("agent?", statuses()),
    "no status for certain": never("agent?", statuses(nodes.status("initializing"))),
    "a new status": never("instance-running?", statuses(nodes.status("new"))),
    "lost": cause("connected registered", LOST),
    "of a new ping status": cause("connected registered?", ONLINE, record(PingStatus="New")),
    "inactive": cause("connected registered", LOST, record(PingStatus="Inactive")),
    "online and not connected": cause("connected", ONLINE),
    **{f"online and not connected, on {name}": cause(
           "connected", ONLINE, record(PlatformType=kind, PlatformName=name))
       for kind, name in (
           ("Linux", "Amazon Linux"),
           ("Linux", "Amazon Linux AMI"),
           ("Linux", "Ubuntu"),
           ("MacOS", "macOS"),
           ("Windows", "Microsoft Windows Server 2022"),
       )},
    **{f"lost, on {name}": cause("connected registered", LOST, record(PlatformName=name))
       for name in ("Ubuntu", "SLES", "Bottlerocket")},
    "lost, on macOS": cause("connected registered", LOST, record(PlatformType="MacOS")),
    "connected, on Windows": cause("", record(PlatformType="Windows")),
    "never registered, on Windows": never("agent?", instance(Platform="windows")),
    "never registered, on macOS": never("agent?", instance(InstanceType="mac2-m2.metal")),
    "connected though lost": cause("registered?", lambda w: w.is_lost("connected")),
    **{f"not known to be connected, and {name}": cause(told, does, refusing(CONNECTIONS))
       for name, told, does in (("lost", "registered? connected?", LOST), ("never registered",
           "registered? connected?", NEVER), (f"of {OLD}", "agent? connected?", agent(OLD)),
           ("too old for IMDSv2 alone", "agent? connected?",
            both(agent("2.3.771.9"), ONLY_IMDSV2)))},
    "connected without a record": cause("registered?", setting(record=None)),
    "stopped": never("instance-running", instance(State={"Name": "stopped"})),
    "stopping": never("instance-running", instance(State={"Name": "stopping"})),
    **{f"stopped, of Amazon EC2 Spot, by {code}": never("instance-running", instance(
           State={"Name": "stopped"}, InstanceLifecycle="spot", StateReason={"Code": code}))
       for code in ("Server.SpotInstanceShutdown", "Client.UserInitiatedShutdown")},
    "pending": never("instance-running", instance(State={"Name": "pending"})),
    "terminated": never("instance-running", instance(State={"Name": "terminated"})),
    "terminated, and in no VPC any more": never(
        "instance-running", instance(State={"Name": "terminated"}),
        lambda w: (w.instance.pop("VpcId"), w.instance.pop("SubnetId"))),
    **{f"managed by {principal}, and {name}": cause(told, *does, instance(
           Operator={"Managed": True, "Principal": f"{principal}.amazonaws.com"}))
       for principal, name, told, does in (
           ("ecs", "never registered", "connected registered instance-running", (NEVER,)),
           ("eks", "without permissions", "connected registered instance-running",
            (NEVER, denying("ssmmessages:OpenControlChannel"))),
           ("eks", "connected", "", ()),
           ("ecs", "perhaps connected", "connected? registered?",
            (ONLINE, record(PingStatus="New"), refusing(CONNECTIONS))),
           ("ecs", "certainly not registered", "connected? registered? instance-running",
            (NEVER, refusing(CONNECTIONS))),
           *((of, "stopped", "connected registered instance-running",
              (NEVER, instance(State={"Name": "stopped"})))
             for of in ("ecs", "workspaces-instances")),
           ("workspaces-instances", "never registered", "connected registered agent?", (NEVER,)),
           ("bedrock-agentcore", "impaired", "connected registered instance-running",
            (NEVER, statuses(nodes.status("impaired")))))},
    "managed by a service, and hidden": never("agent?", BY_WORKSPACES, *(refusing(
        *(f"ec2:{call}", "InvalidInstanceID.NotFound"),
        lambda asked: "IncludeManagedResources" not in asked)
        for call in ("DescribeInstances", "DescribeInstanceStatus"))),
    "system impaired": never("instance-running", statuses(nodes.status("impaired"))),
    **{f"system impaired, {name}": never("instance-running",
        does, statuses(nodes.status("impaired"))) for name, does in (
            ("with an instance store", instance(RootDeviceType="instance-store")),
            ("of Amazon EC2 Spot", instance(InstanceLifecycle="spot")),
            ("of Auto Scaling", instance(Tags=[{"Key": "aws:autoscaling:groupName"}])))},
    "instance impaired, with an instance store": never("instance-running",
        instance(RootDeviceType="instance-store"), statuses(nodes.status("ok", "impaired"))),
    "instance impaired": cause(
        "instance-running connected registered", LOST, statuses(nodes.status("ok", "impaired"))),
    "volumes impaired": never("instance-running",
        statuses(nodes.status() | {"AttachedEbsStatus": {"Status": "impaired"}})),
}  # fmt: skip

IDENTITY: Final = {
    "no profile": never("instance-profile", without_profile),
    "an empty profile": never("instance-profile", setting(of_profile={"Roles": []})),
    "a deleted profile": never("instance-profile", refusing(PROFILES, "NoSuchEntity")),
    **{f"a profile that was deleted and made again{name}": never(
           "instance-profile", setting(of_profile={"InstanceProfileId": "AIPA2"}), does)
       for name, does in (("", nodes.nothing), (", whose name has a comma", instance(
           IamInstanceProfile={"Arn": f"{ROOT}:instance-profile/a,b", "Id": "AIPA1"})))},
    "a profile whose id is none of AWS": cause("", setting(of_profile={"InstanceProfileId": "x"})),
    "no trust": never("role-assumable", NOT_TRUSTED),
    "no trust by a Deny": never("role-assumable", trusts("ec2.amazonaws.com", Effect="Deny")),
    **{f"no trust, but {name}": never(
           "role-assumable", trusts("lambda.amazonaws.com", Principal=principal))
       for name, principal in (
           ("for a user that is deleted", {"AWS": DELETED}),
           ("for it and a service", {"AWS": DELETED, "Service": "lambda.amazonaws.com"}),
           ("for it and another", {"AWS": [DELETED, USER]}),
       )},
    "no trust any more": cause("role-assumable", NOT_TRUSTED),
    "trust in China": never("agent?", setting(partition="aws-cn"), trusts("ec2.amazonaws.com.cn")),
    "perhaps trusted": never("role-assumable?", PERHAPS_TRUSTED),
    "perhaps trusted, and connected": cause("", PERHAPS_TRUSTED),
    "trusted, and not who is of no service": never("agent?", EXCEPT_SERVICES),
    "metadata off": never("metadata", NO_METADATA),
    "metadata not said": never("metadata?", instance(MetadataOptions={})),
    "metadata in a new state": never(
        "metadata?", instance(MetadataOptions={"HttpEndpoint": "new"})),
    "may not register": never("register", denying(REGISTER)),
    "may not register any more": cause("register", denying(REGISTER)),
    "denied on the instances": cause("register", on_all_and_instances("allowed", "explicitDeny")),
    "denied on all": cause("register", on_all_and_instances("explicitDeny", "explicitDeny")),
    "not on the instances": cause("", on_all_and_instances("allowed", "implicitDeny")),
    "on the instances alone": cause("", on_all_and_instances("implicitDeny", "allowed")),
    "denied on all but the instances": cause("", on_all_and_instances("explicitDeny", "allowed")),
    "no channels": cause("reach connected", ONLINE, denying(*nodes.CHANNELS)),
    "no channels any more": cause("reach", denying(*nodes.CHANNELS)),
    **{f"connected, and may neither decrypt nor {action}": used(
           f"{check} encrypt", denying(action, "kms:Decrypt"))
       for action, check in ((REGISTER, "register"), *((one, "reach") for one in nodes.CHANNELS))},
    "channels by a condition": cause("reach?", decides(VPC, if_=of_channels)),
    "channels by a condition on a key that only other nodes have": cause("reach", BY_NODE),
    "a channel for certain, others by a condition": cause("reach", OTHERS_BY_VPC, denying(CHANNEL)),
    **{f"no {action}, by a condition that may turn it around": used(
           told, UNDER_ACCOUNT, denying(action), setting(missing=[VPC]))
       for action, told in ((REGISTER, "register? default-host-management?"), (CHANNEL, "reach?"),
           ("kms:Decrypt", "encrypt?"))},
    **{f"no {action}, and conditions of statements about other actions": used(
           check, denying(action), setting(missing=[*OF_OTHERS, *more]))
       for action, check, *more in (
           (REGISTER, "register", "kms:ViaService", "aws:ResourceTag/owner"),
           (CHANNEL, "reach", "aws:ResourceTag/team", "ssm:Policies"),
           ("kms:Decrypt", "encrypt", "s3:prefix", OF_OBJECT, VIA))},
    "no registration, by a tag that the node has": cause("register?", denying(REGISTER), setting(
        missing=["aws:ResourceTag/owner", "ssm:ResourceTag/team"])),
    "no registration, no channels": never("register reach", denying(REGISTER, *nodes.CHANNELS)),
    "no profile, and metadata off": never(
        "instance-profile metadata", without_profile, NO_METADATA),
    **{f"managed by a service, with {name}": never(told, BY_WORKSPACES, does)
       for name, told, does in (
           ("no profile", "instance-profile", without_profile),
           ("a deleted profile", "instance-profile", refusing(PROFILES, "NoSuchEntity")),
           ("metadata off", "metadata", NO_METADATA))},
}  # fmt: skip

HOST_MANAGEMENT: Final = {
    "the account's role in place of a profile": under_account("", without_profile),
    "the account's role in place of one that may not register": under_account(
        "", denying(f"{ROLE} {REGISTER}")),
    "the account's role in place of one that is not trusted": under_account(
        "role-assumable?", NOT_TRUSTED),
    "the account's role beside one that is perhaps trusted": under_account("", PERHAPS_TRUSTED),
    "the account's role with channels by a condition on the node's ARN": under_account(
        "reach?", without_profile, BY_NODE),
    "the account's role that may not decrypt": under_account(
        "encrypt", without_profile, using(), denying(f"{nodes.ACCOUNT_ROLE} kms:Decrypt")),
    "the account's role and metadata off": under_account(
        "metadata connected registered", NEVER, without_profile, NO_METADATA),
    "the account's role for which the endpoint does not let the agent ask": under_account(
        "path-ssm connected registered", NEVER, without_profile, behind("ssm", "ssm:Update*")),
    "the account's role for which the endpoint lets the agent ask": under_account(
        "connected registered", NEVER, without_profile, behind("ssm", "ssm:*")),
    "the account's role and an agent of a strange version": under_account(
        "register", denying(REGISTER), agent("next")),
    **{f"an agent that takes no account's role, {name}": cause(
           "register", does, denying(REGISTER), agent("3.1.0.0"))
       for name, does in (("which there is", UNDER_ACCOUNT), ("if there is one", NO_SETTING))},
    "no channels, which the account's role does not fix": cause(
        "reach connected", UNDER_ACCOUNT, ONLINE, denying(f"{ROLE} {CHANNEL}")),
    "the account's role does not exist, and no profile": never(
        "instance-profile default-host-management", without_profile, NO_ACCOUNT_ROLE),
    "the account's role does not exist, and may not register": cause(
        "register default-host-management", denying(REGISTER), NO_ACCOUNT_ROLE),
    "the account's role does not exist, and is not needed": cause("", NO_ACCOUNT_ROLE),
    "no setting at all": cause("instance-profile", without_profile, NO_TIERS),
    "an empty setting": cause("register", denying(REGISTER), lambda w: w.has_host_management("")),
}  # fmt: skip

KEYS: Final = {
    "a disabled key": used("key-usable", described_key(KeyState="Disabled")),
    **{f"a key that is {state}": used("key-usable", described_key(KeyState=state)) for state in (
        "Creating", "PendingDeletion", "PendingImport", "PendingReplicaDeletion", "Unavailable")},
    **{f"a key of a new {name}": used("key-usable?", described_key(**{name: "NEW"}))
       for name in ("KeyManager", "KeyState", "KeySpec", "KeyUsage")},
    "a key that is Updating": used("", described_key(KeyState="Updating")),
    "a key of another account, to be deleted": used("key-usable",
        using(kmsKeyId=FOREIGN_KEY), described_key(Arn=FOREIGN_KEY, KeyState="PendingDeletion")),
    "a disabled key, which is no cause": never(
        "key-usable agent?", using(), described_key(KeyState="Disabled")),
    "an asymmetric key": used("key-usable", described_key(KeySpec="RSA_2048")),
    "an asymmetric key of an old API": used(
        "key-usable", described_key(KeySpec=None, CustomerMasterKeySpec="RSA_2048")),
    "a key of no known kind": used("key-usable?", described_key(KeySpec=None)),
    "a key for signatures": used("key-usable", described_key(KeyUsage="SIGN_VERIFY")),
    "a key of AWS's own": used("key-usable", described_key(KeyManager="AWS")),
    **{f"an alias of AWS's own{name}": used(
           "key-usable", using(kmsKeyId="alias/aws/ssm"), described_key(KeyManager="AWS"), does)
       for name, does in (("", nodes.nothing), (", not described", refusing("kms:DescribeKey")))},
    "no such key": used("key-usable", refusing("kms:DescribeKey", "NotFoundException")),
    "a key of another region": used("key-usable", using(kmsKeyId=KEY.replace(REGION, "us-east-1"))),
    "an alias": used("", using(kmsKeyId="alias/sessions")),
    "an alias that can't be resolved": used(
        "key-usable? encrypt?", using(kmsKeyId=nodes.ALIAS), refusing("kms:DescribeKey")),
    "no key by a denial": used("key-usable?", refusing("kms:DescribeKey")),
    "throttled for good": used("key-usable?", refusing("kms:DescribeKey", "ThrottlingException")),
    "a key whose ARN is none": used("key-usable?", described_key(Arn="arn:x")),
    "may not decrypt": used("encrypt", DENIED_KEY),
    "a disabled key, and may not decrypt": used(
        "key-usable encrypt", described_key(KeyState="Disabled"), DENIED_KEY),
    "the key names the role": used("", DENIED_KEY, key_policy(allowing(ROLE, "kms:Decrypt"))),
    "the key may not be read": used("key-usable?", refusing("kms:GetKeyPolicy")),
    "the key names nobody": used("key-usable", key_policy()),
    "the key names a user that is deleted": used(
        "key-usable", key_policy(allowing(DELETED, "kms:*"))),
    "the key names another": used("key-usable", key_policy(allowing(USER, "kms:*"))),
    "the key names a session of the role": used(
        "key-usable?", key_policy(allowing(OF_NODE, "kms:*"))),
    "the key is by the account": used("", key_by("StringEquals", CALLER, ACCOUNT)),
    "the key is by a service if one makes the call": used(
        "", key_by("StringEqualsIfExists", VIA, OF_S3)),
    "the key is by a text": used("key-usable", key_by("StringEquals", PRINCIPAL, "*")),
    "the key is by ARNs": used("", key_by("ArnLike", PRINCIPAL, [USER, "arn:aws:iam::*:role/*"])),
    **{f"the key denies {name}": used(told, key_policy(allowing(ROOT, "kms:*"), denied))
       for name, told, denied in (
           ("calls without TLS", "", denies("Bool", "aws:SecureTransport", "false")),
           ("outsiders", "", denies("StringNotEquals", CALLER, ACCOUNT)),
           ("other roles", "", denies("ArnNotLike", PRINCIPAL, "arn:aws:iam::*:role/team/*")),
           ("calls by a service", "", denies("StringLike", VIA, "*")),
           ("what is no session", "", denies("Null", SESSION_KEY, "true")),
           ("sessions by their ids", "key-usable?", denies("StringLike", SESSION_KEY, "a*")),
           ("each session", "key-usable", denies("StringLike", SESSION_KEY, "*")),
           ("another node", "", denies("StringEquals", TARGET_KEY, "i-0")),
           ("other regions", "", denies("StringNotEquals", CALLED, REGION)),
           ("calls without MFA", "key-usable", denies("BoolIfExists", MFA, "false")),
           ("calls with MFA", "", denies("Bool", MFA, "true")),
           ("a user", "", denies("StringEquals", USER_NAME, "alice")),
       )},
    **{f"the key is for the organization {of}, and the account is in {name}": used(
           told, key_by("StringEquals", ORG.lower(), of), does)
       for of, name, told, does in (
           ("o-own", "it", "", nodes.nothing), ("o-other", "o-own", "key-usable", nodes.nothing),
           ("o-own", "none", "key-usable", NO_ORG), ("o-own", "some", "key-usable?", NOT_TOLD))},
    **{f"the key denies other parts of an organization, and the account is in {name}": used(
           told, key_policy(allowing(ROOT, "kms:*"),
               denies("ForAllValues:StringNotLike", "aws:PrincipalOrgPaths", "o-own/*")), does)
       for name, told, does in (
           ("it", "key-usable?", nodes.nothing), ("none", "key-usable", NO_ORG))},
    "the key is by a service": used("key-usable", KEY_BY_S3),
    "the key is by a tag": used("key-usable?", key_policy(BY_TAG)),
    "the key is by a statement that can't be read": used("key-usable?", key_policy({})),
    "the key may allow what IAM denies, and lets the account in": used(
        "encrypt?", DENIED_KEY, key_policy(BY_TAG, allowing(ROOT, "kms:*"))),
    "the key lets the account in by a tag, and IAM denies": used(
        "encrypt key-usable?", DENIED_KEY, key_policy(BY_TAG | {"Principal": {"AWS": ROOT}})),
    "the key denies by a tag whom it lets in nowhere": used("key-usable", key_policy(DENY_BY_TAG)),
    "the key may allow what IAM denies": used(
        "key-usable? encrypt?", DENIED_KEY, key_policy(BY_TAG)),
    **{f"a grant of the key {name}": used(told, DENIED_KEY, *does)
       for name, told, does in (
           ("to the role", "", [granting(ROLE)]),
           ("to the role, and the key names nobody", "", [granting(ROLE), key_policy()]),
           ("to the role, which a policy denies it", "encrypt", [
               granting(ROLE), decides(if_=of_decrypt, says="explicitDeny")]),
           ("to the role, which the key denies it", "encrypt key-usable", [
               granting(ROLE), key_policy(allowing(ROLE, "kms:*") | {"Effect": "Deny"})]),
           ("to the role, which the key denies it by a tag", "encrypt? key-usable?", [
               granting(ROLE), key_policy(DENY_BY_TAG)]),
           ("to the role, for something else", "encrypt key-usable", [
               granting(ROLE, "Encrypt"), key_policy()]),
           ("to the role, with a constraint", "encrypt? key-usable?", [
               granting(ROLE, Constraints={"EncryptionContextSubset": {"a": "b"}}), key_policy()]),
           ("to a session of the role", "encrypt? key-usable?", [granting(OF_NODE), key_policy()]),
           ("to another", "encrypt key-usable", [granting(USER), key_policy()]),
           ("to the account, which lets policies of IAM decide", "encrypt", [
               granting(ROOT), key_policy()]),
           ("that may not be read", "encrypt key-usable", [
               refusing("kms:ListGrants"), key_policy()]),
           ("that can't be read now", "encrypt? key-usable?", [
               refusing("kms:ListGrants", "ThrottlingException"), key_policy()]),
           ("of another account", "encrypt?", [granting(ROLE), using(kmsKeyId=FOREIGN_KEY),
               described_key(Arn=FOREIGN_KEY), key_policy(allowing(ROLE, "kms:*"))]),
       )},
    "the key names nobody, and a grant is to the account": used("", granting(ROOT), key_policy()),
    "the key denies the role": used("key-usable",
        key_policy(allowing(ROOT, "kms:*"), allowing(ROLE, "kms:*") | {"Effect": "Deny"})),
    "the key denies the account of the role": used("key-usable",
        key_policy(allowing(ROLE, "kms:*"), allowing(ROOT, "kms:*") | {"Effect": "Deny"})),
    "the key denies all but another": used("key-usable?", key_policy(allowing(ROOT, "kms:*"),
        {"Effect": "Deny", "NotPrincipal": {"AWS": USER}, "Action": "kms:*"})),
}  # fmt: skip

LOGS: Final = {
    "a bucket by dsse": used("bucket-encryption", DSSE),
    "a bucket by dsse that blocks SSE-C": used("bucket-encryption", bucket(
        "aws:kms:dsse", BlockedEncryptionTypes={"EncryptionType": ["SSE-C"]})),
    "a bucket by dsse, not enforced": used("", NOT_ENFORCED, DSSE),
    "a bucket by dsse, enforced by a parameter": used("bucket-encryption?", BY_PARAMETER, DSSE),
    "a bucket that does not encrypt": used("bucket-encryption",
        refusing(ENCRYPTION, "ServerSideEncryptionConfigurationNotFoundError")),
    "no such bucket": used("bucket-encryption", NO_BUCKET),
    "no such bucket, not enforced": used("bucket-encryption", NOT_ENFORCED, NO_BUCKET),
    **{f"no such bucket as {name}": used("bucket-encryption", using(s3BucketName=name), NO_BUCKET)
       for name in (f"logs-{ACCOUNT}-{REGION}-an", f"logs-{nodes.OTHER_ACCOUNT}-{REGION}-an",
                    "Session_Logs", "sthree-logs", "session..logs", "192.168.5.4")},
    "a directory bucket": used(
        "bucket-encryption? log-to-s3?", using(s3BucketName="logs--euw1-az1--x-s3")),
    "no bucket by a denial": used("bucket-encryption? log-to-s3?", refusing(ENCRYPTION)),
    **{f"a bucket with its key as {given}": used("log-to-s3", bucket("aws:kms", given),
        DENIED_BUCKET_KEY) for given in (KEY, KEY.rpartition("/")[2], "alias/logs", nodes.ALIAS)},
    "an unknown alias of a bucket that is AWS's own": used(
        "", NO_KEY, bucket("aws:kms", "alias/aws/s3"), refusing("kms:DescribeKey")),
    **{f"an unknown {name} of a bucket{more}": used(f"{told} bucket-encryption?", NO_KEY, *does)
       for name, more, told, does in (
           ("alias", "", "log-to-s3?", [SOME_ALIAS]),
           ("alias", ", no logs", "log-to-s3", [SOME_ALIAS, DENIED_BUCKET]),
           ("key", "", "log-to-s3?", [SOME_KEY]),
           ("key", ", denied", "log-to-s3?", [SOME_KEY, DENIED_BUCKET_KEY]),
           ("state of the key", "", "", [BY_KEY, described_key(KeyState="NEW")]),
       )},
    **{f"a bucket whose key {name}": used("bucket-encryption", NO_KEY, BY_KEY, does)
       for name, does in {
           "is disabled": described_key(KeyState="Disabled"),
           "is for signatures": described_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")}.items()},
    "a bucket whose key does not exist": used("bucket-encryption log-to-s3?", NO_KEY, BY_KEY, *(
        refusing(f"kms:{call}", "NotFoundException") for call in ("DescribeKey", "GetKeyPolicy"))),
    "a bucket of another region, whose key is disabled": used(
        "bucket-encryption", NO_KEY, setting(bucket_region=US), bucket("aws:kms", KEY_IN_US),
        described_key(Arn=KEY_IN_US, KeyState="Disabled")),
    "a bucket of a region that botocore does not know": used("", NO_KEY, NOWHERE, SOME_ID),
    **{f"a bucket of another region, and {region} is denied": used(
           told, NO_KEY, setting(bucket_region=US), decides(if_=calling("s3:", CALLED, region)))
       for region, told in ((US, "log-to-s3"), (REGION, ""))},
    "the key of S3 that AWS manages, which needs no grant": used(
        "", NO_KEY, BY_KEY, described_key(KeyManager="AWS"), DENIED_BUCKET_KEY),
    **{f"a bucket with no key: {given}": used("bucket-encryption? log-to-s3?", bucket(
        "aws:kms", given)) for given in ("arn:x", "arn:aws:kms:a b:1:key/x", "a/b", 'x", y("')},
    "a bucket with a key in a region that botocore asks in no request": used(
        "bucket-encryption? key-usable? log-to-s3?", bucket("aws:kms", KEY.replace(REGION, "-x-")),
        having("kms:describe_key", InvalidRegionError(region_name="-x-"))),
    **{f"a bucket of another account{name}": used(told, *does, FOREIGN)
       for name, told, does in (
           ("", "bucket-encryption? log-to-s3?", []),
           (", and no encryption counts", "bucket-encryption log-to-s3?", [DSSE]),
           (", denied", "bucket-encryption? log-to-s3", [DENIED_BUCKET]),
       )},
    "the bucket names the role": used("", DENIED_BUCKET, bucket_policy(allowing(ROLE, PUT))),
    "the bucket names another role": used(
        "log-to-s3", DENIED_BUCKET, bucket_policy(allowing(nodes.ACCOUNT_ROLE, PUT))),
    "the bucket names the role by a condition": used(
        "log-to-s3?", DENIED_BUCKET, bucket_policy(BY_TAG | {"Action": PUT})),
    "a key of another account, whose policy only that can read": cause("key-usable?",
        using(kmsKeyId=FOREIGN_KEY), described_key(Arn=FOREIGN_KEY), refusing("kms:GetKeyPolicy")),
    "a key of another account that names the role, which IAM does not allow": cause(
        "encrypt", using(kmsKeyId=FOREIGN_KEY), described_key(Arn=FOREIGN_KEY),
        DENIED_KEY, key_policy(allowing(ROLE, "kms:*"))),
    **{f"the bucket denies {name}": used(told, bucket_policy(denied))
       for name, told, denied in (
           ("all", "log-to-s3", PUBLIC | {"Effect": "Deny", "Action": "s3:*"}),
           ("calls without TLS", "", denies("Bool", "aws:SecureTransport", "false")),
           ("other ids", "", denies("StringNotLike", USER_ID, f"{nodes.ROLE_ID}:*")),
           ("uploads without a header", "", denies("Null", SSE, "true")),
           ("other encryption", "", denies("StringNotEquals", SSE, "AES256")),
           ("all without a header", "log-to-s3", denies("Null", SSE, "true") | {"Action": "s3:*"}),
           ("all with a key", "", denies("StringEquals", SSE, "aws:kms") | {"Action": "s3:*"}),
           ("its own encryption", "log-to-s3", denies("StringNotEquals", SSE, "aws:kms")),
           ("ACLs", "", denies("StringNotEquals", "s3:x-amz-acl", "bucket-owner-full-control")),
           ("keys that come with an upload", "", denies("Null", OWN_KEY, "false")),
           ("what brings no key along", "log-to-s3", denies("Null", OWN_KEY, "true")),
           ("other networks", "log-to-s3?", denies("StringNotEquals", "aws:SourceVpce", "v")),
           ("other organizations", "", denies("StringNotEquals", ORG, "o-own")),
           ("the organization", "log-to-s3", denies("StringLike", ORG, "o-*")),
       )},
    "the bucket denies other organizations, and which one is the own is denied": used(
        "log-to-s3?", bucket_policy(denies("StringNotEquals", ORG, "o-own")), NOT_TOLD),
    **{f"a bucket with {name}": used(
           told, NO_KEY, bucket("aws:kms", given), *does,
           bucket_policy(denies("StringNotEquals", WITH_KEY, key)))
       for name, told, given, key, does in (
           ("a key, which denies others", "", KEY, KEY, []),
           ("a key, which denies it", "log-to-s3", KEY, f"{KEY}0", []),
           ("a key by its alias, which denies others", "log-to-s3?", nodes.ALIAS, KEY, []),
           ("a key that may not be seen, which denies others", "log-to-s3?", KEY, KEY,
            [NOT_ENFORCED, UNSEEN]),
       )},
    "the policy of the bucket may not be read, and IAM allows it": used(
        "log-to-s3?", refusing("s3:GetBucketPolicy")),
    "the key of the bucket lets nobody in": used("log-to-s3", NO_KEY, BY_KEY, key_policy()),
    **{f"neither IAM nor the key of the bucket lets the role in{said}": used(
           "log-to-s3", NO_KEY, BY_KEY, denying("kms:Decrypt", DATA_KEY), key_policy(), does)
       for said, does in (("", nodes.nothing), (", by a condition", setting(missing=[VPC])))},
    "the key of the bucket lets all in by way of S3": used(
        "", NO_KEY, BY_KEY, denying("kms:Decrypt", "kms:GenerateDataKey"), KEY_BY_S3),
    "a grant of the key of the bucket": used(
        "", NO_KEY, BY_KEY, denying("kms:Decrypt", DATA_KEY), granting(ROLE)),
    "the policy of the bucket may not be read": used(
        "log-to-s3?", DENIED_BUCKET, refusing("s3:GetBucketPolicy")),
    "may not see how it encrypts": used("log-to-s3", UNSEEN),
    "may not see how it encrypts, not enforced": used("", NOT_ENFORCED, UNSEEN),
    "may not see how it encrypts, and uploads need the header": used(
        "log-to-s3?", NOT_ENFORCED, UNSEEN, bucket_policy(denies("Null", SSE, "true"))),
    "may not decrypt the parts of a log": used("log-to-s3?", NO_KEY, BY_KEY, DENIED_KEY),
    "the key of the bucket is for what services call": used(
        "", NO_KEY, BY_KEY, decides(if_=calling(DATA_KEY, "aws:ViaAWSService", "false"))),
    "the key of the bucket is for what no service calls": used(
        "log-to-s3", NO_KEY, BY_KEY, decides(if_=calling(DATA_KEY, "aws:ViaAWSService", "true"))),
    "may not log": used("log-to-s3 log-to-cloudwatch", DENIED_LOGS),
    "may not log, not enforced": used("log-to-s3 log-to-cloudwatch", NOT_ENFORCED, DENIED_LOGS),
    **{f"no {action}, and a condition on {key}": used(
           told, BY_KEY, denying(action), setting(missing=[key])) for action, key, told in (
           (PUT, "s3:prefix", "log-to-s3"), (PUT, SSE, "log-to-s3?"),
           (DATA_KEY, OF_OBJECT, "log-to-s3?"), (DATA_KEY, SESSION_KEY, "log-to-s3"),
           ("kms:Decrypt", "kms:EncryptionContext:RandomChallenge", "encrypt? log-to-s3?"),
           ("s3:GetEncryptionConfiguration", SSE, "log-to-s3"))},
    "may not list streams": used("", denying("logs:DescribeLogStreams")),
    **{f"may not list groups, streamed: {value}": cause(told,
        streaming(value, cloudWatchEncryptionEnabled=False), denying("logs:DescribeLogGroups"))
       for value, told in ((True, "log-to-cloudwatch"), (False, ""))},
    "no such group": used("log-group-encryption", log_groups()),
    "no such group, not enforced": used("log-group-encryption", NOT_ENFORCED, log_groups()),
    "a longer name of a group": used("log-group-encryption", log_groups("/ssm/sessions-2")),
    "a group without a key": used("log-group-encryption", log_groups("/ssm/sessions")),
    "a group without a key, not enforced": used("", NOT_ENFORCED, log_groups("/ssm/sessions")),
    "a group without a key, enforced by a parameter": used(
        "log-group-encryption?", BY_PARAMETER, log_groups("/ssm/sessions")),
    "no group by a denial": used("log-group-encryption?", refusing("logs:DescribeLogGroups")),
    "an endpoint that is not there": used("log-group-encryption?",
        having("logs:describe_log_groups", EndpointConnectionError(endpoint_url="https://logs"))),
    "streamed to": cause("", streaming(value=True)),
    **{f"streamed to by {value!r}, {more}": cause("log-group-encryption", streaming(value, **more))
       for value, more in json.loads('[["true", {}], [1, {"cloudWatchLogGroupName": ""}]]')},
    "no group to stream to": cause("", streaming(value=True, cloudWatchLogGroupName="")),
    "enforced, and S3 for objects": used("path-s3", behind("s3", PUT)),
    "enforced, and S3 for its configuration": used("path-s3", behind("s3", "s3:Get*")),
    "enforced, and S3 for all": used("", behind("s3", "s3:*")),
    **{f"{service} for {key} {value}{name}": used(told, *does, behind(
           service, f"{service}:*", Condition={"StringEquals": {key: value}}))
       for service, key, value, told, name, does in (
           *(("s3", *one, "", []) for one in (
               (OWNER, ACCOUNT, ""), (OWNER, nodes.OTHER_ACCOUNT, "path-s3"),
               (OWNER_ORG, "o-own", ""), (OWNER_ORG, "o-other", "path-s3"))),
           *(("s3", *one, "path-s3? bucket-encryption? log-to-s3?", ", which is of another account",
              [FOREIGN]) for one in ((OWNER, ACCOUNT), (OWNER_ORG, "o-own"))),
           ("kms", OWNER_ORG, "o-own", "", "", []),
           ("kms", OWNER_ORG, "o-own", "path-kms? key-usable?", ", which is of another account",
            [using(kmsKeyId=FOREIGN_KEY), described_key(Arn=FOREIGN_KEY),
             refusing("kms:GetKeyPolicy")]),
           *(("logs", *one, "", []) for one in ((OWNER_S3, ACCOUNT, "path-logs?"),
               (OWNER_ORG, "o-own", ""), (OWNER_ORG, "o-other", "path-logs"))),
       )},
    "S3 for the bucket": used("", behind("s3", "s3:*", f"{BUCKET}/web/*", BUCKET)),
    "S3 for another bucket": used("path-s3", behind("s3", "s3:*", f"{BUCKET}-2/*")),
    "KMS for the key": used("", behind("kms", "kms:*", KEY)),
    "KMS for another key": used("path-kms", behind("kms", "kms:*", f"{KEY}0")),
    **{f"logs for {name}": used(told, NOT_ENFORCED, behind("logs", "logs:*", f"{GROUP}{of}"))
       for name, told, of in (("the group", "", ":*"), ("the group, and none of its streams",
           "path-logs", ""), ("another group", "path-logs", "-2:*"))},
    **{f"logs for streams, streamed: {value}": cause(
           told, streaming(value, cloudWatchEncryptionEnabled=False), WRITING)
       for value, told in ((True, "path-logs"), (False, ""),
           ("{{a}}", "path-logs? log-group-encryption"))},
    "enforced, and logs for streams": used("path-logs", WRITING),
    "enforced, and logs for all": used("", behind("logs", "logs:*")),
    "enforced, and logs for the group": used("path-logs", behind("logs", "logs:*", f"{GROUP}:*")),
    "by a parameter, and S3 for objects": used("path-s3?", BY_PARAMETER, behind("s3", PUT)),
    "by a parameter, and S3 for a bucket by a tag": used(
        "path-s3?", BY_PARAMETER, behind("s3", "s3:*", f"{BUCKET}/*", OF_TAG)),
    "not enforced, and S3 for objects": used("", NOT_ENFORCED, behind("s3", PUT)),
    "what is in the account alone": used("plugin", in_account(ACCOUNT))._replace(operator=USER),
    "keys for callers of the account": used(
        "plugin", BY_KEY, in_account(ACCOUNT, CALLER, "kms:"))._replace(operator=USER),
    **{f"what is in {of} alone, by a key of S3": used(
           f"reach register encrypt log-to-cloudwatch {told}", in_account(of, OWNER_S3))
       for of, told in ((ACCOUNT, ""), (nodes.OTHER_ACCOUNT, "log-to-s3"))},
    **{f"what is in another account alone{name}": used(
           f"reach register encrypt log-to-cloudwatch {told}", in_account(of), does)
       for of, name, told, does in (
           (nodes.OTHER_ACCOUNT, "", "log-to-s3", nodes.nothing),
           (nodes.OTHER_ACCOUNT, ", as the bucket is", "bucket-encryption? log-to-s3?", FOREIGN),
           (nodes.OTHER_ACCOUNT, ", as an unread bucket may be", "bucket-encryption? log-to-s3?",
            refusing(ENCRYPTION)))},
}  # fmt: skip

RUN_AS: Final = {
    "Run As": cause("", run_as("web")),
    "Run As of ports, whose sessions run as nobody": cause("", run_as(""), of_ports),
    "Run As root, where a tag of the operator may win": cause(
        "run-as?", using(runAsEnabled="true", runAsDefaultUser="root")),
    "Run As what a shell would act on": cause("run-as?", run_as("$(touch P)")),
    "Run As ssm-user": cause("run-as?", run_as("ssm-user")),
    "Run As nobody": cause("run-as?", run_as(" ")),
    "Run As by a parameter": cause("run-as?", using(runAsEnabled="{{run}}")),
    "Run As on Windows": cause("run-as?", run_as("web"), record(PlatformType="Windows")),
    **{f"Run As {user} on {platform}": cause(told, run_as(user), record(PlatformName=platform))
       for user, platform, told in (
           ("ubuntu", "Amazon Linux", "run-as?"), ("ubuntu", "Ubuntu", ""),
           ("ec2-user", "Ubuntu", "run-as?"), ("ec2-user", "Amazon Linux AMI", ""),
           ("ec2-user", "AlmaLinux", ""), ("ec2-user", "openSUSE Leap", ""),
           ("admin", "Debian GNU/Linux", ""),
           ("centos", "Red Hat Enterprise Linux Server", "run-as?"),
           ("web", "Amazon Linux", ""), ("ssm-user", "Amazon Linux", "run-as?"),
       )},
    **{f"Run As {user or 'nobody'}, and {tag or 'nobody'} by the tag of a {kind}": cause(
           f"{told} plugin", run_as(user), tagged(tag), operator=operator)
       for user, kind, operator, tag, told in (
           ("root", "user", USER, "web", ""), ("web", "user", USER, "root", "run-as"),
           ("root", "user", USER, "", "run-as"), ("web", "user", USER, "ssm-user", "run-as?"),
           ("web", "user", USER, "", ""), ("$(id)", "user", USER, "", "run-as?"),
           ("", "user", USER, "", "run-as"),
           ("", "role", ROLE, "", "run-as?"),
           ("root", "role", ROLE, "web", ""),
           ("web", "session of a role", SESSION_OF_ROLE, "root", "run-as?"),
       )},
    "Run As, and a tag that may not be read": cause(
        "run-as? operator? plugin", run_as("web"), refusing("iam:GetUser"), operator=USER),
}  # fmt: skip

NOT_ASKED: Final = {
    "no record by a denial": cause("agent? registered?", refusing(RECORDS)),
    "no record by a denial, and a role that the account's may replace": cause(
        perhaps("agent registered register default-host-management"),
        *(refusing(RECORDS), UNDER_ACCOUNT, denying(f"{ROLE} {REGISTER}"))),
    "no record by a denial, and Run As": cause(
        "agent? registered? run-as?", refusing(RECORDS), run_as("web")),
    "no connection by a denial": cause("connected?", refusing(CONNECTIONS)),
    "no status by a denial": never("instance-running?", refusing("ec2:DescribeInstanceStatus")),
    **{f"no status by the organization: {by}": never(
           "instance-running?", having("ec2:describe_instance_status", nodes.refusal(*STATUS, by)))
       for by in (BY_POLICY, BY_NONE)},
    "in a new state": never("instance-running?", instance(State={"Name": "moving"})),
    "connected in a new state": cause("instance-running?", instance(State={"Name": "moving"})),
    "no profile by a denial": cause(perhaps(OF_PROFILE), NO_PROFILE),
    "no profile by a denial, with everything used": used(
        perhaps(f"{OF_PROFILE} encrypt log-to-s3 log-to-cloudwatch"), NO_PROFILE),
    "no profile by a denial, and a key that denies a role": used(
        perhaps(f"{OF_PROFILE} encrypt log-to-s3 log-to-cloudwatch key-usable"), NO_PROFILE,
        key_policy(allowing(ROOT, "kms:*"), allowing(ROLE, "kms:*") | {"Effect": "Deny"})),
    "the account's role and no profile by a denial": under_account(perhaps(OF_PROFILE), NO_PROFILE),
    "the account's role, no profile, and no record by a denial": cause(
        perhaps("agent registered default-host-management"),
        *(without_profile, UNDER_ACCOUNT, refusing(RECORDS))),
    "no setting by a denial": cause(perhaps(
        "instance-profile default-host-management register reach"), *(without_profile, NO_SETTING)),
    "no setting by a denial, and a profile without a role for all that is used": used(
        perhaps("instance-profile default-host-management register reach encrypt log-to-s3")
        + " log-to-cloudwatch?",
        *(setting(of_profile={"Roles": []}), NO_SETTING),
    ),
    **{f"no setting by a denial, and a role that lacks {action}": used(
           perhaps(f"register {check} default-host-management"),
           denying(f"{ROLE} {action}", f"{ROLE} {REGISTER}"), NO_SETTING)
       for action, check in ((REGISTER, ""), (CHANNEL, "reach"), ("kms:Decrypt", "encrypt"))},
    "no setting by a denial, and a role that EC2 can't assume": cause(
        "role-assumable? default-host-management?", NOT_TRUSTED, NO_SETTING),
    "no simulator by a denial": used("register? reach? encrypt? log-to-s3? log-to-cloudwatch?",
        refusing("iam:SimulatePrincipalPolicy")),
    "no document by a denial": cause(perhaps(OF_DOCUMENT), refusing("ssm:GetDocument")),
    **{f"a document whose {flag} the agent can't read": cause(
           f"{check} {perhaps(OF_DOCUMENT.replace(check, ''))}", using(**{flag: "perhaps"}))
       for flag, check in {"runAsEnabled": "run-as", "s3EncryptionEnabled": "bucket-encryption",
                           "cloudWatchEncryptionEnabled": "log-group-encryption"}.items()},
    "a bucket without rules": used("bucket-encryption? log-to-s3?",
        having("s3:get_bucket_encryption", {"ServerSideEncryptionConfiguration": {"Rules": []}})),
    "a bucket that is busy": used(
        "bucket-encryption? log-to-s3?", refusing(ENCRYPTION, "SlowDown")),
    "no description of a key": used(
        "key-usable?", having("kms:describe_key", {"KeyMetadata": None})),
    **{f"no list of {name}": used(
           "log-group-encryption?", having("logs:describe_log_groups", {"logGroups": found}))
       for name, found in (("groups", None), ("names of groups", [{}]))},
    "no connection in the answer": cause("connected?", having("ssm:get_connection_status", {})),
    "a connection of a strange kind": cause(
        "connected?", having("ssm:get_connection_status", {"Status": "reconnecting"})),
    "no profile in the answer": cause(
        perhaps(OF_PROFILE), having("iam:get_instance_profile", {"InstanceProfile": None})),
    "a role whose ARN is none": cause(perhaps(OF_PROFILE), setting(of_role={"Arn": "web-server"})),
    "no decision that is known": cause(
        "reach? register?", setting(decides=lambda _: {"EvalDecision": "perhaps"})),
    "no result of the simulator": cause(
        "register? reach?", having("iam:simulate_principal_policy", {"EvaluationResults": [None]})),
    "a record without a ping": never("agent?", setting(record={"InstanceId": nodes.NODE})),
}  # fmt: skip

AGENTS: Final = {
    f"an agent of {OLD}, connected": cause("", agent(OLD)),
    f"an agent of {OLD}, not connected": cause("agent connected", ONLINE, agent(OLD)),
    f"an agent of {OLD}, and lost": cause("agent connected registered", LOST, agent(OLD)),
    **{f"an agent of {version}, and IMDSv2 alone": cause(
           f"connected registered {told}", LOST, agent(version),
           ONLY_IMDSV2)
       for version, told in (("2.3.771.9", "agent"), ("2.3.772.0", ""))},
    "an agent of 2.3.68.0, and a key": used("agent", agent("2.3.68.0")),
    "an agent of 2.3.539.0, and Run As": cause("agent", run_as("web"), agent("2.3.539.0")),
    "an agent of 2.3.672.0, and all of it": cause("", run_as("web"), agent("2.3.672.0")),
    **{f"an agent of {version}, and a text for false": cause(
           told, using(runAsEnabled="false"), agent(version))
       for version, told in (("3.0.654.9", "agent"), ("3.0.655.0", ""))},
    **{f"an agent of {version}, and a document of ports with {' '.join(properties)}": cause(
           fails, of_ports_with(properties), agent(version))
       for version, properties, fails in (
           ("2.3.600.0", {"portNumber": "80"}, "agent"), ("2.3.672.0", {"portNumber": "80"}, ""),
           ("3.1.1373.9", {"host": "{{ host }}"}, "agent"),
           ("3.1.1374.0", {"host": "{{ host }}"}, ""),
       )},
    **{f"an agent of {version}, and a document of {kind}": cause(
           told, of_type(kind), agent(version))
       for kind, version, told in (
           ("InteractiveCommands", "2.3.667.9", "agent"), ("InteractiveCommands", "2.3.668.0", ""),
           ("NonInteractiveCommands", "3.0.1123.9", "agent"),
           ("NonInteractiveCommands", "3.0.1124.0", ""),
           ("Standard_Stream", "2.3.600.0", ""),
       )},
    **{f"an agent of {version}, and a document {name}": cause(
           f"{told} {perhaps(OF_DOCUMENT.replace(flag, ''))}", agent(version), does)
       for version, name, told, flag, does in (
           ("3.1.1373.9", "that can't be read", "agent?", "", refusing("ssm:GetDocument")),
           ("3.1.1374.0", "that can't be read", "", "", refusing("ssm:GetDocument")),
           ("3.1.1373.9", "with a flag that can't be read", "agent? run-as", "run-as",
            using(runAsEnabled="perhaps")),
       )},
    "a version that is none": cause("connected agent?", ONLINE, agent("new")),
}  # fmt: skip

OPERATORS: Final = {
    "an operator who may": cause("plugin", using(), operator=USER),
    "an operator who uses nothing": cause("plugin", operator=USER),
    **{f"an operator, and {name}": cause(f"{told} plugin", using(), does, operator=USER)
       for name, told, does in (
           ("tags that can't be read", "operator?", instance(Tags=[{"Value": "web"}])),
           ("the channel by the name", "", decides(if_=of_channel(by_name=False))),
           ("the channel by the id", "", decides(if_=of_channel(by_name=True))),
           ("a tag that the node lacks", "operator",
            decides("ssm:resourceTag/owner", if_=of_instance)),
           ("a tag as only EC2 knows it", "operator", decides(EC2_TAG, if_=of_instance)),
           ("a tag that they lack", "operator", decides(OWN_TAG, if_=of_instance)),
           ("a condition that only sessions of roles meet", "operator",
            decides("aws:SourceIdentity", if_=of_instance)),
           *((f"a Deny of {channel}", told, decides(if_=if_, says="explicitDeny"))
             for channel, told, if_ in (
                 ("the channel by the name", "operator?", of_channel(by_name=True)),
                 ("the channel by the id", "operator?", of_channel(by_name=False)),
                 ("each channel", "operator", of_own_channel))),
           ("a condition", "", WITHOUT_MFA),
           ("a condition that denies", "operator?", both(WITHOUT_MFA, denying(f"{USER} {START}"))),
           ("a tag by which an organization denies", "operator", setting(decides=denied_by_tag)),
           ("a channel that no condition allows", "operator",
            setting(decides=certainly_no_channel)),
           ("no channel, and conditions of other statements", "operator",
            decides("ssm:resourceTag/owner", "s3:prefix", *NOT_OF_CHANNEL, if_=of_own_channel)),
           ("a document that no session need name", "operator?", decides(if_=of_document)),
           ("a document that a condition checks", "operator", setting(decides=checks_the_document)),
           ("a document, and no answer about a session that names none", "operator?",
            both(decides(if_=of_document),
                 refusing("iam:SimulatePrincipalPolicy", "Throttling", names_no_document))),
           ("neither a document nor a key", "operator",
            both(decides(if_=of_document), NO_DATA_KEY)),
           ("an alias that can't be resolved", "operator? key-usable? encrypt?",
            both(using(kmsKeyId=nodes.ALIAS), refusing("kms:DescribeKey"))),
           ("a document that can't be read", f"operator? {perhaps(OF_DOCUMENT)}",
            refusing("ssm:GetDocument")),
           ("neither right", "", denying(RESUME, END)),
           ("the tag of the session", "", decides(SESSION_TAG, if_=by_session_tag)),
           ("perhaps the right to resume", "", both(WITHOUT_MFA, denying(RESUME))),
           ("no answer about sessions of their own", "",
            setting(decides=lambda asked: {} if asked.action == "ssm:ResumeSession" else None)),
       )},
    **{f"an operator, and a key that leaves it to IAM and names {name}": cause(
           f"{told} plugin", using(), NO_DATA_KEY,
           key_policy(allowing(ROOT, "kms:*"), allowing(who, "kms:*")), operator=USER)
       for name, who, told in (("the operator", USER, ""), ("the role", ROLE, "operator"))},
    **{f"an operator, and a grant of the key to {name}": cause(
           f"{told} plugin", using(), NO_DATA_KEY, does, operator=USER)
       for name, told, does in (
           ("the operator", "", granting(USER)),
           ("the role", "operator", granting(ROLE)),
           ("somebody, as it can't be read", "operator", refusing("kms:ListGrants")))},
    "an operator, and no simulator": used(
        "register? reach? encrypt? log-to-s3? log-to-cloudwatch? operator? plugin",
        refusing("iam:SimulatePrincipalPolicy"))._replace(operator=USER),
    **{f"the operator {arn}": cause(f"{told} plugin", run_as("web"), *does, operator=arn)
       for arn, told, does in (
           (ELSEWHERE, "operator? run-as?", []),
           (ELSEWHERE.replace("iam::", "sts::").replace("role", "assumed-role/web-server"),
            "operator? run-as?", []),
           (SESSION_OF_ROLE, "operator? run-as?", [refusing("iam:GetRole")]),
       )},
    **{f"the caller {arn}": cause(f"{told} plugin", using(),
        having("sts:get_caller_identity", {"Account": ACCOUNT, "Arn": arn}), operator="caller")
       for arn, told in ((USER, ""), (SESSION_OF_ROLE, ""), (ROOT, "operator?"))},
    **{f"an operator without {action}": cause("operator plugin",
        using(), denying(f"{USER} {action}"), operator=USER) for action in OF_OPERATOR},
    "an operator whose ARN is given with a wrong path": cause(
        "operator plugin", denying(f"{USER} {START}"), operator=USER.replace("user/", "user/a/")),
    "an operator without any of it": cause("operator plugin",
        using(), denying(*(f"{USER} {action}" for action in OF_OPERATOR)), operator=USER),
    **{f"{who}, whose id {user_id} is compared": cause(
           f"{told} plugin", setting(decides=allows_an_id), tagged("web", "team", user_id),
           operator=who)
       for who, user_id, told in (
           (USER, nodes.OWN_ID, ""),
           (ROLE, nodes.OWN_ID, "operator?"),
           ("caller", nodes.OWN_ID, ""),
           ("caller", DELETED, "operator"),
       )},
    **{f"the operator {who}, whose tag IAM is told": cause(
        f"{told} plugin", tagged("web", "team"), setting(decides=denied_by_own_tag), operator=who)
       for who, told in ((USER, "operator"), (ROLE, "operator?"))},
    **{f"the operator of a role, and a condition on {key}": cause(
           f"{told} plugin", decides(key, if_=of_instance), operator=ROLE)
       for key, told in (
           *((OWN_TAG, "operator?"), ("aws:username", "operator"), ("s3:prefix", "operator")),
           *((key, "operator?") for key in (
               "aws:SourceIdentity", "saml:sub", "accounts.google.com:sub",
               "credentials-iot:ThingName", OF_INSTANCE)))},
    "an operator of IAM Identity Center whose ARN is given without the path": cause(
        "operator plugin", denying(f"{nodes.OF_SSO} {START}"),
        operator=nodes.OF_SSO.replace("aws-reserved/", "")),
    **{f"an operator who may ask for access just in time, and is denied {action}": cause(
           f"{told} plugin", setting(denies={f"{USER} {START}", action}), operator=USER)
       for action, told in ((START, "operator?"), ("ssm:GetAccessToken", "operator"))},
    "an operator who may not start, and no answer about access just in time": cause(
        "operator? plugin", denying(f"{USER} {START}"), refusing(
            "iam:SimulatePrincipalPolicy", "Throttling",
            lambda asked: "ssm:StartAccessRequest" in asked["ActionNames"]), operator=USER),
    "an operator whom an organization denies, and who may ask for access just in time": cause(
        "operator? plugin", setting(denies={""}, decides=denied_by_tag), operator=USER),
    "an operator of IAM Identity Center who may not start": cause(
        "operator plugin", denying(f"{nodes.OF_SSO} {START}"), operator=nodes.OF_SSO),
    **{f"an operator, and a deny by {name}": cause(
           "operator plugin",
           setting(decides=lambda asked, says=says: says if asked.action == START else None),
           operator=USER)
       for name, says in (
           ("an organization", {"EvalDecision": "implicitDeny", **BY_ORGANIZATION}),
           ("a boundary", {"EvalDecision": "implicitDeny", **BY_BOUNDARY}),
           ("a policy", DENIES),
           ("a policy that IAM does not name", {"EvalDecision": "explicitDeny"}),
       )},
    **{f"an operator of a key that names them, {name}": cause(
           f"{told} plugin", using(), key_policy(allowing(ROOT, "kms:*"), allowing(of, "kms:*")),
           setting(decides=lambda asked, says=says: says if asked.action == DATA_KEY else None),
           operator=of)
       for name, of, told, says in (
           ("and a boundary", USER, "", {"EvalDecision": "implicitDeny", **BY_BOUNDARY}),
           ("and a boundary of a role", ROLE, "operator",
            {"EvalDecision": "implicitDeny", **BY_BOUNDARY}),
           ("and an organization", USER, "operator",
            {"EvalDecision": "implicitDeny", **BY_ORGANIZATION}),
       )},
    "an operator, and a deny by a policy without MFA": cause("operator? plugin",
        setting(decides=lambda asked: BY_MFA if asked.who == USER else None), operator=USER),
    "an operator whom neither IAM nor the key lets in": cause("operator plugin",
        using(), key_policy(allowing(ROOT, "kms:*"), allowing(USER, "kms:*") | {"Effect": "Deny"}),
        denying(f"{USER} kms:GenerateDataKey"), operator=USER),
    **{f"an operator without the key{said}, which is for the role alone": cause("operator plugin",
           using(), NO_DATA_KEY, key_policy(allowing(ROLE, "kms:*")), does, operator=USER)
       for said, does in (("", nodes.nothing), (" by a condition", setting(missing=[VPC])))},
    **{f"an operator, and a key {name}": cause(
           f"{told} plugin", using(), key_policy(allowing(ROLE, "kms:*"), *statements),
           operator=USER)
       for name, told, statements in (
           ("for the role alone", "operator", []),
           ("for both", "", [allowing(USER, "kms:*")]),
           ("for both by a tag", "operator?", [BY_TAG | {"Principal": {"AWS": USER}}]),
           ("for users of a name, which the role has not", "key-usable",
            [allowing(USER, "kms:*"), denies("StringNotEquals", USER_NAME, "alice")]),
           ("for both with MFA, which the role lacks", "operator? key-usable",
            [allowing(USER, "kms:*"), denies("BoolIfExists", MFA, "false")]),
       )},
}  # fmt: skip

HYBRID_NODES: Final = {
    "hybrid": hybrid(""),
    "hybrid, with everything used": hybrid("", using()),
    "hybrid and lost": hybrid("connected registered", LOST),
    "hybrid and lost, on Bottlerocket": hybrid(
        "connected registered", LOST, record(PlatformName="Bottlerocket")),
    "hybrid, standard tier": hybrid("tier", setting(tier="standard")),
    "hybrid, standard tier, and lost": hybrid(
        "tier connected registered", LOST, setting(tier="standard")),
    "hybrid, another tier": hybrid("tier?", setting(tier="golden")),
    "hybrid, no tiers": hybrid("", NO_TIERS),
    "hybrid, no tier by a denial": hybrid("tier?", NO_SETTING),
    "hybrid, by EC2": hybrid("role-assumable", NOT_TRUSTED),
    **{f"hybrid and lost, by {name}": hybrid(
           f"{told} connected registered", LOST, trusts("ssm.amazonaws.com", Condition=condition))
       for name, told, condition in (
           ("its account and region", "", {**SOURCE, "ArnEquals": {ARN: f"{OF_REGION}*"}}),
           ("its account", "", SOURCE),
           ("a node", "role-assumable?", {"ArnEquals": {ARN: f"{OF_REGION}managed-instance/*"}}),
           ("another region", "role-assumable", {"ArnLike": {ARN: "*:us-east-1:*:*"}}),
           ("an organization", "role-assumable?", {"StringLike": {"aws:SourceOrgID": "o"}}),
       )},
    "hybrid, may not register": hybrid("register", denying(REGISTER), UNDER_ACCOUNT),
    "hybrid, no channels": hybrid("reach connected", ONLINE, denying(CHANNEL)),
    "hybrid, channels by a condition on its ARN": hybrid("reach?", BY_NODE),
    "hybrid, may not decrypt": hybrid("encrypt", using(), DENIED_KEY),
    "hybrid, no role any more": hybrid("role-assumable", refusing("iam:GetRole", "NoSuchEntity")),
    "hybrid, no role by a denial": hybrid("role-assumable?", refusing("iam:GetRole")),
    "hybrid, no role on record": hybrid("", using(), without_a_role),
    "hybrid, whose tags may not be read": hybrid(
        "operator? plugin", refusing("ssm:ListTagsForResource"))._replace(operator=USER),
}  # fmt: skip

CAUSES: Final = named(
    *(STATES, IDENTITY, HOST_MANAGEMENT, KEYS, LOGS, RUN_AS, NOT_ASKED, AGENTS),
    *(OPERATORS, HYBRID_NODES),
)
"""Each command finds each cause: `verify` of a node and of its role, and `audit`."""
