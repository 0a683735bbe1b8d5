"""The commands of remedies: AWS takes each as it stands, and what they mend is not found again."""

import ast
import functools
import json
import re
import shlex
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
from botocore import xform_name

from session_manager_permissions import _lists
from session_manager_permissions._constructs.statements import SessionManagerOptions
from session_manager_permissions._verify.lines import is_command

from . import causes, networks, nodes
from .causes import CAUSES, DELETED, DSSE, NEVER, NO_BUCKET, Change, bucket, setting, statuses
from .models import SESSION, assert_taken, operation
from .networks import (
    BOTH_ENDPOINTS,
    MESSAGES,
    NO_ROUTE,
    S3_GATEWAY,
    acls,
    admitting,
    closed,
    entry,
    groups,
)
from .nodes import ACCOUNT, KEY, NODE, REGION, World, both, diagnosed, endpoint, group, one
from .running import python_call, run
from .test_what_checks_say import diagnoses

SIMULATES: Final = "iam:simulate_principal_policy"
PLACEHOLDER: Final = re.compile(r"[A-Z]+(_[A-Z]+)*")
NESTED: Final = re.compile(r"\baws [a-z0-9-]+ [a-z-]+ --")
OF_CONSTRUCT: Final = re.compile(r"in a CDK app, give SessionManagerPermissions (\w+=.*?)(?:; |$)")
CUSTOM: Final = "aws ec2-instance-connect ssh "
"""A command that the AWS CLI makes of several calls."""


def shorthand(text: str) -> Any:  # noqa: ANN401 # of any shape
    """The value of an option, written as the AWS CLI takes structures: JSON, or JSON unquoted."""
    if text.startswith('{"'):
        return json.loads(text)
    words = re.compile(r"(?:\\,|[^\[\]{},=])+")  # in which a backslash makes a comma plain
    quoted = words.sub(lambda one: json.dumps(one[0].replace("\\,", ",")), text).replace("=", ":")
    is_structure = "=" in text.partition("{")[0]
    return json.loads(f"{{{quoted}}}" if is_structure else quoted)


def typed(shape: Any, value: Any) -> Any:  # noqa: ANN401 # of any shape
    """The value, converted to the type that botocore expects."""
    if shape.type_name == "list":
        values = value if isinstance(value, list) else [value]
        return [typed(shape.member, one) for one in values]
    if shape.type_name == "structure":
        return {name: typed(shape.members[name], one) for name, one in value.items()}
    if shape.type_name == "integer":
        return int(value)
    if shape.type_name == "map":
        return {name: typed(shape.value, one) for name, one in value.items()}
    return value == "true" if shape.type_name == "boolean" else value


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """The call of a command, with its parameters, as botocore's model of the service has them."""
    program, service, command, *words = shlex.split(line)
    assert program == "aws"
    service = {"s3api": "s3"}.get(service, service)
    if command == "wait":
        waiters = SESSION.get_waiter_model(service)
        names = {xform_name(name, "-"): waiters.get_waiter(name) for name in waiters.waiter_names}
        command = xform_name(names[words.pop(0)].operation, "-")
    found = operation(service, command, "-")
    shapes = {f"--{xform_name(n, '-')}": (n, s) for n, s in found.input_shape.members.items()}
    asked: dict[str, Any] = {}
    of_cli: dict[str, str] = {}
    while words:
        option, *words = words
        # The AWS CLI has an option of which botocore has the opposite.
        option, is_on = {"--ingress": ("--egress", False)}.get(option, (option, True))
        if option in ("--region", "--profile"):
            of_cli[option] = words.pop(0)
            continue
        name, shape = shapes[option]
        if shape.type_name == "boolean":
            asked[name] = is_on
            continue
        values = []
        while words and not words[0].startswith("--"):
            values.append(words.pop(0))
        assert values, line
        if shape.type_name in ("list", "map", "structure"):
            given: Any = [shorthand(one) for one in values]
            asked[name] = typed(shape, given[0] if len(given) == 1 else given)
        else:
            (value,) = values
            asked[name] = typed(shape, value)
    assert_taken(found, asked)
    if service == "kms":  # of another region or account it does this to no key
        assert asked["KeyId"].split(":")[3:5] == [of_cli["--region"], ACCOUNT]
    return f"{service}:{found.name}", asked


