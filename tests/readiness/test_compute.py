"""What compute an app has: its profile, its metadata options, and every place where it may be."""

import gzip
import json
import re
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
from syrupy.assertion import SnapshotAssertion

from session_manager_permissions._network.facts import Unknown
from session_manager_permissions._network.model import OTHER_INTERFACE
from session_manager_permissions._readiness.compute import Compute, Launchers
from session_manager_permissions._readiness.launch import Written
from session_manager_permissions._readiness.parts import Parts as PartsOf
from session_manager_permissions._readiness.templates import Assembly
from session_manager_permissions._readiness.templates.model import Resource

from .deployments import NO_VALUE
from .launches import batch, by_id, ec2_fleet, nodes, scaling, spot, template
from .networks import GIVEN
from .parts import att, ref, resource
from .reports import Body, Check, write
from .test_what_findings_say import OFF, Text

Parts = dict[str, dict[str, Any]]
Known = dict[str, object]

GROUP: Final = att("Group", "GroupId")
ARN: Final = att("Profile", "Arn")
NETWORK: Final[Parts] = {
    "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
    "Subnet": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.1.0/24"),
    "Other": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.2.0/24"),
    "Group": resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc")),
    "Profile": resource("AWS::IAM::InstanceProfile", Roles=["Role"]),
}


# What is known of compute ------------------------------------------------------------------------


def shown(value: object) -> object:
    """A value as the tables below have it."""
    if isinstance(value, Resource):
        return value.logical_id
    if isinstance(value, Unknown):
        return f"? {value.decides}"
    if isinstance(value, Written):
        return value.value
    return value


def the(compute: Compute) -> Known:
    return {
        "by": compute.resource.logical_id, "set_in": compute.launch.origin.logical_id,
        "profile": shown(compute.launch.profile),
        "metadata_off": shown(compute.launch.metadata_off),
        "places": [{"subnet": shown(one.subnet), "groups": [*map(shown, one.groups)],
            "public": shown(one.public_address), "elastic": shown(one.elastic_address),
            "others": one.changed_by == OTHER_INTERFACE} for one in compute.placements],
        "opaque": compute.opaque,
    }  # fmt: skip


def computes(paths: list[str]) -> list[Compute]:
    """The compute of templates that have only one world."""
    assembly = Assembly(paths)
    launchers = Launchers(PartsOf(assembly))
    found: list[Compute] = []
    for one in (*launchers.resources, *launchers.templates):
        if not any(one in compute.launch.uses for compute in found):
            ((world,), _) = assembly.worlds.each(partial(launchers.of, one))
            found += world.judged
    return found


def of(folder: Path, **parts: dict[str, Any]) -> list[Known]:
    body = {"Resources": {**NETWORK, **parts}}
    return [the(compute) for compute in computes(write(folder, {"Stack": body}))]


# Instances ---------------------------------------------------------------------------------------


def instance(**properties: object) -> dict[str, Any]:
    given: Known = {"SubnetId": ref("Subnet"), "SecurityGroupIds": [GROUP]}
    return resource("AWS::EC2::Instance", **given | properties)


def interface(**properties: object) -> Known:
    return {"DeviceIndex": "0", "SubnetId": ref("Subnet"), "GroupSet": [GROUP], **properties}


def with_interfaces(*interfaces: object) -> dict[str, Any]:
    return resource("AWS::EC2::Instance", NetworkInterfaces=[*interfaces])


def options(**given: object) -> dict[str, Any]:
    return instance(MetadataOptions=given)


