"""Linters find nothing in the templates of each option, or what they find is explained here."""

import ast
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import cdk_nag
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from session_manager_permissions import (
    SessionManagerEndpoints,
    SessionManagerPermissions,
    SessionPreferences,
)
from tests.cfn_lint import lint

from .builders import EVERY_GRANT, MINIMIZE
from .conftest import ROOT, run
from .constructs.test_endpoints import made
from .places import ACCOUNT, HERE, REGION
from .roles import existing_role, owned_role
from .scenarios import BUCKET_ARN, GROUP_ARN, PREFIX, SCENARIOS, all_owned
from .templates import deployed
from .test_readme import PERMISSIONS, blocks, first_column

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)  # it leaves its data files open
    import parliament


pytestmark = pytest.mark.untraced

PAGE: Final = (ROOT / "docs/scanners.md").read_text(encoding="utf-8")
CHECKOV: Final = ROOT / ".venv-checkov" / "bin" / "checkov"
LINTED: Final = (
    *("nothing", "encryption_key, an alias", "allow_registration", "log_bucket"),
    *("log_bucket with an alias", "log_group", "all"),
)
"""Scenarios that have each statement, and each resource and condition that it may have."""


def endpoints(stack: cdk.Stack) -> SessionManagerEndpoints:
    """Every endpoint, for a VPC that the stack owns."""
    return made(stack, endpoint_policy="account", **SCENARIOS["all"](stack))


def build(stack: cdk.Stack, scenario: str) -> SessionManagerPermissions:
    """A construct with the options; of "owned", everything is the stack's own."""
    role = owned_role(stack) if scenario == "owned" else existing_role(stack)
    options = (SCENARIOS | {"owned": all_owned})[scenario](stack)
    return SessionManagerPermissions(stack, "Permissions", role=role, **options)


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a template for each scenario, and each setting of the flag."""
    folder = tmp_path_factory.mktemp("assembly")
    for minimize in (False, True):
        app = cdk.App(outdir=str(folder / f"minimize-{minimize}"), context={MINIMIZE: minimize})
        for number, scenario in enumerate([*LINTED, "owned"]):
            synthesizer = cdk.BootstraplessSynthesizer()
            build(cdk.Stack(app, f"Stack{number}", env=HERE, synthesizer=synthesizer), scenario)
        synthesizer = cdk.BootstraplessSynthesizer()  # without zones of an account, which are named
        endpoints(cdk.Stack(app, "Endpoints", synthesizer=synthesizer))
        app.synth()
    return folder


def templates(assembly: Path, scenario: str) -> list[Path]:
    number = [*LINTED, "owned"].index(scenario)
    found = sorted(assembly.glob(f"*/Stack{number}.template.json"))
    assert len(found) == 2
    return found


def policy_document(template: Path) -> dict[str, Any]:
    found = json.loads(template.read_text(encoding="utf-8"))["Resources"].values()
    ((body),) = [one["Properties"] for one in found if one["Type"] == "AWS::IAM::Policy"]
    document: dict[str, Any] = body["PolicyDocument"]
    return document


# cfn-lint


@pytest.mark.parametrize("scenario", [*LINTED, "owned"])
def test_cfn_lint_finds_nothing(assembly: Path, scenario: str) -> None:
    without_flag, with_flag = templates(assembly, scenario)
    # The flag sorts the actions: to see that once is enough.
    for template in (without_flag, with_flag) if scenario == "owned" else (with_flag,):
        assert lint(template.read_text(encoding="utf-8"), REGION) == []


# parliament, with the checks of its community

RESOURCE_STAR: Final = ("RESOURCE_STAR", "SessionManagerLogEncryption")
"""AWS's procedure has it on every bucket, as no log bucket is named: give `log_bucket`, or take the
statement away by `check_log_encryption=False`."""

UNKNOWN_ALIASES: Final = "UNKNOWN_CONDITION_FOR_ACTION"
"""parliament's list of condition keys lacks `kms:ResourceAliases`, which AWS documents for KMS:
https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html"""

PUT_ACL: Final = ("PERMISSIONS_MANAGEMENT_ACTIONS", "")
"""`s3:PutObjectAcl` on the log objects: in another account's bucket the agent gives its owner
control of them."""

EXPECTED: Final = {
    "nothing": {RESOURCE_STAR},
    "encryption_key, an alias": {RESOURCE_STAR, (UNKNOWN_ALIASES, "kms:Decrypt")},
    "allow_registration": {RESOURCE_STAR},
    "log_bucket with an alias": {
        (UNKNOWN_ALIASES, "kms:GenerateDataKey"), (UNKNOWN_ALIASES, "kms:Decrypt")},
    "log_group": {RESOURCE_STAR}, "all": {PUT_ACL},
}  # fmt: skip


def analyzed(document: dict[str, Any]) -> list[Any]:
    found = parliament.analyze_policy_string(json.dumps(document), include_community_auditors=True)
    return [*found.findings]


def findings(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The findings of parliament, each with its location."""
    for finding in analyzed(document):
        if finding.issue == "RESOURCE_STAR":
            sids = {one["Sid"] for one in document["Statement"] if one["Action"] in finding.detail}
            yield from ((finding.issue, sid) for sid in sids)
        elif finding.issue == UNKNOWN_ALIASES:
            prefix, action = finding.detail.split(" for action ")
            assert prefix == "Unknown condition kms:ResourceAliases"
            yield finding.issue, action
        else:
            yield finding.issue, finding.detail


