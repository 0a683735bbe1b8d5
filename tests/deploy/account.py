"""An account to diagnose: the network on moto's server, everything else on MiniStack.

Each kind of thing is described by a frozen dataclass, in which all is well by default, and is made
once for each description.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import boto3
from botocore.config import Config
from local_aws import REGION
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance
from moto.ec2.models.route_tables import Route
from moto.iam.models import iam_backends

from session_manager_permissions._verify.policy import PolicyOptions, inline_policy

from .gateway import ACCOUNT

if TYPE_CHECKING:
    from local_aws import LocalAws

SERVICES: Final = ("ssm", "ssmmessages", "kms", "logs", "s3")
EVERYONE: Final = "0.0.0.0/0"
VPC: Final = "10.0.0.0/16"
PREFIX: Final = "web"


@dataclass(frozen=True)
class Network:
    """A VPC with the subnet of the instance; by default a private one with every endpoint."""

    endpoints: tuple[str, ...] = SERVICES
    without_private_dns: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    """The endpoints that are not available."""
    shut: tuple[str, ...] = ()
    """The endpoints whose security group lets nothing of the VPC in."""
    denied: tuple[str, ...] = ()
    """The endpoints whose policy denies everything."""
    by_group: bool = False
    """Whether the endpoints' groups admit the instances' group, and not the range of the VPC."""
    s3_in_table: bool = True
    """Whether the gateway endpoint of S3 is in the subnet's route table."""
    dns_support: bool = True
    dns_servers: tuple[str, ...] = ("AmazonProvidedDNS",)
    """What the DHCP options name."""
    dns_hostnames: bool = True
    route: str | None = None
    """Where the default route leads; None: there is none."""
    by_main_table: bool = False
    """Whether the subnet has no route table of its own."""
    public_address: bool = False
    nat: str = "available"
    """The state of the NAT gateway."""
    nat_leads_out: bool = True
    egress: str | None = EVERYONE
    """Where the instance's group lets TCP 443 out to; None: nowhere."""
    acl_denies: str | None = None
    """What the subnet's ACL denies: `requests` or `answers`."""
    region: str = REGION


PUBLIC: Final = Network(endpoints=(), route="internet", public_address=True)
BEHIND_NAT: Final = Network(endpoints=(), route="nat")


@dataclass(frozen=True)
class Role:
    """A role; by default it may do all that the preferences make the agent do."""

    trusts: str = "ec2.amazonaws.com"
    lacks: tuple[str, ...] = ()
    """Actions that no policy allows."""
    denies: tuple[str, ...] = ()
    """Actions that a policy denies."""
    registers_on: str = "*"
    path: str = "/"


@dataclass(frozen=True)
class Machine:
    """An instance; by default one that runs."""

    state: str = "running"
    has_profile: bool = True
    profile_has_role: bool = True
    metadata: str = "enabled"
    impaired: bool = False


@dataclass(frozen=True)
class Key:
    """The key of the sessions."""

    state: str = "Enabled"
    spec: str = "SYMMETRIC_DEFAULT"
    usage: str = "ENCRYPT_DECRYPT"
    region: str = REGION


@dataclass(frozen=True)
class Preferences:
    """A Session document; by default with a key, a bucket and a log group, both enforced."""

    key: Key | None = field(default_factory=Key)
    bucket: str | None = "AES256"
    """How the bucket is encrypted; None: no logs in S3."""
    group: str | None = "encrypted"
    """`encrypted`, `plain`, or `absent` in spite of its name; None: no logs in CloudWatch Logs."""
    enforces_bucket: bool = True
    enforces_group: bool = True
    run_as: str | None = None
    run_as_enabled: bool = False