ENI: Final = resource("AWS::EC2::NetworkInterface", SubnetId=ref("Other"), GroupSet=[GROUP])
BY_ENI: Final = with_interfaces({"DeviceIndex": "0", "NetworkInterfaceId": ref("Eni")})
INSTANCES: Final[dict[str, Body]] = {
    "no profile": instance(),
    "a profile": instance(IamInstanceProfile=ref("Profile")),
    "no value for a profile": instance(IamInstanceProfile=NO_VALUE),
    "metadata off": options(HttpEndpoint="disabled"),
    "metadata on": options(HttpEndpoint="enabled"),
    "other metadata options": options(HttpTokens="required"),
    "metadata by a parameter": options(HttpEndpoint=GIVEN),
    "options by a parameter": instance(MetadataOptions=GIVEN),
    "no subnet": resource("AWS::EC2::Instance"),
    "ids": instance(SubnetId="subnet-1", SecurityGroupIds=["sg-1", GIVEN]),
    "a subnet by a dynamic reference": instance(SubnetId="{{resolve:ssm:/subnet}}"),
    "a subnet by a long expression": instance(SubnetId={"Fn::Base64": "subnet-" * 40}),
    "no subnet by its type, in a list": instance(SubnetId={"Fn::Join": [",", [ref("Vpc")]]}),
    "no subnet by its type": instance(SubnetId=ref("Vpc")),
    "an interface": with_interfaces(interface()),
    "a public address": with_interfaces(interface(AssociatePublicIpAddress=True)),
    "no public address": with_interfaces(interface(AssociatePublicIpAddress="false")),
    "an address by a parameter": with_interfaces(interface(AssociatePublicIpAddress=GIVEN)),
    "two interfaces": with_interfaces(
        interface(DeviceIndex=1, SubnetId=ref("Other")), interface(DeviceIndex=0)),
    "interfaces of two network cards": with_interfaces(
        interface(NetworkCardIndex=1, SubnetId=ref("Other")), interface(NetworkCardIndex=0)),
    "another interface": with_interfaces(interface(), interface(DeviceIndex="1")),
    "an interface of an index by a parameter": with_interfaces(interface(DeviceIndex=GIVEN)),
    "an interface of the app": BY_ENI,
    "an interface by its id": with_interfaces({"DeviceIndex": "0", "NetworkInterfaceId": "eni-1"}),
}  # fmt: skip


ID: Final = att("Eip", "AllocationId")


def gives(**properties: object) -> Body:
    return resource("AWS::EC2::EIPAssociation", **properties)


TAKERS: Final[tuple[Body, ...]] = (
    gives(AllocationId=ID, InstanceId=ref("Instance")),
    gives(AllocationId=ID, InstanceId=ref("Second")),
    gives(AllocationId=ID, NetworkInterfaceId=GIVEN), resource("AWS::SNS::Topic"),
    resource("AWS::EC2::NatGateway", AllocationId=ID),
    resource("AWS::ElasticLoadBalancingV2::LoadBalancer", SubnetMappings=[{"AllocationId": ID}]),
    resource("AWS::Transfer::Server", EndpointDetails={"AddressAllocationIds": [ID]}),
    resource("AWS::Redshift::Cluster", ElasticIp=ref("Eip")),
    resource("AWS::Route53::RecordSet", ResourceRecords=[ref("Eip")]),
    resource("AWS::CloudFormation::Stack", Parameters={"AllocationId": ID}),
    resource("Custom::Address", AllocationId=ID),
    resource("AWS::SSM::Association", Parameters={"AllocationId": [ID]}),
)  # fmt: skip
ADDRESSES: Final[dict[str, Parts]] = {
    "an Elastic IP address of the instance": {
        "Instance": instance(), "Eip": resource("AWS::EC2::EIP", InstanceId=ref("Instance"))},
    **{f"an Elastic IP address beside {json.dumps(one)}": {"Instance": instance(),
        "Second": instance(), "Eip": resource("AWS::EC2::EIP"), "Taker": one} for one in TAKERS},
    "an interface that a custom resource is given": {
        "Eni": ENI, "Instance": BY_ENI, "Custom": resource("Custom::Address", Of=ref("Eni"))},
    **{f"an Elastic IP address of the interface, for {json.dumps(private)}": {"Eni": ENI,
        "Instance": BY_ENI, "Gives": gives(NetworkInterfaceId=ref("Eni"), PrivateIpAddress=private)}
       for private in (NO_VALUE, att("Eni", "PrimaryPrivateIpAddress"), "10.0.0.9")},
}  # fmt: skip


# Launch templates --------------------------------------------------------------------------------


def named(name: object, **data: object) -> dict[str, Any]:
    made = template(**data)
    made["Properties"]["LaunchTemplateName"] = name
    return made


BY_ARN: Final = {"Arn": ARN}
FULL: Final = template(IamInstanceProfile=BY_ARN, SecurityGroupIds=[GROUP], MetadataOptions=OFF)
IN_GROUP: Final = template(SecurityGroupIds=[GROUP])
LATEST: Final = att("Template", "LatestVersionNumber")
SPEC: Final = by_id(LATEST)
ELSEWHERE: Final = {"DeviceIndex": 0, "SubnetId": ref("Other"), "Groups": [GROUP]}


