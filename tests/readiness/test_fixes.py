"""Each fix runs as it stands: the finding that shows it is gone then, and there is no new one."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.cloudformation_include import CfnInclude

from session_manager_permissions import (
    SessionManagerFleet,
    session_manager_statements,
)
from session_manager_permissions._readiness.rules.statements import trusted
from session_manager_permissions._trust import EC2 as EC2_SERVICE
from tests.conftest import HERE

from .faults import (
    BY_NAME,
    FAULTS,
    IN_WORDS,
    INCLUDED,
    OF_CONSTRUCTS,
    OFF,
    SHOWN,
    Build,
    a_role,
    bounded,
    containers,
    group_that_starts_empty,
    in_either,
    key_that_is_not_granted,
    metadata_off,
    one_instance,
    opens_by_the_role_alone,
    session_document,
    trusting,
)
from .judging import rows
from .mending import (
    TEMPLATES,
    Judged,
    assert_each_fix_mends,
    assert_the_steps_mend,
    in_app,
    including,
    is_code,
    mended,
    of_constructs,
)
from .policy_table import ALL
from .reports import inline, machine, profile_and_role
from .test_network import ISOLATED, MACHINE, instance, isolated, vpc
from .test_what_findings_say import Text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from .reports import Check


@pytest.mark.parametrize(("build", "rule", "where"), rows(FAULTS))
def test_each_fix_and_the_steps_mend_what_shows_them(build: Build, rule: str, where: str) -> None:
    found = assert_each_fix_mends(partial(in_app, build))

    one = next(one for one in found.findings if one.rule == rule)
    assert one.logical_id.startswith(where)
    assert all(is_code(one.fix) for one in found.findings)
    assert rule in assert_the_steps_mend(found.folder)


@pytest.mark.parametrize("name", ["a network ACL of all", "a network ACL of endpoints", "isolated"])
def test_what_fixes_have_opened_is_known_to_be_open(name: str) -> None:
    assert mended(partial(in_app, BY_NAME[name][0])).verdicts == {"ready": 1}


@pytest.mark.untraced
@pytest.mark.parametrize("name", SHOWN)
def test_each_fix_mends_what_shows_it_in_a_stage_with_a_fleet(name: str) -> None:
    assert_each_fix_mends(partial(in_app, BY_NAME[name][0], fleet=True))


@pytest.mark.parametrize("name", [*INCLUDED, *OF_CONSTRUCTS])
def test_each_fix_mends_a_template_in_an_app(name: str, tmp_path: Path) -> None:
    rule, body = (INCLUDED | OF_CONSTRUCTS)[name]
    builds = partial(including, folder=tmp_path) if name in INCLUDED else of_constructs

    found = assert_each_fix_mends(partial(in_app, partial(builds, body=body)))

    assert rule in found.rules
    assert all(is_code(one.fix) for one in found.findings)


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
    role = a_role(base)
    iam.CfnInstanceProfile(base, "Profile", roles=[role.role_name])
    instance(web, vpc(web), role=role)
    return app


def network_of_another_stack() -> cdk.App:
    app, base, web = two_stacks()
    instance(web, isolated(base), vpc_subnets=ISOLATED)
    return app


@pytest.mark.parametrize(
    ("build", "rule"),
    [(role_of_another_stack, "channel-missing"), (network_of_another_stack, "no-network-path")],
)
def test_fix_takes_what_is_of_another_stack(build: Callable[[], cdk.App], rule: str) -> None:
    assert rule in assert_each_fix_mends(build).rules
    assert not mended(build).wrong


def test_fix_is_the_option_of_the_fleet_that_covers_the_role() -> None:
    def build() -> cdk.App:
        app, base, web = two_stacks()
        left_alone = one_instance(base)
        reads = iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"])
        # CDK has the instance wait for the role's default policy, which is of no interest here.
        one_instance(web).add_to_role_policy(reads)
        key = kms.Key(base, "Key")
        SessionManagerFleet(app, "Fleet", exclude=[left_alone], encryption_key=key, log_prefix=None)
        return app

    found = assert_each_fix_mends(build)
    (of_fleet,) = (
        one for one in found.findings if one.rule == "registration-missing" and "Web" in one.file
    )

    assert "SessionManagerPermissions" not in of_fleet.fix
    assert of_fleet.fix.splitlines()[-1] == (
        'SessionManagerFleet(fleet_scope, "Fleet", '
        'exclude=[self.node.root.node.find_child("Base").node.find_child("Instance")], '
        'encryption_key=self.node.root.node.find_child("Base").node.find_child("Key"), '
        "allow_registration=True)"
    )
    assert not mended(build).wrong


@pytest.mark.parametrize(
    ("build", "is_option"), [(opens_by_the_role_alone, False), (group_that_starts_empty, True)]
)
def test_fix_is_the_option_of_the_fleet_if_no_compute_opens_at_boot(
    build: Build, *, is_option: bool
) -> None:
    found = Judged(in_app(build, fleet=True)).findings

    (of_registration,) = (one for one in found if one.rule == "registration-missing")
    assert ("SessionManagerFleet(" in of_registration.fix) is is_option


def test_fix_is_the_option_of_the_one_fleet_of_a_scope_that_covers_the_role() -> None:
    stack = cdk.Stack(cdk.App(), "Web", env=HERE)
    network = vpc(stack)
    one, other = (ec2.Instance(stack, name, vpc=network, **MACHINE) for name in ("One", "Other"))
    SessionManagerFleet(stack, "OfOne", exclude=[other])
    SessionManagerFleet(stack, "OfOther", exclude=[one])

    found = Judged(stack.node.root).findings
    fixes = "".join(one.fix for one in found if one.rule == "registration-missing")

    assert 'scope, "OfOne", ' in fixes
    assert 'scope, "OfOther", ' in fixes


def test_fix_is_no_option_of_a_fleet_that_leaves_the_role_alone() -> None:
    stack = cdk.Stack(cdk.App(), "Web", env=HERE)
    group_that_starts_empty(stack)
    SessionManagerFleet(stack, "Fleet", exclude=[stack.node.find_child("Group")])

    found = Judged(stack.node.root).findings

    (one,) = (one for one in found if one.rule == "registration-missing")
    assert "SessionManagerFleet" not in one.fix


def test_five_faults_are_silent_after_two_passes() -> None:
    def build(stack: cdk.Stack) -> None:
        network = isolated(stack, enable_dns_hostnames=False)
        given: dict[str, Any] = {"vpc_subnets": ISOLATED, "allow_all_outbound": False}
        made = instance(stack, network, role=a_role(stack, "rds.amazonaws.com"), **given)
        made.instance.add_property_override(*OFF)
        there = network.isolated_subnets[0].subnet_id
        ec2.CfnInstance(stack, "Other", image_id="ami-12345678", subnet_id=there)

    found = Judged(in_app(build))

    five = {
        "channel-missing",
        "egress-closed",
        "metadata-off",
        "no-instance-profile",
        "role-not-assumable",
    }
    assert found.rules >= five
    assert found.verdicts == {"not ready": 1}
    assert not mended(partial(in_app, build)).wrong


def test_what_the_pages_show(snapshot: SnapshotAssertion) -> None:
    page = []
    for name in SHOWN:
        build, rule = BY_NAME[name]
        one = next(one for one in Judged(in_app(build)).findings if one.rule == rule)
        page.append(f"{name}: {rule}\n  {one.description}\n  Fix: {one.fix}\n")

    assert "\n".join(page) == snapshot(extension_class=Text)


def denial(*actions: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(effect=iam.Effect.DENY, actions=[*actions], resources=["*"])


def denied(stack: cdk.Stack) -> None:
    one_instance(stack).role.add_to_principal_policy(denial("ssm:*"))


def boundary_of_aws(stack: cdk.Stack) -> None:
    boundary = iam.ManagedPolicy.from_aws_managed_policy_name("AmazonS3FullAccess")
    iam.PermissionsBoundary.of(one_instance(stack).role).apply(boundary)


def decrypts(stack: cdk.Stack, on: str) -> None:
    role = a_role(stack)
    role.add_to_policy(iam.PolicyStatement(actions=["kms:Decrypt"], resources=[on]))
    iam.InstanceProfile(stack, "Profile", role=role)


def denied_task(stack: cdk.Stack) -> None:
    containers(stack)
    task: Any = stack.node.find_child("Task")
    task.add_to_task_role_policy(denial("ssmmessages:*"))


def key_that_is_denied(stack: cdk.Stack) -> None:
    key_that_is_not_granted(stack).add_to_policy(denial("kms:*"))


def key_beyond_the_boundary(stack: cdk.Stack) -> None:
    key_that_is_not_granted(stack)
    bounded(stack, *session_manager_statements(allow_registration=True))


def group_by_a_part_of_its_name(stack: cdk.Stack) -> None:
    group = logs.LogGroup(stack, "Logs")
    session_document(stack, cloudWatchLogGroupName=f"a-{group.log_group_name}")


def covered_by_a_fleet_of_a_parameter(stack: cdk.Stack) -> None:
    one_instance(stack)
    prefix = cdk.CfnParameter(stack, "Prefix").value_as_string
    SessionManagerFleet(stack, "Fleet", log_bucket=s3.Bucket(stack, "Bucket"), log_prefix=prefix)


@pytest.mark.parametrize(
    ("build", "rule", "says"),
    [
        (covered_by_a_fleet_of_a_parameter, "registration-missing", "to the fleet 'Fleet'"),
        (partial(containers, environment={"AWS_ACCESS_KEY_ID": "AKIA"}), "exec-denied",
         "no AWS keys"),
        (denied_task, "exec-denied", "leave these actions out of the Deny"),
        (partial(session_document, runAsEnabled=True, runAsDefaultUser="root"), "session-denied",
         "set runAsDefaultUser"),
        (key_that_is_denied, "session-denied", "leave these actions out of the Deny"),
        (key_beyond_the_boundary, "session-denied", "in the permissions boundary"),
        (group_by_a_part_of_its_name, "log-lost", "on the log group"),
        (denied, "explicit-deny", "leave these actions out of the Deny"),
        (boundary_of_aws, "channel-missing", "or give the role another boundary"),
        (partial(decrypts, on="*"), "decrypt-on-all-keys", "name the keys"),
        (partial(decrypts, on="alias/sessions"), "key-not-by-arn", "give the key or its alias"),
    ],
)  # fmt: skip
def test_what_code_cannot_mend_is_said_in_words(build: Build, rule: str, says: str) -> None:
    found = [one for one in Judged(in_app(build)).findings if one.rule == rule]

    assert found
    assert all(says in one.description and not is_code(one.fix) for one in found)


@pytest.mark.parametrize("name", IN_WORDS)
def test_what_code_cannot_mend_of_a_template_is_said_in_words(name: str, check: Check) -> None:
    rule, body, says = IN_WORDS[name]

    found = [one for one in check(in_either(body), a="1").findings if one.rule == rule]

    assert found
    assert all(says in one.description and not is_code(one.fix) for one in found)


def test_fix_of_a_template_alone_takes_constructs_by_their_paths(check: Check) -> None:
    body = profile_and_role()
    for name in ("Profile", "Role"):
        body["Resources"][name]["Metadata"] = {"aws:cdk:path": f"Web/{name}/Resource"}

    (finding,) = check(body, a="1").findings

    assert finding.fix.splitlines()[0] == '# In the stack "Web":'
    assert 'role = self.node.find_child("Role")' in finding.fix.splitlines()


@pytest.mark.parametrize(
    ("body", "rule", "says"),
    [
        (profile_and_role(), "channel-missing",
         "in 'inner.json', add to Properties.Policies of Role: {"),
        (profile_and_role(inline(ALL), Machine=machine(ImageId="ami-12345678")),
         "no-instance-profile",
         "in 'inner.json', set Properties.IamInstanceProfile of Machine to "),
        (trusting(trusted(EC2_SERVICE) | {"Effect": "Deny"}), "role-not-assumable",
         "; leave ec2.amazonaws.com out of the Deny"),
    ],
)  # fmt: skip
def test_fix_of_a_nested_template_that_is_a_file_says_what_to_change_in_it(
    body: dict[str, Any], rule: str, says: str, tmp_path: Path
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


def test_fix_takes_what_is_in_several_stacks_from_the_app(tmp_path: Path) -> None:
    def build() -> cdk.App:
        app, base, web = two_stacks()
        including(base, tmp_path, INCLUDED["metadata off"][1])
        metadata_off(web)
        return app

    found = [one for one in assert_each_fix_mends(build).findings if one.rule == "metadata-off"]

    sets = 'add_property_override("MetadataOptions.HttpEndpoint", "enabled")'
    base, web = (f'self.node.root.node.find_child("{name}").node' for name in ("Base", "Web"))
    assert [one.fix.splitlines() for one in found] == [
        [
            "# In any stack of the app:",
            f'included_include = {base}.find_child("Included")',
            'machine = included_include.get_resource("Machine")',
            f"machine.{sets}",
            f'cfn_instance = {web}.find_child("Instance").node.default_child',
            f"cfn_instance.{sets}",
        ]
    ] * 2
