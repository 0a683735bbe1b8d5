"""Draws networks: compute in a VPC, with routes, security groups, network ACLs and DNS names."""

from random import Random
from typing import Any, Final

from .deployments import NO_VALUE, REGION
from .networks import ANYWHERE, IDENTITY, https
from .networks import BLOCK as VPC
from .parts import att, ref

PARAMETERS: Final = {
    "Stage": {"Type": "String", "AllowedValues": ["dev", "test", "prod"], "Default": "dev"},
    "UseNat": {"Type": "String", "Default": "no"},
    "One": {"Type": "String", "AllowedValues": ["yes", "no"], "Default": "no"},
    "Other": {"Type": "String", "AllowedValues": ["yes", "no"], "Default": "no"},
}
MAPPINGS: Final = {
    "Stages": {"dev": {"Size": "small", "Public": "true", "Range": "10.0.0.0/16"},
        "test": {"Size": "small", "Public": "false", "Range": "0.0.0.0/0"},
        "prod": {"Size": "big", "Public": "true", "Range": "0.0.0.0/0"}},
}  # fmt: skip


def _is(name: str, value: str) -> dict[str, Any]:
    return {"Fn::Equals": [{"Ref": name}, value]}


def _on(name: str) -> dict[str, str]:
    return {"Condition": name}


CONDITIONS: Final[dict[str, Any]] = {
    "IsProduction": _is("Stage", "prod"), "IsTest": _is("Stage", "test"),
    "IsDevelopment": {"Fn::Not": [{"Fn::Or": [_on("IsProduction"), _on("IsTest")]}]},
    "IsBig": {"Fn::Equals": [{"Fn::FindInMap": ["Stages", {"Ref": "Stage"}, "Size"]}, "big"]},
    "HasNat": {"Fn::Equals": ["yes", {"Ref": "UseNat"}]}, "HasNone": {"Fn::Not": [_on("HasNat")]},
    "Both": {"Fn::And": [_on("IsBig"), _on("HasNat")]}, "InRegion": _is("AWS::Region", REGION),
    "InAnother": _is("AWS::Region", "us-east-1"), "HasOne": _is("One", "yes"),
    "HasOther": _is("Other", "yes"), "HasEither": {"Fn::Or": [_on("HasOne"), _on("HasOther")]},
    "Always": {"Fn::Equals": ["yes", "yes"]},
}  # fmt: skip
EXCLUSIVE: Final = (
    ("IsProduction", "IsTest"),
    ("IsDevelopment", "IsBig"),
    ("HasNat", "HasNone"),
    ("HasNat", "HasNone"),
    ("InRegion", "InAnother"),
)

SUBNETS: Final = {"Private": "10.0.1.0/24", "Second": "10.0.2.0/24", "Public": "10.0.3.0/24"}


def _any(**peer: object) -> dict[str, Any]:
    return {"IpProtocol": "-1", **peer}


def _ports(low: int, high: int) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": low, "ToPort": high, "CidrIp": ANYWHERE}