def from_template(template_: Body, **properties: object) -> Parts:
    given = {"SubnetId": ref("Subnet"), "LaunchTemplate": SPEC, **properties}
    return {"Template": template_, "Instance": resource("AWS::EC2::Instance", **given)}


FROM_TEMPLATES: Final[dict[str, Parts]] = {
    "from a template: all": from_template(FULL),
    "from a template: its own profile": from_template(FULL, IamInstanceProfile="Own"),
    "from a template: its own metadata options": from_template(
        FULL, MetadataOptions={"HttpEndpoint": "enabled"}),
    "from a template: its own metadata options, but for the endpoint": from_template(
        FULL, MetadataOptions={"HttpTokens": "required"}),
    "from a template: its own groups": from_template(FULL, SecurityGroupIds=["sg-1"]),
    "from a template: a profile by its name": from_template(
        template(IamInstanceProfile={"Name": "Named"}, SecurityGroupIds=[GROUP])),
    "from a template: an empty profile": from_template(
        template(IamInstanceProfile={"Name": NO_VALUE}, SecurityGroupIds=[GROUP])),
    "from a template: interfaces": from_template(template(
        NetworkInterfaces=[ELSEWHERE | {"AssociatePublicIpAddress": False}]), SubnetId=NO_VALUE),
    **{f"from a template: interfaces over those of the template that say {what}": from_template(
        template(NetworkInterfaces=[{"DeviceIndex": 0, **its}]), SubnetId=NO_VALUE,
        NetworkInterfaces=[{"DeviceIndex": "0", "SubnetId": ref("Subnet"), **own}])
        for what, its, own in (
            ("nothing", {}, {"GroupSet": [GROUP]}),
            ("less", {"AssociatePublicIpAddress": True}, interface(AssociatePublicIpAddress=False)),
            ("more", {"AssociatePublicIpAddress": True, "Groups": [GROUP]}, {}))},
}  # fmt: skip


OTHERS: Final = {"LaunchTemplateId": "lt-1"}
SPECIFICATIONS: Final[tuple[object, ...]] = (
    *(SPEC, {"LaunchTemplateName": "Named", "Version": "$Latest"}, by_id({"Fn::Sub": "$Latest"})),
    *(by_id("$Default"), by_id(att("Template", "DefaultVersionNumber"))),
    *({"LaunchTemplateId": ref("Template")}, by_id(att("Other", "LatestVersionNumber"))),
    *(by_id("1"), by_id(GIVEN), OTHERS, {"LaunchTemplateName": "Other"}),
    *({"LaunchTemplateId": ref("Group")}, GIVEN),
)
"""The forms in which a fleet names a launch template."""


# Fleets ------------------------------------------------------------------------------------------


def launch_configuration(**changes: object) -> dict[str, Any]:
    given: Known = {"SecurityGroups": [GROUP], **changes}
    return resource("AWS::AutoScaling::LaunchConfiguration", **given)


def in_two(**launch: object) -> dict[str, Any]:
    """A group in two subnets."""
    return scaling(**{"VPCZoneIdentifier": [ref("Subnet"), ref("Other")], **launch})


def mixed(*overrides: object) -> dict[str, Any]:
    launches = {"LaunchTemplateSpecification": SPEC, "Overrides": [*overrides]}
    return in_two(MixedInstancesPolicy={"LaunchTemplate": launches})


def config(*subnets: str) -> Known:
    """A config of the template, with an override for each subnet; one that names none is ''."""
    overrides = [{"SubnetId": ref(one)} if one else {"InstanceType": "t3.micro"} for one in subnets]
    return {"LaunchTemplateSpecification": SPEC, **({"Overrides": overrides} if subnets else {})}


