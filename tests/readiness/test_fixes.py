"""A finding disappears once its fix is applied, and the fix raises no other finding.

Its fix is run as it stands in an app, and its steps are done to a template.
"""

import ast
import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import Any, Final, cast

import aws_cdk as cdk
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.cloudformation_include import CfnInclude
from constructs import Construct
from syrupy.assertion import SnapshotAssertion

from session_manager_permissions import (
    SessionManagerAccess,
    SessionManagerFleet,
    SessionPreferences,
    session_manager_statements,
)
from session_manager_permissions._needs import DEFAULT_DOCUMENT
from session_manager_permissions._readiness.apps import apps
from session_manager_permissions._readiness.check import check as judge
from session_manager_permissions._readiness.rules import CANNOT_BE_KNOWN, READY, Finding
from session_manager_permissions._readiness.rules.statements import trusted
from session_manager_permissions._readiness.rules.steps import Step
from session_manager_permissions._readiness.templates import Assembly
from session_manager_permissions._readiness.templates.files import PRODUCT
from session_manager_permissions._readiness.templates.functions import listed
from session_manager_permissions._trust import EC2 as EC2_SERVICE
from tests.conftest import ROOT
from tests.places import HERE

from . import faults, reports
from .deployments import NO_VALUE
from .faults import ISOLATED, MACHINE, Build, instance, isolated, vpc
from .launches import spot
from .networks import VPC_ID, denying, group, part
from .parts import att, on, ref, resource, rows
from .reports import TRUST, Body, Check, Report, inline, machine, profile_and_role
from .statements import ALL, deny
from .test_what_findings_say import BOTH, EXAMPLES, RDS, Text, endpoint, session
from .test_what_findings_say import isolated as isolated_in_l1

TEMPLATES = sorted(
    path
    for path in (ROOT / "tests/data").glob("*/*.json")
    # What is left of these is no template that CDK includes.
    if path.stem not in {"build_runners", "code_server", "containers_in_public_subnets"}
)


# Apps, and the code of fixes ---------------------------------------------------------------------


class Judged:
    """A synthesized app or stage, with the check's report about it."""

    def __init__(self, app: cdk.Stage) -> None:
        assembly = app.synth(force=True)
        self.folder = Path(assembly.directory)
        paths = [one.template_full_path for one in assembly.stacks_recursively]
        for path in paths:
            assert_nothing_is_left_out(Path(path))
        report = Report(paths, strict=False, app=app)
        self.findings = [one for one in report.findings if one.severity != "info"]
        self.wrong = {(one.rule, one.file, one.logical_id) for one in self.findings}
        self.verdicts = report.verdicts

    @property
    def rules(self) -> set[str]:
        return {one.rule for one in self.findings}


def assert_nothing_is_left_out(path: Path) -> None:
    """CloudFormation deploys nothing that depends on a resource that a condition leaves out."""
    resources = json.loads(path.read_text()).get("Resources", {})
    for one in resources.values():
        on = {resources.get(name, {}).get("Condition") for name in listed(one.get("DependsOn", []))}
        assert on <= {None, one.get("Condition")}


def is_code(fix: str) -> bool:
    """Tell whether a fix has code; all of it is Python in any case."""
    return bool(ast.parse(fix).body)


def use(app: cdk.App, finding: reports.Finding) -> None:
    """Run a fix in the construct that its first line names, in a function with names of its own."""
    stacks = (one for one in app.node.find_all() if isinstance(one, cdk.Stack))
    (stack,) = (one for one in stacks if one.template_file == finding.file)
    named = re.findall('"(.*?)"', finding.fix.partition("\n")[0])
    above = (one for one in stack.node.scopes if one.node.path in named)
    here = next(above, app)
    defined: dict[str, Any] = {}
    exec(f"def run(self, app):\n{indent(finding.fix, '    ')}", defined)  # noqa: S102 # as it is shown
    run = defined["run"]
    assert run.__code__.co_varnames == ("self", "app", "fix_session_manager")
    run(here, app)


def assert_each_fix_mends(build: Callable[[], cdk.App]) -> Judged:
    """Apply each fix by itself, in a new app."""
    before = Judged(build())
    for finding in before.findings:
        if is_code(finding.fix):
            assert finding.fix.count("SessionManagerEndpoints(") <= 1, finding  # which makes both
            app = build()
            use(app, finding)
            after = Judged(app).wrong
            assert (finding.rule, finding.file, finding.logical_id) not in after, finding
            assert not after - before.wrong, finding
    return before


def mended(build: Callable[[], cdk.App], order: int = -1) -> Judged:
    """Apply all fixes, the last one first, and then those of the remaining findings."""
    used: dict[str, reports.Finding] = {}
    judged = Judged(build())
    for _ in range(2):
        used |= {one.fix: one for one in judged.findings[::order] if is_code(one.fix)}
        app = build()
        for finding in used.values():
            use(app, finding)
        judged = Judged(app)
    return judged


def in_app(build: Build, *, fleet: bool = False, paths: bool = False) -> cdk.App:
    """An app with one stack; with a fleet, in a stage that it covers, and with path metadata."""
    app = cdk.App(context={"aws:cdk:enable-path-metadata": fleet or paths})
    scope = cdk.Stage(app, "Prod") if fleet else app
    stack = cdk.Stack(scope, "Web", env=HERE)
    build(stack)
    if fleet:
        SessionManagerFleet(scope, "Fleet")
    return app


