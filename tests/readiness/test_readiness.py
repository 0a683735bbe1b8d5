"""Which profiles the check calls ready, not ready, or not to be known, and what else it finds."""

import json
import re
from collections import Counter
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from session_manager_permissions import (
    SessionManagerFleet,
    SessionManagerPermissions,
    SessionManagerReadiness,
    _limits,
    _readiness,
)
from session_manager_permissions._readiness.templates.functions import shortest
from tests.builders import cluster, permit, public_vpc
from tests.conftest import ROOT, TEMPLATES, MakeApp, run_python
from tests.places import KEY_ID, OTHER_ACCOUNT, key_arn
from tests.roles import EC2, owned_role

from .deployments import NO_VALUE
from .faults import ISOLATED, PUBLIC, Build, endpoints, instance, isolated, reaching, vpc
from .parts import att, each, ref, resource
from .reports import (
    TRUST,
    Body,
    Check,
    Report,
    check_app,
    inline,
    machine,
    managed_policy,
    policy,
    profile_and_role,
)
from .statements import (
    ALL,
    CHANNELS_ONLY,
    NEITHER,
    READY,
    UNKNOWN,
    Found,
    Statement,
    allow,
    deny,
    document,
    may_assume,
)

# Verdicts ----------------------------------------------------------------------------------------

ON_TEMPLATES: dict[str, dict[str, Found]] = {
    # nothing is said of the compute whose profile is not ready
    # elasticloadbalancing:DescribeInstanceHealth is all that the role has
    "autoscaling_rolling_update": {"Profile": NEITHER},
    # AmazonSSMManagedInstanceCore, and policies on conditions that are about s3, kms, secrets
    "directory_join": {},
    # of InstanceRole, whose one policy is about ecs, ecr and logs
    "ecs_on_ec2": {"Profile": NEITHER},
    # ec2:DescribeTags, s3:Get*, s3:List*, logs:*
    "efs_mounted_at_boot": {"Profile": NEITHER},
    # AmazonElasticMapReduceforEC2Role has no ssmmessages and no ssm
    "emr_cluster": {"Profile": NEITHER},
    "role_of_a_nested_stack": {"Profile": UNKNOWN, "Machine": UNKNOWN},
    "role_of_a_parameter": {"Profile": UNKNOWN, "Launch": UNKNOWN},
    # an AWS::IAM::RolePolicy with ssmmessages:* and ssm:UpdateInstanceInformation
    "role_policy": {"Server": UNKNOWN},
    # ec2:Describe*, ec2:CreateTags
    "tagged_root_volume": {"Profile": NEITHER},
    # two profiles of one role, which has cloudformation:*
    "wait_condition": {"BastionProfile": NEITHER, "PrivateProfile": NEITHER},
}


def test_verdict_on_templates_as_people_write_them() -> None:
    verdicts, found = Counter[str](), dict[str, dict[str, Found]]()
    for path in TEMPLATES:
        report = Report([str(path)], strict=False)
        verdicts.update(report.verdicts)
        of = found.setdefault(path.stem, {})
        for one in report.findings:
            of[one.logical_id] = of.get(one.logical_id, READY) | {one.rule}

    assert found == ON_TEMPLATES
    assert verdicts == {"ready": 2, "not ready": 7, "can't be known": 3}


# Apps of CDK -------------------------------------------------------------------------------------


CORE = iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")


def profile_of_an_owned_role(scope: cdk.Stack) -> iam.Role:
    role = owned_role(scope)
    iam.InstanceProfile(scope, "Profile", role=role)
    return role


def permits(stack: cdk.Stack, role: iam.IRole, **options: Any) -> SessionManagerPermissions:  # noqa: ANN401
    return permit(stack, role, allow_registration=True, **options)


def bastion_host(stack: cdk.Stack) -> None:
    """Its role has ssmmessages:* and ssm:UpdateInstanceInformation on *."""
    ec2.BastionHostLinux(stack, "Bastion", vpc=public_vpc(stack))