SECOND: Final = {"LaunchTemplateSpecification": by_id("$Latest", "Second")}
SPOT: Final = {
    "SubnetId": ref("Subnet"), "SecurityGroups": [{"GroupId": GROUP}], "IamInstanceProfile": BY_ARN
}  # fmt: skip
BOTH_JOINED: Final = {"Fn::Join": [", ", [ref("Subnet"), ref("Other")]]}
FLEETS: Final[dict[str, Parts]] = {
    "a launch configuration": {"Launch": launch_configuration(IamInstanceProfile=ref("Profile")),
        "Fleet": in_two(LaunchConfigurationName=ref("Launch"))},
    "a launch configuration by its name": {
        "Launch": launch_configuration(LaunchConfigurationName="N", AssociatePublicIpAddress=True),
        "Fleet": in_two(LaunchConfigurationName="N")},
    "another launch configuration": {
        "Fleet": in_two(LaunchConfigurationName="Other", VPCZoneIdentifier=["subnet-1"])},
    "a launch configuration that is made from an instance": {"Launch": launch_configuration(
        InstanceId="i-1"), "Fleet": in_two(LaunchConfigurationName=ref("Launch"))},
    "a launch configuration that replaces what it has of an instance": {
        "Launch": launch_configuration(InstanceId=GIVEN, IamInstanceProfile=ref("Profile"),
            MetadataOptions=OFF), "Fleet": in_two(LaunchConfigurationName=ref("Launch"))},
    "a template without data": {
        "Template": resource("AWS::EC2::LaunchTemplate"), "Fleet": in_two(LaunchTemplate=SPEC)},
    "subnets by a parameter": {
        "Template": IN_GROUP, "Fleet": in_two(LaunchTemplate=SPEC, VPCZoneIdentifier=GIVEN)},
    "subnets that are joined": {"Template": IN_GROUP,
        "Fleet": in_two(LaunchTemplate=SPEC, VPCZoneIdentifier=[BOTH_JOINED])},
    "an override of several subnets": {"Template": IN_GROUP, "Fleet": spot(LaunchTemplateConfigs=[
        {"LaunchTemplateSpecification": SPEC, "Overrides": [{"SubnetId": BOTH_JOINED}]}])},
    "no value for subnets": {
        "Template": IN_GROUP, "Fleet": in_two(LaunchTemplate=SPEC, VPCZoneIdentifier=NO_VALUE)},
    "a mixed policy, whose template one override leaves": {
        "Template": IN_GROUP, "Second": template(IamInstanceProfile={"Name": "Profile"}),
        "Fleet": mixed({"InstanceType": "t3.micro"}, SECOND, GIVEN)},
    "a mixed policy, whose template all overrides leave": {"Template": IN_GROUP, "Second": template(
        SecurityGroupIds=[GROUP], IamInstanceProfile={"Name": "Profile"}), "Fleet": mixed(SECOND)},
    "an instance to copy": {"Fleet": in_two(InstanceId="i-1", VPCZoneIdentifier=[ref("Subnet")])},
    "a Spot fleet": {"Fleet": spot(LaunchSpecifications=[SPOT, GIVEN])},
    "a Spot fleet of a template": {
        "Template": IN_GROUP, "Fleet": spot(LaunchTemplateConfigs=[config("Subnet", "Other", "")])},
    "overrides of an interface": {
        "Template": template(
            MetadataOptions=OFF, NetworkInterfaces=[interface(SubnetId=ref("Other"))]),
        "Fleet": ec2_fleet({"LaunchTemplateSpecification": SPEC, "Overrides": [
            {"SubnetId": ref("Subnet")}, {},
            {"IamInstanceProfile": {"Name": "Own"}, "MetadataOptions": {"HttpTokens": "required"}},
            {"NetworkInterfaces": [ELSEWHERE], "MetadataOptions": {"HttpEndpoint": "enabled"}},
            GIVEN]})},
    "the subnet of an interface": {
        "Template": template(NetworkInterfaces=[ELSEWHERE]), "Fleet": ec2_fleet(config())},
    "a fleet by a parameter": {"Fleet": ec2_fleet(GIVEN)},
}  # fmt: skip


# Nodes of EKS ------------------------------------------------------------------------------------


def launching(**spec: object) -> dict[str, Any]:
    return nodes(LaunchTemplate=spec)


CLUSTER: Final = resource("AWS::EKS::Cluster", Name="Named")
NODES: Final[dict[str, Parts]] = {
    "nodes of a cluster": {"Nodes": nodes()},
    "nodes of a cluster by its name": {"Nodes": nodes(ClusterName="Named")},
    "nodes of a cluster by a name that two branches have": {"Cluster": resource("AWS::EKS::Cluster",
        Name={"Fn::If": ["Production", "Named", "Named"]}), "Nodes": nodes(ClusterName="Named")},
    "nodes of another cluster": {"Nodes": nodes(ClusterName="Other")},
    "nodes of a cluster by a parameter": {"Nodes": nodes(ClusterName=GIVEN)},
    "nodes of a cluster by a parameter, beside one that the deployment names": {
        "Cluster": resource("AWS::EKS::Cluster"), "Nodes": nodes(ClusterName=GIVEN)},
    "nodes of a cluster by the parameter that names it": {
        "Cluster": resource("AWS::EKS::Cluster", Name=GIVEN), "Nodes": nodes(ClusterName=GIVEN)},
    "nodes of a template with groups": {
        "Nodes": launching(Id=ref("Template"), Version=LATEST), "Template": IN_GROUP},
    "nodes of a template without groups": {
        "Nodes": launching(Id=ref("Template"), Version=LATEST), "Template": template()},
    "nodes of another template": {"Nodes": launching(Name="t"), "Template": template()},
    "nodes of the default version of a template": {
        "Nodes": launching(Id=ref("Template")), "Template": template()},
}  # fmt: skip