def written(folder: Path, body: object) -> Path:
    file = folder / "template.json"
    file.write_text(json.dumps(body))
    return file


def including(stack: cdk.Stack, folder: Path, body: object) -> None:
    CfnInclude(stack, "Included", template_file=str(written(folder, body)))


def of_constructs(stack: cdk.Stack, body: Body) -> None:
    """Make the resources of a template as L1 constructs."""
    for name, one in body["Resources"].items():
        cdk.CfnResource(stack, name, type=one["Type"], properties=one["Properties"])


@pytest.mark.parametrize(("build", "rule", "where"), rows(faults.FAULTS))
def test_each_fix_and_the_steps_mend_what_shows_them(build: Build, rule: str, where: str) -> None:
    found = assert_each_fix_mends(partial(in_app, build))

    one = next(one for one in found.findings if one.rule == rule)
    assert one.logical_id.startswith(where)
    assert all(is_code(one.fix) for one in found.findings)
    assert rule in assert_the_steps_mend(found.folder)


@pytest.mark.parametrize("name", [
    *("a network ACL of all", "a network ACL of endpoints", "isolated"),
    *("a role whose policies a condition chooses", "roles that a condition chooses"),
])  # fmt: skip
def test_what_fixes_have_opened_is_known_to_be_open(name: str, tmp_path: Path) -> None:
    rule, body = faults.INCLUDED.get(name, ("", {}))
    build = partial(including, folder=tmp_path, body=body) if rule else faults.BY_NAME[name][0]
    assert mended(partial(in_app, build)).verdicts == {"ready": 1}


def test_the_steps_open_what_security_groups_hide_in_some_deployments(tmp_path: Path) -> None:
    """No finding says that the others have no route."""
    body = faults.behind_an_acl(Uses=None, Group=group(egress=faults.UDP))

    (found,) = findings(written(tmp_path, faults.on_c(body, "Route")))

    assert found.rule.id == "egress-closed"
    assert any("AWS::EC2::VPCEndpoint" in step.text for step in found.steps)


@pytest.mark.untraced
@pytest.mark.parametrize("name", faults.SHOWN)
def test_each_fix_mends_what_shows_it_in_a_stage_with_a_fleet(name: str) -> None:
    assert_each_fix_mends(partial(in_app, faults.BY_NAME[name][0], fleet=True))


@pytest.mark.parametrize("name", [*faults.INCLUDED, *faults.OF_CONSTRUCTS])
def test_each_fix_and_the_steps_mend_a_template(name: str, tmp_path: Path) -> None:
    rule, body = (faults.INCLUDED | faults.OF_CONSTRUCTS)[name]
    builds = partial(including, folder=tmp_path) if name in faults.INCLUDED else of_constructs

    build = partial(in_app, partial(builds, body=body))
    found = assert_each_fix_mends(build)

    assert rule in found.rules
    assert not mended(build, 1).wrong  # of two that make a list, the last one has both entries
    assert all(is_code(one.fix) for one in found.findings)
    assert rule in assert_the_steps_mend(written(tmp_path, body))


@pytest.mark.untraced
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_each_fix_mends_a_template_of_others(path: Path) -> None:
    def build(stack: cdk.Stack) -> None:
        CfnInclude(stack, "Included", template_file=str(path))

    found = assert_each_fix_mends(partial(in_app, build))

    assert all(is_code(one.fix) for one in found.findings)
    assert not mended(partial(in_app, build)).wrong


def two_stacks() -> tuple[cdk.App, cdk.Stack, cdk.Stack]:
    app = cdk.App()
    return app, cdk.Stack(app, "Base", env=HERE), cdk.Stack(app, "Web", env=HERE)


def role_of_another_stack() -> cdk.App:
    app, base, web = two_stacks()
    role = faults.a_role(base)
    iam.CfnInstanceProfile(base, "Profile", roles=[role.role_name])
    instance(web, vpc(web), role=role)
    return app


def network_of_another_stack() -> cdk.App:
    app, base, web = two_stacks()
    instance(web, isolated(base), vpc_subnets=ISOLATED)
    return app


def key_of_another_stack(*, role_is_first: bool) -> cdk.App:
    """The key, or the role, is in the stack that the other stack depends on."""
    app, base, web = two_stacks()
    role = faults.reaching(base if role_is_first else web)
    key = kms.Key(web if role_is_first else base, "Key")
    # That stack alone says that the stack around it depends on the other.
    there = cdk.NestedStack(web, "Nested") if role_is_first else web
    faults.instance_and_document(there, role, kmsKeyId=key.key_arn)
    return app


def key_of_a_later_stack(build: Callable[[cdk.Stack, cdk.Stack], object]) -> cdk.App:
    """A stack between two makes the last depend on the first, too."""
    app, base, web = two_stacks()
    between = cdk.Stack(app, "Between", env=HERE)
    between.add_stack_dependency(base)
    web.add_stack_dependency(between)
    build(base, web)
    SessionPreferences(web, "Preferences", **faults.used(web))
    return app


def instance_after_its_role(base: cdk.Stack, web: cdk.Stack) -> None:
    profile = iam.InstanceProfile(web, "Profile", role=faults.a_role(base))
    faults.l1_instance(web, iam_instance_profile=profile.instance_profile_name)