def our_construct_with_keys(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")
    permissions = permits(stack, profile_of_an_owned_role(stack), encryption_key=key)
    permissions.add_encryption_key(kms.Alias(stack, "Alias", alias_name="alias/a", target_key=key))


def alias_of_cdk(stack: cdk.Stack) -> None:
    role = profile_of_an_owned_role(stack)
    permits(stack, role)
    alias = kms.Alias(stack, "Alias", alias_name="alias/a", target_key=kms.Key(stack, "Key"))
    iam.Grant.add_to_principal(grantee=role, actions=["kms:Decrypt"], resource_arns=[alias.key_arn])


def an_instance(stack: cdk.Stack, **given: Any) -> ec2.Instance:  # noqa: ANN401
    return instance(stack, public_vpc(stack), **given)


def excluded_from_a_fleet(stack: cdk.Stack) -> None:
    server = an_instance(stack)
    server.instance.node.add_dependency(permits(stack, server.role))
    SessionManagerFleet(stack, "Fleet", exclude=[server], allow_registration=True)


def fleet_over_what_is_reached_from_the_first_boot(stack: cdk.Stack) -> None:
    an_instance(stack, ssm_session_permissions=True).role.add_managed_policy(CORE)
    SessionManagerFleet(stack, "Fleet")


def profile_that_waits_for_the_policy(stack: cdk.Stack) -> None:
    profile = iam.InstanceProfile(stack, "Profile", role=owned_role(stack))
    an_instance(stack, instance_profile=profile)
    assert profile.role
    profile.node.add_dependency(permits(stack, profile.role))


def in_addresses_of_ipam(stack: cdk.Stack) -> None:
    addresses = ec2.IpAddresses.aws_ipam_allocation(
        ipv4_ipam_pool_id="ipam-pool-1",
        ipv4_netmask_length=16,
        default_subnet_ipv4_netmask_length=24,
    )
    network = isolated(stack, ip_addresses=addresses)
    instance(stack, network, vpc_subnets=ISOLATED, role=reaching(stack))
    endpoints(network)


def dual_stack(stack: cdk.Stack) -> None:
    network = vpc(stack, ip_protocol=ec2.IpProtocol.DUAL_STACK)
    instance(stack, network, vpc_subnets=PUBLIC, role=reaching(stack))


def nodes_of_eks(stack: cdk.Stack) -> None:
    cluster(stack, vpc(stack)).add_nodegroup_capacity("Nodes", node_role=reaching(stack))


APPS: Final[dict[Found, tuple[Build, ...]]] = {
    READY: (*(bastion_host, our_construct_with_keys, excluded_from_a_fleet, in_addresses_of_ipam),
        *(fleet_over_what_is_reached_from_the_first_boot, profile_that_waits_for_the_policy),
        nodes_of_eks),
    UNKNOWN: (dual_stack,),
    frozenset({"key-not-by-arn"}): (alias_of_cdk,),
}  # fmt: skip
"""Apps that are not in `faults`."""


@pytest.mark.parametrize(("build", "found"), each(APPS))
def test_apps(stack_here: cdk.Stack, build: Build, found: Found) -> None:
    build(stack_here)

    assert check_app(stack_here).rules == found


def test_nat_instance_is_open_and_what_is_behind_it_is_not_known(stack_here: cdk.Stack) -> None:
    nat = ec2.NatProvider.instance_v2(instance_type=ec2.InstanceType("t3.micro"))
    instance(stack_here, vpc(stack_here, nat_gateway_provider=nat))
    for one in stack_here.node.find_all():
        if isinstance(one, iam.Role):
            one.add_managed_policy(CORE)

    (finding,) = check_app(stack_here).findings

    assert finding.logical_id.startswith("Instance")
    assert "depends on the instance 'VpcPublicSubnet1NatInstance" in finding.description


def test_account_of_another_stack_does_not_matter_to_a_reference(make_app: MakeApp) -> None:
    stack = cdk.Stack(make_app(), "Stack", env=cdk.Environment(account=OTHER_ACCOUNT))
    profile = iam.InstanceProfile(stack, "Profile", role=iam.Role(stack, "R", assumed_by=EC2))
    assert profile.role
    permits(stack, profile.role)

    assert check_app(stack).rules == READY


def test_trust_of_ec2_by_the_suffix_of_a_region_that_is_not_known(check: Check) -> None:
    ec2_ = may_assume({"Fn::Sub": "ec2.${AWS::URLSuffix}"})
    trust = {"AssumeRolePolicyDocument": document([ec2_])}

    assert check(profile_and_role(inline(ALL) | trust), region="unknown-region").rules == READY


def test_profile_of_another_app_has_no_verdict(check: Check) -> None:
    report = check({"Resources": {"Server": machine(IamInstanceProfile="existing")}})

    assert report.rules == UNKNOWN
    assert report.verdicts == {}


def test_stages_are_kept_apart(make_app: MakeApp) -> None:
    app = make_app()
    for name in ("Ready", "Bare"):
        stack = cdk.Stack(cdk.Stage(app, name), "Stack")
        role = owned_role(stack, name="shared-name")
        iam.InstanceProfile(stack, "Profile", role=role)
        if name == "Ready":
            permits(stack, role)

    report = check_app(app)

    assert report.verdicts == {"ready": 1, "not ready": 1}
    assert {finding.file[:4] for finding in report.findings} == {"Bare"}


@pytest.mark.parametrize("asset_metadata", [True, False])  # with the CLI and without
def test_nested_stacks(make_app: MakeApp, *, asset_metadata: bool) -> None:
    """Profiles and roles on every side of nested stacks; the inner role is ready, the outer not."""
    context = {"aws:cdk:enable-asset-metadata": True} if asset_metadata else {}
    stack = cdk.Stack(make_app(**context), "Stack")
    outer = cdk.NestedStack(stack, "Outer")
    inner = cdk.NestedStack(outer, "Inner")
    top_role, inner_role = owned_role(stack), owned_role(inner)
    permits(inner, inner_role)
    iam.InstanceProfile(stack, "TopOnInner", role=inner_role)
    iam.InstanceProfile(outer, "OuterOnInner", role=inner_role)
    iam.InstanceProfile(outer, "OuterOnTop", role=top_role)
    iam.InstanceProfile(inner, "InnerOnTop", role=top_role)

    report = check_app(stack)

    assert report.verdicts == {"ready": 2, "not ready": 2}
    found = {(finding.logical_id[:10], finding.file[:10]) for finding in report.findings}
    assert found == {("OuterOnTop", "StackOuter"), ("InnerOnTop", "StackOuter")}


# The quotas --------------------------------------------------------------------------------------

BUCKET = "arn:aws:s3:::"
S3 = allow("s3:*")


def length(*statements: Statement) -> int:
    return len(json.dumps(document(list(statements)), separators=(",", ":")))


def padding(characters: int) -> Statement:
    """The only statement of a document that then has this many characters."""
    return deny("s3:*", on=f"{BUCKET}{'x' * (characters - length(deny('s3:*', on=BUCKET)))}")


@pytest.mark.parametrize(("value", "length"), [
    ({"Statement": []}, len('{"Statement":[]}')),
    ({"Sid": "with  space\n"}, len('{"Sid":"withspace\\n"}')),
    ({"Resource": {"Ref": "Bucket"}}, len('{"Resource":""}')),
    ({"Resource": {"Fn::Sub": "${Bucket}/*"}}, len('{"Resource":"/*"}')),
    ([{"Fn::If": ["C", {"Sid": "a"}, NO_VALUE]}, 1], len("[1]")),
    ([{"Fn::If": ["C", {"Sid": "a"}, {"Fn::If": ["D", "b", ["c"]]}]}], len('["b"]')),
    ([{"Fn::If": []}], len('[""]')),
    ("é", len('"é"')),
])  # fmt: skip
def test_the_least_length_of_a_document(value: object, length: int) -> None:
    assert shortest(value) == length


TOO_LONG: Final = frozenset({"managed-policy-too-long"})
INLINE_TOO_LONG: Final = frozenset({"inline-policies-too-long"})
VERDICTS: Final = {READY: "ready", UNKNOWN: "can't be known"}
SPACES: Final = " " * _limits.MAX_INLINE_POLICIES
HALF: Final = padding(4_500)
LEFT: Final = _limits.MAX_INLINE_POLICIES - length(HALF) - length(ALL, HALF)
REST: Final = _limits.MAX_INLINE_POLICIES - length(ALL)
FULL, TOO_FULL = (json.dumps(document([padding(REST + extra)])) for extra in (0, 1))
OTHER: Final = {
    "Other": resource("AWS::IAM::Role", **TRUST, **inline(ALL)),
    "Behind": resource("AWS::IAM::InstanceProfile", Roles=[ref("Other")]),
}


def of_three(extra: int, **more: Body) -> Body:
    """Inline policies in three places, which together are too long by `extra` characters."""
    of_role = {"RoleName": ref("Role"), "PolicyDocument": document([HALF])}
    return profile_and_role(
        inline(ALL, HALF),
        RolePolicy=resource("AWS::IAM::RolePolicy", **of_role),
        Policy=policy(padding(LEFT + extra)),
        Managed=managed_policy(HALF),
        **more,
    )


def of_two_roles(characters: int) -> Body:
    """A managed policy of two roles that has this many characters, and spaces."""
    long = padding(characters)
    long["Resource"] += SPACES
    return profile_and_role(
        inline(ALL), Long=managed_policy(long, roles=[ref("Role"), ref("Other")]), **OTHER
    )


def by_reference(characters: int, *arns: object, **more: object) -> Body:
    role = inline(ALL) | {"ManagedPolicyArns": [*arns]}
    return profile_and_role(role, Long=managed_policy(padding(characters), **more))


@pytest.mark.parametrize(("body", "found", "counted"), [
    (of_three(0), READY, ""),
    (of_three(1, OnCondition=policy(HALF, Condition="C")), INLINE_TOO_LONG, "have at least 10241"),
    (profile_and_role(inline(ALL, deny("s3:*", on=f"{BUCKET}x{SPACES}"))), READY, ""),
    *((profile_and_role(inline(ALL), Policy=resource(
        "AWS::IAM::Policy", Roles=[ref("Role")], PolicyDocument=written)), found, counted)
      for written, found, counted in (
          (FULL, READY, ""), ({"Fn::If": ["C", FULL, TOO_FULL]}, READY, ""),
          ({"Fn::If": ["C", TOO_FULL, TOO_FULL]}, INLINE_TOO_LONG, "have at least 10241"))),
    (of_two_roles(6_144), READY, ""),
    (of_two_roles(6_145), TOO_LONG, "has at least 6145"),
    (by_reference(6_145, ref("Long"), roles=[]), TOO_LONG, "has at least 6145"),
    (by_reference(6_145, Condition="C"), UNKNOWN, ""),
])  # fmt: skip
def test_length_of_policies(check: Check, body: Body, found: Found, counted: str) -> None:
    report = check(body, strict=True)

    assert report.rules == found
    assert report.success is (not counted)
    assert {*report.verdicts} == {VERDICTS.get(found, "not ready")}
    assert len(report.findings) == len(found)
    assert all(f"{counted} characters" in one.description for one in report.findings if counted)


@pytest.mark.parametrize(("aws", "in_app", "by_arn", "found"), [
    (10, 0, 0, READY),
    (11, 0, 0, UNKNOWN),
    (5, 5, 0, READY),
    (5, 6, 0, UNKNOWN),
    (20, 5, 0, UNKNOWN),
    (20, 6, 0, {"too-many-managed-policies"}),
    (26, 0, 0, {"too-many-managed-policies"}),
    (5, 5, 5, UNKNOWN),  # by its ARN, a policy can deny
    (20, 5, 5, UNKNOWN),  # those by their ARNs may be those of the app
    (20, 5, 6, {"too-many-managed-policies"}),
])  # fmt: skip
@pytest.mark.parametrize("in_map", [False, True])
def test_number_of_policies(
    check: Check, aws: int, in_app: int, by_arn: int, found: Found, *, in_map: bool
) -> None:
    data = json.loads(files(_readiness).joinpath("aws_managed_policies.json").read_bytes())
    known = data["others"][:aws]
    arns: list[Body] = [
        {"Fn::Sub": f"arn:${{AWS::Partition}}:iam::aws:policy/{name}"} for name in known
    ]
    names = {f"P{number}": f"arn:aws:iam::aws:policy/{name}" for number, name in enumerate(known)}
    if in_map:
        arns = [{"Fn::FindInMap": ["Policies", "OfAws", name]} for name in names]
    customer = [f"arn:aws:iam::111122223333:policy/p{number}" for number in range(by_arn)]
    role = inline(ALL) | {"ManagedPolicyArns": [*arns, *arns, *customer]}
    more = {f"Policy{number}": managed_policy(S3) for number in range(in_app)}

    report = check(profile_and_role(role, **more) | {"Mappings": {"Policies": {"OfAws": names}}})

    assert report.rules == found
    if by_arn and found == UNKNOWN:  # what else decides is asked of IAM, and not of the quotas
        assert report.only("cannot-be-known").fix.startswith("# Ask IAM after the deployment")


@pytest.mark.parametrize(("number", "found"), [(10, READY), (26, UNKNOWN)])
def test_managed_policies_on_a_condition(check: Check, number: int, found: Found) -> None:
    more = {f"Policy{one}": managed_policy(S3, Condition="Condition") for one in range(number)}

    assert check(profile_and_role(inline(ALL), **more)).rules == found


# Keys --------------------------------------------------------------------------------------------

ALIAS = key_arn(resource="alias/sessions")
ALIAS_OF_STACK = "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:alias/a"
KEYS = {
    "Key": {"Type": "AWS::KMS::Key"},
    "Alias": resource("AWS::KMS::Alias", AliasName="alias/a", TargetKeyId=ref("Key")),
    "Secret": {"Type": "AWS::SecretsManager::Secret"},
}
NOT_BY_ARN, ON_ALL = frozenset({"key-not-by-arn"}), frozenset({"decrypt-on-all-keys"})


def decrypts(on: object) -> Statement:
    return allow("kms:Decrypt", on=on)


OF_KEY = att("Key", "Arn")
IN_STATEMENTS = {
    NOT_BY_ARN: (
        decrypts(ALIAS), decrypts({"Fn::Sub": ALIAS_OF_STACK}), decrypts("alias/sessions"),
        decrypts(KEY_ID), decrypts(f"key/{KEY_ID}"), decrypts(f"mrk-{KEY_ID.replace('-', '')}"),
        decrypts(ref("Key")), decrypts([key_arn(), "alias/sessions"]),
        decrypts([key_arn(), ref("Key")]), decrypts(ref("Alias")),
        decrypts({"Fn::Sub": "${Key}"}), decrypts(att("Key", "KeyId")),
        decrypts({"Fn::Sub": "arn:aws:kms:${AWS::Region}:${AWS::AccountId}:${Alias}"}),
        decrypts([key_arn(), key_arn(resource="alias/a")]), decrypts([OF_KEY, "alias/sessions"]),
        # in both branches, and named once
        decrypts({"Fn::If": ["C", [ref("Key"), key_arn()], ref("Key")]}),
    ),
    ON_ALL: (decrypts("*"), allow("kms:*", on=[key_arn(), "*"]), allow(
        "KMS:dec*", on="arn:aws:kms:*:*:key/*"), allow("s3:*", "kms:Decrypt", on="arn:aws:kms:*"),
        {"Effect": "Allow", "Action": "kms:Decrypt", "NotResource": key_arn()}),
    READY: (decrypts([OF_KEY, ref("Key")]), decrypts([ref("Alias"), OF_KEY]),
        decrypts([key_arn(resource="alias/a"), OF_KEY]), decrypts([key_arn(), KEY_ID]),
        decrypts([OF_KEY, att("Key", "KeyId")]), decrypts(OF_KEY), decrypts(ref("Parameter")),
        decrypts(key_arn()), decrypts(ref("Secret")), decrypts(key_arn(resource="key/*")),
        allow("kms:Encrypt"), allow("kms:CreateAlias", on=ALIAS), deny("kms:Decrypt", on=ALIAS),
        allow("s3:GetObject", on="alias/sessions"), allow("kms:Encrypt", "s3:*"), allow("*"),
        deny("kms:Decrypt"),
        {"Effect": "Allow", "NotAction": "kms:Encrypt", "Resource": "*"},
        allow("kms:Decrypt", Condition={"Null": {"kms:EncryptionContext:a": "false"}})),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "found"), each(IN_STATEMENTS))