def deployed(line: str) -> dict[str, str]:
    """The options of a command that deploys the app."""
    *program, app, module = shlex.split(line)[:5]
    assert (program, app) == (["npx", "aws-cdk", "deploy"], "--app")
    assert module == "python -m session_manager_permissions"
    words = shlex.split(line)[5:]
    context = [words[n + 1] for n, one in enumerate(words) if one == "-c"]
    options = dict(one.split("=", 1) for one in context)
    assert len(options) == len(context)
    assert len({*options} - {*_lists.OPTIONS}) == 1
    for name in {*options} & {*_lists.OPTIONS}:
        assert _lists.OPTIONS[name](options[name]) is None or PLACEHOLDER.fullmatch(options[name])
    return options


def shut_acl(world: World) -> None:
    """Give the endpoints' subnets a network ACL that denies what the instance's subnet needs."""
    ids = ("subnet-e", "subnet-f")
    subnets = world.answers["ec2:describe_subnets"]["Subnets"]
    subnets += [{"SubnetId": id_, "CidrBlock": f"10.0.{n}.0/24"} for n, id_ in enumerate(ids, 2)]
    listed = world.answers["ec2:describe_network_acls"]["NetworkAcls"]
    denying = [entry(1, egress=True, Protocol="17"), entry(3, egress=False), entry(3, egress=True)]
    associated = [*({"SubnetId": id_} for id_ in ids), {"Other": "subnet"}]
    entries = [*denying, *listed[0]["Entries"]]
    made = {"NetworkAclId": "acl-e", "Associations": associated, "Entries": entries}
    world.has("ec2:describe_network_acls", {"NetworkAcls": [*listed, made]})


IN_OTHER: Final = {"SubnetIds": ["subnet-e"]}
DENIED: Final = networks.policy(Effect="Deny")
FOR_OTHERS: Final = networks.policy(Action="ec2:*")
NOT_OF_TEAM: Final = {"ArnNotLike": {networks.BY_ARN: "arn:*:iam::*:role/team/*"}}
NO_OTHER_ROLES: Final = networks.ALLOW | {"Effect": "Deny", "Condition": NOT_OF_TEAM}
GATEWAY_FOR_OTHERS: Final = S3_GATEWAY | {
    "State": "pending",
    "RouteTableIds": [],
    "PolicyDocument": FOR_OTHERS,
}
S3_INBOUND: Final = endpoint("s3", DnsOptions={"PrivateDnsOnlyForInboundResolverEndpoint": True})
NO_HOSTNAMES: Final = networks.attribute("enableDnsHostnames")


def never(*found: dict[str, Any], **parts: object) -> Change:
    """A node that never registered, and whose only path to AWS is these changed endpoints."""
    return both(NEVER, closed(*(one | parts for one in found)))


def in_shut_group(**parts: object) -> Change:
    """An endpoint of ssm, whose security group has no inbound rule."""
    shut = groups(group("sg-web"), group("sg-endpoints", IpPermissionsEgress=[]))
    return both(NEVER, NO_ROUTE, networks.endpoints(endpoint("ssm", **parts)), shut)


def group_admits(peer: dict[str, Any]) -> Change:
    """Let the security group of the instance admit this peer."""
    rules = admitting(peer)["IpPermissions"]
    return both(NEVER, NO_ROUTE, groups(group("sg-web", IpPermissions=rules)))


def logs_by(*found: dict[str, Any]) -> Change:
    """A connected node that writes logs, and reaches AWS only by its endpoints and these."""
    return both(World.uses, closed(*BOTH_ENDPOINTS, *found))