def preferences_of_another_stack() -> cdk.App:
    app, base, web = two_stacks()
    faults.with_preferences(base, faults.a_role)
    SessionPreferences(base, "Other", encryption_key=kms.Key(base, "OtherKey"))
    faults.a_group(web)
    return app


def preferences_of_each_stack() -> cdk.App:
    app, base, web = two_stacks()
    for stack in (base, web):
        SessionPreferences(stack, "Preferences", encryption_key=kms.Key(stack, "Key"))
    instance(web, vpc(web), role=faults.a_role(base))
    return app


@pytest.mark.parametrize(("build", "rule"), [
    (role_of_another_stack, "channel-missing"),
    (preferences_of_another_stack, "channel-missing"),
    (preferences_of_each_stack, "channel-missing"),
    (network_of_another_stack, "no-network-path"),
    (partial(key_of_another_stack, role_is_first=True), "session-denied"),
    (partial(key_of_another_stack, role_is_first=False), "session-denied"),
    (partial(key_of_a_later_stack, instance_after_its_role), "channel-missing"),
    (partial(key_of_a_later_stack, lambda base, _: faults.l1_instance(base)),
     "no-instance-profile"),
])  # fmt: skip
def test_fix_takes_what_is_of_another_stack(build: Callable[[], cdk.App], rule: str) -> None:
    assert rule in assert_each_fix_mends(build).rules
    assert not mended(build).wrong


def preferences(stack: cdk.Stack) -> None:
    SessionPreferences(stack, "Preferences", **faults.used(stack))


def default_preferences(stack: cdk.Stack) -> None:
    preferences(stack)
    made: Any = stack.node.find_child("Preferences").node.find_child("Resource")
    made.name = DEFAULT_DOCUMENT


def server(stack: cdk.Stack) -> None:
    faults.one_instance(stack, role=faults.reaching(stack))


def fleet(stack: cdk.Stack) -> None:
    """The ids of its policies tell the stages apart, and are in what the findings say."""
    stage: Any = cdk.Stage.of(stack)
    SessionManagerFleet(stage, "Fleet", allow_registration=True)


def fleet_of_a(stack: cdk.Stack) -> None:
    """Add a fleet to the stack that is made before."""
    before: Any = stack.node.scope
    SessionManagerFleet(before.node.find_child("A"), "Fleet")


def mixin(stack: cdk.Stack) -> None:
    """Apply a mixin to all existing constructs, of which the stack is the last."""
    scope = cast("Construct", stack.node.scope)
    cdk.Mixins.of(scope).apply(SessionManagerAccess(allow_registration=True))


@pytest.mark.parametrize(("builds", "stages", "where"), [
    ((server, preferences), (), 'In the stack "B"'),
    ((faults.one_instance, mixin), (), "Before app.synth()"),
    ((faults.group_that_starts_empty, fleet_of_a), (), "Before app.synth()"),
    ((faults.one_instance, mixin), ("C", "D"), 'In the construct "C" and in the construct "D"'),
    ((preferences, server), (), "Before app.synth()"),
    ((server, preferences), ("C", "D"), 'In the stack "C/B" and in the stack "D/B"'),
    *(((made, server), ("C", "D"), 'In the construct "C" and in the construct "D"')
      for made in (preferences, default_preferences)),
    ((faults.one_instance, fleet), ("C", "D"), 'In the stack "C/A" and in the stack "D/A"'),
])  # fmt: skip
def test_where_a_fix_runs(builds: tuple[Build, Build], stages: tuple[str, ...], where: str) -> None:
    """Also if two stages have a document each: a role is to use that of its own stage."""

    def build(fix: str = "") -> cdk.App:
        named = re.findall('"(.*?)"', fix.partition("\n")[0]) or [""]

        def end(scope: Construct) -> None:
            if scope.node.path in named:
                exec(fix, {"self": scope, "app": scope})  # noqa: S102 # as it is shown

        app = cdk.App()
        for scope in [cdk.Stage(app, one, env=HERE) for one in stages] or [app]:
            for name, made in zip("AB", builds, strict=True):
                stack = cdk.Stack(scope, name, env=HERE)
                made(stack)
                end(stack)
            end(scope)
        return app

    (fix,) = {one.fix for one in Judged(build()).findings}
    assert fix.startswith(f"# {where}:")
    assert not Judged(build(fix)).wrong


@pytest.mark.parametrize("role", [faults.a_role, faults.reaching])
def test_use_across_stages_is_said_in_words(role: Callable[[cdk.Stack], iam.Role]) -> None:
    """CDK has no references between stages."""
    app = cdk.App()
    stack = cdk.Stack(cdk.Stage(app, "Prod"), "Web", env=HERE)
    faults.one_instance(stack, role=role(stack))
    base = cdk.Stack(app, "Base", env=HERE)
    SessionPreferences(base, "Preferences", encryption_key=kms.Key(base, "Key"))

    (found,) = Judged(app).findings

    assert re.search("'Role1ABCC5F0' in 'ProdWeb.*' to use 'Key961B73FD' in 'B", found.description)
    assert is_code(found.fix) is (role is faults.a_role)


