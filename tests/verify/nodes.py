"""The one account of AWS that the tests of the command have: in memory, with one node.

A test changes the resources that it is about, as AWS describes them. `accounts.py` adds many nodes,
`served.py` puts it behind the protocols of AWS, and `tests/deploy/account.py` makes it on moto and
MiniStack.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final, NamedTuple

from botocore import xform_name
from botocore.exceptions import ClientError

from session_manager_permissions._verify.agent import read_diagnostics
from session_manager_permissions._verify.checks import Outcome
from session_manager_permissions._verify.diagnosis import Diagnosis, diagnose
from session_manager_permissions._verify.node import find_node
from session_manager_permissions._verify.session import Session, Waiting

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
REGION: Final = "eu-west-1"
NODE: Final = "i-0123456789abcdef0"
HYBRID: Final = "mi-0123456789abcdef0"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/team/web-server"
ACCOUNT_ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/service-role/DefaultNodes"
USER: Final = f"arn:aws:iam::{ACCOUNT}:user/alice"
OPERATORS: Final = f"arn:aws:iam::{ACCOUNT}:role/operators"
OF_SSO: Final = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/AWSReservedSSO_admin_0123"
OWN_ID: Final = "AIDAIBMYN6E34GEXAMPLE"
ROLE_ID: Final = "AROADBQP57FF2AEXAMPLE"
KEY: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ALIAS: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/sessions"
TIER: Final = "/ssm/managed-instance/activation-tier"
DOCUMENT: Final = "SSM-SessionManagerRunShell"
EVERYTHING: Final = {
    "kmsKeyId": KEY, "s3BucketName": "session-logs", "s3KeyPrefix": "web",
    "s3EncryptionEnabled": True, "cloudWatchLogGroupName": "/ssm/sessions",
    "cloudWatchEncryptionEnabled": True,
}  # fmt: skip
REGISTER: Final = "ssm:UpdateInstanceInformation"
CHANNELS: Final = tuple(
    f"ssmmessages:{verb}{kind}Channel"
    for verb in ("Create", "Open")
    for kind in ("Control", "Data")
)
ROOT: Final = f"arn:aws:iam::{ACCOUNT}:root"
_OF_WEB: Final = [{"GroupId": "sg-web"}]
_OF_ACTION: Final = "OrganizationsDecisionDetail"
"""The field in which IAM answers about an action as a whole, and not about one resource."""
_EMPTY: Final = {
    "ec2:describe_iam_instance_profile_associations": "IamInstanceProfileAssociations",
    "ec2:describe_images": "Images", "iam:list_attached_role_policies": "AttachedPolicies",
    "iam:list_policies": "Policies", "kms:list_grants": "Grants",
    "route53:list_hosted_zones_by_vpc": "HostedZoneSummaries",
    "route53resolver:list_firewall_rule_group_associations": "FirewallRuleGroupAssociations",
    "route53resolver:list_resolver_rule_associations": "ResolverRuleAssociations",
    "route53resolver:list_resolver_rules": "ResolverRules",
}  # fmt: skip
"""The calls that return an empty list, each with the name of the list."""
_DENIALS: Final = {"ec2": "UnauthorizedOperation", "iam": "AccessDenied", "s3": "AccessDenied"}
_NOT_SPECIFIC: Final = (_OF_ACTION, "EvalDecision")


class Question(NamedTuple):
    """A question to IAM's simulator."""

    who: str
    action: str
    resource: str
    told: dict[str, list[str]]
    """The values of condition keys."""


If = Callable[[dict[str, Any]], bool]
Decides = Callable[[Question], dict[str, Any] | None]
"""Returns fields of IAM's answer to a question; None for the usual answer."""
RECORD: Final = {
    "InstanceId": NODE, "PingStatus": "Online", "LastPingDateTime": "2026-01-01 00:00:00+00:00",
    "AgentVersion": "3.3.3270.0", "PlatformType": "Linux",
}  # fmt: skip