# What services launch ----------------------------------------------------------------------------


def beanstalk(kind: str = "Environment", **given: object) -> dict[str, Any]:
    in_vpc = dict.fromkeys(("Subnets", "AssociatePublicIpAddress", "Given"), "aws:ec2:vpc")
    names = {"Given": GIVEN}
    launch = "aws:autoscaling:launchconfiguration"
    settings = [
        {"Namespace": in_vpc.get(name, launch), "OptionName": names.get(name, name), "Value": value}
        for name, value in given.items()
    ]
    return resource(f"AWS::ElasticBeanstalk::{kind}", OptionSettings=settings)


def fleet(**properties: object) -> dict[str, Any]:
    """A resource of a type that is not known."""
    return resource("AWS::New::Fleet", **properties)


BATCH: Final = "AWS::Batch::ComputeEnvironment"
ECS: Final = "AWS::ECS::CapacityProvider"
MANAGED: Final = {"InstanceLaunchTemplate": {"Ec2InstanceProfileArn": "arn"}}
IMAGE_BUILDER: Final = "AWS::ImageBuilder::InfrastructureConfiguration"
PRODUCT: Final = "AWS::ServiceCatalog::CloudFormationProduct"
UNREAD: Final = "its template, which can't be read,"
DEPLOYED: Final = "the template that it deploys, which is not read,"
BY_SERVICES: Final[tuple[Body, ...]] = (
    batch(Type="SPOT", InstanceRole=ARN),
    batch(InstanceRole=NO_VALUE),
    batch(Type="FARGATE_SPOT"),
    resource(BATCH, Type="UNMANAGED"),
    resource(ECS, ManagedInstancesProvider=MANAGED),
    resource(ECS, AutoScalingGroupProvider={}),
    resource("AWS::EMR::Cluster", JobFlowRole="Role"),
    resource(IMAGE_BUILDER, InstanceProfileName="P"),
    beanstalk(InstanceType="t3.micro", IamInstanceProfile=ref("Profile")),
    resource("AWS::ElasticBeanstalk::Environment", OptionSettings=GIVEN),
    beanstalk("ConfigurationTemplate", IamInstanceProfile=ref("Profile")),
    batch(InstanceRole=NO_VALUE, ManagedInstancesProvider=MANAGED),
    resource("AWS::PCS::ComputeNodeGroup", IamInstanceProfileArn=ARN),
    resource("AWS::Backup::RestoreTestingSelection",
             RestoreMetadataOverrides={"iamInstanceProfileName": "P"}),
    fleet(Runs={"As": [{"Who": ARN}]}),
    fleet(As="arn:aws:iam::111122223333:instance-profile/web"),
    fleet(As={"Fn::Sub": "arn:aws:iam::1:instance-profile/${Profile}"}),
    fleet(For=GIVEN, As=ref("Profile")),
    # What only speaks of a profile launches nothing.
    fleet(Says={"Fn::Sub": "instances under ${Profile}"}),
    fleet(Tags=[{"Key": "InstanceProfile", "Value": ref("Profile")}]),
    fleet(Description=ref("Profile")),
    fleet(InstanceProfile=NO_VALUE),
    resource("AWS::SSM::Parameter", Value=ref("Profile")),
    resource("AWS::IAM::Policy", Resource=ARN),
    resource("AWS::DMS::MigrationProject", InstanceProfileIdentifier="dms"),
    resource(PRODUCT, ProvisioningArtifactParameters=[
        {"Info": {"LoadTemplateFromURL": "https://example.com/product.yaml"}}]),
    *(resource(f"AWS::{kind}", Parameters={"As": ref("Profile")})
      for kind in ("CloudFormation::Stack", "CloudFormation::StackSet", "Serverless::Application")),
    resource("AWS::ServiceCatalog::CloudFormationProvisionedProduct",
             ProvisioningParameters={"As": ref("Profile")}),
    resource("AWS::CloudFormation::Stack", Parameters={"As": "none"}),
    resource("AWS::CloudFormation::StackSet", Parameters=[{"ParameterValue": ref("Profile")}],
              TemplateBody="Topic: {Type: AWS::SNS::Topic}"),
)  # fmt: skip


