"""What the check reports of compute: each cause once, and what else may give it credentials."""

import json
from base64 import encodebytes
from collections.abc import Callable
from gzip import compress
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam

from session_manager_permissions import _needs
from session_manager_permissions._readiness.check import check as judge_all
from session_manager_permissions._readiness.templates import Assembly
from tests.conftest import DATA, MakeApp
from tests.places import HERE

from .deployments import NO_VALUE
from .faults import ISOLATED, MACHINE, by_endpoints
from .faults import without_an_endpoint_of_messages as without_messages
from .launches import batch, by_id, ec2_fleet, nodes, scaling, template
from .networks import (
    GIVEN,
    ON,
    STACK,
    VPC_ID,
    Parts,
    compute,
    either,
    endpoint,
    part,
    templated,
    with_endpoints,
)
from .parts import att, each, nested, on, ref, resource, rows
from .reports import TRUST, Check, check_app, inline, machine, policy, profile_and_role, write
from .statements import (
    ALL,
    AWS,
    CHANNELS_ONLY,
    CORE,
    NEITHER,
    READY,
    UNKNOWN,
    Found,
    allow,
    may_assume,
)
from .test_what_findings_say import PATH, RDS

BARE_COMPUTE: Final = frozenset({"no-instance-profile"})
UNTRUSTED: Final = frozenset({"role-not-assumable"})
OFF: Final = frozenset({"metadata-off"})

MINIMAL: Final = f"resolve:ssm:{PATH}"


# An instance that can be reached -----------------------------------------------------------------


def trusts(written: object, **more: object) -> Parts:
    """A role with this trust policy, which AWS's own policy makes ready otherwise."""
    given = {"ManagedPolicyArns": [CORE], "AssumeRolePolicyDocument": written, **more}
    return {"Role": resource("AWS::IAM::Role", **given)}


def trusting(*statements: object) -> Parts:
    return trusts({"Statement": [*statements]})


def with_role(**changes: Any) -> Parts:  # noqa: ANN401
    """A template whose instance can be reached: behind a NAT gateway, with a profile and a role."""
    return templated(COMPUTE | changes)


def launched(**properties: object) -> Parts:
    """The instance, with other properties."""
    return {"Instance": compute(**properties)}


def bare(**properties: object) -> Parts:
    """The instance without a profile, with other properties."""
    return launched(IamInstanceProfile=NO_VALUE, **properties)


EC2: Final = may_assume("ec2.amazonaws.com")
COMPUTE: Final = {"Instance": on(compute(), ON)}


def test_one_cause_of_many_instances_is_one_finding(check: Check) -> None:
    parts = {f"Instance{number}": compute() for number in range(3)}

    report = check(with_role(PrivateRoute=None, Instance=None, **parts))

    assert report.violations == ["no-network-path"]
    assert [finding.logical_id for finding in report.findings] == [*parts]
    assert report.verdicts == {"not ready": 1}


@pytest.mark.parametrize(("region", "also", "is_open"), [
    ("us-east-1", {}, True),
    ("us-east-2", {}, False),
    ("eu-west-1", {}, False),
    ("us-east-1", {"Other": machine(IamInstanceProfile="web")}, False),
])  # fmt: skip
@pytest.mark.parametrize(("role", "found"), [
    ({}, NEITHER),
    ({**inline(ALL), "AssumeRolePolicyDocument": {"Statement": []}}, UNTRUSTED),
])  # fmt: skip
def test_host_management_in_the_region_of_compute(
    check: Check, region: str, also: Parts, role: Parts, found: Found, *, is_open: bool
) -> None:
    """It helps only in each region of compute. The profile's region, eu-west-1, does not count."""
    there = profile_and_role(role, **also)
    there["Resources"]["Profile"]["Properties"]["InstanceProfileName"] = "web"
    here = {"Machine": machine(IamInstanceProfile="web", SubnetId="subnet-1")}
    beside = {"Management": resource("AWS::SSM::DefaultHostManagementConfiguration")}
    bodies: Parts = {"There": there, "Here": {"Resources": here}, "Beside": {"Resources": beside}}
    at = {"There": "1/eu-west-1", "Here": "1/us-east-1", "Beside": f"1/{region}"}

    assert check(**bodies, at=at).rules == (UNKNOWN if is_open else found)


def test_permissions_alone(check: Check) -> None:
    body = with_role(**trusts({"Statement": [RDS]}, ManagedPolicyArns=[]), Other=machine())

    assert check(body, network=False).rules == NEITHER
    assert check(body).rules == NEITHER | UNTRUSTED | BARE_COMPUTE


# What else may give credentials ------------------------------------------------------------------

SETTING: Final = "/ssm/managed-instance/default-ec2-instance-management-role"
HOST_MANAGEMENT: Final = {"Management": resource("AWS::SSM::DefaultHostManagementConfiguration")}
STACK_SET: Final = "AWS::CloudFormation::StackSet"
REGISTERS: Final = "amazon-ssm-agent -register -code "


def other(kind: str, **properties: object) -> Parts:
    return {"Other": resource(kind, **properties)}


def custom(of: str) -> Parts:
    """A custom resource that refers to a resource of the template."""
    return {"Custom": resource("Custom::Attach", Of=ref(of))}


def setting(id_: object, value: str = "Role") -> Parts:
    return resource("AWS::SSM::ServiceSetting", SettingId=id_, SettingValue=value)


def may(effect: str, *actions: str) -> Parts:
    return {"Effect": effect, "Action": [*actions], "Resource": "*"}


def associating(*statements: object, **more: object) -> Parts:
    """A role of the app with these statements."""
    policies = [{"PolicyName": "p", "PolicyDocument": {"Statement": [*statements]}}]
    return resource("AWS::IAM::Role", **{"Policies": policies, **more})


OF_FLEET: Final = "LaunchTemplateSpecificationUserData"
ASSOCIATES: Final = associating(may("Allow", "ec2:AssociateIamInstanceProfile"))


def running(name: object) -> Parts:
    return resource("AWS::SSM::Association", Name=name)


def attaching(allowed: object) -> Parts:
    """Quick Setup that may attach policies to roles."""
    given = {"Parameters": {"IsPolicyAttachAllowed": allowed}}
    kind = "AWS::SSMQuickSetup::ConfigurationManager"
    return {"Setup": resource(kind, ConfigurationDefinitions=[given])}


def by_batch(**own: object) -> Parts:
    """A compute environment with a launch template of a minimal image, and images of its own."""
    place = {"Subnets": [ref("Private")], "SecurityGroupIds": [ref("Group")]}
    own |= place | {"InstanceRole": ref("Profile"), "LaunchTemplate": by_id("$Latest")}
    return {"Template": template(ImageId=MINIMAL), "Batch": batch(**own)}


def by_fleet(script: str, **own: object) -> Parts:
    """A fleet with a launch template of a minimal image, whose user data is a script."""
    data = {"ImageId": MINIMAL, "UserData": {"Fn::Base64": script}}
    place = {"IamInstanceProfile": {"Name": ref("Profile")}, "SecurityGroupIds": [ref("Group")]}
    launches = {"LaunchTemplateSpecification": by_id("$Latest") | own}
    fleet = ec2_fleet(launches | {"Overrides": [{"SubnetId": ref("Private")}]})
    return {"Template": template(**data, **place), "Fleet": fleet}


def registering(*parts: str) -> Parts:
    """User data with the code and the id of an activation between its parts."""
    code, id_, rest = parts
    return {"Fn::Base64": {"Fn::Join": ["", [code, ref("Code"), id_, ref("Id"), rest]]}}


def encoded(script: bytes) -> str:
    return encodebytes(script).decode()  # in lines