OUT_DENIED: Final = acls(entry(1, egress=True))
OF_OTHERS: Final = {"UserIdGroupPairs": [{"GroupId": "sg-others"}]}
MORE: Final[dict[str, Change]] = {
    "a group that admits itself": group_admits(networks.FROM_WEB),
    "a group that admits the VPC": group_admits({"IpRanges": [{"CidrIp": "10.0.0.0/16"}]}),
    "a group that admits another": group_admits({"IpRanges": [{"CidrIp": "10.1.0.0/16"}]}),
    "DNS host names off, and no endpoint": both(NEVER, NO_ROUTE, NO_HOSTNAMES),
    "private DNS and DNS host names off": both(
        never(*BOTH_ENDPOINTS, PrivateDnsEnabled=False), NO_HOSTNAMES),
    "an endpoint with a shut group and a policy that denies": in_shut_group(PolicyDocument=DENIED),
    "an endpoint without private DNS, in a shut group": in_shut_group(PrivateDnsEnabled=False),
    "an endpoint that is made in a shut group": in_shut_group(State="pending"),
    "an endpoint that is made with a policy for others": never(
        endpoint("ssm", State="Pending", PolicyDocument=FOR_OTHERS)),
    "an endpoint with a policy for others that denies other roles": never(endpoint(
        "ssm", PolicyDocument=json.dumps({"Statement": [NO_OTHER_ROLES]}))),
    "a gateway endpoint that is made, with a policy for others": logs_by(GATEWAY_FOR_OTHERS),
    "such a gateway endpoint, beside that of another table": logs_by(
        GATEWAY_FOR_OTHERS | {"VpcEndpointId": "vpce-1", "RouteTableIds": ["rtb-public"]},
        GATEWAY_FOR_OTHERS | {"RouteTableIds": ["rtb-main"]}),
    "an endpoint that failed, and had no private DNS": never(
        endpoint("ssm", State="Failed", PrivateDnsEnabled=False)),
    "endpoints behind a network ACL": both(never(*BOTH_ENDPOINTS, **IN_OTHER), shut_acl),
    "endpoints in two subnets behind network ACLs": both(
        never(*BOTH_ENDPOINTS, SubnetIds=["subnet-e", "subnet-f"]),
        acls(*(entry(2, egress=out) for out in (True, False))), shut_acl),
    "an endpoint and a NAT gateway behind a network ACL": both(NEVER, networks.endpoints(
        endpoint("ssm", SubnetIds=["subnet-public"])), groups(group("sg-web"), networks.OPEN),
        acls(*(entry(9, egress=out) for out in (True, False)))),
    "a network ACL whose first entries deny": both(NEVER,
        acls(entry(1, egress=True), entry(2, egress=True, Protocol="-1"), entry(1, egress=False))),
    "a network ACL whose first entry denies, and the second allows": both(
        NEVER, acls(entry(1, egress=True), entry(2, egress=True, RuleAction="allow"))),
    "a network ACL that allows nothing": both(NEVER, acls(entry(90, egress=True))),
    "no way to S3": both(World.uses, NO_ROUTE),
    **{f"nothing lets out, and {name}": both(NEVER, groups(
           group("sg-web", IpPermissionsEgress=[]), group("sg-endpoints")), does)
       for name, does in (
           ("no route leads out", NO_ROUTE),
           ("endpoints let nobody in", networks.endpoints(*BOTH_ENDPOINTS)),
           ("an ACL shuts the way", OUT_DENIED),
       )},
    "egress to another group alone, and no route": both(NEVER, NO_ROUTE, groups(
        group("sg-web", IpPermissionsEgress=admitting(OF_OTHERS)["IpPermissions"]))),
    "egress to the VPC alone, and an ACL": both(NEVER, networks.BY_VPC, OUT_DENIED),
    "egress to the VPC alone, an ACL, and no way to S3": both(
        World.uses, NO_ROUTE, networks.BY_VPC, OUT_DENIED),
    **{f"endpoints that are made, and DNS host names off{name}": both(
           never(*BOTH_ENDPOINTS, State="pending"), NO_HOSTNAMES, does)
       for name, does in (("", nodes.nothing), (", with DNS rules, in a shut group", both(
           networks.dns_rules(networks.ROOT_DOMAIN), networks.SHUT)))},
    "no way to S3 by the table": logs_by(S3_GATEWAY | {"RouteTableIds": ["rtb-public"]}),
    "an interface endpoint of S3 alone": logs_by(S3_INBOUND),
    "a gateway endpoint, egress to the VPC alone, and a bucket that can't be read": both(
        logs_by(S3_GATEWAY | {"VpcEndpointId": "vpce-1", "RouteTableIds": []}, S3_GATEWAY),
        networks.BY_VPC, lambda w: w.refuses("s3:GetBucketEncryption")),
    "a disabled key whose policy lets nobody in": both(
        World.uses, causes.described_key(KeyState="Disabled"), causes.key_policy()),
    "a bucket with a key and dsse": both(World.uses, DSSE, bucket("aws:kms:dsse", KEY)),
    "a bucket with an alias and dsse": both(World.uses, DSSE, bucket("aws:kms:dsse", "alias/a/b")),
    "a bucket with no key and dsse": both(World.uses, DSSE, bucket("aws:kms:dsse", "a,b")),
    "a bucket for us-east-1": both(World.uses, setting(bucket_region="us-east-1"), NO_BUCKET),
    "volumes and the system impaired": both(World.is_lost, statuses(nodes.status("impaired"))),
}  # fmt: skip