PLACE: Final = {"Subnets": [ref("Subnet")], "SecurityGroupIds": [GROUP]}
EMR: Final = resource("AWS::EMR::Cluster", JobFlowRole="P", Instances={
    "Ec2SubnetId": ref("Subnet"), "EmrManagedMasterSecurityGroup": GROUP,
    "EmrManagedSlaveSecurityGroup": "sg-1"})  # fmt: skip
JOINED: Final = {"Fn::Join": ["", [ref("Subnet"), ",", ref("Other"), ",", GIVEN]]}
JUDGED: Final[dict[str, Body]] = {
    "AWS Batch": batch(**PLACE),
    "AWS Batch by a launch template": batch(Subnets=[ref("Subnet")], LaunchTemplate=SPEC),
    "AWS Batch by several": batch(**PLACE, LaunchTemplate=SPEC | {"Overrides": [{}]}),
    "EC2 Image Builder": resource(
        IMAGE_BUILDER, InstanceProfileName="P", SubnetId=ref("Subnet"), SecurityGroupIds=[GROUP]),
    "Amazon EMR": EMR,
    "AWS Elastic Beanstalk": beanstalk(IamInstanceProfile="P", SecurityGroups=GROUP,
        AssociatePublicIpAddress="true", InstanceType="t3.micro", Subnets=JOINED),
    "AWS Elastic Beanstalk with an option of its network by parameter": beanstalk(
        IamInstanceProfile="P", Subnets=ref("Subnet"), Given="true"),
    "AWS Elastic Beanstalk, which may give an address": beanstalk(
        IamInstanceProfile="P", AssociatePublicIpAddress="false", Subnets=ref("Subnet")),
}  # fmt: skip
NAMELESS: Final = named(ref("Name"))
USED: Final[dict[str, Parts]] = {
    "a template of a name that two have": {"One": named("Named"),
        "Two": named("Named"), "Fleet": in_two(LaunchTemplate={"LaunchTemplateName": "Named"})},
    # The only template of an app need not be the one that a parameter names.
    "a template whose id is a parameter": {"One": NAMELESS, "Fleet": in_two(
        LaunchTemplate={"LaunchTemplateId": GIVEN, "Version": "$Latest"})},
    "a template whose name is a parameter": {"One": NAMELESS, "Fleet": in_two(
        LaunchTemplate={"LaunchTemplateName": GIVEN, "Version": "$Latest"})},
    # A template needs a profile, unless only others use it.
    "a template that AWS Batch uses": {"Template": template(),
        "User": batch(LaunchTemplate={"LaunchTemplateId": ref("Template")})},
    "a template that an instance with a profile of its own uses": {
        "Template": template(), "User": instance(IamInstanceProfile="Own", LaunchTemplate=SPEC)},
    "a template that nodes use": {
        "Template": template(), "User": launching(Id=ref("Template")), "Cluster": CLUSTER},
    "a template of AWS Elastic Beanstalk, and an environment with options of its own": {
        "Template": beanstalk("ConfigurationTemplate", IamInstanceProfile="P", Subnets="subnet-1"),
        "User": resource("AWS::ElasticBeanstalk::Environment", TemplateName=ref("Template"),
                         **beanstalk(Subnets=ref("Subnet"))["Properties"])},
    "a template that nobody is known to use": {
        "Template": template(), "Batch": batch(LaunchTemplate=OTHERS)},
    "a template with a profile that nobody is known to use": {"Template": template(
        IamInstanceProfile={"Name": "P"}), "Batch": batch(LaunchTemplate=OTHERS)},
}  # fmt: skip
NAMED: Final = named("Named", IamInstanceProfile={"Name": "Profile"}, SecurityGroupIds=[GROUP])
COMPUTE: Final[dict[str, Parts]] = {
    **{name: {"Eni": ENI, "Instance": one} for name, one in INSTANCES.items()}, **ADDRESSES,
    **FROM_TEMPLATES,
    **{f"a fleet of {json.dumps(spec)}": {"Template": NAMED, "Fleet": in_two(
        VPCZoneIdentifier=[ref("Subnet")], LaunchTemplate=spec)} for spec in SPECIFICATIONS},
    **USED, **FLEETS, **{name: {"Cluster": CLUSTER} | parts for name, parts in NODES.items()},
    **{json.dumps(one): {"It": one} for one in BY_SERVICES},
    **{name: {"Template": IN_GROUP, "It": one} for name, one in JUDGED.items()},
}  # fmt: skip


