"""The account of `tests/verify/nodes.py` on services: its network on moto's, the rest on MiniStack.

Each thing is made as the account describes it. What it has for an id there is in `Made.names`.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from local_aws import LocalAws
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from session_manager_permissions._verify.policy import inline_policy
from tests.verify.nodes import ACCOUNT_ROLE, HYBRID, KEY, NODE, REGION, ROLE, USER, World, trusting
from tests.verify.test_policy import options_of

from .gateway import ACCOUNT
from .stacks import made_user

BUCKET, GROUP = "session-logs", "/ssm/sessions"
OF_ROLE: Final = ("kms", "s3:", "log")
"""The services of the resources that a document names."""
OPERATOR: Final = {
    "Effect": "Allow",
    "Action": [*("ssm:StartSession", "ssm:TerminateSession", "ssm:ResumeSession"),
        *("ssmmessages:OpenDataChannel", "kms:GenerateDataKey")],
    "Resource": "*",
}  # fmt: skip
"""The actions that the operator is allowed, except those that a world denies."""
ACCOUNT_TRUST: Final = {"Statement": [trusting("ssm.amazonaws.com")]}


@dataclass
class Made:
    """An account that was made from a world. Its resources have other names and ids."""

    world: World
    names: dict[str, str]

    def renamed(self, text: str) -> str:
        """Return a text of the world with the names and ids of the account that was made."""
        for name in sorted(self.names, key=len, reverse=True):
            text = text.replace(name, self.names[name])
        return text


@dataclass
class Account:
    """Makes accounts from worlds. Resources that are equal in two worlds are made once."""

    aws: LocalAws
    ec2: LocalAws
    """The moto server, with MiniStack's account."""
    _made: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {name: self.aws.client(name, region=REGION) for name in ("iam", "kms", "logs", "s3")}

    def make(self, world: World) -> Made:
        """Make the resources that the world describes."""
        made = Made(world, {})
        answers = (world.answers[name] for name in sorted(world.answers) if name[:3] in OF_ROLE)
        own = (world.document, sorted(world.denies), world.trust)
        found = repr([*own, *answers])
        if found not in self._made:
            self._preferences(made, len(self._made))
            self._roles(made, len(self._made))
            self._made[found] = made.names
        made.names |= self._made[found]
        if world.record is None or world.record["InstanceId"] != HYBRID:
            ec2_backends[ACCOUNT][REGION].reset()
            _Network(self.ec2.client("ec2", region=REGION), made).make()
        return made

    def _preferences(self, made: Made, number: int) -> None:
        """The key, the bucket and the log groups."""
        kms, s3, logs = (self._clients[name] for name in ("kms", "s3", "logs"))
        arn = kms.create_key()["KeyMetadata"]["Arn"]
        if made.world.answers["kms:describe_key"]["KeyMetadata"]["KeyState"] == "Disabled":
            kms.disable_key(KeyId=arn)
        made.names |= {KEY: arn, BUCKET: f"{BUCKET}-{number}", GROUP: f"{GROUP}-{number}"}
        bucket, here = made.names[BUCKET], {"LocationConstraint": REGION}
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=here)
        s3.put_bucket_encryption(Bucket=bucket, **made.world.answers["s3:get_bucket_encryption"])
        for group in made.world.answers["logs:describe_log_groups"]["logGroups"]:
            with_key = {"kmsKeyId": arn} if "kmsKeyId" in group else {}
            logs.create_log_group(logGroupName=made.renamed(group["logGroupName"]), **with_key)

    def _roles(self, made: Made, number: int) -> None:
        """The role of the node, that of Default Host Management, and the operator."""
        iam, world = self._clients["iam"], made.world
        for arn, trust in ((ROLE, world.trust), (ACCOUNT_ROLE, ACCOUNT_TRUST)):
            name = f"{arn.rpartition('/')[2]}-{number}"
            trusting = _document(*trust["Statement"])
            role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting)["Role"]
            text = _document(*_without(world, arn, self._statements(made)))
            iam.put_role_policy(RoleName=name, PolicyName="sessions", PolicyDocument=text)
            made.names |= {arn: role["Arn"], arn.partition(":role/")[2]: name}
        made.names["service-role/Nodes"] = made.names["team/web-server"]
        user = self.user(f"alice-{number}", *_without(world, USER, [OPERATOR]))
        made.names |= {USER: user["ARN"]}
        profile = f"profile-{number}"
        iam.create_instance_profile(InstanceProfileName=profile)
        role = made.names["team/web-server"]
        iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)
        iam_backends[ACCOUNT]["aws"].create_instance_profile(profile, "/", [])
        made.names["instance-profile"] = profile

    @staticmethod
    def _statements(made: Made) -> list[dict[str, Any]]:
        """What `session-manager-permissions policy` prints of the document."""
        said = (made.world.document or {}).get("inputs", {})
        group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{made.names[GROUP]}"
        options = options_of(
            key=(made.names[KEY],) if said.get("kmsKeyId") else (),
            log_bucket=made.names[BUCKET] if said.get("s3BucketName") else None,
            log_prefix=said.get("s3KeyPrefix") or None,
            log_group=group if said.get("cloudWatchLogGroupName") else None,
            allow_registration=True,
        )
        return [{**one} for one in inline_policy(options)["Statement"]]

    def user(self, name: str, *statements: dict[str, Any]) -> dict[str, str]:
        """A user with these statements: its ARN, and the credentials as variables."""
        if name not in self._made:
            key = made_user(self.aws, name, _document(*statements))
            self._made[name] = {
                "ARN": f"arn:aws:iam::{ACCOUNT}:user/{name}",
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            }
        return self._made[name]  # type: ignore[no-any-return]

    def allowed(self, arn: str, actions: list[str]) -> frozenset[str]:
        """Which actions IAM allows this user on everything."""
        results = self._clients["iam"].simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=actions
        )["EvaluationResults"]
        return frozenset(x["EvalActionName"] for x in results if x["EvalDecision"] == "allowed")