def every_line(folder: Path) -> set[str]:
    """Each line that some diagnosis shows to fix or to run."""
    found = [of for _, of in diagnoses(folder)]
    found += [diagnosed(World(breaks)) for breaks in MORE.values()]
    fixes = {line for of in found for check in of.checks for line in check.fix}
    return fixes | {line for of in found for line in of.to_run}


@pytest.mark.untraced
def test_aws_takes_each_command_as_it_stands(tmp_path: Path) -> None:
    calls, options, sentences = set(), set(), set()
    for line in every_line(tmp_path):
        if not is_command(line):
            sentences.add(line)
        elif line.startswith("npx "):
            options |= {*deployed(line)}
        elif not line.startswith(CUSTOM):
            calls.add(parsed(line)[0])
            assert f"--region {REGION}" in line or "us-east-1" in line

    assert not [line for line in sentences if NESTED.search(line)]
    of_construct = [found[1] for line in sentences if (found := OF_CONSTRUCT.match(line))]
    given = [one for text in of_construct for one in python_call(text).keywords]
    told = {one.arg for one in given}
    made = {
        (one.arg, ast.literal_eval(call.args[1]))
        for one in given
        for call in ast.walk(one.value)
        if isinstance(call, ast.Call)
    }
    assert made == {  # each construct has an id of its own
        ("encryption_key", "Key"), ("log_bucket", "LogBucket"), ("log_bucket", "LogBucketKey"),
        ("log_group", "LogGroup"),
    }  # fmt: skip
    assert told == {"allow_registration", "encryption_key", "log_bucket", "log_group", "log_prefix"}
    assert told <= SessionManagerOptions.__optional_keys__
    assert options == {"instance-profile", "role", "allow-registration", "key"} | {
        *("log-bucket", "log-prefix", "log-bucket-key", "log-group")
    }
    repairs = {name for name in vars(Repair) if not name.startswith("_")} - {"run"}
    assert {xform_name(call.partition(":")[2]) for call in calls} == repairs | {
        *("cancel_key_deletion", "describe_iam_instance_profile_associations"),
        *("get_role", "put_role_policy", "put_user_policy"),
    }