def test_fix_is_the_option_of_the_fleet_that_covers_the_role(snapshot: SnapshotAssertion) -> None:
    def build() -> cdk.App:
        app, base, web = two_stacks()
        left_alone = faults.one_instance(base)
        reads = iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"])
        # CDK has the instance wait for the role's default policy, which is of no interest here.
        faults.one_instance(web).add_to_role_policy(reads)
        key = kms.Key(base, "Key")
        SessionManagerFleet(app, "Fleet", exclude=[left_alone], encryption_key=key, log_prefix=None)
        return app

    found = assert_each_fix_mends(build)
    missing = [one for one in found.findings if one.rule == "registration-missing"]
    (of_fleet,) = (one for one in missing if "Web" in one.file)

    assert of_fleet.fix == snapshot(extension_class=Text)
    assert not mended(build).wrong


BOUNDED: Final = partial(faults.boundary_of_the_app, build=faults.opens_by_the_role_alone)


@pytest.mark.parametrize(("build", "is_option"), [
    *((one, True) for one in (faults.one_instance, faults.group_that_starts_empty)),
    (faults.opens_by_the_role_alone, False), (faults.beside_one_that_opens_alone, False),
    (partial(faults.beside_one_that_opens_alone, build=BOUNDED), False),
    (partial(faults.with_preferences, build=faults.group_that_starts_empty), False),
    (partial(faults.with_preferences, build=faults.one_instance), False),
])  # fmt: skip
def test_fix_is_the_fleets_option_if_that_is_enough(build: Build, *, is_option: bool) -> None:
    found = assert_each_fix_mends(partial(in_app, build, fleet=True)).findings

    fixes = [one.fix for one in found if one.rule == "registration-missing"]
    assert {"SessionManagerFleet(" in fix for fix in fixes} == {is_option}
    assert all("allow_registration=True" in one.fix for one in found)


def test_fix_is_the_option_of_the_one_fleet_of_a_scope_that_covers_the_role() -> None:
    app, _, stack = two_stacks()
    network = vpc(stack)
    one, other = (ec2.Instance(stack, name, vpc=network, **MACHINE) for name in ("One", "Other"))
    SessionManagerFleet(stack, "OfOne", exclude=[other])
    SessionManagerFleet(stack, "OfOther", exclude=[one])

    fixes = "".join(one.fix for one in Judged(app).findings if one.rule == "registration-missing")

    assert 'scope, "OfOne", ' in fixes
    assert 'scope, "OfOther", ' in fixes


def test_only_for_the_policy_of_a_fleet_nothing_waits() -> None:
    app, base, web = two_stacks()
    servers = [faults.one_instance(one) for one in (base, web)]
    SessionManagerFleet(base, "Fleet", allow_registration=True)
    allowed = iam.PolicyDocument(statements=session_manager_statements(allow_registration=True))
    given: Any = {"policy_document": allowed, "roles": [servers[1].role.role_name]}
    iam.CfnPolicy(Construct(web, "Any"), "Policy", policy_name="policy", **given)

    fixes = [one.fix for one in Judged(app).findings if one.rule == "boot-order"]

    assert ["SessionManagerPermissions(" in one for one in fixes] == [True, False]


def of_two_roles(stack: cdk.Stack) -> None:
    permitted = faults.permits(stack, faults.one_instance(stack).role)
    permitted.attach_to_role(faults.a_role(stack))


def of_role_of_other_stack(stack: cdk.Stack) -> None:
    app: Any = stack.node.scope
    env = cdk.Environment(account=stack.account, region=stack.region)
    role = faults.a_role(cdk.Stack(app, "Roles", env=env))
    faults.permits(stack, role)
    ec2.Instance(stack, "Instance", vpc=vpc(stack), role=role, **MACHINE)


@pytest.mark.parametrize(("build", "named"), [
    (faults.late, ["SessionManagerPermissions"]),
    (of_role_of_other_stack, ["Web/SessionManagerPermissions"]),
    (of_two_roles, []), (faults.opens_by_the_role_alone, []),
])  # fmt: skip
def test_fix_names_the_construct_that_gives_the_role_the_rest(
    build: Build, named: list[str]
) -> None:
    found = assert_each_fix_mends(partial(in_app, build)).findings

    (fix,) = (one.fix for one in found if one.rule == "registration-missing")
    assert re.findall('where the app makes the construct "(.*)":', fix) == named


def test_fix_is_no_option_of_a_fleet_that_leaves_the_role_alone() -> None:
    app, _, stack = two_stacks()
    faults.group_that_starts_empty(stack)
    SessionManagerFleet(stack, "Fleet", exclude=[stack.node.find_child("Group")])

    (one,) = (one for one in Judged(app).findings if one.rule == "registration-missing")

    assert "SessionManagerFleet" not in one.fix


def test_five_faults_are_silent_after_two_passes() -> None:
    def build(stack: cdk.Stack) -> None:
        network = isolated(stack, enable_dns_hostnames=False)
        given: Body = {"vpc_subnets": ISOLATED, "allow_all_outbound": False}
        made = instance(stack, network, role=faults.a_role(stack, "rds.amazonaws.com"), **given)
        made.instance.add_property_override(*faults.OFF)
        there = network.isolated_subnets[0].subnet_id
        ec2.CfnInstance(stack, "Other", image_id="ami-12345678", subnet_id=there)

    found = Judged(in_app(build))

    five = {
        "channel-missing", "egress-closed", "metadata-off", "no-instance-profile",
        "role-not-assumable",
    }  # fmt: skip
    assert found.rules >= five
    assert found.verdicts == {"not ready": 1}
    assert not mended(partial(in_app, build)).wrong