RANGES: Final[tuple[Any, ...]] = (
    *(VPC, VPC, att("Vpc", "CidrBlock"), SUBNETS["Private"], SUBNETS["Second"], "10.0.1.0/25"),
    *("10.0.0.0/8", "10.1.0.0/16", "52.94.0.0/16", ANYWHERE, ANYWHERE),
)
OUTBOUND: Final = (
    *(_any(CidrIp=ANYWHERE), https(CidrIp=ANYWHERE), https(CidrIp=VPC), _any(CidrIp=VPC)),
    *(_ports(80, 80), _ports(0, 65535), _ports(400, 500), https(CidrIp="52.94.0.0/16")),
    https(DestinationSecurityGroupId=att("Admits", "GroupId")),
    https(DestinationPrefixListId=att("List", "PrefixListId")),
    {"IpProtocol": "icmp", "FromPort": 252, "ToPort": 86, "CidrIp": "255.255.255.255/32"},
    _any(CidrIpv6="::/0"),
    https(CidrIp="0.0.0.0/1"),
    https(CidrIp="128.0.0.0/1"),
)
ALLOWS_ALL: Final[dict[str, Any]] = {"Effect": "Allow", "Action": "*"}
POLICIES: Final[tuple[dict[str, Any], ...]] = (
    ALLOWS_ALL,
    {"Effect": "Allow", "Action": ["ssm:*", "ssmmessages:*"]},
    {"Effect": "Allow", "Action": "ssm:GetParameter"},
    {"Effect": "Allow", "Action": ["SSM:Update*", "ssmmessages:Open*"]},
    {"Effect": "Allow", "NotAction": "s3:*"},
    {"Effect": "Deny", "NotAction": ["ssm:*"]},
    {"Effect": "Deny", "Action": "ssm:DeleteParameter"},
    *(ALLOWS_ALL | {"Condition": {"StringEquals": of}}
      for of in ({"aws:PrincipalAccount": ref("AWS::AccountId")}, {"aws:PrincipalOrgID": "o-1"})),
)  # fmt: skip
ALL_PORTS: Final = (0, 65535)
OUT: Final = (
    ("allow", ANYWHERE, "-1", ALL_PORTS), ("allow", ANYWHERE, "6", (443, 443)),
    ("allow", ANYWHERE, "6", (1024, 65535)), ("allow", VPC, "-1", ALL_PORTS),
    ("deny", VPC, "-1", ALL_PORTS), ("deny", ANYWHERE, "6", (443, 443)),
    ("deny", SUBNETS["Private"], "-1", ALL_PORTS), ("deny", "10.1.0.0/16", "-1", ALL_PORTS),
    ("deny", ANYWHERE, "6", (22, 22)), ("deny", ANYWHERE, "17", ALL_PORTS),
    ("allow", "0.0.0.0/1", "-1", ALL_PORTS), ("allow", "128.0.0.0/1", "-1", ALL_PORTS),
    ("deny", "52.94.0.0/16", "-1", ALL_PORTS),
)  # fmt: skip
BACK: Final = (
    *(one for one in OUT if one[3] != (1024, 65535)), ("allow", ANYWHERE, "6", (1024, 65535)),
    ("allow", ANYWHERE, "6", (1024, 65535)), ("allow", ANYWHERE, "6", (32768, 65535)),
    ("allow", ANYWHERE, "6", (1024, 32767)), ("deny", ANYWHERE, "6", (3389, 3389)),
)  # fmt: skip


def body(resources: dict[str, Any]) -> dict[str, Any]:
    """A template with all conditions."""
    chosen = {"Parameters": PARAMETERS, "Mappings": MAPPINGS, "Conditions": CONDITIONS}
    return chosen | {"Resources": resources}


def template(rng: Random, *, conditions: bool) -> dict[str, Any]:
    """One template; the same for the same state of `rng`."""
    return _Draw(rng, conditions=conditions).template()