def test_what_is_known_of_compute(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    page = [
        "\n".join([f"{name}:", *(f"  {json.dumps(one)}" for one in of(tmp_path, **parts)), ""])
        for name, parts in COMPUTE.items()
    ]

    assert "\n".join(page) == snapshot(extension_class=Text)


def test_batch_by_the_types_that_it_may_have(check: Check) -> None:
    resources = {"It": resource(BATCH, ComputeResources={"Type": GIVEN})}
    for launches, allowed in ((0, ["FARGATE", "FARGATE_SPOT"]), (1, ["FARGATE", "EC2"]), (1, [])):
        given = {"Type": "String", "AllowedValues": allowed} if allowed else {"Type": "String"}
        body = {"Parameters": {"Given": given}, "Resources": resources}
        assert len(check(body).rules) == launches, allowed


def test_product_is_read(tmp_path: Path) -> None:
    hash_ = "0" * 64
    url = {"Fn::Sub": f"https://s3.${{AWS::Region}}.amazonaws.com/assets/{hash_}.json"}
    sells = [{"Info": {"LoadTemplateFromURL": url}}]
    product = resource(PRODUCT, ProvisioningArtifactParameters=sells)
    paths = write(tmp_path, {"Stack": {"Resources": {"It": product}}})
    assets = {"files": {hash_: {"source": {"path": "product.json"}}}}
    (tmp_path / "Stack.assets.json").write_text(json.dumps(assets))
    (tmp_path / "product.json").write_text(json.dumps({"Resources": {"Sold": instance()}}))
    assert [one.resource.logical_id for one in computes(paths)] == ["Sold"]


# Whatever CDK has that names a profile -----------------------------------------------------------

NO_COMPUTE: Final = {
    "AWS::AutoScaling::LaunchConfiguration",  # which only groups launch from
    "AWS::DMS::InstanceProfile",  # of another kind
    "AWS::DMS::MigrationProject",
    "AWS::IAM::InstanceProfile",
    "AWS::SecurityHub::Insight",
}


def named_by_cdk() -> set[tuple[str, tuple[str, ...]]]:
    """The type and the path of each property of CDK's L1 constructs that names a profile."""
    (library,) = (Path(cdk.__file__).parent / "_jsii").glob("aws-cdk-lib@*.tgz")
    with tarfile.open(library) as package:
        written = package.extractfile("package/.jsii.gz")
        assert written is not None
        classes: dict[str, Any] = json.loads(gzip.decompress(written.read()))["types"]

    def paths(name: str, seen: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for one in classes[name].get("properties", ()):
            called = one["name"][0].upper() + one["name"][1:]
            is_role = called.endswith("Role") and "instance profile" in json.dumps(one).lower()
            if "nstanceprofile" in called.lower() or is_role:
                yield (called,)
                continue
            for inner in re.findall(r"aws-cdk-lib\.[\w.]+Property(?=\")", json.dumps(one["type"])):
                if inner not in seen:
                    yield from ((called, *path) for path in paths(inner, (*seen, inner)))

    return {
        (of_type, path)
        for name, one in classes.items()
        if (of_type := one.get("docs", {}).get("custom", {}).get("cloudformationResource"))
        and f"{name}Props" in classes
        for path in paths(f"{name}Props", ())
    }


def test_every_type_of_cdk_that_names_a_profile_is_compute(tmp_path: Path) -> None:
    """All are read in one test: the description of CDK's constructs takes seconds to load."""
    named = named_by_cdk()
    assert len(named) >= 20
    for type_, path in sorted(named):
        value: object = ARN
        for name in reversed(path):
            value = {name: value}
        found = of(tmp_path, It={"Type": type_, "Properties": value})
        is_given = type_ == "AWS::EKS::Nodegroup" or any(one["profile"] == ARN for one in found)
        assert is_given is (type_ not in NO_COMPUTE), type_