@dataclass
class Account:
    """What was made so far, by its description."""

    aws: LocalAws
    ec2_endpoint: str
    """Leads to moto's server, in MiniStack's account."""
    made: dict[object, Any] = field(default_factory=dict)

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")  # noqa: S106

    def _client(self, service: str, region: str, endpoint: str) -> Any:  # noqa: ANN401
        of = (service, region, endpoint)
        if of not in self.made:
            config = Config(retries={"total_max_attempts": 1})
            self.made[of] = self._session.client(
                service, region_name=region, endpoint_url=endpoint, config=config
            )
        return self.made[of]

    def _aws(self, service: str, region: str = REGION) -> Any:  # noqa: ANN401
        return self._client(service, region, self.aws.endpoint)

    def _name(self, of: object, prefix: str) -> str:
        """A name for the thing of this description."""
        return self.made.setdefault(("name", of), f"{prefix}-{len(self.made)}")  # type: ignore[no-any-return]

    # What the preferences name

    def key(self, key: Key) -> str:
        """The key's ARN."""
        if key not in self.made:
            kms = self._aws("kms", key.region)
            found = kms.create_key(KeySpec=key.spec, KeyUsage=key.usage)["KeyMetadata"]
            if key.state == "Disabled":
                kms.disable_key(KeyId=found["KeyId"])
            if key.state == "PendingDeletion":
                kms.schedule_key_deletion(KeyId=found["KeyId"], PendingWindowInDays=7)
            self.made[key] = found["Arn"]
        return str(self.made[key])

    def bucket(self, encryption: str) -> str:
        """The bucket's name."""
        of = ("bucket", encryption)
        if of not in self.made:
            s3, name = self._aws("s3"), f"session-logs-{encryption.lower().replace(':', '-')}"
            s3.create_bucket(Bucket=name)
            s3.put_bucket_encryption(
                Bucket=name,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": encryption}}]
                },
            )
            self.made[of] = name
        return str(self.made[of])

    def group(self, kind: str) -> str:
        """The log group's name."""
        name = f"/ssm/{kind}"
        if name not in self.made:
            logs = self._aws("logs")
            more = {"kmsKeyId": self.key(Key())} if kind == "encrypted" else {}
            if kind == "absent":
                name = f"{name}/not"  # its own name is the beginning of another
            logs.create_log_group(logGroupName=name, **more)
            self.made[f"/ssm/{kind}"] = name
        return f"/ssm/{kind}"

    def document(self, preferences: Preferences) -> dict[str, Any]:
        """The content of the Session document."""
        said = preferences
        inputs = {
            "kmsKeyId": self.key(said.key) if said.key else "",
            "s3BucketName": self.bucket(said.bucket) if said.bucket else "",
            "s3KeyPrefix": PREFIX if said.bucket else "",
            "s3EncryptionEnabled": said.enforces_bucket,
            "cloudWatchLogGroupName": self.group(said.group) if said.group else "",
            "cloudWatchEncryptionEnabled": said.enforces_group,
            "cloudWatchStreamingEnabled": True,
            "runAsEnabled": said.run_as_enabled,
            "runAsDefaultUser": said.run_as or "",
            "idleSessionTimeout": "20",
        }
        return {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}

    # Identities

    def role(self, role: Role, preferences: Preferences | None) -> str:
        """The role's name."""
        of = (role, preferences)
        if of not in self.made:
            name, iam = self._name(of, "role"), self._aws("iam")
            iam.create_role(
                RoleName=name,
                Path=role.path,
                AssumeRolePolicyDocument=_policy(
                    {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRole",
                        "Principal": {"Service": role.trusts},
                    }
                ),
            )
            statements = self._statements(role, preferences or Preferences())
            iam.put_role_policy(
                RoleName=name, PolicyName="sessions", PolicyDocument=_policy(*statements)
            )
            self.made[of] = name
        return str(self.made[of])

    def _statements(self, role: Role, preferences: Preferences) -> list[dict[str, Any]]:
        """What `session-manager-permissions policy` prints, less what the role lacks."""
        said = preferences
        group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
        policy = inline_policy(
            PolicyOptions(
                key=(self.key(said.key),) if said.key else (),
                log_bucket=self.bucket(said.bucket) if said.bucket else None,
                log_prefix=PREFIX if said.bucket else None,
                log_group=f"{group}{self.group(said.group)}" if said.group else None,
                allow_registration=True,
            )
        )
        found = []
        for statement in policy["Statement"]:
            actions = statement["Action"]
            several = [actions] if isinstance(actions, str) else actions
            kept = [action for action in several if action not in role.lacks]
            if "ssm:UpdateInstanceInformation" in kept:
                statement["Resource"] = role.registers_on
            if kept:
                found.append({**statement, "Action": kept})
        if role.denies:
            found.append({"Effect": "Deny", "Action": [*role.denies], "Resource": "*"})
        return found

    def profile(self, role: Role | None, preferences: Preferences | None, region: str) -> str:
        """The instance profile's name."""
        of = ("profile", role, preferences, region)
        if of not in self.made:
            name, iam = self._name(of, "profile"), self._aws("iam")
            iam.create_instance_profile(InstanceProfileName=name)
            if role is not None:
                added = self.role(role, preferences)
                iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=added)
            backend = ec2_backends[ACCOUNT][region]
            iam_backends[ACCOUNT][backend.partition].create_instance_profile(name, "/", [])
            self.made[of] = name
        return str(self.made[of])

    def user(self, name: str, *statements: dict[str, Any], **tags: str) -> dict[str, str]:
        """A user with these statements: its ARN, and the credentials as variables."""
        if ("user", name) not in self.made:
            iam = self._aws("iam")
            found = iam.create_user(
                UserName=name, Tags=[{"Key": key, "Value": tags[key]} for key in tags]
            )["User"]
            if statements:
                iam.put_user_policy(
                    UserName=name, PolicyName="all", PolicyDocument=_policy(*statements)
                )
            key = iam.create_access_key(UserName=name)["AccessKey"]
            self.made[("user", name)] = {
                "ARN": found["Arn"],
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            }
        return self.made[("user", name)]  # type: ignore[no-any-return]

    def role_of(self, name: str, *statements: dict[str, Any], **tags: str) -> dict[str, str]:
        """A role with these statements: its ARN."""
        if ("role", name) not in self.made:
            iam = self._aws("iam")
            found = iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=_policy(),
                Tags=[{"Key": key, "Value": tags[key]} for key in tags],
            )["Role"]
            iam.put_role_policy(
                RoleName=name, PolicyName="all", PolicyDocument=_policy(*statements)
            )
            self.made[("role", name)] = {"ARN": found["Arn"]}
        return self.made[("role", name)]  # type: ignore[no-any-return]

    def allowed(self, arn: str, actions: list[str]) -> frozenset[str]:
        """Which actions IAM allows this user on everything."""
        results = self._aws("iam").simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=actions
        )["EvaluationResults"]
        return frozenset(
            one["EvalActionName"] for one in results if one["EvalDecision"] == "allowed"
        )

    # The network

    def instance(self, machine: Machine, network: Network, profile: str | None) -> str:
        """A new instance's id."""
        ec2 = self._client("ec2", network.region, self.ec2_endpoint)
        subnet, group = self.network(network)
        card = {
            "DeviceIndex": 0,
            "SubnetId": subnet,
            "Groups": [group],
            "AssociatePublicIpAddress": network.public_address,
        }
        (made,) = ec2.run_instances(
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[card],
            MetadataOptions={"HttpEndpoint": machine.metadata, "HttpTokens": "required"},
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "web"}]}
            ],
            **({"IamInstanceProfile": {"Name": profile}} if profile else {}),
        )["Instances"]
        found: str = made["InstanceId"]
        if machine.state == "stopped":
            ec2.stop_instances(InstanceIds=[found])
        if machine.state == "terminated":
            ec2.terminate_instances(InstanceIds=[found])
        kept: Any = ec2_backends[ACCOUNT][network.region].get_instance(found)
        kept.InstanceId = found  # which moto leaves out of the answer about status checks
        if machine.impaired:
            kept.__class__ = _Impaired
        return found

    def network(self, network: Network) -> tuple[str, str]:
        """The subnet and the security group of instances in it."""
        if network not in self.made:
            self.made[network] = self._network(network)
        return self.made[network]  # type: ignore[no-any-return]

    def _network(self, said: Network) -> tuple[str, str]:
        ec2 = self._client("ec2", said.region, self.ec2_endpoint)
        vpc = ec2.create_vpc(CidrBlock=VPC)["Vpc"]["VpcId"]
        for name, value in (
            ("EnableDnsSupport", said.dns_support),
            ("EnableDnsHostnames", said.dns_hostnames),
        ):
            ec2.modify_vpc_attribute(VpcId=vpc, **{name: {"Value": value}})
        servers = {"Key": "domain-name-servers", "Values": [*said.dns_servers]}
        options = ec2.create_dhcp_options(DhcpConfigurations=[servers])["DhcpOptions"]
        ec2.associate_dhcp_options(DhcpOptionsId=options["DhcpOptionsId"], VpcId=vpc)
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        main = [
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "association.main", "Values": ["true"]},
        ]
        if said.by_main_table:
            table = ec2.describe_route_tables(Filters=main)["RouteTables"][0]["RouteTableId"]
        else:
            table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
            ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        group = self._group(ec2, vpc, "instances", egress=said.egress)
        self._endpoints(ec2, said, _Place(vpc, subnet, table, group))
        self._route(ec2, said, vpc, table)
        if said.acl_denies:
            _deny_by_acl(ec2, vpc, said.acl_denies)
        return subnet, group

    @staticmethod
    def _group(
        ec2: Any,  # noqa: ANN401
        vpc: str,
        name: str,
        *,
        egress: str | None = EVERYONE,
        ingress: str | None = None,
    ) -> str:
        found: str = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)[
            "GroupId"
        ]
        if egress != EVERYONE:
            everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": EVERYONE}]}]
            ec2.revoke_security_group_egress(GroupId=found, IpPermissions=everything)
        if egress not in {None, EVERYONE}:
            ec2.authorize_security_group_egress(GroupId=found, IpPermissions=[_https(str(egress))])
        if ingress:
            ec2.authorize_security_group_ingress(GroupId=found, IpPermissions=[_https(ingress)])
        return found

    def _endpoints(self, ec2: Any, said: Network, place: _Place) -> None:  # noqa: ANN401
        for service in said.endpoints:
            more: dict[str, Any] = {
                "VpcId": place.vpc,
                "ServiceName": f"com.amazonaws.{said.region}.{service}",
            }
            if service in said.denied:
                more["PolicyDocument"] = _policy(
                    {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
                )
            if service == "s3":
                tables = [place.table] if said.s3_in_table else []
                ec2.create_vpc_endpoint(VpcEndpointType="Gateway", RouteTableIds=tables, **more)
                continue
            admits = place.group if said.by_group else VPC
            if service in said.shut:
                admits = "192.0.2.0/24"
            group = self._group(ec2, place.vpc, f"endpoint-{service}", ingress=admits)
            made = ec2.create_vpc_endpoint(
                VpcEndpointType="Interface",
                SubnetIds=[place.subnet],
                SecurityGroupIds=[group],
                PrivateDnsEnabled=service not in said.without_private_dns,
                **more,
            )["VpcEndpoint"]["VpcEndpointId"]
            if service in said.pending:
                backend = ec2_backends[ACCOUNT][said.region]
                backend.vpc_end_points[made].state = "pendingAcceptance"

    def _route(self, ec2: Any, said: Network, vpc: str, table: str) -> None:  # noqa: ANN401
        leads: dict[str, str] = {}
        if said.route in {"internet", "blackhole", "halves"}:
            leads = {"GatewayId": _internet(ec2, vpc)}
        if said.route == "nat":
            leads = {"NatGatewayId": self._nat(ec2, said, vpc)}
        if said.route == "transit":
            gateway = ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
            leads = {"TransitGatewayId": gateway}
        if said.route == "peering":
            other = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
            peering = ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=other)
            found = peering["VpcPeeringConnection"]["VpcPeeringConnectionId"]
            leads = {"VpcPeeringConnectionId": found}
        if not leads:
            return
        halves = ("0.0.0.0/1", "128.0.0.0/1")
        for range_ in halves if said.route == "halves" else (EVERYONE,):
            ec2.create_route(RouteTableId=table, DestinationCidrBlock=range_, **leads)
        if said.route == "blackhole":
            backend = ec2_backends[ACCOUNT][said.region]
            for route in backend.route_tables[table].routes:
                if route.destination_cidr_block == EVERYONE:
                    gone: Any = route
                    gone.__class__ = _Blackhole

    @staticmethod
    def _nat(ec2: Any, said: Network, vpc: str) -> str:  # noqa: ANN401
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.9.0/24")["Subnet"]["SubnetId"]
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        gateway = _internet(ec2, vpc)
        if said.nat_leads_out:
            ec2.create_route(RouteTableId=table, DestinationCidrBlock=EVERYONE, GatewayId=gateway)
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        made: str = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"][
            "NatGatewayId"
        ]
        ec2_backends[ACCOUNT][said.region].nat_gateways[made].state = said.nat
        return made