class Repair:
    """Applies a command to a world as AWS applies it to an account, and refuses what AWS does."""

    def __init__(self, world: World) -> None:
        self._world = world

    def run(self, line: str) -> None:
        if line.startswith("npx "):
            deployed(line)
            self._world.denies.clear()
            self._world.decides = World().decides
            return
        call, asked = parsed(line)
        getattr(self, xform_name(call.partition(":")[2]), lambda _: None)(asked)

    def _listed(self, call: str, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._world.answers[f"ec2:{call}"][name]
        return found

    @property
    def _endpoints(self) -> list[dict[str, Any]]:
        return self._listed("describe_vpc_endpoints", "VpcEndpoints")

    def _has_dns(self) -> bool:
        told = self._world.answers["ec2:describe_vpc_attribute"].values()
        return all(value["Value"] for found in told for value in found.values())

    def create_vpc_endpoint(self, asked: dict[str, Any]) -> None:
        service = asked["ServiceName"].rpartition(".")[2]
        if asked["VpcEndpointType"] == "Gateway":
            assert service == "s3"
            made = S3_GATEWAY | {"RouteTableIds": asked["RouteTableIds"]}
            for table in self._listed("describe_route_tables", "RouteTables"):
                if table["RouteTableId"] in asked["RouteTableIds"]:
                    table["Routes"].append(networks.S3_LIST)
        else:
            assert self._has_dns()
            same = [e for e in self._endpoints if e["ServiceName"] == asked["ServiceName"]]
            assert not any(e["PrivateDnsEnabled"] for e in same)
            ids = [{"GroupId": name} for name in asked["SecurityGroupIds"]]
            made = endpoint(service, Groups=ids, SubnetIds=asked["SubnetIds"])
        self._endpoints.append(made)

    def delete_vpc_endpoints(self, asked: dict[str, Any]) -> None:
        ids = asked["VpcEndpointIds"]
        self._endpoints[:] = [e for e in self._endpoints if e["VpcEndpointId"] not in ids]

    def modify_vpc_endpoint(self, asked: dict[str, Any]) -> None:
        (found,) = (o for o in self._endpoints if o["VpcEndpointId"] == asked["VpcEndpointId"])
        if asked.get("PrivateDnsEnabled"):
            assert self._has_dns()
            found["PrivateDnsEnabled"] = True
        added = asked.get("AddRouteTableIds", ())  # a table has one route to a prefix list
        assert not any(of in e["RouteTableIds"] for e in self._endpoints for of in added)
        found["RouteTableIds"] = [*found["RouteTableIds"], *added]
        found["PolicyDocument"] = asked.get("PolicyDocument", found.get("PolicyDocument"))

    def modify_vpc_attribute(self, asked: dict[str, Any]) -> None:
        for told in self._world.answers["ec2:describe_vpc_attribute"].values():
            told.update({name: asked[name] for name in told if name in asked})

    def authorize_security_group_ingress(
        self, asked: dict[str, Any], side: str = "IpPermissions"
    ) -> None:
        for found in self._listed("describe_security_groups", "SecurityGroups"):
            if found["GroupId"] == asked["GroupId"]:
                found[side] = [*found[side], *asked["IpPermissions"]]

    def authorize_security_group_egress(self, asked: dict[str, Any]) -> None:
        self.authorize_security_group_ingress(asked, "IpPermissionsEgress")

    def _entries(self, asked: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        """The entries of an ACL, and those with the number that is asked for."""
        listed = self._listed("describe_network_acls", "NetworkAcls")
        (entries,) = (a["Entries"] for a in listed if a["NetworkAclId"] == asked["NetworkAclId"])
        named = ("RuleNumber", "Egress")
        return entries, [e for e in entries if all(e[name] == asked[name] for name in named)]

    def create_network_acl_entry(self, asked: dict[str, Any]) -> None:
        entries, same = self._entries(asked)
        assert not same
        entries.append(asked)

    def replace_network_acl_entry(self, asked: dict[str, Any]) -> None:
        entries, (old,) = self._entries(asked)
        entries[entries.index(old)] = asked

    def modify_instance_metadata_options(self, asked: dict[str, Any]) -> None:
        self._world.instance["MetadataOptions"] = {"HttpEndpoint": asked["HttpEndpoint"]}

    def stop_instances(self, _: dict[str, Any]) -> None:
        self._world.instance["State"] = {"Name": "stopping"}

    def describe_instances(self, _: dict[str, Any]) -> None:
        """Wait until it has stopped."""
        assert self._world.instance["State"] == {"Name": "stopping"}
        self._world.instance["State"] = {"Name": "stopped"}

    def start_instances(self, asked: dict[str, Any]) -> None:
        assert self._world.instance["State"] == {"Name": "stopped"}
        self.reboot_instances(asked)

    def reboot_instances(self, _: dict[str, Any]) -> None:
        self._world.instance["State"] = {"Name": "running"}
        self._world.has("ec2:describe_instance_status", {"InstanceStatuses": [nodes.status()]})

    set_instance_health = reboot_instances

    def associate_iam_instance_profile(self, asked: dict[str, Any]) -> None:
        assert "IamInstanceProfile" not in self._world.instance
        assert asked["IamInstanceProfile"] == {"Name": "NAME"}
        self._world.instance["IamInstanceProfile"] = World().instance["IamInstanceProfile"]

    def replace_iam_instance_profile_association(self, _: dict[str, Any]) -> None:
        self._world.of_profile = {}
        healthy = World().answers["iam:get_instance_profile"]
        self._world.has("iam:get_instance_profile", healthy)
        self._world.instance["IamInstanceProfile"] = World().instance["IamInstanceProfile"]

    add_role_to_instance_profile = replace_iam_instance_profile_association

    def update_assume_role_policy(self, asked: dict[str, Any]) -> None:
        assert DELETED not in asked["PolicyDocument"]
        self._world.trust = json.loads(asked["PolicyDocument"])

    def update_managed_instance_role(self, _: dict[str, Any]) -> None:
        self._world.has("iam:get_role", {"Role": self._world.role()})

    def enable_key(self, _: dict[str, Any]) -> None:
        self._world.answers["kms:describe_key"]["KeyMetadata"]["KeyState"] = "Enabled"

    def put_key_policy(self, asked: dict[str, Any]) -> None:
        assert DELETED not in asked["Policy"]
        self._world.has("kms:get_key_policy", {"Policy": asked["Policy"]})

    def create_bucket(self, _: dict[str, Any]) -> None:
        self._world.has("s3:get_bucket_encryption", nodes.encrypted("AES256"))

    def put_bucket_encryption(self, asked: dict[str, Any]) -> None:
        self._world.has("s3:get_bucket_encryption", asked)

    def create_log_group(self, asked: dict[str, Any]) -> None:
        made = {"logGroupName": asked["logGroupName"], "kmsKeyId": asked.get("kmsKeyId")}
        self._world.has("logs:describe_log_groups", {"logGroups": [made]})

    associate_kms_key = create_log_group

    def send_command(self, asked: dict[str, Any]) -> None:
        assert self._world.record
        if asked["DocumentName"] == "AWS-UpdateSSMAgent":
            self._world.record["AgentVersion"] = "3.3.3270.0"

    def update_service_setting(self, asked: dict[str, Any]) -> None:
        if asked["SettingId"] == nodes.TIER:
            self._world.tier = asked["SettingValue"]
        else:
            self._world.has_host_management()
            self._world.has(SIMULATES, World().answers[SIMULATES])


REPAIRED: Final = {said.name: (said.world, said.node) for said in (*CAUSES, *networks.NETWORKS)} | {
    f"more: {name}": (functools.partial(World, breaks), NODE) for name, breaks in MORE.items()
}
UNREPAIRABLE: Final = {
    "more: a network ACL whose first entry denies, and the second allows",
    "more: an endpoint with a shut group and a policy that denies",
}
"""What no command mends without undoing what somebody meant."""


def of_its_own(world: World) -> World:
    """The world, with copies of its answers that no other test shares."""
    for call, answer in world.answers.items():
        world.answers[call] = deepcopy(answer) if isinstance(answer, dict) else answer
    return world


MODIFY, AUTHORIZE = "ec2:ModifyVpcEndpoint", "ec2:AuthorizeSecurityGroupIngress"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name.startswith("more: ") else pytest.mark.untraced)
        for name in REPAIRED
    ],
)
def test_what_a_command_mends_is_not_found_again(name: str) -> None:
    make, node = REPAIRED[name]
    world = of_its_own(make())
    first = [c for c in diagnosed(world, node).checks if c.verdict == "fail" and by_command(c)]
    for line in dict.fromkeys(line for check in first for line in filter(is_command, check.fix)):
        Repair(world).run(line)

    verdicts = {check.name: check.verdict for check in diagnosed(world, node).checks}

    left = {check.name for check in first if verdicts[check.name] == "fail"}
    assert not left or name in UNREPAIRABLE