def test_keys_in_statements(check: Check, statement: Statement, found: Found) -> None:
    report = check(profile_and_role(Policy=policy(ALL, statement), **KEYS))

    assert [one.rule for one in report.findings] == [*found]
    assert {(one.logical_id, one.severity) for one in report.findings} <= {("Policy", "warning")}


def test_policy_of_two_roles_is_reported_once(check: Check) -> None:
    shared = policy(allow("kms:Decrypt"), roles=[ref("Role"), ref("Other")])

    report = check(profile_and_role(inline(ALL), Policy=shared, **OTHER))

    assert report.verdicts == {"ready": 2}
    assert [finding.rule for finding in report.findings] == ["decrypt-on-all-keys"]


def test_policies_of_roles_without_a_profile_are_not_looked_at(check: Check) -> None:
    body = profile_and_role(inline(allow("kms:Decrypt")))
    del body["Resources"]["Profile"]

    assert check(body).findings == []


# The report --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "success", "of_strict", "otherwise"), [
    (inline(ALL), True, set(), set()),
    ({}, False, {"error"}, {"warning"}),
    (inline(CHANNELS_ONLY), False, {"error"}, {"warning"}),
    (inline(deny("*")), False, {"error"}, {"warning"}),
    ({"ManagedPolicyArns": ["arn:aws:iam::111122223333:policy/x"]}, True, {"info"}, {"info"}),
    (inline(ALL, allow("kms:Decrypt")), True, {"warning"}, {"warning"}),
])  # fmt: skip
def test_strict_fails_on_what_is_not_ready(
    check: Check, role: Body, of_strict: set[str], otherwise: set[str], *, success: bool
) -> None:
    strict, report = (check(profile_and_role(role), strict=one) for one in (True, False))

    assert (strict.success, report.success) == (success, True)
    assert {finding.severity for finding in strict.findings} == of_strict
    assert {finding.severity for finding in report.findings} == otherwise