class World:
    """The answers of AWS, by `service:operation`, and the calls that were made."""

    def __init__(self, *does: Callable[["World"], object]) -> None:
        """Make an account in which sessions open, and apply changes to it."""
        self.calls: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.questions: list[Question] = []
        self.denies = {"ssm:StartAccessRequest"}
        """Actions that IAM denies to all, or `ARN action` to one role."""
        self.missing: list[str] = []
        """Condition keys of denied actions whose values IAM was not told."""
        self.decides: Decides = lambda _: None
        """IAM's answer instead of the one by `denies` and `missing`; None for the usual answer."""
        self.one_by_one = False
        """Whether the simulator refuses more than one resource in a request."""
        self.partition = "aws"
        self.bucket_region: str | None = None
        """The region that S3 names if the bucket is in another region."""
        self.instance: dict[str, Any] = {
            "InstanceId": NODE, "State": {"Name": "running"},
            "IamInstanceProfile": {
                "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/web-server", "Id": "AIPA1"},
            "MetadataOptions": {"HttpEndpoint": "enabled"}, "VpcId": "vpc-1",
            "SubnetId": "subnet-private", "SecurityGroups": _OF_WEB,
            "NetworkInterfaces": [{"Attachment": {"DeviceIndex": 0}, "Groups": _OF_WEB}],
            "Tags": [{"Key": "team", "Value": "web"}], "Operator": {"Managed": False},
        }  # fmt: skip
        self.record: dict[str, Any] | None = {**RECORD}
        self.tier = "advanced"
        self.hybrid_nodes: list[dict[str, Any]] = []
        """The records of nodes outside of EC2."""
        self.trust: Any = {"Statement": [trusting("ec2.amazonaws.com")]}
        self.of_role: dict[str, Any] = {}
        """What else IAM says about the role, besides its ARN and its trust policy."""
        self.of_profile: dict[str, Any] = {}
        self.document: Any = None
        self.answers: dict[str, Any] = {
            "ec2:describe_instances": self._instances,
            "ec2:describe_instance_status": {"InstanceStatuses": [status()]},
            "ec2:get_console_output": {}, "ssm:describe_instance_information": self._records,
            "ssm:get_connection_status": {"Status": "connected"},
            "ssm:get_service_setting": {"ServiceSetting": {"SettingValue": "$None"}},
            "ssm:get_document": self._document,
            "ssm:list_tags_for_resource": {"TagList": [{"Key": "team", "Value": "web"}]},
            "iam:get_instance_profile": self._profile, "iam:get_role": self._role,
            "iam:get_user": {"User": {"Arn": USER, "UserId": OWN_ID}},
            "iam:simulate_principal_policy": self._simulate,
            "kms:describe_key": {"KeyMetadata": key()},
            "kms:get_key_policy": policy(allowing(ROOT, "kms:*")),
            "s3:get_bucket_encryption": encrypted("AES256"),
            "s3:get_bucket_policy": refusal("GetBucketPolicy", "NoSuchBucketPolicy"),
            "logs:describe_log_groups": {
                "logGroups": [{"logGroupName": "/ssm/sessions", "kmsKeyId": KEY}]},
            "organizations:describe_organization": {"Organization": {"Id": "o-own"}},
            "sts:get_caller_identity": lambda *_: {"Account": ACCOUNT, "Arn": self._own(USER)},
            **{call: {listed: []} for call, listed in _EMPTY.items()}, **deepcopy(NETWORK),
        }  # fmt: skip
        for change in does:
            change(self)

    def has(self, name: str, answer: object) -> None:
        assert name in self.answers
        self.answers[name] = answer

    def refuses(self, operation: str, code: str = "", if_: If | None = None) -> None:
        """Make a call fail, such as `ssm:GetDocument`. By default, the call is denied.

        With `if_`, the call fails only for some parameters.
        """
        service, _, name = operation.partition(":")
        call = f"{service}:{xform_name(name)}"
        error = refusal(name, code or _DENIALS.get(service, "AccessDeniedException"))
        answer = self.answers[call]

        def some(asked: dict[str, Any], region: str) -> Any:  # noqa: ANN401
            if if_ and if_(asked):
                raise error
            return answer(asked, region) if callable(answer) else answer

        self.has(call, some if if_ else error)

    def uses(self, **inputs: object) -> None:
        """Add a Session document with these inputs."""
        self.document = {"schemaVersion": "1.0", "sessionType": "Standard_Stream"}
        self.document["inputs"] = EVERYTHING | inputs

    def is_hybrid(self) -> None:
        self.record = (self.record or {}) | {"InstanceId": HYBRID, "IamRole": "service-role/Nodes"}
        self.trust = {"Statement": [trusting("ssm.amazonaws.com")]}

    def is_lost(self, connection: str = "notconnected") -> None:
        self.record = (self.record or {}) | {"PingStatus": "ConnectionLost"}
        self.has("ssm:get_connection_status", {"Status": connection})

    def is_online_only(self) -> None:
        self.has("ssm:get_connection_status", {"Status": "notconnected"})

    def never_registered(self) -> None:
        self.record = None
        self.has("ssm:get_connection_status", {"Status": "notconnected"})

    def has_host_management(self, value: str = "service-role/DefaultNodes") -> None:
        self.has("ssm:get_service_setting", {"ServiceSetting": {"SettingValue": value}})

    def partition_of(self, region: str | None) -> str:  # noqa: ARG002 # as the other has it
        return self.partition

    def dns_suffix_of(self, partition: str) -> str:  # noqa: ARG002
        return "amazonaws.com"

    def pages(
        self, service: str, region: str | None, operation: str, asked: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        told = {"BucketRegion": self.bucket_region} if self.bucket_region else {}
        try:
            found = self.call(service, xform_name(operation), {**asked}, region)
        except ClientError as error:
            error.response |= told
            raise
        yield found | told if service == "s3" else found

    def call(
        self, service: str, operation: str, asked: dict[str, Any], region: str | None = REGION
    ) -> Any:  # noqa: ANN401
        self.calls.append(f"{service}:{operation}")
        self.asked.append(asked)
        answer = self.answers[f"{service}:{operation}"]
        if isinstance(answer, Exception):
            raise answer
        if asked.get("SettingId") == TIER and isinstance(answer, dict):
            return {"ServiceSetting": {"SettingValue": self.tier}}
        if {"Key": "ResourceType", "Values": ["ManagedInstance"]} in asked.get("Filters", ()):
            return {"InstanceInformationList": self.hybrid_nodes}
        if operation == "describe_vpc_attribute":
            return answer[asked["Attribute"]]
        return answer(asked, str(region)) if callable(answer) else answer

    def _instances(self, asked: dict[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG002
        return {"Reservations": [{"OwnerId": ACCOUNT, "Instances": [self.instance]}]}

    def _records(self, asked: dict[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG002
        return {"InstanceInformationList": [self.record] if self.record else []}

    def _document(self, asked: dict[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG002
        if self.document is None:
            raise refusal("GetDocument", "InvalidDocument")
        return {"Content": json.dumps(self.document)}

    def _profile(self, asked: dict[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG002
        profile = {"InstanceProfileId": "AIPA1", "Roles": [self.role()]}
        return {"InstanceProfile": profile | self.of_profile}

    def _role(self, asked: dict[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG002
        others: dict[str, dict[str, Any]] = {
            "operators": {"Arn": OPERATORS}, "AWSReservedSSO_admin_0123": {"Arn": OF_SSO},
            "DefaultNodes": {"Arn": ACCOUNT_ROLE, "AssumeRolePolicyDocument": {
                "Statement": [trusting("ssm.amazonaws.com")]}},
        }  # fmt: skip
        return {"Role": self.role() | others.get(asked["RoleName"], {})}

    def role(self) -> dict[str, Any]:
        """The role of the node, as IAM describes it."""
        named = {"Arn": self._own(ROLE), "RoleId": ROLE_ID}
        return named | {"AssumeRolePolicyDocument": self.trust} | self.of_role

    def _own(self, arn: str) -> str:
        return arn.replace(":aws:", f":{self.partition}:")

    def _simulate(self, asked: dict[str, Any], *_: object) -> dict[str, Any]:
        who, arns = asked["PolicySourceArn"], asked["ResourceArns"]
        told = {one["ContextKeyName"]: one["ContextKeyValues"] for one in asked["ContextEntries"]}
        if self.one_by_one and arns[1:]:
            raise refusal("SimulatePrincipalPolicy", "InvalidInput")
        results: list[dict[str, Any]] = []
        for action in asked["ActionNames"]:
            questions = [Question(who, action, arn, told) for arn in arns]
            self.questions += questions
            found = {one.resource: self._decided(one) for one in questions}
            results += _results(action, {arn: one for arn, one in found.items() if one})
        return {"EvaluationResults": results}

    def _decided(self, asked: Question) -> dict[str, Any]:
        """Return IAM's answer; empty if IAM gives none."""
        found = self.decides(asked)
        if found is None:
            denied = {asked.action, f"{asked.who} {asked.action}"} & self.denies
            decision = "implicitDeny" if denied else "allowed"
            return {"EvalDecision": decision, "MissingContextValues": self.missing}
        return found


def _results(action: str, found: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """IAM's answer about an action, with one for each resource if there are several."""
    first = next(iter(found.values()), None)
    if first is None:
        return
    if len(found) == 1:
        yield {"EvalActionName": action, **first}
        return
    specific = [{
        "EvalResourceName": arn, "EvalResourceDecision": one["EvalDecision"],
        **{name: value for name, value in one.items() if name not in _NOT_SPECIFIC}
    } for arn, one in found.items()]  # fmt: skip
    organizations = [one[_OF_ACTION] for one in found.values() if _OF_ACTION in one]
    of_action = {_OF_ACTION: organizations[-1]} if organizations else {}
    decision = {"EvalDecision": "implicitDeny"}  # it is not the answer about any resource
    yield {"EvalActionName": action, **decision, "ResourceSpecificResults": specific, **of_action}


def session_in(
    world: World,
    profile: str | None = None,
    region: str | None = REGION,
    waiting: Waiting | None = None,
) -> Session:
    """A session that asks the world."""
    return Session(world, region, profile, waiting or Waiting())


def diagnosed(world: World, node: str = NODE, diagnostics: str = "", **given: Any) -> Diagnosis:  # noqa: ANN401
    rows = read_diagnostics(diagnostics, node) if diagnostics else None
    return diagnose(find_node(session_in(world), node), rows=rows, **given)


def of_verdict(found: Diagnosis, verdict: str) -> set[str]:
    return {check.name for check in found.checks if check.verdict == verdict}


def one(found: Diagnosis, name: str) -> Outcome:
    (check,) = (check for check in found.checks if check.name == name)
    return check


def refusal(operation: str, code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def both(*does: Callable[[World], object]) -> Callable[[World], object]:
    return lambda world: [one(world) for one in does]


def nothing(_: World) -> None:
    """Change nothing."""


def without_a_route(world: World) -> None:
    for table in world.answers["ec2:describe_route_tables"]["RouteTables"]:
        table["Routes"] = table["Routes"][:1]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def trusting(service: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Policy": json.dumps({"Statement": statements})}


def allowing(principal: str, *actions: str, **parts: object) -> dict[str, Any]:
    found = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions, "Resource": "*"}
    return found | parts


def status(system: str = "ok", instance: str = "ok") -> dict[str, Any]:
    checks = {"SystemStatus": {"Status": system}, "InstanceStatus": {"Status": instance}}
    return {"InstanceId": NODE, **checks}


def key(**parts: object) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Arn": KEY, "KeyId": KEY.rpartition("/")[2], "KeyState": "Enabled",
        "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "KeyManager": "CUSTOMER",
    }  # fmt: skip
    return found | parts


def encrypted(algorithm: str, with_key: str | None = None, **parts: object) -> dict[str, Any]:
    default = {"SSEAlgorithm": algorithm} | ({"KMSMasterKeyID": with_key} if with_key else {})
    rule = {"ApplyServerSideEncryptionByDefault": default} | parts
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


def group(name: str, **rules: object) -> dict[str, Any]:
    opened = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    return {"GroupId": name, "IpPermissions": [], "IpPermissionsEgress": opened} | rules


def table(name: str, *routes: dict[str, Any], **parts: object) -> dict[str, Any]:
    local = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}
    return {"RouteTableId": name, "Routes": [local, *routes], "OwnerId": ACCOUNT} | parts


def default_route(**target: object) -> dict[str, Any]:
    return {"DestinationCidrBlock": "0.0.0.0/0", "State": "active", **target}


def endpoint(service: str, **parts: object) -> dict[str, Any]:
    found: dict[str, Any] = {
        "VpcEndpointId": f"vpce-{service}", "VpcEndpointType": "Interface",
        "ServiceName": f"com.amazonaws.{REGION}.{service}", "State": "available",
        "PrivateDnsEnabled": True, "SubnetIds": ["subnet-private"],
        "Groups": [{"GroupId": "sg-endpoints"}], "RouteTableIds": [],
    }  # fmt: skip
    return found | parts


def acl(name: str, *entries: dict[str, Any]) -> dict[str, Any]:
    opened = [{
        "RuleNumber": 100, "Egress": egress, "RuleAction": "allow", "Protocol": "-1",
        "CidrBlock": "0.0.0.0/0"
    } for egress in (True, False)]  # fmt: skip
    subnets = [{"SubnetId": "subnet-private"}, {"SubnetId": "subnet-public"}]
    return {"NetworkAclId": name, "Associations": subnets, "Entries": [*entries, *opened]}


def dhcp_options(name: str, *servers: str) -> dict[str, Any]:
    values = [{"Value": server} for server in servers]
    listed = [{"Key": "domain-name-servers", "Values": values}] if servers else []
    return {"DhcpOptionsId": name, "DhcpConfigurations": listed}


_NAT: Final = {"NatGatewayId": "nat-1", "State": "available", "VpcId": "vpc-1"} | {
    "SubnetId": "subnet-public"
}
NETWORK: Final[dict[str, Any]] = {
    "ec2:describe_subnets": {"Subnets": [
        {"SubnetId": "subnet-private", "CidrBlock": "10.0.0.0/24"},
        {"SubnetId": "subnet-public", "CidrBlock": "10.0.1.0/24", "MapPublicIpOnLaunch": True,
         "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"}}]},
    "ec2:describe_route_tables": {"RouteTables": [
        table("rtb-main", default_route(NatGatewayId="nat-1"), Associations=[{"Main": True}]),
        table("rtb-public", default_route(GatewayId="igw-1"),
              Associations=[{"SubnetId": "subnet-public"}])]},
    "ec2:describe_nat_gateways": {"NatGateways": [_NAT]},
    "ec2:describe_vpc_endpoints": {"VpcEndpoints": []},
    "ec2:describe_security_groups": {"SecurityGroups": [group("sg-web")]},
    "ec2:describe_network_acls": {"NetworkAcls": [acl("acl-1")]},
    "ec2:describe_dhcp_options": {"DhcpOptions": [dhcp_options("dopt-1", "AmazonProvidedDNS")]},
    "ec2:describe_vpcs": {"Vpcs": [
        {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16", "DhcpOptionsId": "dopt-1"}]},
    "ec2:describe_vpc_attribute": {"enableDnsSupport": {"EnableDnsSupport": {"Value": True}},
        "enableDnsHostnames": {"EnableDnsHostnames": {"Value": True}}},
}  # fmt: skip