ADDED: Final = range(2, 32)
"""The numbers of the subnets that `several` adds."""


def several(*places: str) -> Change:
    """Instances that never registered, one for each place: a subnet and its security groups.

    In `both`, the changes to the network come before this change.
    """

    def described(number: int, subnet: str, *ids: str) -> dict[str, Any]:
        of = {"InstanceId": f"i-{number:017x}", "SubnetId": subnet}
        return World().instance | of | {"SecurityGroups": [{"GroupId": name} for name in ids]}

    def change(world: World) -> None:
        of_its_own(world)
        instances = [described(n, *place.split()) for n, place in enumerate(places)]
        listed = {"Reservations": [{"OwnerId": ACCOUNT, "Instances": instances}]}
        world.has("ec2:describe_instances", listed)
        subnets = world.answers["ec2:describe_subnets"]["Subnets"]
        subnets += [{"SubnetId": f"subnet-{n}", "CidrBlock": f"10.0.{n}.0/24"} for n in ADDED]
        world.answers["ec2:describe_security_groups"]["SecurityGroups"] += [
            group("sg-2"),
            group("sg-shut", IpPermissionsEgress=[]),
            group("sg-endpoints"),
        ]
        (own,) = world.answers["ec2:describe_network_acls"]["NetworkAcls"][:1]
        own["Associations"] += [{"SubnetId": f"subnet-{n}"} for n in ADDED]

    return both(NEVER, change)  # fmt: skip