@pytest.mark.parametrize("scenario", LINTED)
def test_parliament_finds_what_is_argued(assembly: Path, scenario: str) -> None:
    for template in templates(assembly, scenario):
        assert set(findings(policy_document(template))) == EXPECTED.get(scenario, set())


OPERATORS: Final = {
    ("UNKNOWN_CONDITION_FOR_ACTION", "ssm:StartSession"),
    ("UNKNOWN_CONDITION_FOR_ACTION", "kms:GenerateDataKey"),
    ("RESOURCE_MISMATCH", "ssmmessages:OpenDataChannel"),
}
"""parliament's list lacks `ssm:SessionDocumentAccessCheck` as well. `OpenDataChannel` has no
resource type, and AWS's managed policies for operators have it on `session/*` all the same, among
them AWSCodeBuildDeveloperAccess and AWSSystemsManagerJustInTimeAccessTokenPolicy."""


@pytest.mark.parametrize("minimize", [False, True])
def test_parliament_finds_what_is_argued_of_an_operator(tmp_path: Path, *, minimize: bool) -> None:
    app = cdk.App(outdir=str(tmp_path), context={MINIMIZE: minimize})
    stack = cdk.Stack(app, "Stack", env=HERE, synthesizer=cdk.BootstraplessSynthesizer())
    alias = kms.Alias.from_alias_name(stack, "Alias", "alias/sessions")
    preferences = SessionPreferences.from_document_name(stack, "Sessions", encryption_key=alias)
    preferences.grant_start_session(
        iam.Group(stack, "Operators"), instance_tags={"team": "web"}, **EVERY_GRANT
    )
    app.synth()

    document = deployed(policy_document(tmp_path / "Stack.template.json"))
    found = {(finding.issue, str(finding.detail)) for finding in analyzed(document)}
    about = {
        (issue, action)
        for issue, action in OPERATORS
        for one, detail in found
        if one == issue and action in detail
    }
    assert about == OPERATORS
    assert len(found) == len(OPERATORS)


def test_page_lists_what_is_argued() -> None:
    argued = {issue for findings in (*EXPECTED.values(), OPERATORS) for issue, _ in findings}

    assert set(first_column("finding", PAGE)) == argued | {UNCONSTRAINED_WRITE}


# cdk-nag's AwsSolutions

STAR: Final = "AwsSolutions-IAM5[Resource::*]"
OBJECTS: Final = f"AwsSolutions-IAM5[Resource::{BUCKET_ARN}/*]"
STREAMS: Final = f"AwsSolutions-IAM5[Resource::{GROUP_ARN}:*]"
ALIASED: Final = f"AwsSolutions-IAM5[Resource::arn:aws:kms:{REGION}:{ACCOUNT}:key/*]"
NAG: Final = {
    "encryption_key, an alias": {STAR, ALIASED},
    "log_bucket": {STAR, OBJECTS},
    "log_bucket with an alias": {STAR, OBJECTS, ALIASED},
    "log_group": {STAR, STREAMS},
    "all": {STAR, f"AwsSolutions-IAM5[Resource::{BUCKET_ARN}/{PREFIX}/*]", STREAMS},
}