def _without(world: World, who: str, statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The statements, without the actions that the world denies."""
    found = []
    for statement in statements:
        actions = statement["Action"]
        several = [actions] if isinstance(actions, str) else actions
        kept = [one for one in several if not {one, f"{who} {one}"} & world.denies]
        if kept:
            found.append({**statement, "Action": kept})
    return found


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


class _Network:
    """Makes the VPC and the instance on moto."""

    def __init__(self, ec2: Any, made: Made) -> None:  # noqa: ANN401 # as boto3's
        self._ec2 = ec2
        self._made = made
        self._names = made.names
        self._backend = ec2_backends[ACCOUNT][REGION]

    def _described(self, call: str) -> list[dict[str, Any]]:
        (found,) = self._made.world.answers[f"ec2:describe_{call}"].values()
        return found  # type: ignore[no-any-return]

    def make(self) -> None:
        ec2 = self._ec2
        vpc = self._names["vpc-1"] = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        for found in self._made.world.answers["ec2:describe_vpc_attribute"].values():
            ec2.modify_vpc_attribute(VpcId=vpc, **found)
        for options in self._described("dhcp_options")[::-1]:  # the VPC has the first
            servers = [
                {"Key": one["Key"], "Values": [value["Value"] for value in one["Values"]]}
                for one in options["DhcpConfigurations"]
            ]
            made = ec2.create_dhcp_options(DhcpConfigurations=servers)["DhcpOptions"]
            ec2.associate_dhcp_options(DhcpOptionsId=made["DhcpOptionsId"], VpcId=vpc)
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        self._names["igw-1"] = gateway
        for subnet in self._described("subnets"):
            there = ec2.create_subnet(VpcId=vpc, CidrBlock=subnet["CidrBlock"])["Subnet"]
            self._names[subnet["SubnetId"]] = there["SubnetId"]
        for nat in self._described("nat_gateways"):
            self._nat(nat)
        for name in ("sg-web", "sg-endpoints"):
            there = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)
            self._names[name] = there["GroupId"]
        for group in self._described("security_groups"):
            self._rules(group)
        for table in self._described("route_tables"):
            self._routes(table, vpc)
        for one in self._described("vpc_endpoints"):
            self._endpoint(one, vpc)
        self._acl(vpc)
        self._instance()

    def _nat(self, said: dict[str, Any]) -> None:
        made = self._ec2.create_nat_gateway(
            SubnetId=self._names[said["SubnetId"]],
            AllocationId=self._ec2.allocate_address(Domain="vpc")["AllocationId"],
        )["NatGateway"]["NatGatewayId"]
        self._backend.nat_gateways[made].state = said["State"]
        self._names[said["NatGatewayId"]] = made

    def _rules(self, said: dict[str, Any]) -> None:
        of_group = {"GroupId": self._names[said["GroupId"]]}
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        self._ec2.revoke_security_group_egress(**of_group, IpPermissions=everything)
        egress, ingress = said["IpPermissionsEgress"], said["IpPermissions"]
        if egress:
            self._ec2.authorize_security_group_egress(**of_group, IpPermissions=egress)
        if ingress:
            renamed = json.loads(self._made.renamed(json.dumps(ingress)))
            self._ec2.authorize_security_group_ingress(**of_group, IpPermissions=renamed)

    def _routes(self, said: dict[str, Any], vpc: str) -> None:
        (association,) = said["Associations"]
        of = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
        if "SubnetId" in association:
            table = self._ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
            subnet = self._names[association["SubnetId"]]
            self._ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        else:
            (found,) = self._ec2.describe_route_tables(Filters=of)["RouteTables"]
            table = found["RouteTableId"]
        self._names[said["RouteTableId"]] = table
        for route in said["Routes"][1:]:
            gateways = {"GatewayId", "NatGatewayId"} & {*route}
            leads = {kind: self._names[route[kind]] for kind in gateways}
            block = route["DestinationCidrBlock"]
            self._ec2.create_route(RouteTableId=table, DestinationCidrBlock=block, **leads)

    def _endpoint(self, said: dict[str, Any], vpc: str) -> None:
        as_they_are = ("PolicyDocument", "VpcEndpointType", "ServiceName", "PrivateDnsEnabled")
        made = self._ec2.create_vpc_endpoint(
            VpcId=vpc,
            SubnetIds=[self._names[one] for one in said["SubnetIds"]],
            SecurityGroupIds=[self._names[one["GroupId"]] for one in said["Groups"]],
            **{name: said[name] for name in as_they_are if name in said},
        )["VpcEndpoint"]["VpcEndpointId"]
        self._backend.vpc_end_points[made].state = said["State"]

    def _acl(self, vpc: str) -> None:
        of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
        (acl,) = self._ec2.describe_network_acls(Filters=of_vpc)["NetworkAcls"]
        for said in self._described("network_acls")[0]["Entries"][:-2]:  # the last allow all
            self._ec2.create_network_acl_entry(NetworkAclId=acl["NetworkAclId"], **said)

    def _instance(self) -> None:
        said = self._made.world.instance
        card = {
            "DeviceIndex": 0,
            "SubnetId": self._names[said["SubnetId"]],
            "Groups": [self._names[one["GroupId"]] for one in said["SecurityGroups"]],
            "AssociatePublicIpAddress": "PublicIpAddress" in said,
        }
        profile = {"Name": self._names["instance-profile"]}
        (made,) = self._ec2.run_instances(
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[card],
            MetadataOptions={"HttpTokens": "required", **said["MetadataOptions"]},
            TagSpecifications=[{"ResourceType": "instance", "Tags": said["Tags"]}],
            **({"IamInstanceProfile": profile} if "IamInstanceProfile" in said else {}),
        )["Instances"]
        found = self._names[NODE] = made["InstanceId"]
        if said["State"]["Name"] == "stopped":
            self._ec2.stop_instances(InstanceIds=[found])
        kept: Any = self._backend.get_instance(found)
        kept.InstanceId = found  # which moto leaves out of the answer about status checks