class _Draw:
    def __init__(self, rng: Random, *, conditions: bool) -> None:
        self._rng = rng
        self._conditions = conditions
        self._resources: dict[str, Any] = {}

    # Dice ----------------------------------------------------------------------------------------

    def _likely(self, share: float) -> bool:
        return self._rng.random() < share

    def _condition(self, share: float = 0.1) -> str:
        """The name of a condition, or an empty text."""
        return self._rng.choice([*CONDITIONS]) if self._conditions and self._likely(share) else ""

    def _maybe(self, value: object, *others: object) -> Any:  # noqa: ANN401
        """`value`, or an `Fn::If` of it and one of the others, which may be nested."""
        name = self._condition()
        if not name:
            return value
        branches = [value, self._maybe(self._rng.choice(others), value)]
        self._rng.shuffle(branches)
        return {"Fn::If": [name, *branches]}

    def _yes(self, share: float) -> Any:  # noqa: ANN401
        if self._conditions and self._likely(0.05):
            return {"Fn::FindInMap": ["Stages", ref("Stage"), "Public"]}
        value = self._likely(share)
        return self._maybe(value, not value)

    def _add(self, name: str, kind: str, condition: str = "", /, **properties: object) -> None:
        given = {one: value for one, value in properties.items() if value is not None}
        made = {"Condition": condition} if condition else {}
        type_ = kind if "::" in kind else f"AWS::EC2::{kind}"
        self._resources[name] = {"Type": type_, "Properties": given, **made}

    # The whole -----------------------------------------------------------------------------------

    def template(self) -> dict[str, Any]:
        self._add("Vpc", "VPC", CidrBlock=VPC,
                  EnableDnsSupport=None if self._likely(0.5) else self._yes(0.95),
                  EnableDnsHostnames=self._yes(0.93))  # fmt: skip
        listed = [{"Cidr": self._rng.choice(("10.0.0.0/16", ANYWHERE, "10.1.0.0/16"))}]
        self._add("List", "PrefixList", PrefixListName="own", AddressFamily="IPv4", MaxEntries=2,
                  Entries=listed)  # fmt: skip
        for number, (name, block) in enumerate(SUBNETS.items()):
            six = {"Ipv6CidrBlock": f"2600:1f18:0:{number}::/64"} if self._likely(0.05) else {}
            gives = self._yes(0.9 if name == "Public" else 0.02)
            self._add(name, "Subnet", VpcId=ref("Vpc"), CidrBlock=block, MapPublicIpOnLaunch=gives,
                      **six)  # fmt: skip
        self._ways()
        self._groups()
        private = ("", "", "", "ssm ssmmessages", "ssm ssmmessages", "ssm", "ssmmessages")
        for service in self._rng.choice(private).split():
            self._endpoint(service)
        for subnet in SUBNETS:
            if self._likely(0.25):
                self._acl(subnet)
        self._rarely()
        self._compute()
        return body(self._resources) if self._conditions else {"Resources": self._resources}

    # Ways out ------------------------------------------------------------------------------------

    def _ways(self) -> None:
        self._add("Gateway", "InternetGateway")
        if self._likely(0.95):
            self._add("Attachment", "VPCGatewayAttachment", self._condition(0.05), VpcId=ref("Vpc"),
                      InternetGatewayId=ref("Gateway"))  # fmt: skip
        for name in SUBNETS:
            self._add(f"{name}Table", "RouteTable", VpcId=ref("Vpc"))
            if self._likely(0.95):
                tables = [f"{name}Table", f"{self._rng.choice([*SUBNETS])}Table"]
                self._add(f"{name}Association", "SubnetRouteTableAssociation",
                          self._condition(0.05), SubnetId=ref(name),
                          RouteTableId=self._maybe(*map(ref, tables)))  # fmt: skip
        public = {"GatewayId": ref("Gateway")}
        if self._likely(0.95):
            self._route("Public", self._condition(0.05), public)
        self._private_ways(public)

    def _private_ways(self, public: dict[str, Any]) -> None:
        nat = ""
        if self._likely(0.7):
            nat = self._condition()
            self._nat(nat)
            out: dict[str, Any] = {"NatGatewayId": ref("NatGateway")}
        else:
            out = self._rng.choice(({}, {}, public, self._out_of_sight()))
        for name in ("Private", "Second"):
            if out and self._likely(0.95):
                self._route(name, nat or self._condition(), out)
        if self._likely(0.1):
            self._route("Private", self._condition(), self._out_of_sight(), "10.9.0.0/16")
        if self._likely(0.03):
            self._route("Private", "", public, "::/0")
        if self._likely(0.03):
            to_list = {"DestinationPrefixListId": att("List", "PrefixListId")}
            self._add("ListRoute", "Route", self._condition(), RouteTableId=ref("PrivateTable"),
                      **to_list, **self._out_of_sight())  # fmt: skip

    def _route(self, name: str, condition: str, to: dict[str, Any], block: str = ANYWHERE) -> None:
        six = "Ipv6" if ":" in block else ""
        some = [block]
        if block == ANYWHERE and self._likely(0.1):
            some = self._rng.choice((["0.0.0.0/1", "128.0.0.0/1"], ["0.0.0.0/1"], [VPC[:-2] + "8"]))
        for one in some:
            self._add(f"{name}Route{len(self._resources)}", "Route", condition,
                      RouteTableId=ref(f"{name}Table"),
                      **{f"Destination{six}CidrBlock": one, **to})  # fmt: skip
        if condition and self._likely(0.5) and block == ANYWHERE:
            for pair in EXCLUSIVE:
                if condition in pair:
                    other = pair[1 - pair.index(condition)]
                    igw = {"GatewayId": ref("Gateway")}
                    self._add(f"{name}Route{len(self._resources)}", "Route", other,
                              RouteTableId=ref(f"{name}Table"), DestinationCidrBlock=ANYWHERE,
                              **igw)  # fmt: skip
                    return

    def _nat(self, condition: str) -> None:
        given: dict[str, Any] = {"SubnetId": ref("Public" if self._likely(0.95) else "Second")}
        if self._likely(0.05):
            given = {"AvailabilityMode": "regional", "VpcId": ref("Vpc")}
        elif self._likely(0.05):
            given["ConnectivityType"] = "private"
        else:
            self._add("NatAddress", "EIP", condition, Domain="vpc")
            given["AllocationId"] = att("NatAddress", "AllocationId")
            given["SubnetId"] = self._maybe(given["SubnetId"], ref("Second"), ref("Public"))
        self._add("NatGateway", "NatGateway", condition, **given)

    def _out_of_sight(self) -> dict[str, Any]:
        if self._likely(0.5):
            self._add("Peer", "VPC", CidrBlock="10.9.0.0/16")
            self._add("Peering", "VPCPeeringConnection", VpcId=ref("Vpc"), PeerVpcId=ref("Peer"))
            return {"VpcPeeringConnectionId": ref("Peering")}
        self._add("Transit", "TransitGatewayAttachment", VpcId=ref("Vpc"),
                  TransitGatewayId="tgw-0a", SubnetIds=[ref("Private")])  # fmt: skip
        return {"TransitGatewayId": "tgw-0a"}

    # Filters -------------------------------------------------------------------------------------

    def _groups(self) -> None:
        rules: list[Any] | None = None
        if self._likely(0.3):
            several = [self._rng.choice(OUTBOUND) for _ in range(self._rng.choice((1, 1, 2, 3)))]
            rules = [self._maybe(one, NO_VALUE, *OUTBOUND) for one in several]
        self._add("Group", "SecurityGroup", GroupDescription="compute", VpcId=ref("Vpc"),
                  SecurityGroupEgress=rules)  # fmt: skip
        if self._likely(0.25 if rules else 0.03):
            rule = self._rng.choice(OUTBOUND)
            self._add("Leaves", "SecurityGroupEgress", self._condition(0.3),
                      GroupId=att("Group", "GroupId"), **rule)  # fmt: skip
        several = [self._inbound()] if self._likely(0.95) else []
        if self._likely(0.2):
            several.append(self._inbound())
        self._add(
            "Admits", "SecurityGroup", GroupDescription="endpoints", VpcId=ref("Vpc"),
            SecurityGroupIngress=[self._maybe(one, NO_VALUE, self._inbound()) for one in several],
        )  # fmt: skip
        if self._likely(0.2):
            self._add("Enters", "SecurityGroupIngress", self._condition(0.3),
                      GroupId=att("Admits", "GroupId"), **self._inbound())  # fmt: skip

    def _inbound(self) -> dict[str, Any]:
        choose = self._rng.choice
        if self._likely(0.25):
            return https(SourceSecurityGroupId=att("Group", "GroupId"))
        if self._likely(0.05):
            return https(SourcePrefixListId=att("List", "PrefixListId"))
        if self._likely(0.07):
            return _ports(80, 80)
        block = self._maybe(choose(RANGES), *RANGES)
        if self._conditions and self._likely(0.04):
            block = {"Fn::FindInMap": ["Stages", ref("Stage"), "Range"]}
        return choose((https, _any))(CidrIp=block)

    def _acl(self, subnet: str) -> None:
        name = f"{subnet}Acl"
        self._add(name, "NetworkAcl", VpcId=ref("Vpc"))
        self._add(f"{name}Association", "SubnetNetworkAclAssociation", self._condition(),
                  SubnetId=ref(subnet), NetworkAclId=ref(name))  # fmt: skip
        for egress, pool in ((True, OUT), (False, BACK)):
            entries = [self._rng.choice(pool) for _ in range(self._rng.choice((0, 1, 1, 2)))]
            entries += [("allow", ANYWHERE, "-1", ALL_PORTS)] if self._likely(0.7) else []
            for number, (action, block, protocol, (low, high)) in enumerate(entries, 1):
                ports = {} if protocol == "-1" else {"PortRange": {"From": low, "To": high}}
                self._add(f"{name}Entry{egress}{number}", "NetworkAclEntry", self._condition(0.05),
                          NetworkAclId=ref(name), RuleNumber=number * 100, Egress=egress,
                          Protocol=int(protocol), CidrBlock=block,
                          RuleAction=self._maybe(action, "allow", "deny"), **ports)  # fmt: skip

    # Endpoints -----------------------------------------------------------------------------------

    def _endpoint(self, service: str) -> None:
        choose = self._rng.choice
        name = service.title()
        subnets = choose((["Private"], ["Private", "Second"], ["Second"], ["Public"]))
        policy = None
        if self._likely(0.15):
            several = [{"Principal": "*", "Resource": "*", **choose(POLICIES)} for _ in range(2)]
            policy = {"Statement": several[: choose((1, 2))]}
        zone = self._likely(0.05)
        condition = self._condition()
        self._add(
            name, "VPCEndpoint", condition, VpcId=ref("Vpc"), VpcEndpointType="Interface",
            ServiceName=choose((
                f"com.amazonaws.{REGION}.{service}",
                {"Fn::Sub": f"com.amazonaws.${{AWS::Region}}.{service}"},
                {"Fn::Join": ["", ["com.amazonaws.", ref("AWS::Region"), f".{service}"]]},
            )),
            ServiceRegion="us-east-1" if self._likely(0.01) else None,
            PrivateDnsEnabled=None if zone else self._yes(0.9),
            SubnetIds=[ref(one) for one in subnets],
            SecurityGroupIds=None if self._likely(0.05) else self._groups_of("Admits"),
            PolicyDocument=policy,
        )  # fmt: skip
        if zone:
            entry = {"Fn::Select": [0, att(name, "DnsEntries")]}
            parts = {"Fn::Split": [":", entry]}
            target = {
                "HostedZoneId": {"Fn::Select": [0, parts]}, "DNSName": {"Fn::Select": [1, parts]}
            }  # fmt: skip
            domain = f"{service}.{REGION}.amazonaws.com"
            self._add(f"{name}Zone", "AWS::Route53::HostedZone", condition, Name=domain,
                      VPCs=[{"VPCId": ref("Vpc"), "VPCRegion": REGION}])  # fmt: skip
            self._add(f"{name}Record", "AWS::Route53::RecordSet", condition, Type="A", Name=domain,
                      HostedZoneId=ref(f"{name}Zone"), AliasTarget=target)  # fmt: skip

    def _groups_of(self, name: str) -> object:
        group = att(name, "GroupId")
        return [self._maybe(group, att("Vpc", "DefaultSecurityGroup"))]

    def _rarely(self) -> None:
        if self._likely(0.03):
            servers = self._rng.choice((["10.0.0.5"], ["AmazonProvidedDNS"]))
            condition = self._condition(0.3)
            self._add("Options", "DHCPOptions", condition, DomainNameServers=servers)
            self._add("OptionsAssociation", "VPCDHCPOptionsAssociation", condition,
                      VpcId=ref("Vpc"), DhcpOptionsId=ref("Options"))  # fmt: skip
        if self._likely(0.03):
            self._add("Block", "VPCBlockPublicAccessOptions", self._condition(0.3),
                      InternetGatewayBlockMode="block-ingress")  # fmt: skip
        if self._likely(0.05):
            self._add("S3", "VPCEndpoint", self._condition(), VpcId=ref("Vpc"),
                      VpcEndpointType="Gateway", ServiceName=f"com.amazonaws.{REGION}.s3",
                      RouteTableIds=[ref("PrivateTable")])  # fmt: skip

    # Compute -------------------------------------------------------------------------------------

    def _compute(self) -> None:
        self._resources |= IDENTITY
        choose = self._rng.choice
        subnet: Any = self._maybe(
            ref(choose(("Private", "Private", "Private", "Public"))), *map(ref, SUBNETS)
        )
        groups = self._groups_of("Group") if self._likely(0.95) else None
        condition = self._condition(0.1)
        kind = choose(("instance", "instance", "interface", "template", "group", "configuration"))
        public = None if self._likely(0.75) else self._yes(0.5)
        profile = {"IamInstanceProfile": ref("Profile")}
        if kind == "instance":
            fixed = "10.0.1.77" if subnet == ref("Private") and self._likely(0.1) else None
            self._add("Compute", "Instance", condition, SubnetId=subnet, SecurityGroupIds=groups,
                      PrivateIpAddress=fixed, **profile)  # fmt: skip
            if self._likely(0.1):
                self._add("Elastic", "EIP", condition, InstanceId=ref("Compute"))
            return
        interface: dict[str, Any] = {"DeviceIndex": "0"}
        if public is not None:
            interface["AssociatePublicIpAddress"] = public
        if groups is not None:
            interface["GroupSet" if kind == "interface" else "Groups"] = groups
        if kind == "interface":
            interface["SubnetId"] = subnet
            self._add("Compute", "Instance", condition, NetworkInterfaces=[interface], **profile)
            return
        several = [ref(one) for one in self._rng.sample([*SUBNETS], choose((1, 2)))]
        launch: dict[str, Any] = {"NetworkInterfaces": [interface]}
        if kind == "configuration":
            given = {"SecurityGroups": groups, "AssociatePublicIpAddress": public, **profile}
            self._add("Configuration", "AWS::AutoScaling::LaunchConfiguration", **given)
            by: dict[str, Any] = {"LaunchConfigurationName": ref("Configuration")}
        else:
            if public is None and self._likely(0.5):
                launch = {"SecurityGroupIds": groups} if groups else {}
            data = {"IamInstanceProfile": {"Arn": att("Profile", "Arn")}, **launch}
            self._add("Launch", "LaunchTemplate", LaunchTemplateData=data)
            version = att("Launch", "LatestVersionNumber")
            by = {"LaunchTemplate": {"LaunchTemplateId": ref("Launch"), "Version": version}}
        if kind == "template" and launch.keys() == {"SecurityGroupIds"}:
            self._add("Compute", "Instance", condition, SubnetId=subnet, **by)
            return
        self._add("Compute", "AWS::AutoScaling::AutoScalingGroup", condition,
                  VPCZoneIdentifier=several, MinSize="1", MaxSize="1", **by)  # fmt: skip