def violations(app: cdk.App) -> set[str]:
    """The ids of what the plug-in finds, all of it on this library's policy."""
    folder = Path(app.outdir)
    try:
        app.synth()
    except RuntimeError as error:
        assert "ValidationFailed" in str(error)  # noqa: PT017
    else:
        return set()
    report = json.loads((folder / "validation-report.json").read_text(encoding="utf-8"))
    (plugin,) = report["pluginReports"]
    assert plugin["pluginName"] == "AwsSolutions"
    for violation in plugin["violations"]:
        for construct in violation["violatingConstructs"]:
            assert construct["constructPath"].endswith("/Permissions/Policy/Resource")
    return {violation["ruleName"] for violation in plugin["violations"]}


def app_with_nag(folder: Path) -> cdk.App:
    app = cdk.App(outdir=str(folder))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    return app


@pytest.mark.parametrize("scenario", LINTED)
def test_cdk_nag_finds_the_wildcards_without_a_choice(tmp_path: Path, scenario: str) -> None:
    expected = NAG.get(scenario, {STAR})
    for acknowledged in (set(), expected):
        app = app_with_nag(tmp_path / str(len(acknowledged)))
        permissions = build(cdk.Stack(app, "Stack", env=HERE), scenario)
        for finding in acknowledged:
            acknowledgment = cdk.Acknowledgment(id=finding, reason="AWS leaves no choice")
            cdk.Validations.of(permissions).acknowledge(acknowledgment)
        assert violations(app) == expected - acknowledged


def test_cdk_nag_finds_nothing_in_endpoints(tmp_path: Path) -> None:
    app = app_with_nag(tmp_path / "cdk.out")
    made = endpoints(cdk.Stack(app, "Stack", env=HERE))
    vpc = made.node.scope.node.find_child("Vpc")  # type: ignore[union-attr]
    cdk.Validations.of(vpc).acknowledge(
        cdk.Acknowledgment(id="AwsSolutions-VPC7", reason="the flow log is the VPC's")
    )

    assert violations(app) == set()


def example_with_logs(folder: Path, monkeypatch: pytest.MonkeyPatch, pasted: str) -> set[str]:
    """The violations that the plug-in finds in the example with session logs."""
    (example,) = (text for _, text in blocks("python", PERMISSIONS) if "log_group=" in text)
    app = app_with_nag(folder)
    monkeypatch.setattr(cdk, "App", lambda: app)
    exec(example.replace("app.synth()", pasted), {})  # noqa: S102 - it is the page's
    return violations(app)


def test_the_page_acknowledges_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((_, text),) = blocks("py", PAGE)
    with monkeypatch.context() as patched:
        found = example_with_logs(tmp_path / "bare", patched, "")
    with monkeypatch.context() as patched:
        assert example_with_logs(tmp_path / "acknowledged", patched, text) == set()

    ids = {
        ast.literal_eval(keyword.value)
        for keyword in ast.walk(ast.parse(text))
        if isinstance(keyword, ast.keyword) and keyword.arg == "id"
    }
    assert ids == found
    assert len(ids) == 4


# checkov

UNCONSTRAINED_WRITE: Final = "CKV_AWS_111"
"""`ssm:UpdateInstanceInformation` on `*`: the template does not know the instances of a role."""


@pytest.mark.checkov
def test_checkov_finds_what_is_argued(assembly: Path) -> None:
    assert CHECKOV.exists(), "checkov has an environment of its own: `make test` sets it up"
    how = ["--framework=cloudformation", "--skip-download", "--compact", "--output=json"]

    report = json.loads(run(CHECKOV, "--directory", assembly, *how, cwd=assembly).stdout)
    checks = report["results"]["failed_checks"]
    of_iam = [check for check in checks if check["resource"].startswith("AWS::IAM::")]
    failed = {(check["file_path"], check["check_id"]) for check in of_iam}
    assert [check for check in checks if "Endpoints" in check["resource"]] == []
    registering = {
        template
        for scenario in ("allow_registration", "all", "owned")
        for template in templates(assembly, scenario)
    }
    assert report["summary"]["resource_count"] > 2 * len(LINTED)
    assert failed == {(f"/{one.relative_to(assembly)}", UNCONSTRAINED_WRITE) for one in registering}