def own_tables(*routes: dict[str, Any]) -> Change:
    """Give `subnet-2` and `subnet-3` each a route table with these routes."""
    made = [
        nodes.table(f"rtb-{n}", *routes, Associations=[{"SubnetId": f"subnet-{n}"}]) for n in (2, 3)
    ]
    return lambda w: w.answers["ec2:describe_route_tables"]["RouteTables"].extend(made)


def one_under_account(world: World) -> None:
    """Set up Default Host Management, and remove the instance profile of the first instance."""
    world.has_host_management()
    (listed,) = world.answers["ec2:describe_instances"]["Reservations"]
    del listed["Instances"][0]["IamInstanceProfile"]


APART: Final = several("subnet-private sg-web", "subnet-2 sg-2", "subnet-3 sg-shut sg-2")
IN_ONE_GROUP: Final = several("subnet-private sg-web", "subnet-2 sg-web")
DENIED_OUT: Final = acls(entry(1, egress=True), entry(2, egress=True), entry(1, egress=False))
UNNAMED: Final = networks.endpoints(*(of | {"PrivateDnsEnabled": False} for of in BOTH_ENDPOINTS))
BY_NAT: Final = own_tables(nodes.default_route(NatGatewayId="nat-1"))
TOGETHER: Final[dict[str, Change]] = {
    "no way out": both(NO_ROUTE, APART),
    "no way out of two subnets, and one group": both(NO_ROUTE, IN_ONE_GROUP),
    "no way out of one subnet": both(NO_ROUTE, APART, BY_NAT),
    "no way out, and DNS host names off": both(NO_ROUTE, NO_HOSTNAMES, APART),
    "no way out, and an endpoint that failed": both(
        NO_ROUTE, networks.endpoints(endpoint("ssm", State="Failed")), APART),
    "no way out, and an ACL without a free number": both(NO_ROUTE, DENIED_OUT, APART),
    "an ACL without a free number": both(DENIED_OUT, APART),
    "an ACL without a free number, and many subnets": both(
        NO_ROUTE, DENIED_OUT, several(*(f"subnet-{n} sg-web" for n in ADDED))),
    "endpoints in a shut group": both(NO_ROUTE, networks.endpoints(*BOTH_ENDPOINTS), APART),
    "endpoints without private DNS": both(NO_ROUTE, UNNAMED, APART),
    "endpoints without private DNS, and an ACL": both(NO_ROUTE, UNNAMED, DENIED_OUT, APART, BY_NAT),
    "one endpoint, and another way to it from some": both(
        NO_ROUTE, networks.endpoints(endpoint("ssm", PrivateDnsEnabled=False), MESSAGES), APART,
        BY_NAT),
    "a policy for others, and two roles": both(
        closed(*(of | {"PolicyDocument": FOR_OTHERS} for of in BOTH_ENDPOINTS)), IN_ONE_GROUP,
        one_under_account),
    "no way to S3 by three tables": both(World.uses, NO_ROUTE, APART, own_tables()),
    "a gateway endpoint of none of three tables": both(
        World.uses, closed(S3_GATEWAY | {"RouteTableIds": []}), APART, own_tables()),
}  # fmt: skip
"""Closed networks of several instances, whose remedies change the same."""