def with_config(parts: Parts, **config: Parts) -> Parts:
    """The instance of these parts, on which `cfn-init` applies this configuration."""
    init = {"AWS::CloudFormation::Init": {"config": config}}
    return {"Instance": parts["Instance"] | {"Metadata": init}}


def with_init(parts: Parts, command: str) -> Parts:
    return with_config(parts, commands={"a": {"command": command}})


def with_service(**given: str) -> Parts:
    return with_config(launched(), services={"systemd": {"amazon-ssm-agent": given}})


def with_script(*lines: str) -> Parts:
    return launched(UserData={"Fn::Base64": "\n".join(("#!/bin/bash", *lines, ""))})


def with_policy(written: object) -> Parts:
    """A role with this inline policy."""
    inline_ = {"PolicyName": "Inline", "PolicyDocument": written}
    return {"Role": resource("AWS::IAM::Role", **TRUST, Policies=[inline_])}


def of_aws(one: str, other: str) -> Parts:
    """A role with one of two AWS managed policies, as a condition chooses a part of the ARN."""
    arn = {"Fn::Sub": [f"{AWS}${{Name}}", {"Name": either(one, other)}]}
    return {"Role": resource("AWS::IAM::Role", **TRUST, ManagedPolicyArns=[arn])}


def by_name(action: str) -> Parts:
    """A role to which a policy of the app, which allows this, is attached by the role's name."""
    allows = {"Statement": [may("Allow", action)]}
    named = {"ManagedPolicyName": "named", "PolicyDocument": allows}
    arn = "arn:aws:iam::111122223333:policy/named"
    role = associating(ManagedPolicyArns=[arn])
    return {"Other": role, "Policy": resource("AWS::IAM::ManagedPolicy", **named)}


def document(content: object, kind: object = "Session", **properties: object) -> Parts:
    return resource("AWS::SSM::Document", DocumentType=kind, Content=content, **properties)