class _Place(NamedTuple):
    """Where the instances are."""

    vpc: str
    subnet: str
    table: str
    group: str


class _Blackhole(Route):
    """A route whose target is gone, of which moto knows none."""

    @property
    def state(self) -> str:
        return "blackhole"


class _Impaired(Instance):
    """An instance that fails its status checks, of which moto knows none."""

    @property
    def instance_status(self) -> dict[str, Any]:
        return {"Details": [{"Name": "reachability", "Status": "failed"}], "Status": "impaired"}


def _internet(ec2: Any, vpc: str) -> str:  # noqa: ANN401
    made: str = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=made, VpcId=vpc)
    return made


def _deny_by_acl(ec2: Any, vpc: str, what: str) -> None:  # noqa: ANN401
    (acl,) = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"]
    ports = {"From": 443, "To": 443} if what == "requests" else {"From": 1024, "To": 65535}
    ec2.create_network_acl_entry(
        NetworkAclId=acl["NetworkAclId"],
        RuleNumber=10,
        Protocol="6",
        RuleAction="deny",
        Egress=what == "requests",
        CidrBlock=EVERYONE,
        PortRange=ports,
    )


def _https(peer: str) -> dict[str, Any]:
    """A rule for TCP 443 from or to a range or a security group."""
    is_group = peer.startswith("sg-")
    pairs, ranges = {"UserIdGroupPairs": [{"GroupId": peer}]}, {"IpRanges": [{"CidrIp": peer}]}
    return {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **(pairs if is_group else ranges)}


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})