def test_what_the_pages_show(snapshot: SnapshotAssertion) -> None:
    page = []
    for name in faults.SHOWN:
        build, rule = faults.BY_NAME[name]
        one = next(one for one in Judged(in_app(build)).findings if one.rule == rule)
        page.append(f"{name}: {rule}\n  {one.description}\n  Fix: {one.fix}\n")

    assert "\n".join(page) == snapshot(extension_class=Text)


@pytest.mark.parametrize("named", [True, False])
def test_fixes_that_are_used_together_make_nothing_twice(*, named: bool) -> None:
    """CloudFormation can't deploy two endpoints of one service in a VPC."""

    def build(stack: cdk.Stack) -> None:
        faults.without_an_endpoint_of_messages(stack, named=named)
        given: Body = {"vpc": stack.node.find_child("Vpc"), "vpc_subnets": ISOLATED, **MACHINE}
        autoscaling.AutoScalingGroup(stack, "Group", **given)
        SessionPreferences(stack, "Preferences", **faults.used(stack))

    folder = mended(partial(in_app, build)).folder

    made = json.loads((folder / "Web.template.json").read_text())["Resources"].values()
    assert_nothing_is_added_twice([one for one in made if "VPCEndpoint" in one["Type"]])


def denial(*actions: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(effect=iam.Effect.DENY, actions=[*actions], resources=["*"])


def denied(stack: cdk.Stack) -> None:
    faults.one_instance(stack).role.add_to_principal_policy(denial("ssm:*"))


def boundary_of_aws(stack: cdk.Stack) -> None:
    boundary = iam.ManagedPolicy.from_aws_managed_policy_name("AmazonS3FullAccess")
    iam.PermissionsBoundary.of(faults.one_instance(stack).role).apply(boundary)


def decrypts(stack: cdk.Stack, on: str) -> None:
    role = faults.a_role(stack)
    role.add_to_policy(iam.PolicyStatement(actions=["kms:Decrypt"], resources=[on]))
    iam.InstanceProfile(stack, "Profile", role=role)


def denied_task(stack: cdk.Stack) -> None:
    faults.containers(stack)
    task: Any = stack.node.find_child("Task")
    task.add_to_task_role_policy(denial("ssmmessages:*"))


def group_by_a_part_of_its_name(stack: cdk.Stack) -> None:
    group = logs.LogGroup(stack, "Logs")
    faults.session_document(stack, cloudWatchLogGroupName=f"a-{group.log_group_name}")


def group_beyond_the_boundary(stack: cdk.Stack) -> None:
    group_by_a_part_of_its_name(stack)
    faults.bounded(stack, *session_manager_statements(allow_registration=True))


def covered_by_a_fleet_of_a_parameter(stack: cdk.Stack) -> None:
    faults.one_instance(stack)
    prefix = cdk.CfnParameter(stack, "Prefix").value_as_string
    SessionManagerFleet(stack, "Fleet", log_bucket=s3.Bucket(stack, "Bucket"), log_prefix=prefix)


SHUT_SSM: Final = {"Ssm": endpoint("ssm", SecurityGroupIds=[{"Ref": "Group"}])}
WITHOUT_CLASS: Final = {
    **(BOTH | SHUT_SSM),
    "Role": {"Type": "AWS::IAM::Role", "Properties": TRUST},
    "Vpc": part("VPC", CidrBlock={"Fn::ImportValue": "Block"}, EnableDnsHostnames=True),
    "More": part("VPCCidrBlock", **VPC_ID, CidrBlock={"Fn::ImportValue": "Range"}),
}
LEFT: Final[dict[str, Build]] = {
    "a fleet of a parameter": covered_by_a_fleet_of_a_parameter,
    "AWS keys": partial(faults.containers, environment={"AWS_ACCESS_KEY_ID": "AKIA"}),
    "a task that is denied": denied_task,
    "as root": partial(faults.session_document, runAsEnabled=True, runAsDefaultUser="root"),
    "a group without a key": lambda s: faults.session_document(
        s, cloudWatchLogGroupName=logs.LogGroup(s, "L").log_group_name,
        cloudWatchEncryptionEnabled=True),
    "a key that is denied":
        lambda s: faults.key_that_is_not_granted(s).add_to_policy(denial("kms:*")),
    "a group by a part of its name": group_by_a_part_of_its_name,
    "a group by a part of its name, beyond the boundary": group_beyond_the_boundary,
    "a role that is denied": denied,
    "a boundary of AWS": boundary_of_aws,
    "a CfnResource where a construct has to be of a class": partial(
        of_constructs, body=isolated_in_l1(**WITHOUT_CLASS)),
    "all keys": partial(decrypts, on="*"),
    "an alias": partial(decrypts, on="alias/sessions"),
}  # fmt: skip


def test_what_code_cannot_mend_is_said_in_words(snapshot: SnapshotAssertion) -> None:
    page = [
        f"{name}: {one.rule}\n  {one.description}\n"
        for name, build in LEFT.items()
        for one in Judged(in_app(build)).findings
        if not is_code(one.fix)
    ]

    assert "\n".join(page) == snapshot(extension_class=Text)


def test_what_is_said_in_words(check: Check, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    page = []
    for name, written_so in faults.IN_WORDS.items():
        body = faults.in_either(written_so)
        assert_each_fix_mends(partial(in_app, partial(including, folder=tmp_path, body=body)))
        page += [
            f"{name}: {one.rule}\n  {one.description}\n"
            for one in check(body, a="1").findings
            if one.severity != "info" and not is_code(one.fix)
        ]
        page.append(f"{name}, in a template:\n{in_words(written(tmp_path, body))}")

    assert "\n".join(page) == snapshot(extension_class=Text)


@pytest.mark.parametrize(("body", "rule", "says"), [
    (profile_and_role(), "channel-missing",
     "in 'inner.json', add to Properties.Policies of Role: {"),
    (profile_and_role(inline(ALL), Machine=machine(ImageId="ami-12345678")), "no-instance-profile",
     "in 'inner.json', set Properties.IamInstanceProfile of Machine to "),
    (faults.trusting(trusted(EC2_SERVICE) | {"Effect": "Deny"}), "role-not-assumable",
     "; leave ec2.amazonaws.com out of the Deny"),
    (profile_and_role(inline(ALL), Fleet=spot(
        LaunchSpecifications=[{"IamInstanceProfile": NO_VALUE}])), "no-instance-profile",
     "; name an instance profile in each specification of 'Fleet'"),
])  # fmt: skip
def test_fix_of_a_nested_template_that_is_a_file_says_what_to_change_in_it(
    body: Body, rule: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "inner.json"
    file.write_text(json.dumps(body))

    def build(stack: cdk.Stack) -> None:
        url = "https://example.com/inner.json"
        cdk.CfnStack(stack, "Nested", template_url=url).add_metadata("aws:asset:path", str(file))

    (finding,) = Judged(in_app(build)).findings

    assert (finding.rule, finding.file) == (rule, file.name)
    assert says in finding.description
    assert not is_code(finding.fix)


def test_fix_of_a_profile_whose_role_is_in_such_a_file_says_the_same(tmp_path: Path) -> None:
    body = profile_and_role() | {"Outputs": {"It": {"Value": ref("Role")}}}
    del body["Resources"]["Profile"]
    file = tmp_path / "inner.json"
    file.write_text(json.dumps(body))

    def build(stack: cdk.Stack) -> None:
        nested = cdk.CfnStack(stack, "Nested", template_url="https://example.com/inner.json")
        nested.add_metadata("aws:asset:path", str(file))
        roles = [nested.get_att("Outputs.It").to_string()]
        iam.CfnInstanceProfile(stack, "Profile", roles=roles)

    (finding,) = Judged(in_app(build)).findings

    assert "in 'inner.json', add to Properties.Policies of Role: {" in finding.description


def test_fix_of_a_product_of_service_catalog_says_what_to_change(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    stack = cdk.Stack(app, "Web")
    SessionPreferences(stack, "Preferences", encryption_key=kms.Key(stack, "Key"))
    version = {"Info": {"LoadTemplateFromURL": str(written(tmp_path, profile_and_role()))}}
    given = {"ProvisioningArtifactParameters": [version]}
    cdk.CfnResource(stack, "Product", type=PRODUCT, properties=given)

    (finding,) = Judged(app).findings

    assert "; allow the role 'Role' in 'template.json' to use 'Key961B73FD'" in finding.description
    assert "add to Properties.Policies of Role: {" in finding.description


def test_what_the_app_overrides_stays() -> None:
    """CDK drops a list that is overridden once a single entry of it is."""
    of: Body = {"of": "Role", "path": "AssumeRolePolicyDocument.Statement", "value": [RDS]}
    folder = mended(partial(in_app, partial(faults.overridden, **of))).folder

    made = json.loads((folder / "Web.template.json").read_text())["Resources"]["Role1ABCC5F0"]
    trust = made["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust == [RDS, trusted(EC2_SERVICE)]


def test_what_the_code_for_several_stacks_says(snapshot: SnapshotAssertion) -> None:
    def build() -> cdk.App:
        app, base, web = two_stacks()
        network = isolated(base)
        for stack in (web, cdk.Stack(app, "Other", env=HERE)):
            one = instance(stack, network, vpc_subnets=ISOLATED, role=faults.reaching(stack))
            one.instance.add_property_override(*faults.OFF)
        return app

    found = assert_each_fix_mends(build).findings

    fixes = dict.fromkeys(one.fix for one in found)
    assert "\n".join(fixes) == snapshot(extension_class=Text)


def of_one_class(build: Build, code: str = "", *, in_stages: bool) -> cdk.App:
    """Two stacks of a class whose constructor ends with the code."""
    app = cdk.App()
    for name in ("Dev", "Prod"):
        scope = cdk.Stage(app, name, env=HERE) if in_stages else app
        stack = cdk.Stack(scope, name, env=HERE)
        build(stack)
        exec(code, {"self": stack})  # noqa: S102 # as it is shown
    return app


@pytest.mark.untraced
@pytest.mark.parametrize("in_stages", [True, False])
@pytest.mark.parametrize("name", faults.SHOWN)
def test_code_mends_each_stack_of_a_class_in_its_constructor(name: str, *, in_stages: bool) -> None:
    built = partial(of_one_class, faults.BY_NAME[name][0], in_stages=in_stages)
    before = Judged(built())
    for fix in filter(is_code, {one.fix for one in before.findings}):
        mended = {(one.rule, one.file, one.logical_id) for one in before.findings if one.fix == fix}
        assert len({file for _, file, _ in mended}) == 2
        assert not Judged(built(fix)).wrong & mended


def test_code_leaves_the_other_stacks_of_a_class_alone() -> None:
    class Web(cdk.Stack):
        pass

    class Prod(Web):  # by the constructor of Web
        pass

    def built(code: str = "") -> cdk.App:
        app = cdk.App()
        for name, class_ in {"Dev": Web, "Prod": Prod, "Other": cdk.Stack}.items():
            stack = class_(app, name, env=HERE)
            if name != "Dev":
                faults.one_instance(stack)
            exec(code, {"self": stack})  # noqa: S102 # as it is shown
        return app

    (code,) = {found.fix for found in Judged(built()).findings}

    assert not Judged(built(code)).wrong
    faults.one_instance(Prod(alone := cdk.App(), "Prod", env=HERE))
    assert Judged(alone).findings[0].fix.endswith("\nfix_session_manager(self)")
    dev, _ = stages = [cdk.Stage(alone, name, env=HERE) for name in ("Dev", "Other")]
    for stage in stages:
        faults.one_instance(Web(stage, "Web"))
    assert 'if self.node.path in ["Dev/Web"]' in Judged(dev).findings[0].fix


# Templates, and the steps ----------------------------------------------------------------------


def findings(*paths: Path) -> list[Finding]:
    return [
        finding
        for app in apps([*map(str, paths)])
        for finding in judge(app.assembly, network=True)[0]
        if finding.rule not in {CANNOT_BE_KNOWN, READY}  # nothing in a template tells these
    ]


def do(step: Step) -> None:
    """Apply a step to the file of a template."""
    assert step.template is not None, step.text
    file = step.template.path
    body = json.loads(file.read_text())
    resources = body["Resources"]
    if not step.path:
        assert step.logical_id not in {*resources, *body.get("Parameters", {})}
        assert step.value not in resources.values()  # EC2 refuses a rule that is there
        assert step.value["Properties"].get("NetworkAclId") != ref("OpenAcl")  # which shuts nothing
        of_s3 = (one["Properties"] for one in resources.values() if ".s3" in json.dumps(one))
        lists = [one.get("RouteTableIds", []) for one in of_s3]
        own = step.value["Properties"].get("RouteTableIds", [])
        assert not own or "Condition" not in step.value  # as not all deployments would have it
        assert not [one for one in own if any(one in others for others in lists)]
        resources[step.logical_id] = step.value
    else:
        *above, last = step.path.split(".")
        assert "Zone" not in resources or last != "PrivateDnsEnabled"  # EC2 refuses both
        place: Any = resources[step.logical_id]
        for name in above:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        if step.adds:
            there = place.setdefault(last, [])
            there = place[last] = there if isinstance(there, list) else [there]
            there.append(step.value)
            names = re.findall('"PolicyName": "(.*?)"', json.dumps(there))
            assert sorted({*names}) == sorted(names)
        elif isinstance(place, list):
            place[int(last)] = step.value
        else:
            place[last] = step.value
    file.write_text(json.dumps(body))
    assert_nothing_is_left_out(file)


def assert_nothing_is_added_twice(made: list[Body]) -> None:
    """A VPC has one endpoint of a service with private DNS, and a group one rule."""
    what = [json.dumps(one["Properties"].get("ServiceName", one)) for one in made]
    assert sorted({*what}) == sorted(what)


REPLACES: Final = re.compile("this change replaces").match


def assert_the_steps_mend(path: Path) -> set[str]:
    """Apply the steps of all findings, and then of those that they hid; return the rules."""
    told = {one.rule.id for one in findings(path)}
    for _ in range(3):  # a lost log shows once sessions are allowed, and these once the way is open
        steps = [step for one in findings(path) for step in one.steps if not REPLACES(step.text)]
        done = {step.text: step for step in steps}.values()
        assert_nothing_is_added_twice([step.value for step in done if not step.path])
        set_ = [(step.logical_id, step.path) for step in done if step.path and not step.adds]
        assert len({*set_}) == len(set_)
        for step in done:
            do(step)
    assert findings(path) == []
    return told


def override(app: cdk.App, step: Step) -> None:
    """Apply a step in an app, by the overrides of docs/check.md."""
    assert step.template is not None, step.text
    stacks = (one for one in app.node.find_all() if isinstance(one, cdk.Stack))
    (stack,) = (one for one in stacks if one.template_file == step.template.path.name)
    if not step.path:
        new, body = step.logical_id, step.value
        cdk.CfnResource(stack, new, type=body["Type"], properties=body["Properties"])
        return
    elements = (one for one in stack.node.find_all() if isinstance(one, cdk.CfnResource))
    (resource,) = (one for one in elements if stack.resolve(one.logical_id) == step.logical_id)
    there = json.loads(step.template.path.read_text())["Resources"][step.logical_id]
    for name in step.path.split("."):
        there = there.get(name, {}) if isinstance(there, dict) else {}
    if step.adds and isinstance(there, list):
        resource.add_override(f"{step.path}.{len(there)}", step.value)
    else:
        resource.add_override(step.path, [step.value] if step.adds else step.value)
    do(step)


@pytest.mark.parametrize("name", [*faults.SHOWN, "and an id taken"])
def test_steps_are_overrides_in_an_app_of_any_language(name: str) -> None:
    build, rule = faults.BY_NAME[name]
    app, same = (in_app(build, paths=True) for _ in range(2))
    (found,) = (one for one in findings(Judged(same).folder) if one.rule.id == rule)
    for step in found.steps:
        if not REPLACES(step.text):
            override(app, step)
    assert rule not in Judged(app).rules


def in_words(*paths: Path) -> str:
    """The steps that change no template."""
    steps = [step for one in findings(*paths) for step in one.steps if step.template is None]
    return "".join(f"  Step: {step.text}\n" for step in steps)


@pytest.mark.parametrize("name", faults.ON_CONDITIONS)
def test_what_is_added_is_on_the_condition_of_what_it_refers_to(name: str, tmp_path: Path) -> None:
    """CloudFormation refuses a reference to a resource that is not deployed."""
    _, body = faults.INCLUDED[name]
    found = findings(written(tmp_path, body))
    steps = [step for one in found for step in one.steps if not step.path]
    app = mended(partial(in_app, partial(including, folder=tmp_path, body=body)))
    resources = json.loads((app.folder / "Web.template.json").read_text())["Resources"]
    made = [one for key, one in resources.items() if key not in body["Resources"]]

    assert {one.get("Condition") for one in made} == {"C"}
    assert {step.value["Condition"] for step in steps} == {"C"}


def test_what_refers_to_two_conditions_is_on_both(tmp_path: Path) -> None:
    resources = isolated_in_l1()["Resources"]
    for name, of in (("Vpc", "C"), ("Subnet", "Other"), ("Machine", "Other")):
        resources[name] = on(resources[name], of)
    body = faults.in_either({"Resources": resources})
    body["Conditions"]["Other"] = {"Fn::Not": [{"Fn::Equals": [ref("P"), "no"]}]}
    app = mended(partial(in_app, partial(including, folder=tmp_path, body=body)))
    made = json.loads((app.folder / "Web.template.json").read_text())

    said = in_words(tmp_path / "template.json")
    assert "put 'VpcSsm' on a condition that is the Fn::And of 'C' and 'Other'" in said
    on_both = made["Conditions"][made["Resources"]["VpcSsm"]["Condition"]]
    assert on_both == {"Fn::And": [{"Condition": "C"}, {"Condition": "Other"}]}


def test_findings_are_in_the_order_in_which_the_agent_meets_them(tmp_path: Path) -> None:
    untrusted = profile_and_role({"AssumeRolePolicyDocument": {"Statement": []}})

    found = findings(written(tmp_path, untrusted))

    assert [one.rule.id for one in found] == ["channel-missing", "role-not-assumable"]


def test_each_cause_of_a_refusal_has_a_finding_of_its_own(tmp_path: Path) -> None:
    refused = profile_and_role(
        inline(ALL, deny("kms:Decrypt")),
        Key=resource("AWS::KMS::Key", Enabled=False),
        Document=session("SSM-SessionManagerRunShell", kmsKeyId=att("Key", "Arn")),
    )

    found = findings(written(tmp_path, refused))

    assert [(one.rule.id, len(one.steps)) for one in found] == [("session-denied", 1)] * 2


def test_what_a_network_acl_denies_besides_stays_denied(tmp_path: Path) -> None:
    of_rdp = {"PortRange": {"From": 3389, "To": 3389}, "Protocol": 6}
    denies = {"Rdp": denying(10, egress=False, **of_rdp), "All": denying(20, egress=False)}

    (found,) = findings(written(tmp_path, faults.behind_an_acl(**denies)))

    assert [step.value["Properties"]["RuleNumber"] for step in found.steps] == [1, 11]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_the_steps_mend_a_template_of_others(path: Path, tmp_path: Path) -> None:
    assert_the_steps_mend(Path(shutil.copy(path, tmp_path)))


IN_OTHERS: Final[dict[str, tuple[Body, str]]] = {
    "the VPC": (isolated_in_l1(), "Vpc"),
    "the VPC of route tables": (isolated_in_l1(**BOTH, **faults.WITH_BUCKET), "Vpc"),
    "the VPC of a security group": (isolated_in_l1(**BOTH | SHUT_SSM), "Vpc"),
    "the bucket of a document": (profile_and_role(inline(ALL), Bucket={"Type": "AWS::S3::Bucket"},
        Document=session(s3BucketName={"Ref": "Bucket"})), "Bucket"),
}  # fmt: skip
"""A template, and the resource of it that is in another template."""


def test_a_step_names_what_others_define(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    page = []
    for name, (body, apart) in IN_OTHERS.items():
        resources = dict(body["Resources"])
        exported = {
            "Resources": {apart: resources.pop(apart)},
            "Outputs": {"Out": {"Value": {"Ref": apart}, "Export": {"Name": apart}}},
        }
        rest = json.dumps({"Resources": resources})
        (tmp_path / "a.json").write_text(json.dumps(exported))
        (tmp_path / "b.json").write_text(
            rest.replace(json.dumps({"Ref": apart}), json.dumps({"Fn::ImportValue": apart}))
        )
        page.append(f"{name}:\n{in_words(tmp_path / 'a.json', tmp_path / 'b.json')}")

    assert "\n".join(page) == snapshot(extension_class=Text)


def test_what_the_steps_say(check: Check, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    page = []
    for cause, bodies in EXAMPLES.items():
        check(*bodies, a="1", b="1")
        names = [f"{name}.template.json" for name, _ in zip("ab", bodies, strict=False)]
        files = [str(tmp_path / name) for name in names]
        page += [
            f"{cause}: {one.rule.id}\n  {step.text}\n"
            for one in judge(Assembly(files), network=True)[0]
            for step in one.steps
        ]

    assert "\n".join(page) == snapshot(extension_class=Text)