def test_rule_ids_are_what_can_be_acknowledged() -> None:
    assert SessionManagerReadiness().rule_ids == [
        *("channel-missing", "registration-missing", "explicit-deny"),
        *("inline-policies-too-long", "managed-policy-too-long", "too-many-managed-policies"),
        *("no-instance-profile", "role-not-assumable", "metadata-off", "agent-missing"),
        *("no-network-path", "endpoint-missing", "endpoint-unreachable", "egress-closed"),
        *("session-denied", "log-lost", "exec-denied", "tags-match-nothing"),
        *("key-not-by-arn", "decrypt-on-all-keys", "deprecated-policy", "boot-order"),
        *("cannot-be-known", "ready"),
    ]


def test_one_finding_for_all_profiles_of_a_role(check: Check) -> None:
    profiles = {f"Profile{one}": profile_and_role()["Resources"]["Profile"] for one in range(3)}
    elsewhere = resource("AWS::IAM::InstanceProfile", Roles=["elsewhere"])

    report = check(profile_and_role(**profiles, **{f"Else{one}": elsewhere for one in range(3)}))

    assert report.verdicts == {"not ready": 4, "can't be known": 3}
    assert report.violations == ["channel-missing", "cannot-be-known"]
    found = Counter(finding.rule for finding in report.findings)
    assert found == {"channel-missing": 4, "cannot-be-known": 3}