ATTACHES: Final = "AWS-AttachIAMToInstance"
MAKES_HOSTS: Final = "https://example.com/default-host-management.yaml"
RUNBOOK: Final = {"Fn::Sub": f"arn:aws:ssm:${{AWS::Region}}::automation-definition/{ATTACHES}"}
SETTING_ARN: Final = {"Fn::Sub": f"arn:aws:ssm:${{AWS::Region}}:1:servicesetting{SETTING}"}
ASSOCIATE: Final = "arn:aws:scheduler:::aws-sdk:ec2:associateIamInstanceProfile"
CALLS: Final = {"mainSteps": [{"inputs": {"Api": "AssociateIamInstanceProfile"}}]}
ADMINISTRATOR: Final = {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess"}
WINDOW: Final = "AWS::SSM::MaintenanceWindowTask"
LISTENS: Final = {"detail": {"eventName": ["AssociateIamInstanceProfile"]}}
ATTACHED: Final = {"Other": running(ATTACHES)}
GIVES_A_PROFILE: Final[list[tuple[str, Parts]]] = [
    ("Default Host Management", HOST_MANAGEMENT),
    ("custom resource with the instance", custom("Instance")),
    ("custom resource for Default Host Management",
     {"Custom": resource("Custom::AWS", Create=json.dumps({"SettingId": SETTING}))}),
    ("Quick Setup", {"Setup": resource("AWS::SSMQuickSetup::ConfigurationManager")}),
    *((f"stack set of {body}", other(STACK_SET, TemplateBody=body))
      for body in (ref("Body"), "AWS::SSM::DefaultHostManagementConfiguration", "Fn::ForEach::A")),
    ("association that attaches one", ATTACHED),
    ("association on a condition", {"Other": on(running(ATTACHES))}),
    ("association by a parameter", {"Other": running(GIVEN)}),
    *((f"remediation by {name}", other("AWS::Config::RemediationConfiguration", TargetId=name))
      for name in (ATTACHES, "AWS-SetupManagedRoleOnEc2Instance", "AWS-SetupManagedInstance")),
    ("function of a custom resource for Default Host Management", other(
        "AWS::Lambda::Function", Code={"ZipFile": f"update(SettingId={SETTING!r})"})),
    *((f"{kind} that names its setting", other(f"AWS::{kind}", Given=SETTING)) for kind in (
        "CodeBuild::Project", "ECS::TaskDefinition", "SSM::Association", "Scheduler::Schedule")),
    ("service setting by its id", {"Other": setting(SETTING)}),
    ("service setting by its ARN", {"Other": setting(SETTING_ARN)}),
    ("service setting by a parameter", {"Other": setting(GIVEN)}),
    ("rule that attaches one", other("AWS::Events::Rule", Targets=[{"Arn": RUNBOOK}])),
    ("schedule that attaches one", other("AWS::Scheduler::Schedule", Target={"Arn": ASSOCIATE})),
    ("window that attaches one", other(WINDOW, TaskType="AUTOMATION", TaskArn=ATTACHES)),
    ("runbook of the app that attaches one", {"Other": document(CALLS, "Automation")}),
    ("role that may give one", {"Other": ASSOCIATES}),
    ("administrator", {"Other": associating(ManagedPolicyArns=[ADMINISTRATOR])}),
    ("role that may give one of Quick Setup's", {"Other": associating(
        ManagedPolicyArns=[f"{AWS}AWSQuickSetupManagedInstanceProfileExecutionPolicy"])}),
    ("role on another condition that may give one", {"Other": on(ASSOCIATES, "Other")}),
    ("stack of Default Host Management by its name",
     {"DHMC": resource(STACK, TemplateURL="https://example.com/t.yaml")}),
    ("stack of Default Host Management by its URL", other(STACK, TemplateURL=MAKES_HOSTS)),
    ("conformance pack that attaches one", other(
        "AWS::Config::ConformancePack", TemplateBody=f"TargetId: {ATTACHES}")),
    ("function of SAM that may give one", other("AWS::Serverless::Function",
        Policies=[{"Statement": [may("Allow", "ec2:AssociateIamInstanceProfile")]}])),
    ("state machine of SAM that may give one", other("AWS::Serverless::StateMachine",
        Policies=[{"Statement": [may("Allow", "ec2:AssociateIamInstanceProfile")]}])),
    ("state machine that gives one", other("AWS::StepFunctions::StateMachine",
        DefinitionString={"Fn::Join": ["", ['{"Resource": "', ASSOCIATE, '"}']]})),
    *((f"{kind} that has {call}", other(f"AWS::{kind}", Script=call)) for kind, call in (
        ("Lambda::Function", "client.associate_iam_instance_profile()"),
        ("CodeBuild::Project", "aws ec2 associate-iam-instance-profile"),
        ("ECS::TaskDefinition", "Register-EC2IamInstanceProfile"))),
    ("role whose policy can't be read", {"Other": associating(Policies=[
        {"PolicyName": "p", "PolicyDocument": GIVEN}])}),
    ("role with the policy of a name that allows it", by_name("ec2:*")),
    ("encoded activation", bare(UserData=encoded(b"amazon-ssm-agent -register -code 1 -id 2"))),
    ("compressed script", bare(UserData=encoded(compress(b"yum update")))),
    *((f"script by {one}", bare(UserData={"Fn::Base64": one}))
      for one in (GIVEN, {"Fn::FindInMap": ["Scripts", GIVEN, "Script"]})),
    ("activation by cfn-init", with_init(bare(), f"{REGISTERS}1 -id 2")),
    ("activation by a choice", bare(UserData={"Fn::Base64": {"Fn::Join": [
        "", ["amazon-ssm-agent -register", either(" -code 1 -id 2", " -clear")]]}})),
    ("activation of ssm-setup-cli", bare(UserData=registering(
        "ssm-setup-cli -register -activation-code=", " -activation-id=", ""))),
    ("activation of ECS Anywhere", bare(UserData=registering(
        "bash ecs-anywhere-install.sh --activation-code ", " --activation-id ", ""))),
    ("activation of the installer for Windows", bare(UserData=registering(
        'AmazonSSMAgentSetup.exe -ArgumentList @("/q", "CODE=', '", "ID=', '")'))),
    ("included properties", bare(**{"Fn::Transform": {"Name": "AWS::Include"}})),
    ("macro beside its properties", {"Instance": machine() | {"Fn::Transform": {"Name": "M"}}}),
]  # fmt: skip
GIVES_NONE: Final[list[tuple[str, Parts]]] = [
    ("nothing", {}),
    ("stack that is not read", other(STACK, TemplateURL="https://example.com/vpc.yaml")),
    ("custom resource with something else", custom("Nat")),
    ("another stack set", other(STACK_SET, TemplateBody="AWS::SNS::Topic")),
    ("another association", {"Other": running("AWS-SetupInventory")}),
    ("association of a document of the app",
     {"Other": running(ref("Doc")), "Doc": document({"schemaVersion": "2.2"}, "Command")}),
    *((f"{kind} that names the setting of Default Host Management", other(
        f"AWS::{kind}", Given=SETTING)) for kind in ("IAM::Policy", "SSO::PermissionSet")),
    ("another service setting", {"Other": setting("/ssm/managed-instance/activation-tier")}),
    ("service setting that turns it off", {"Other": setting(SETTING, "$None")}),
    ("rule that listens", other("AWS::Events::Rule", EventPattern=LISTENS, Targets=[{"Arn": "a"}])),
    ("maintenance window of a function", {"Function": resource("AWS::Lambda::Function"),
        **other(WINDOW, TaskArn=att("Function", "Arn"))}),
    *((f"{kind} that has {call}", other(f"AWS::{kind}", Script=call)) for kind, call in (
        ("Lambda::Function", "client.disassociate_iam_instance_profile()"),
        ("SSM::Document", "Unregister-EC2IamInstanceProfile"),
        ("Logs::MetricFilter", "AssociateIamInstanceProfile"), ("S3::Bucket", "dhmc-reports"))),
    ("role that may write logs", {"Other": associating(
        ManagedPolicyArns=[f"{AWS}CloudWatchAgentServerPolicy"])}),
    ("role that may not give one", {"Other": associating(may("Allow", "ec2:DescribeInstances"))}),
    ("denied role", {"Other": associating(may("Allow", "ec2:*"), may("Deny", "ec2:Associate*"))}),
    ("role with the policy of a name that allows something else", by_name("s3:*")),
    ("parameter that names a runbook", other("AWS::SSM::Parameter", Value=ATTACHES)),
    ("encoded script", bare(UserData=encoded(b"yum update"))),
    ("other cfn-init", with_init(bare(), "yum update")),
    ("registered elsewhere", bare(UserData={"Fn::Base64": "runner.sh --register --id 1"})),
    ("installer without an activation",
     bare(UserData={"Fn::Base64": "AmazonSSMAgentSetup.exe /q /log install.log"})),
    ("another installer", bare(UserData={"Fn::Base64": "Setup.exe CODE=1 ID=2"})),
    ("unknown subnet", bare(SubnetId="subnet-1")),
]  # fmt: skip
BARE: Final = {"Role": resource("AWS::IAM::Role", **TRUST)}
CHANNELS_LACK: Final = {
    "Role": resource("AWS::IAM::Role", **TRUST, **inline(allow("ssm:UpdateInstanceInformation")))
}
ACTIVATED: Final = {"UserData": registering(REGISTERS, " -id ", "")}
IN_JSON: Final = {"Policy": resource("AWS::IAM::Policy", Roles=[ref("Role")], PolicyDocument=(
    json.dumps({"Statement": [may("Allow", "ssm:*", "ssmmessages:*")]})))}  # fmt: skip
OTHER_PROFILE: Final = launched(**ACTIVATED, IamInstanceProfile=ref("Other")) | {
    "Other": resource("AWS::IAM::InstanceProfile", Roles=[ref("OtherRole")]),
    "OtherRole": trusting(EC2)["Role"],
}


def calling(**actions: str) -> Parts:
    """An `AwsCustomResource` of CDK whose calls to AWS are about the role."""
    calls = {
        name: {"Fn::Join": ["", [f'{{"action":"{action}","RoleName":"', ref("Role"), '"}']]}
        for name, action in actions.items()
    }
    return {"Custom": resource("Custom::AWS", **calls)}


DISABLED: Final = {"HttpEndpoint": "disabled"}
BY_ARN: Final = {"IamInstanceProfile": {"Arn": att("Profile", "Arn")}}
METADATA_OFF: Final = launched(MetadataOptions=DISABLED)
DYNAMIC: Final = "{{resolve:ssm:service}}"
IF: Final = either(GIVEN, "other")
NAME_IN_ARN: Final = {"Fn::Select": [1, {"Fn::Split": ["/", att("Profile", "Arn")]}]}
OWN_NAME: Final = {"RoleName": "web", "AssumeRolePolicyDocument": {"Statement": []}}
SHUT: Final = {"PrivateRoute": None}
NO_WAY: Final = frozenset({"no-network-path"})
PROXY_OF_AGENT: Final = (
    "cat > /etc/systemd/system/amazon-ssm-agent.service.d/override.conf <<E",
    "Environment='https_proxy=http://10.0.0.9:3128'",
    "E",
)
LACKING: Final = frozenset({"agent-missing"})
OVERRIDES: Final = {"Ec2Configuration": [{"ImageIdOverride": "ami-1"}]}
OF_TWO: Final = {"Ec2Configuration": [{"ImageIdOverride": "ami-1"}, {"ImageType": "ECS_AL2023"}]}
CONFIGURED: Final = ('echo \'{"Ssm": {"Endpoint": "a"}}\' > /etc/amazon/ssm/amazon-ssm-agent.json',)
BUILDER: Final = "AWS::ImageBuilder::"


def built(command: str = "yum update -y", **agent: object) -> Parts:
    """An image of EC2 Image Builder, whose component runs this, and an instance of the image."""
    step = "  - action: ExecuteBash\n    inputs:\n      commands:\n"
    data = f"phases:\n- name: build\n  steps:\n{step}      - {command}\n"
    more = {"AdditionalInstanceConfiguration": {"SystemsManagerAgent": agent}}
    components = [{"ComponentArn": ref("Component")}]
    return launched(ImageId=att("Image", "ImageId")) | {
        "Component": resource(f"{BUILDER}Component", Platform="Linux", Data=data),
        "Recipe": resource(f"{BUILDER}ImageRecipe", Components=components, **more),
        "Image": resource(f"{BUILDER}Image", ImageRecipeArn=ref("Recipe")),
    }


def manifest(*texts: object) -> Parts:
    """A manifest of Kubernetes, made of these texts."""
    written = {"Fn::Join": ["", [*texts]]}
    return {"Manifest": resource("Custom::AWSCDK-EKS-KubernetesResource", Manifest=written)}


def node_class(key: str, value: object) -> Parts:
    """The manifest by which Karpenter launches nodes."""
    return manifest(f'[{{"kind":"EC2NodeClass","spec":{{"{key}":"', value, '"}}]')


def function(value: object) -> Parts:
    return {"Function": resource("AWS::Lambda::Function", Environment={"Variables": {"P": value}})}


def associated(command: str) -> Parts:
    """An association that runs a command."""
    given = {"Name": "AWS-RunShellScript", "Parameters": {"commands": [command]}}
    return other("AWS::SSM::Association", **given)


def scripted(command: str) -> Parts:
    return launched(UserData={"Fn::Base64": {"Fn::Sub": f"#!/bin/bash\n{command}\n"}})


TO_TEMPLATE: Final = {
    "Region": "eu-west-1",
    "LaunchTemplateConfigurations": [{"LaunchTemplateId": ref("Template")}],
}
DISTRIBUTED: Final = {
    "Distribution": resource(f"{BUILDER}DistributionConfiguration", Distributions=[TO_TEMPLATE]),
    "Pipeline": resource(f"{BUILDER}ImagePipeline", ImageRecipeArn=ref("Recipe"),
                         DistributionConfigurationArn=ref("Distribution")),
    "Template": template(ImageId="ami-1"),
}  # fmt: skip
CALLED: Final = {"Profile": resource(
    "AWS::IAM::InstanceProfile", InstanceProfileName="nodes", Roles=[ref("Role")])}  # fmt: skip
SOURCE: Final = "https://s3.{Region}.amazonaws.com/amazon-ssm-{Region}/ssm-agent-manifest.json"
PLUG_IN: Final = {"agentName": "amazon-ssm-agent", "source": SOURCE}
UPDATES: Final = {"schemaVersion": "1.2", "runtimeConfig": {
    "aws:updateSsmAgent": {"properties": [PLUG_IN]}}}  # fmt: skip
IN_EMR: Final = {"Ec2SubnetId": ref("Private")} | {
    f"EmrManaged{one}SecurityGroup": ref("Group") for one in ("Master", "Slave")}  # fmt: skip
LAUNCHES: Final = '{"action": "aws:runInstances", "IamInstanceProfileName": "'
RUNS_INSTANCES: Final = {"Fn::Join": ["", [LAUNCHES, ref("Profile"), '"}']]}
SAYS: Final = '{"schemaVersion": "2.2", "description": "Is amazon-ssm-agent there?"}'
STOPS: Final = '{"mainSteps": [{"inputs": {"runCommand": ["systemctl stop amazon-ssm-agent"]}}]}'
ANY_PROFILE: Final = "arn:${AWS::Partition}:iam::${AWS::AccountId}:instance-profile/${Profile}"
EITHER_PROFILE: Final = launched(
    IamInstanceProfile=either(ref("Other"), ref("Profile"), "C0"),
    SecurityGroupIds=[either(f"sg-1{one}", f"sg-2{one}", f"C{one}") for one in range(1, 8)],
)
LATER: Final[list[tuple[str, Parts, Found]]] = [
    ("image whose build uninstalls the agent", built(UninstallAfterBuild=True), UNKNOWN),
    ("image whose build may uninstall the agent", built(UninstallAfterBuild=GIVEN), UNKNOWN),
    ("image whose build keeps the agent", built(UninstallAfterBuild="false"), READY),
    ("image whose build removes the agent", built("yum remove -y amazon-ssm-agent"), UNKNOWN),
    ("image whose build installs the agent", built("yum install -y amazon-ssm-agent"), READY),
    ("another image than the one without the agent",
     built(UninstallAfterBuild=True) | launched(ImageId="ami-1"), READY),
    ("launch template that gets an image without the agent", built(UninstallAfterBuild=True)
     | DISTRIBUTED | launched(LaunchTemplate=by_id("$Latest")), UNKNOWN),
    ("manifest with the profile", node_class("instanceProfile", ref("Profile")), UNKNOWN),
    ("manifest with the role of Karpenter's profile", node_class("role", ref("Role")), UNKNOWN),
    ("manifest with the profile's name", CALLED | node_class("instanceProfile", "nodes"), UNKNOWN),
    ("function whose code has the name of the profile", CALLED | other(
        "AWS::Lambda::Function", Code={"ZipFile": "IamInstanceProfile={'Name':'nodes'}"}), UNKNOWN),
    ("manifest with another name", CALLED | node_class("instanceProfile", "other"), READY),
    ("manifest that lets the role join a cluster", manifest(
        '[{"kind":"ConfigMap","data":{"rolearn":"', att("Role", "Arn"), '"}}]'), READY),
    ("function with the profile", function(att("Profile", "Arn")), UNKNOWN),
    ("function with the role", function(att("Role", "Arn")), READY),
    ("runbook with the profile", {"Other": document({"InstanceProfile": ref("Profile")})}, UNKNOWN),
    ("runbook with another profile", {"Other": document({"InstanceProfile": "{{ P }}"})}, READY),
    ("function that is made after the profile",
     {"Function": function("p")["Function"] | {"DependsOn": "Profile"}}, READY),
    ("function that describes and tags itself by the profile", other(
        "AWS::Lambda::Function", Description={"Fn::Sub": "of ${Profile}"},
        Tags=[{"Key": "of", "Value": ref("Profile")}]), READY),
    ("custom resource with the profile", other("Custom::Launch", Of={"Fn::Sub": "${Profile.Arn}"}),
     UNKNOWN),
    ("association that stops the agent", associated("systemctl stop amazon-ssm-agent"), UNKNOWN),
    ("association to restart the agent", associated("systemctl restart amazon-ssm-agent"), READY),
    ("document about something else", other("AWS::SSM::Document", Content="yum remove vim"), READY),
    *((f"{kind} that stops the agent", other(f"AWS::{kind}", Content=STOPS), found)
      for found, kinds in ((READY, ["ECS::TaskDefinition"]), (UNKNOWN, [
        "Lambda::Function", "SSM::Document", "SSM::MaintenanceWindowTask", "Serverless::Function",
        "StepFunctions::StateMachine"])) for kind in kinds),
    *((f"step of Amazon EMR to {does} the agent", {"Instance": resource("AWS::EMR::Cluster",
        JobFlowRole=ref("Profile"), Instances=IN_EMR, Steps=[f"snap {does} amazon-ssm-agent"])},
       found) for does, found in (("stop", UNKNOWN), ("start", READY))),
    ("association that says that it updates the agent", other("AWS::SSM::Association",
        Name="AWS-UpdateSSMAgent", AssociationName="amazon-ssm-agent-is-new"), READY),
    ("association that disables the metadata", other("AWS::SSM::Association",
        Name="Ours", Parameters={"HttpEndpoint": ["disabled"]}), UNKNOWN),
    *((f"custom resource that calls {call} with {given}", other("Custom::AWS", Create=json.dumps(
        {"action": call, "parameters": given}, separators=(",", ":"))), found)
      for call, given, found in (
          ("modifyInstanceMetadataOptions", {"HttpEndpoint": "disabled"}, UNKNOWN),
          ("modifyInstanceMetadataOptions", {"HttpEndpoint": "enabled"}, READY),
          ("disassociateIamInstanceProfile", {"AssociationId": "a"}, UNKNOWN))),
    ("document that updates the agent by the plug-in", {"Other": document(UPDATES)}, READY),
    ("document that says that it is about the agent", other("AWS::SSM::Document",
        Content=SAYS, Tags=[{"Key": "of", "Value": "amazon-ssm-agent"}]), READY),
    ("association of the instance itself that stops the agent",
     launched(SsmAssociations=[{"DocumentName": "Ours", "AssociationParameters": [
         {"Key": "commands", "Value": ["systemctl stop amazon-ssm-agent"]}]}]), UNKNOWN),
    ("script that launches instances under the profile",
     scripted("aws ec2 run-instances --iam-instance-profile Name=${Profile}"), UNKNOWN),
    ("script that launches instances under the name of the profile",
     CALLED | with_script("aws ec2 run-instances --iam-instance-profile Name=nodes"), UNKNOWN),
    *((f"schedule that launches instances under the name {name}", CALLED | other(
        "AWS::Scheduler::Schedule", Input=f'{{"IamInstanceProfile":{{"Name":"{name}"}}}}'), found)
      for name, found in (("nodes", UNKNOWN), ("others", READY))),
    ("script that names the profile", scripted("echo ${Profile}"), READY),
    ("script about other profiles", scripted("aws iam list-instance-profiles"), READY),
    ("runbook that launches instances under the profile",
     {"Other": document(RUNS_INSTANCES, "Automation")}, UNKNOWN),
    ("launch template with the ARN of the profile", bare(LaunchTemplate=by_id("$Latest"))
     | {"Template": template(IamInstanceProfile={"Arn": {"Fn::Sub": ANY_PROFILE}})}, READY),
    ("rule that waits for changes of the profile", other("AWS::Events::Rule", EventPattern={
        "detail": {"requestParameters": {"instanceProfileName": [ref("Profile")]}}}), READY),
    ("rule that gives its target the profile", other(
        "AWS::Events::Rule", Targets=[{"Id": "a", "Arn": "a", "Input": ref("Profile")}]), UNKNOWN),
    ("profile that only worlds beyond the bound have, beside one that is not ready",
     EITHER_PROFILE | {"Lacking": BARE["Role"], "Other": resource(
         "AWS::IAM::InstanceProfile", Roles=[ref("Lacking")])}, NEITHER | UNKNOWN),
]  # fmt: skip
IDENTITIES: Final[list[tuple[str, Parts, Found]]] = [
    ("ready", {}, READY),
    *((name, launched() | parts, found) for name, parts, found in LATER),
    *[(f"no profile, {name}", bare() | parts, UNKNOWN) for name, parts in GIVES_A_PROFILE],
    *[(f"no profile, {name}", bare() | parts, BARE_COMPUTE) for name, parts in GIVES_NONE],
    ("profile, and registered with an activation", launched(**ACTIVATED), READY),
    ("profile of another app", launched(IamInstanceProfile="other"), UNKNOWN),
    ("profile by the name in its ARN", launched(IamInstanceProfile=NAME_IN_ARN), READY),
    ("profile with the name of its role",
     {"Profile": resource("AWS::IAM::InstanceProfile", InstanceProfileName=ref("Role"),
         Roles=[ref("Role")]), **launched(IamInstanceProfile=ref("Role"))}, READY),
    ("role in place of the profile", launched(IamInstanceProfile=ref("Role")), UNKNOWN),
    ("profile by the name in its ARN, with a path by a parameter", {
        "Profile": resource("AWS::IAM::InstanceProfile", Roles=[ref("Role")], Path=GIVEN),
        **launched(IamInstanceProfile=NAME_IN_ARN)}, UNKNOWN),
    ("profile on a condition", launched(IamInstanceProfile=IF), UNKNOWN),
    ("bare role", BARE, NEITHER),
    ("bare role, activation", BARE | launched(**ACTIVATED), UNKNOWN),
    *((f"bare role, {kind} with {given}", BARE | other(f"AWS::{kind}", **given), found)
      for kind, given, found in (
        ("Lambda::Function", {"Code": "associate_iam_instance_profile()"}, NEITHER),
        ("Lambda::Function", {"Code": f"start_automation_execution({ATTACHES!r})"}, UNKNOWN),
        ("ECS::TaskDefinition", {"Runs": "Set-EC2IamInstanceProfileAssociation"}, UNKNOWN),
        ("ECS::TaskDefinition", {"Runs": "replace_iam_instance_profile_association"}, UNKNOWN),
        ("FIS::ExperimentTemplate", {"Actions": [ATTACHES]}, UNKNOWN),
        ("ApplicationInsights::Application", {"AttachMissingPermission": "true"}, UNKNOWN),
        ("ApplicationInsights::Application", {"AttachMissingPermission": False}, NEITHER),
        ("Config::ConformancePack", {"TemplateS3Uri": "s3://packs/pack.yaml"}, UNKNOWN),
        ("Config::ConformancePack", {"TemplateBody": "Resources: {}"}, NEITHER),
        ("SSM::Association", {"Name": {"Fn::ImportValue": "Runbook"}}, UNKNOWN),
        ("Events::Rule", {"Targets": [{"Arn": {"Fn::ImportValue": "Function"}}]}, NEITHER))),
    ("bare role, activation under another profile", BARE | OTHER_PROFILE, NEITHER),
    ("bare role, policy in JSON", BARE | IN_JSON, frozenset({"boot-order"})),
    ("bare role, Default Host Management", BARE | HOST_MANAGEMENT, UNKNOWN),
    ("bare role, role that may give a profile", BARE | {"Other": ASSOCIATES}, NEITHER),
    *((f"bare role, {command}", BARE | associated(f"aws ec2 {command}"), found)
      for command, found in (("associate-iam-instance-profile", UNKNOWN),
                             ("disassociate-iam-instance-profile", NEITHER))),
    ("bare role, custom resource with the role", BARE | custom("Role"), UNKNOWN),
    *((f"bare role, AwsCustomResource with the role: {actions}", BARE | calling(**actions), found)
      for actions, found in (
        ({"Create": "attachRolePolicy"}, UNKNOWN), ({"Create": "getRole"}, NEITHER),
        ({"Create": "ListRolePoliciesCommand", "Update": "getRole"}, NEITHER),
        ({"Create": "getRole", "Delete": "detachRolePolicy"}, UNKNOWN),
        ({"Create": 'getRole","with":{"action":"'}, UNKNOWN))),
    ("bare role, custom resource with the profile", BARE | custom("Profile"), UNKNOWN),
    ("bare role, custom resource with something else", BARE | custom("Nat"), NEITHER),
    ("role without channels, Default Host Management", CHANNELS_LACK | HOST_MANAGEMENT, NEITHER),
    *((f"role without channels, Quick Setup where policies are attached: {allowed}",
       CHANNELS_LACK | attaching(allowed), found)
      for allowed, found in (("true", UNKNOWN), ("false", NEITHER), (GIVEN, UNKNOWN))),
    ("either of two policies of AWS",
     of_aws("AmazonSSMManagedInstanceCore", "AmazonSSMManagedEC2InstanceDefaultPolicy"), READY),
    ("a policy of AWS, or one about something else",
     of_aws("AmazonSSMManagedInstanceCore", "AmazonS3FullAccess"), UNKNOWN),
    ("a policy of AWS, or a deprecated one", of_aws("AmazonSSMManagedInstanceCore",
        "service-role/AmazonEC2RoleforSSM"), frozenset({"deprecated-policy"})),
    ("policy of AWS that has the name of a deprecated one", {"Role": resource("AWS::IAM::Role",
        **TRUST, ManagedPolicyArns=[CORE, f"{AWS}AmazonEC2RoleforSSM"])}, UNKNOWN),
    ("role by name, on a condition",
     {"Role": on(resource("AWS::IAM::Role", **OWN_NAME, ManagedPolicyArns=[CORE])),
      "Profile": resource("AWS::IAM::InstanceProfile", Roles=["web"])}, UNKNOWN),
    ("shut, proxy by cfn-init", SHUT | with_init(launched(), "export https_proxy=1"), UNKNOWN),
    ("shut, encoded proxy", SHUT | launched(UserData=encoded(b"export https_proxy=1")), UNKNOWN),
    ("shut, encoded script", SHUT | launched(UserData=encoded(b"yum update")), NO_WAY),
    ("image without the agent in one world", launched(ImageId=either(MINIMAL, "ami-1")), UNKNOWN),
    ("image without the agent, custom resource with the instance",
     launched(ImageId=MINIMAL) | custom("Instance"), UNKNOWN),
    *((f"images of AWS Batch by {own}", by_batch(**own), found) for own, found in (
        ({}, LACKING), (OF_TWO, LACKING), (OVERRIDES, READY), (OF_TWO | {"ImageId": "a"}, READY),
        (OVERRIDES | {"ImageId": MINIMAL}, UNKNOWN), (OF_TWO | {"ImageId": MINIMAL}, LACKING))),
    ("agent stopped by cfn-init", with_service(ensureRunning="false"), UNKNOWN),
    ("agent started by cfn-init", with_service(ensureRunning="true"), READY),
    *((f"agent stopped by the user data of a template, with {own}", {
        "Template": template(UserData={"Fn::Base64": "systemctl stop amazon-ssm-agent"}),
        **launched(LaunchTemplate=by_id("$Latest"), **own),
      }, found) for own, found in (({}, UNKNOWN), ({"UserData": encoded(b"yum update")}, READY))),
    *((f"a fleet of a template that runs {of}, with {own}", by_fleet(of, **own), found)
      for of, own, found in (
        ("yum update", {}, LACKING), ("dnf install amazon-ssm-agent", {}, UNKNOWN),
        ("yum update", {OF_FLEET: encoded(b"dnf install amazon-ssm-agent")}, UNKNOWN),
        ("dnf install amazon-ssm-agent", {OF_FLEET: {"Fn::Base64": "yum update"}}, LACKING))),
    ("proxy of the agent", with_script(*PROXY_OF_AGENT), UNKNOWN),
    ("proxy of something else", with_script(
        "export http_proxy=http://10.0.0.9", "yum install -y amazon-ssm-agent"), READY),
    ("shut, configuration of the agent", SHUT | with_script(*CONFIGURED), UNKNOWN),
    ("shut, the agent restarted", SHUT | with_script("systemctl restart amazon-ssm-agent"), NO_WAY),
    ("configuration of the agent", with_script(*CONFIGURED), READY),
    *((f"metadata service: {of}", with_script(of), found) for of, found in (
        ("aws ec2 modify-instance-metadata-options --http-endpoint disabled", UNKNOWN),
        ("aws ec2 disassociate-iam-instance-profile --association-id $ID", UNKNOWN),
        ("Unregister-EC2IamInstanceProfile -AssociationId $id", UNKNOWN),
        ("ec2.replace_iam_instance_profile_association(AssociationId=its)", UNKNOWN),
        ("aws ec2 describe-iam-instance-profile-associations", READY),
        ("Edit-EC2InstanceMetadataOption -HttpEndpoint 'Disabled'", UNKNOWN),
        ("aws ec2 modify-instance-metadata-options --http-endpoint enabled", READY))),
    ("agent stopped in encoded user data",
     launched(UserData=encoded(b"#!/bin/sh\nsnap stop amazon-ssm-agent\n")), UNKNOWN),
    ("agent stopped in a part of the user data", launched(UserData={"Fn::Base64": {
        "Fn::Join": ["", ["--", {"Fn::Base64": "systemctl stop amazon-ssm-agent"}]]}}), UNKNOWN),
    *((f"choices: {of}", launched(UserData={"Fn::Base64": {"Fn::Join": ["", of]}}), found)
      for of, found in (
        (["systemctl restart amazon-ssm-agent\n",
          *(either(f"a{one}", f"b{one}", f"C{one}") for one in range(1, 8))], READY),
        (["systemctl ", either("stop", "start"), " amazon-ssm-agent"], UNKNOWN),
        (["systemctl ", either("start", "enable --now"), " amazon-ssm-agent"], READY),
        (["apt-get ", either("remove", "install"), " snapd"], UNKNOWN),
        (["Get-Service AmazonSSMAgent ", either("|", "#"), " Stop-Service"], UNKNOWN),
        (["Get-Service AmazonSSMAgent ", either("|", "#"), " Start-Service"], READY),
        (["msiexec ", either("/x", "/i"), " AmazonSSMAgentSetup.msi"], UNKNOWN),
        (["--http-endpoint ", either("disabled", "enabled")], UNKNOWN),
        ([{"Fn::Select": [either("0", "1"), ["snap stop amazon-ssm-agent", "x"]]}], UNKNOWN),
        ([{"Fn::Select": [either("0", "1"), ["snap start amazon-ssm-agent", "x"]]}], READY),
        (["host-containers.control]\nenabled = ", either("false", "true")], UNKNOWN),
        (["host-containers.control]\n", either("enabled", "x"), " = false"], UNKNOWN))),
    ("policy in JSON that Fn::Sub makes", with_policy({"Fn::Sub": json.dumps(
        {"Statement": [ALL | {"Sid": "${AWS::StackName}"}]})}), READY),
    *((f"policy in JSON that Fn::Join makes, for {region}", with_policy({"Fn::Join": ["", [
        '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": ',
        '{"StringEquals": {"aws:RequestedRegion": "', region, '"}}}}']]}), found)
      for region, found in ((ref("AWS::Region"), READY), ("${AWS::Region}", UNKNOWN))),
    ("policy by a function that makes JSON", with_policy(
        {"Fn::ToJsonString": {"Statement": [CHANNELS_ONLY]}}), frozenset({"registration-missing"})),
    ("policy by a function that makes JSON, on a condition", with_policy({"Fn::ToJsonString": {
        "Fn::If": ["Production", {"Statement": [ALL]}, {"Statement": [allow("*")]}]}}), READY),
    ("policy in a text by a parameter", with_policy(GIVEN), UNKNOWN),
    ("properties of a macro", launched(**{"Fn::Transform": {"Name": "M"}}), UNKNOWN),
    ("loop in its tags", launched(Tags={"Fn::ForEach::Tags": ["T", ["a"], {}]}), READY),
    ("loop of what names a profile", {"Instance": None, "Fn::ForEach::Nodes": ["T", ["A"], {
        "N${T}": resource("AWS::PCS::ComputeNodeGroup", **BY_ARN)}]}, UNKNOWN),
    ("loop of topics", {"Fn::ForEach::Topics": ["T", ["A"], {"T${T}": resource("AWS::SNS::Topic"),
        "P${T}": resource("AWS::IAM::InstanceProfile")}]}, READY),
    ("metadata off, registered", launched(MetadataOptions=DISABLED, **ACTIVATED), UNKNOWN),
    ("metadata off, custom resource with the instance", METADATA_OFF | custom("Instance"), UNKNOWN),
    *((f"metadata off, custom resource with the {of}", custom(of) | {
        "Instance": scaling(LaunchTemplate=by_id("$Latest"), VPCZoneIdentifier=[ref("Private")]),
        "Template": template(MetadataOptions=DISABLED, **BY_ARN)}, found)
      for of, found in (("Template", UNKNOWN), ("Nat", OFF))),
    ("metadata on, custom resource with the instance", custom("Instance"), READY),
    ("metadata off, Default Host Management", METADATA_OFF | HOST_MANAGEMENT, OFF),
    ("trust in JSON", trusts(json.dumps({"Statement": [EC2]})), READY),
    ("trust by Fn::ToJsonString", trusts({"Fn::ToJsonString": {"Statement": [EC2]}}), READY),
    ("trust of RDS, custom resource with the role", trusting(RDS) | custom("Role"), UNKNOWN),
    ("trust of RDS, Default Host Management", trusting(RDS) | HOST_MANAGEMENT, UNKNOWN),
    ("trust of RDS, another profile attached", trusting(RDS) | ATTACHED, UNKNOWN),
    ("trust by a dynamic reference", trusting(may_assume(DYNAMIC)), UNKNOWN),
    ("denied trust by a dynamic reference", trusting(EC2, may_assume(DYNAMIC, "Deny")), UNKNOWN),
    ("trust of a macro", trusts({"Fn::Transform": {"Name": "M"}, "Statement": []}), UNKNOWN),
    ("trust by Fn::Sub", trusting(may_assume({"Fn::Sub": "ec2.${AWS::URLSuffix}"})), READY),
    ("trust of a parameter", trusting(may_assume(GIVEN)), UNKNOWN),
    ("trust on a condition", trusting(may_assume(IF)), UNKNOWN),
    ("trust of a statement that is not there", trusting(EC2, NO_VALUE), READY),
    ("trust of a statement on a condition", trusting(either(EC2, EC2)), READY),
    ("trust that can't be read", trusts(GIVEN), UNKNOWN),
    ("unknown subnet", launched(SubnetId="subnet-1"), UNKNOWN),
    ("unused launch template", {"Launch": resource("AWS::EC2::LaunchTemplate")}, UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), rows(IDENTITIES))
def test_identity(check: Check, changes: Parts, expected: Found) -> None:
    report = check(with_role(**changes))

    assert report.rules == expected
    assert report.violations.count("cannot-be-known") <= 1


@pytest.mark.parametrize(
    ("does", "expected"), [("leaves it running", READY), ("may stop it", UNKNOWN)]
)
def test_commands_about_the_agent(check: Check, does: str, expected: Found) -> None:
    for script in json.loads((DATA / "agent_scripts.json").read_text())[does]:
        assert check(with_role(**with_script(script))).rules == expected, script
        if script[0] not in "-[":  # which is of other settings, and no command
            assert check(with_role(**with_init(launched(), script))).rules == expected, script


@pytest.mark.parametrize(("there", "expected"), [("Here", UNKNOWN), ("There", BARE_COMPUTE)])
def test_macro_is_of_its_template(check: Check, there: str, expected: Found) -> None:
    """A macro may change each resource of its own template, and none of another one."""
    bodies: Parts = {"Here": with_role(**bare()), "There": {"Resources": {}}}
    bodies[there]["Transform"] = "Macro"

    assert check(**bodies).rules == expected


def test_what_sam_gives_to_all_functions(check: Check) -> None:
    shared = {"Function": {"Environment": {"Variables": {"PROFILE": ref("Profile")}}}}
    body = with_role(Function=resource("AWS::Serverless::Function")) | {"Globals": shared}

    assert check(body).rules == UNKNOWN


@pytest.mark.parametrize(("role", "given", "expected", "verdict"), [
    (trusting(EC2), att("Role", "Arn"), READY, "ready"),
    (trusting(may_assume("eks.amazonaws.com")), att("Role", "Arn"), UNTRUSTED, "not ready"),
    (BARE, att("Role", "Arn"), NEITHER, "not ready"),
    (trusting(may_assume(GIVEN)), att("Role", "Arn"), UNKNOWN, "can't be known"),
    ({}, "arn:aws:iam::111122223333:role/other", UNKNOWN, "can't be known"),
    ({}, GIVEN, UNKNOWN, "can't be known"),
])  # fmt: skip
def test_node_role(check: Check, role: Parts, given: object, expected: Found, verdict: str) -> None:
    changes = {
        "Instance": None, "Profile": None, "Cluster": resource("AWS::EKS::Cluster", Name="cluster"),
        "Nodes": nodes(NodeRole=given, Subnets=[ref("Private")]),
    }  # fmt: skip

    report = check(with_role(**changes, **role))

    assert report.rules == expected
    assert report.verdicts == {verdict: 1}


@pytest.mark.parametrize(("gives", "place", "expected"), [
    (HOST_MANAGEMENT, "111122223333/eu-west-1", UNKNOWN),
    (HOST_MANAGEMENT, "unknown-account/unknown-region", UNKNOWN),
    (HOST_MANAGEMENT, "111122223333/us-east-1", BARE_COMPUTE),
    (HOST_MANAGEMENT, "444455556666/eu-west-1", BARE_COMPUTE),
    # of any region
    *(({"Setup": resource(f"AWS::{kind}")}, "444455556666/us-east-1", UNKNOWN) for kind in (
        "Config::OrganizationConformancePack", "SSMQuickSetup::ConfigurationManager")),
])  # fmt: skip
def test_host_management_region(check: Check, gives: Parts, place: str, expected: Found) -> None:
    there = {"Resources": gives}
    assert check(Here=with_role(**bare()), There=there, at={"There": place}).rules == expected


# What sessions use -------------------------------------------------------------------------------

OF_KEY: Final = {"kmsKeyId": "arn:aws:kms:eu-west-1:111122223333:key/1234abcd"}
ENFORCED: Final = {"cloudWatchLogGroupName": "sessions", "cloudWatchEncryptionEnabled": True}
MISSING: Final = frozenset({"endpoint-missing"})
LOST: Final = frozenset({"log-lost"})


def of(inputs: object) -> Parts:
    return {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}


KEYED: Final = document(of(OF_KEY))
DOCUMENTS: Final[dict[Found, tuple[list[Parts], ...]]] = {
    READY: ([], [document(of({"kmsKeyId": ""}))], [document(of({"kmsKeyId": NO_VALUE}))], [document(
        {"schemaVersion": "1.0", "sessionType": "Port"})], [document(of(OF_KEY), "Command")],
        [document({"schemaVersion": "2.2"}, GIVEN)], [document("schemaVersion: '1.0'")]),
    MISSING: (
        [KEYED], [document(of({"kmsKeyId": att("Key", "Arn")}))], [document(of(ENFORCED))],
        [document(json.dumps(of(OF_KEY)))], [KEYED, KEYED], [on(KEYED)],  # as the instance is
    ),
    LOST: ([document(of({"s3BucketName": ref("Bucket")}))],
        [document(of({"cloudWatchLogGroupName": "sessions"}))],
        [document(of({**ENFORCED, "cloudWatchEncryptionEnabled": False}))]),
    UNKNOWN: (
        [document(of(OF_KEY), GIVEN)], [document(of({"kmsKeyId": GIVEN}))],
        [document(of({"Fn::If": ["Other", OF_KEY, {}]}))], [on(KEYED, "Other")],
        [document({"Fn::If": ["Other", of(OF_KEY), of({})]})],
        [document("[" * 100_000)], [document("[]")], [KEYED, document(of({}))],
        [document(GIVEN, GIVEN)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("documents", "expected"), each(DOCUMENTS))
def test_services_that_sessions_use(check: Check, documents: list[Parts], expected: Found) -> None:
    on_keys = allow("kms:*", on="arn:aws:kms:*:111122223333:key/*")
    added = {f"Document{number}": one for number, one in enumerate(documents)}
    added |= {"Grants": policy(on_keys, allow("s3:*", "logs:*"))}
    used = {"Key": resource("AWS::KMS::Key"), "Bucket": resource("AWS::S3::Bucket")}

    assert check(with_endpoints(COMPUTE | used | added)).rules == expected
    assert check(with_role(**added)).rules == READY  # behind a NAT gateway


TO_BUCKET: Final = {"s3BucketName": ref("Bucket")}
TO_NAMED: Final = {"s3BucketName": ref("Named")}
MAY_PUT: Final = may("Allow", "s3:PutObject") | {"Principal": "*"}
MAY_READ: Final = may("Allow", "s3:GetEncryptionConfiguration") | {"Principal": "*"}


@pytest.mark.parametrize(("inputs", "statements", "expected"), [
    (TO_BUCKET, [MAY_PUT], READY),
    (TO_BUCKET | {"s3EncryptionEnabled": True}, [MAY_PUT], frozenset({"endpoint-unreachable"})),
    (TO_BUCKET | {"s3EncryptionEnabled": True}, [MAY_READ], LOST),
    (TO_BUCKET | {"s3EncryptionEnabled": GIVEN}, [MAY_PUT], UNKNOWN),
    (TO_BUCKET | {"s3EncryptionEnabled": GIVEN}, [MAY_READ], LOST),
    (TO_BUCKET | {"s3EncryptionEnabled": True}, [MAY_PUT, MAY_READ], READY),
    (TO_BUCKET | {"s3EncryptionEnabled": True}, [MAY_READ | {"Resource": att("Bucket", "Arn")},
        MAY_PUT | {"Resource": {"Fn::Sub": "${Bucket.Arn}/*"}}], READY),
    (TO_NAMED, [MAY_PUT | {"Resource": "arn:aws:s3:::session-logs/*"}], READY),
    (TO_NAMED, [MAY_PUT | {"Resource": "arn:aws:s3:::patch-baseline-*/*"}], LOST),
    (TO_NAMED | {"s3KeyPrefix": "web"},
     [MAY_PUT | {"Resource": "arn:aws:s3:::session-logs/db/*"}], LOST),
    (TO_BUCKET, [MAY_PUT | {"Resource": "arn:aws:s3:::patch-baseline-*/*"}], READY),  # unknown
    ({"s3BucketName": "arn:aws:s3:eu-west-1:1:accesspoint/a", "s3EncryptionEnabled": True},
     [MAY_PUT, MAY_READ | {"Resource": "arn:aws:s3:::session-logs"}], UNKNOWN),
])  # fmt: skip
def test_what_an_endpoint_has_to_allow_if_logs_are_enforced(
    check: Check, inputs: Parts, statements: list[Parts], expected: Found
) -> None:
    by_gateway = {
        "ServiceName": {"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"},
        "RouteTableIds": [ref("PrivateTable")],
        "PolicyDocument": {"Statement": statements},
    }
    added = {
        "Bucket": resource("AWS::S3::Bucket"),
        "Named": resource("AWS::S3::Bucket", BucketName="session-logs"),
        "Document": document(of(inputs), Name="SSM-SessionManagerRunShell"),
        "Another": document(of(TO_BUCKET | {"s3KeyPrefix": "b"})),  # sessions that name it alone
        "Grants": policy(allow("s3:*")),
        "S3": part("VPCEndpoint", **VPC_ID, **by_gateway),
    }

    assert check(with_endpoints(COMPUTE | added)).rules == expected


@pytest.mark.parametrize(("region", "properties", "found"), [
    ("eu-west-1", {}, MISSING), ("us-east-1", {}, READY), ("unknown-region", {}, READY),
    ("unknown-region", {"Name": _needs.DEFAULT_DOCUMENT}, UNKNOWN),
])  # fmt: skip
def test_document_that_may_be_of_another_region_counts_if_it_is_the_default_one(
    check: Check, region: str, properties: Parts, found: Found
) -> None:
    there = {"Resources": {"Document": document(of(OF_KEY), **properties)}}
    at = {"There": f"111122223333/{region}"}
    assert check(There=there, Here=with_endpoints(COMPUTE), at=at).rules == found


@pytest.mark.parametrize(("streams", "expected"), [
    ([True], LOST), ([False], READY), ([True, False], READY),
])  # fmt: skip
def test_streaming_lists_groups(check: Check, streams: list[bool], expected: Found) -> None:
    inputs = [{"cloudWatchLogGroupName": "a", "cloudWatchStreamingEnabled": one} for one in streams]
    writes = [may("Allow", one) | {"Principal": "*"} for one in _needs.WRITE_LOG]
    added = {
        **{f"Document{number}": document(of(one)) for number, one in enumerate(inputs)},
        "Grants": policy(allow("logs:*")),
        "Logs": endpoint("logs", PolicyDocument={"Statement": writes}),
    }

    assert check(with_endpoints(COMPUTE | added)).rules == expected


@pytest.mark.parametrize(("key", "on", "expected"), [
    ("key/1234abcd", "key/*", READY),
    ("key/1234abcd", "alias/*", frozenset({"endpoint-unreachable"})),
    ("alias/a", "key/*", READY),
    ("alias/a", "alias/a", UNKNOWN),  # which is not the ARN of its key
    (GIVEN, "key/*", UNKNOWN),
])  # fmt: skip
def test_endpoint_for_calls_on_a_key(check: Check, key: object, on: str, expected: Found) -> None:
    keys = "arn:aws:kms:eu-west-1:111122223333:"
    named = f"{keys}{key}" if isinstance(key, str) else key
    decrypts = may("Allow", "kms:Decrypt") | {"Principal": "*", "Resource": keys + on}
    added = {
        "Document": document(of({"kmsKeyId": named}), Name="SSM-SessionManagerRunShell"),
        "Grants": policy(allow("kms:Decrypt", on="*")),
        "Kms": endpoint("kms", PolicyDocument={"Statement": [decrypts]}),
    }

    found = check(with_endpoints(COMPUTE | added))

    assert found.rules - {"decrypt-on-all-keys"} == expected


# Across stacks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "expected"), [(by_endpoints, READY), (without_messages, MISSING)]
)
def test_across_stacks(
    make_app: MakeApp,
    references: dict[str, object],
    build: Callable[[cdk.Stack], object],
    expected: Found,
) -> None:
    """The network and the role are in a stack, the instance in the nested stack of another."""
    app = make_app(**references)
    network, other = (cdk.Stack(app, name, env=HERE) for name in ("Network", "Compute"))
    build(network)
    here: Any = network.node.find_child("Instance")
    vpc: Any = network.node.find_child("Vpc")
    core = iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")
    here.role.add_managed_policy(core)
    inner = cdk.NestedStack(other, "Nested")
    ec2.Instance(inner, "Web", vpc=vpc, vpc_subnets=ISOLATED, role=here.role, **MACHINE)

    report = check_app(network)

    assert report.rules == expected
    found = {finding.logical_id.rstrip("0123456789ABCDEF") for finding in report.findings}
    assert found == ({"Instance", "Web"} if expected else set())


# Profiles that compute may have ------------------------------------------------------------------

MACRO: Final = {"Fn::Transform": {"Name": "M"}}


def launches_version(version: object) -> Parts:
    server = machine(LaunchTemplate=by_id(version))
    return {"Template": template(**BY_ARN), "Server": server}


@pytest.mark.parametrize(("more", "verdict"), [
    ({}, "ready"),
    ({"Server": machine(**MACRO)}, "ready"),
    ({"Server": machine(IamInstanceProfile=ref("Profile"), **MACRO)}, "can't be known"),
    ({"Launch": template(**BY_ARN, **MACRO)}, "can't be known"),
    (launches_version("1"), "can't be known"),
    (launches_version(ref("Given")), "can't be known"),
])  # fmt: skip
def test_profile_that_compute_may_have_is_open(check: Check, more: Parts, verdict: str) -> None:
    assert check(profile_and_role(inline(ALL), **more)).verdicts == {verdict: 1}


def test_profile_of_a_nested_stack_that_something_else_is_given(check: Check) -> None:
    its = {"Outputs": {"It": {"Value": ref("Profile")}}}
    check.write("Inner.template.json", profile_and_role(inline(ALL)) | its)
    takes = resource("AWS::New::Fleet", As=att("Nested", "Outputs.It"))

    assert check({"Resources": {"Nested": nested("Inner"), "Takes": takes}}).rules == UNKNOWN


def test_stack_that_is_not_read_is_named_beside_what_is_ready(tmp_path: Path) -> None:
    nests = resource(STACK, TemplateURL="https://example.com/t.json")
    paths = write(tmp_path, {"Web": profile_and_role(inline(ALL), Nests=nests)})

    ((ready,), verdicts) = judge_all(Assembly(paths), network=True)

    assert (ready.rule.id, verdicts) == ("ready", {"ready": 1})
    assert ready.description.endswith("are ready. Not read: the templates of Nests")