@pytest.mark.parametrize("name", TOGETHER)
@pytest.mark.parametrize("run_by", ["each", "the last first", "one of them"])
def test_the_remedies_of_an_audit_can_be_run_together(name: str, run_by: str) -> None:
    def cut_off() -> dict[str, list[str]]:
        found = run(world, "audit", "--output", "json").json["instances"]
        return {of["id"]: of["fix"] for of in found if "path-" in str(of["causes"])}

    world = World(TOGETHER[name])
    first = cut_off()
    ids = {"each": [*first], "the last first": [*first][::-1], "one of them": [*first][1:2]}[run_by]
    assert first
    for line in dict.fromkeys(line for id_ in ids for line in filter(is_command, first[id_])):
        Repair(world).run(line)

    assert not {*ids} & {*cut_off()}


@pytest.mark.parametrize(("name", "calls"), [
    ("an endpoint without private DNS, in a shut group", [MODIFY, AUTHORIZE]),
    ("an endpoint that is made in a shut group", [AUTHORIZE]),
    ("an endpoint that is made with a policy for others", [MODIFY]),
    ("an endpoint with a policy for others that denies other roles", [MODIFY]),
    ("a gateway endpoint that is made, with a policy for others", [MODIFY, MODIFY]),
    ("such a gateway endpoint, beside that of another table", [MODIFY]),
])  # fmt: skip
def test_an_endpoint_that_is_there_is_not_made_again(name: str, calls: list[str]) -> None:
    check = one(diagnosed(World(MORE[name])), "path-s3" if "gateway" in name else "path-ssm")

    assert check.verdict == "fail"
    assert [parsed(line)[0] for line in check.fix if is_command(line)] == calls
    assert any("vpce-" in line for line in (*check.why, *check.fix))


@pytest.mark.parametrize(
    ("who", "opened"), [("itself", False), ("the VPC", False), ("another", True)]
)
def test_the_group_of_a_new_endpoint_is_opened_only_if_shut(who: str, *, opened: bool) -> None:
    check = one(diagnosed(World(MORE[f"a group that admits {who}"])), "path-ssm")

    calls = [parsed(line)[0] for line in check.fix if is_command(line)]
    assert (AUTHORIZE in calls) is opened


def test_egress_is_opened_to_a_new_endpoint_alone() -> None:
    check = one(diagnosed(World(MORE["nothing lets out, and no route leads out"])), "path-ssm")

    (line,) = (line for line in check.fix if "authorize-security-group-egress" in line)
    assert "UserIdGroupPairs=[{GroupId=sg-web}]" in line
    assert check.why[0] == "no outbound rule of the security group 'sg-web' allows TCP 443"
    assert "no default route" in check.why[1]


def by_command(check: Any) -> bool:  # noqa: ANN401
    return not check.check.is_symptom and any(map(is_command, check.fix))