def test_counts_are_in_the_report_where_there_is_nothing_to_report(check: Check) -> None:
    report = check(profile_and_role(inline(ALL)))

    assert report.violations == ["ready"]  # CDK drops a report that has none
    assert report.findings == []
    assert report.metadata == {"ready": "1", "not ready": "0", "can't be known": "0"}
    assert check({"Resources": {}}).violations == []


def test_version_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: f"{name} 1.2.3")
    assert SessionManagerReadiness().version == "session-manager-permissions 1.2.3"

    def not_installed(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", not_installed)
    assert SessionManagerReadiness().version is None


# As a plug-in of CDK -----------------------------------------------------------------------------


def checked(app: cdk.App, *, strict: bool = False) -> cdk.Stack:
    """A stack of an app with the check."""
    cdk.Validations.of(app).add_plugins(SessionManagerReadiness(strict=strict))
    return cdk.Stack(app, "Stack")


@pytest.mark.parametrize("ready", [True, False])
def test_counts_are_in_the_file_that_cdk_writes(make_app: MakeApp, *, ready: bool) -> None:
    app = make_app()
    stack = checked(app)
    role = profile_of_an_owned_role(stack)
    if ready:
        permits(stack, role)

    written = json.loads((Path(app.synth().directory) / "validation-report.json").read_text())

    ours = [one for one in written["pluginReports"] if "Readiness" in one["pluginName"]]
    counts = {"ready": str(int(ready)), "not ready": str(int(not ready)), "can't be known": "0"}
    assert [one["metadata"] for one in ours] == [counts]


def test_finding_that_is_acknowledged_does_not_fail(make_app: MakeApp) -> None:
    app = make_app()
    stack = checked(app, strict=True)
    profile_of_an_owned_role(stack)
    id_ = "SessionManagerReadiness::channel-missing"
    with pytest.raises(RuntimeError, match="Stack/Profile/Resource") as failure:
        app.synth(force=True)
    assert id_ in str(failure.value)
    acknowledgment = cdk.Acknowledgment(id=id_, reason="not for sessions")
    cdk.Validations.of(stack.node.find_child("Profile")).acknowledge(acknowledgment)

    app.synth(force=True)

    assert {other.rule for other in check_app(app).findings} == NEITHER


def test_stage_with_the_check(make_app: MakeApp) -> None:
    app = make_app()
    for name in ("Checked", "Unchecked"):
        stage = cdk.Stage(app, name)
        profile_of_an_owned_role(cdk.Stack(stage, "Stack"))
        if name == "Checked":
            cdk.Validations.of(stage).add_plugins(SessionManagerReadiness(strict=True))

    with pytest.raises(RuntimeError, match="  Checked/Stack/Profile/Resource") as failure:
        app.synth()

    assert "Unchecked/" not in str(failure.value)


SHOWN = """
import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from session_manager_permissions import SessionManagerPermissions, SessionManagerReadiness

app = cdk.App()
cdk.Validations.of(app).add_plugins(SessionManagerReadiness())
stack = cdk.Stack(app, "Stack")
role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
iam.InstanceProfile(stack, "Profile", role=role)
SessionManagerPermissions(stack, "Permissions", role=role)
app.synth()
"""


def test_the_page_shows_what_synthesis_prints(tmp_path: Path) -> None:
    page = (ROOT / "docs/readiness.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    done = run_python("-c", SHOWN, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert shown in done.stderr
