"""Hostile and careless input: it is refused in the user's terms, or stays the text that it is."""

import functools
import json
import re
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from session_manager_permissions import (
    SessionManagerFleet,
    SessionManagerPermissions,
    SessionPreferences,
    lookup_instance_profile,
)
from session_manager_permissions._app import CONTEXT

from .conftest import BY_CHANCE, ROOT
from .keys import existing_bucket, l1_bucket
from .places import ACCOUNT, HERE, REGION, role_arn
from .reading import template
from .roles import existing_role
from .test_app import build, policy

PACKAGE: Final = str(ROOT / "session_manager_permissions")
HARMLESS: Final = "harmless"
PATTERNS: Final = ("*", "?", "${")
FORGED: Final = r"[$#]\{Token\["
"""What looks like a token and is none: CDK refuses it, at synthesis at the latest."""

PIECES: Final = (
    *("*", "?", "${", "}", "${*}", "${aws:userid}", "{{ssm:x}}", "${Token[*]}", "${Token[a]}"),
    *("${Token[TOKEN.none]}", "#{Token[TOKEN.none]}", "${AWS::AccountId}", "arn:", "arn:aws:s3:::"),
    *(":", "::", "/", "//", ".", "..", "/aws-reserved/", "alias/", "key/", "aws", "\\", '"', "'"),
    *("\n", "\r", "\0", "\x1b[31m", " ", "\u2028", "é", "秘密", "\U0001f600", "\ud800", "\udfff"),
    *("__proto__", "constructor", "a", "web", "1", "-", "_", "=", "x" * 130, "x" * 1100),
)
HOSTILE: Final = st.lists(
    st.sampled_from(PIECES) | st.characters() | st.just(HARMLESS), max_size=5
).map("".join)


def itself(_: cdk.Stack, value: Any) -> Any:  # noqa: ANN401
    return value


def around(harmless: str) -> st.SearchStrategy[str]:
    """A valid text with hostile text inserted, or hostile text alone."""
    places = st.integers(0, len(harmless))
    return HOSTILE | st.builds(lambda at, one: harmless[:at] + one + harmless[at:], places, HOSTILE)


class Place(NamedTuple):
    """An argument by which a user passes a text."""

    argument: str
    """What a refusal names."""
    give: Callable[[cdk.Stack, Any], object]
    """Gives this library what `of` makes of the text."""
    of: Callable[[cdk.Stack, Any], object] = itself
    """CDK's import of the text, which may refuse it."""
    written: Callable[[str], str] = str
    """The text as a template has it."""
    is_pattern_free: bool = False
    """Whether nothing in it is a pattern to whom it is for."""
    has_default: bool = False
    """Whether None is no wrong value."""
    tokens: tuple[str, ...] = ("whole", "in a text", "lazy")
    """The kinds of token that may be given."""
    harmless: str = HARMLESS
    """What is taken there."""


def complete(stack: cdk.Stack, option: str, value: object) -> dict[str, Any]:
    """The option, together with the log bucket that a log prefix requires."""
    bucket = {"log_bucket": existing_bucket(stack)} if option == "log_prefix" else {}
    return {option: value, **bucket}


def permissions(option: str) -> Callable[[cdk.Stack, Any], object]:
    def give(stack: cdk.Stack, value: Any) -> object:  # noqa: ANN401
        options = complete(stack, option, value)
        if option not in {"role", "instance_profile"}:
            options["role"] = existing_role(stack)
        return SessionManagerPermissions(stack, "Permissions", **options)

    return give


def imported(option: str, of: Callable[[cdk.Stack, Any], object], **more: Any) -> Place:  # noqa: ANN401
    """A place in CDK's import of what the option is given."""
    return Place(option, permissions(option), of, **more)


def preferences(option: str) -> Callable[[cdk.Stack, Any], object]:
    def give(stack: cdk.Stack, value: Any) -> object:  # noqa: ANN401
        return SessionPreferences(stack, "Preferences", **complete(stack, option, value))

    return give


def start_session(stack: cdk.Stack, name: Any = "Existing", **access: Any) -> object:  # noqa: ANN401
    existing = SessionPreferences.from_document_name(stack, "Preferences", name)
    return existing.grant_start_session(iam.Group(stack, "Operators"), **access)


def existing_preferences(stack: cdk.Stack, value: Any) -> object:  # noqa: ANN401
    existing = SessionPreferences.from_document_name(
        stack, "Preferences", log_bucket=existing_bucket(stack), log_prefix=value
    )
    return permissions("preferences")(stack, existing)


def joined(prefix: str) -> str:
    return "/".join(part for part in prefix.split("/") if part)


def group_name(name: str) -> str:
    """CDK takes the `:*` of an ARN of all streams after a name too."""
    return name.removesuffix(":*")


def role_name(name_or_path: str) -> str:
    return name_or_path.rpartition("/")[2]


def key_of(arn: str) -> Callable[[cdk.Stack, str], object]:
    return lambda s, v: kms.Key.from_key_arn(s, "Key", arn.format(v))


def group_of(arn: str) -> Callable[[cdk.Stack, str], object]:
    return lambda s, v: logs.LogGroup.from_log_group_arn(s, "Group", arn.format(v))


INSTANCES: Final = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{{}}"
TEXTS: Final = {
    "policy_name": Place("policy_name", permissions("policy_name"), has_default=True),
    "log_prefix": Place("log_prefix", permissions("log_prefix"), written=joined, has_default=True),
    "log_prefix of preferences": Place("log_prefix", preferences("log_prefix"), written=joined,
        has_default=True),
    "log_prefix of an existing document": Place("log_prefix", existing_preferences, written=joined,
        has_default=True),
    "document_name": Place("document_name", preferences("document_name"), has_default=True),
    "document_name of an existing document": Place("document_name",
        lambda s, v: start_session(s, v, all_instances=True)),
    "run_as_user": Place("run_as_user", preferences("run_as_user"), has_default=True),
    **{profile: Place(profile, preferences(profile), is_pattern_free=True, has_default=True)
       for profile in ("linux_shell_profile", "windows_shell_profile")},
    "a tag's key": Place("instance_tags",
        lambda s, v: start_session(s, instance_tags={v: "web"}), is_pattern_free=True,
        tokens=("lazy",)),  # which CDK knows at synthesis
    "a tag's value": Place("instance_tags['team']",
        lambda s, v: start_session(s, instance_tags={"team": v}), is_pattern_free=True),
    "a tag's values": Place("instance_tags['team']",
        lambda s, v: start_session(s, instance_tags={"team": ["shop", v]}), is_pattern_free=True),
    "instance_arns": Place("instance_arns",
        lambda s, v: start_session(s, instance_arns=[INSTANCES.format("1"), v]),
        harmless=INSTANCES.format(HARMLESS),
        tokens=("whole", "lazy")),  # beside a text it is no ARN
    "instance_profile_name": Place("instance_profile_name",
        lambda s, v: lookup_instance_profile(s, "Profile", instance_profile_name=v), tokens=()),
}  # fmt: skip
IDS: Final[dict[str, Callable[[cdk.Stack, Any], object]]] = {
    "SessionManagerPermissions":
        lambda s, v: SessionManagerPermissions(s, v, role=existing_role(s)),
    "SessionManagerFleet": SessionManagerFleet,
    "SessionPreferences": SessionPreferences,
    "from_document_name": SessionPreferences.from_document_name,
    "lookup_instance_profile":
        lambda s, v: lookup_instance_profile(s, v, instance_profile_name="web"),
}  # fmt: skip
KEYS: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{{}}"
IMPORTS: Final = {
    "role's name": imported("role", lambda s, v: iam.Role.from_role_name(s, "Role", v),
        written=role_name),
    "role's ARN": imported("role", lambda s, v: iam.Role.from_role_arn(s, "Role", v),
        written=role_name, harmless=role_arn(HARMLESS)),
    "role's path and name in its ARN": imported("role",
        lambda s, v: iam.Role.from_role_arn(s, "Role", role_arn(v)), written=role_name),
    "role's name in an L1 profile": Place("role", permissions("instance_profile"),
        lambda s, v: iam.CfnInstanceProfile(s, "Profile", roles=[v]), written=role_name),
    "key's ARN": imported("encryption_key", key_of("{}"), harmless=KEYS.format(HARMLESS)),
    "key's id": imported("encryption_key", key_of(KEYS)),
    "key's region": imported("encryption_key", key_of(f"arn:aws:kms:{{}}:{ACCOUNT}:key/a")),
    "key's account": imported("encryption_key", key_of(f"arn:aws:kms:{REGION}:{{}}:key/a"),
        harmless=ACCOUNT),
    "alias": imported("encryption_key",
        lambda s, v: kms.Alias.from_alias_name(s, "Key", f"alias/{v}")),
    "alias without its beginning": imported("encryption_key",
        lambda s, v: kms.Alias.from_alias_name(s, "Key", v), harmless=f"alias/{HARMLESS}"),
    "alias of an L1": imported("encryption_key",
        lambda s, v: kms.CfnAlias(s, "Key", alias_name=f"alias/{v}", target_key_id="a")),
    "bucket name": imported("log_bucket", lambda s, v: s3.Bucket.from_bucket_name(s, "Bucket", v)),
    "bucket's name by its L1": imported("log_bucket",
        lambda s, v: s3.CfnBucket.from_bucket_name(s, "Bucket", v)),
    "bucket's ARN": imported("log_bucket", lambda s, v: s3.Bucket.from_bucket_arn(s, "Bucket", v),
        harmless=f"arn:aws:s3:::{HARMLESS}"),
    "bucket's key": Place("log_bucket's encryption key", permissions("log_bucket"), l1_bucket),
    "log group's name": imported("log_group",
        lambda s, v: logs.LogGroup.from_log_group_name(s, "Group", v), written=group_name),
    "log group's name in its ARN": imported("log_group",
        group_of(f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}"), written=group_name),
    "log group's region": imported("log_group",
        group_of(f"arn:aws:logs:{{}}:{ACCOUNT}:log-group:a")),
    "log group's name by its L1": imported("log_group",
        lambda s, v: logs.CfnLogGroup.from_log_group_name(s, "Group", v), written=group_name),
}  # fmt: skip
PLACES: Final = TEXTS | IMPORTS
OF_ALL: Final = settings(BY_CHANCE, max_examples=12)
each_place: Final = pytest.mark.parametrize("name", PLACES)


def new_stack(folder: Path) -> cdk.Stack:
    app = cdk.App(outdir=str(folder), analytics_reporting=False)
    return cdk.Stack(app, "Stack", env=HERE, synthesizer=cdk.BootstraplessSynthesizer())


def granted(stack: cdk.Stack) -> list[dict[str, Any]]:
    """The properties of all policies and documents, without the digests in Sids."""
    kinds = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::SSM::Document")
    found = template(stack).get("Resources", {}).values()
    text = json.dumps([body["Properties"] for body in found if body["Type"] in kinds])
    digest = r'("Sid": "(SessionManagerDecryptAlias|StartSession[A-Z][a-z]+))[0-9a-f]{8}"'
    properties: list[dict[str, Any]] = json.loads(re.sub(digest, r'\1"', text))
    return properties


def replaced(value: Any, old: str, new: str) -> Any:  # noqa: ANN401
    """`value`, with `old` replaced by `new` in every text in it."""
    match value:
        case str():
            return value.replace(old, new)
        case [*entries]:
            return [replaced(entry, old, new) for entry in entries]
        case dict():
            return {replaced(k, old, new): replaced(v, old, new) for k, v in value.items()}
    return value


def refused(error: Exception, argument: str) -> None:
    """Assert that this library raised the error, and that its message names the argument."""
    assert type(error) in {TypeError, ValueError}
    assert traceback.extract_tb(error.__traceback__)[-1].filename.startswith(PACKAGE)
    assert argument in str(error)


def refusal(
    place: Place, stack: cdk.Stack, value: object, error: type[Exception] = ValueError
) -> str:
    """The message with which the place refuses a value."""
    with pytest.raises(error) as caught:
        place.give(stack, value)
    refused(caught.value, place.argument)
    return str(caught.value)


@functools.cache
def granted_harmless(name: str, folder: Path) -> list[dict[str, Any]]:
    stack = new_stack(folder)
    place = PLACES[name]
    place.give(stack, place.of(stack, place.harmless))
    return granted(stack)


@each_place
@OF_ALL
@given(data=st.data())
def test_a_text_is_refused_or_kept(tmp_path: Path, name: str, data: st.DataObject) -> None:
    place = PLACES[name]
    holds(place, name, data.draw(around(place.harmless)), tmp_path)


# Each was taken, or ended in an error of JavaScript or of Python's own. Others that were are in the
# tables of tests/test_limits.py and tests/constructs/.
FOUND: Final = [
    ("alias", "\ud800"),
    ("bucket's key", "${"),
    ("bucket's ARN", f"arn:aws:sns:::{HARMLESS}"),
    ("bucket's ARN", f"arn:aws:s3:*::{HARMLESS}"),
    ("bucket's ARN", f"arn:*aws:s3:::{HARMLESS}"),
    ("log group's region", "*"),
    ("log group's region", "秘密"),
]


@pytest.mark.parametrize(("name", "value"), FOUND)
def test_what_was_found_is_refused(tmp_path: Path, name: str, value: str) -> None:
    place = PLACES[name]
    stack = new_stack(tmp_path)
    assert refusal(place, stack, place.of(stack, value))


def holds(place: Place, name: str, value: str, folder: Path) -> None:
    stack = new_stack(folder)
    try:
        given = place.of(stack, value)
    except RuntimeError:  # CDK's own, in the user's call
        return
    assume(not re.search(FORGED, value))
    assume(name != "bucket's key" or not value.startswith(("alias/", "arn:")))  # no longer an id
    try:
        place.give(stack, given)
    except (TypeError, ValueError) as error:
        refused(error, place.argument)
        return
    except RuntimeError:  # CDK's own
        assert "#{Token[" in value
        return
    expected = granted_harmless(name, folder)
    written = place.written(value)
    assert place.is_pattern_free or not any(sign in written for sign in PATTERNS)
    if not written:  # a prefix, which then has no slash
        expected = replaced(expected, f"{HARMLESS}/", "")
    assert granted(stack) == replaced(expected, place.written(place.harmless), written)


@pytest.mark.parametrize("kind", IDS)
@OF_ALL
@given(value=HOSTILE)
@example(value="")
@example(value="__proto__")
@example(value="\ud800")
def test_an_id_is_refused_or_grants_the_same(tmp_path: Path, kind: str, value: str) -> None:
    def statements(construct_id: str) -> list[object]:
        stack = new_stack(tmp_path)
        iam.CfnInstanceProfile(stack, "Profile", roles=["Existing"])
        IDS[kind](stack, construct_id)
        return [found.get("PolicyDocument", found.get("Content")) for found in granted(stack)]

    try:
        found = statements(value)
    except RuntimeError:  # CDK's own
        return
    except (TypeError, ValueError) as error:
        refused(error, "construct_id")
    else:
        assert found == statements("Harmless")


@OF_ALL
@given(value=around("Existing"))
def test_a_fleet_attaches_to_no_other_role_than_the_profile_s(tmp_path: Path, value: str) -> None:
    assume(not re.search(FORGED, value))
    stack = new_stack(tmp_path)
    iam.CfnInstanceProfile(stack, "Profile", roles=[value])
    SessionManagerFleet(stack, "Fleet")

    roles = [role for found in granted(stack) for role in found["Roles"]]

    assert roles in ([], [role_name(value)])


@jsii.implements(cdk.IStableStringProducer)
class Later:
    """The text of a lazy value."""

    def produce(self) -> str:
        return "lazy-text"


TOKENS: Final[dict[str, tuple[Callable[[cdk.Stack], str], object]]] = {
    "whole": (lambda s: cdk.CfnParameter(s, "Given").value_as_string, {"Ref": "Given"}),
    "in a text": (lambda s: f"x-{cdk.CfnParameter(s, 'Given').value_as_string}", {"Ref": "Given"}),
    "lazy": (lambda _: cdk.Lazy.string(cast("Any", Later())), "lazy-text"),
}


@pytest.mark.parametrize("kind", TOKENS)
@each_place
def test_a_token_arrives_in_the_template(tmp_path: Path, name: str, kind: str) -> None:
    place = PLACES[name]
    stack = new_stack(tmp_path)
    make, arrives = TOKENS[kind]
    try:
        given = place.of(stack, make(stack))
    except RuntimeError as error:
        assert place.of is not itself
        pytest.skip(f"CDK takes none there: {error}")
    if name == "a tag's key" and kind not in place.tokens:
        with pytest.raises(RuntimeError, match="is used as the key in a map so must resolve"):
            place.give(stack, given)
        return
    if kind not in place.tokens:
        assert refusal(place, stack, given)
        return
    place.give(stack, given)

    assert json.dumps(arrives).strip('"') in json.dumps(template(stack)["Resources"])


@pytest.mark.parametrize(
    "name", [name for name, place in PLACES.items() if place.tokens and not place.is_pattern_free]
)
def test_a_pattern_beside_a_token_is_refused(tmp_path: Path, name: str) -> None:
    place = PLACES[name]
    stack = new_stack(tmp_path)
    value = f"{place.harmless}*{cdk.CfnParameter(stack, 'Given').value_as_string}"
    try:
        given = place.of(stack, value)
    except RuntimeError as error:
        pytest.skip(f"CDK takes none there: {error}")

    assert refusal(place, stack, given)


def test_a_list_that_only_the_deployment_knows_arrives(tmp_path: Path) -> None:
    stack = new_stack(tmp_path)
    values = cdk.CfnParameter(stack, "Given", type="CommaDelimitedList").value_as_list

    start_session(stack, instance_tags={"team": values})

    assert '"ssm:resourceTag/team": {"Ref": "Given"}' in json.dumps(granted(stack))


# Read twice, it would be empty the second time: every instance, and no exclusion.
@pytest.mark.parametrize("place", [
    Place("instance_arns", lambda s, v: start_session(s, instance_arns=v)),
    Place("instance_tags", lambda s, v: start_session(s, instance_tags={"team": v})),
    Place("exclude", lambda s, v: SessionManagerFleet(s, "Fleet", exclude=v)),
], ids=lambda place: str(place.argument))  # fmt: skip
@pytest.mark.parametrize("wrong", [7, b"text", iter(["text"])])
def test_what_is_no_sequence_is_a_type_error(tmp_path: Path, place: Place, wrong: object) -> None:
    assert repr(wrong) in refusal(place, new_stack(tmp_path), wrong, TypeError)


WRONG: Final = [7, b"text", ["text"], None, existing_role]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_text_is_a_type_error_with_the_value(
    tmp_path: Path, name: str, wrong: object
) -> None:
    place = TEXTS[name]
    stack = new_stack(tmp_path)
    if wrong is None and place.has_default:
        pytest.skip("the default")
    if name.startswith("a tag's") and isinstance(wrong, list):
        pytest.skip("a tag may have several values, and Python takes no list as a key")
    value = existing_role(stack, "Wrong") if wrong is existing_role else wrong

    named = "'Stack/Wrong'" if wrong is existing_role else repr(value)
    assert named in refusal(place, stack, value, TypeError)


FLAGS: Final = ("allow-registration", "check-log-encryption", "decrypt-sessions-only")
OF_THE_APP: Final = {
    **dict.fromkeys((*CONTEXT, "a-mistyped-one"), HARMLESS),
    **dict.fromkeys(("key", "log-bucket-key"), KEYS.format(HARMLESS)),
    **dict.fromkeys(FLAGS, "true"),
}
"""What is taken there, by the option."""


def granted_by_app(folder: Path, name: str, value: object) -> object:
    """The app's grants with one value in the context, or the line that the app ends with."""
    others = {} if name.startswith(("role", "instance-profile")) else {"role": "web"}
    if name in {"log-bucket-key", "log-prefix"}:
        others["log-bucket"] = "session-logs"
    shutil.rmtree(folder / "cdk.out", ignore_errors=True)
    try:
        properties = policy(build(folder, others | {name: value})[1])
    except SystemExit as ended:
        return ended.code
    if "role" not in others:
        del properties["PolicyName"]  # with the stack's name in it
    return properties


@pytest.mark.parametrize("name", OF_THE_APP)
@OF_ALL
@given(data=st.data())
def test_the_app_ends_in_a_line_or_grants(tmp_path: Path, name: str, data: st.DataObject) -> None:
    value = data.draw(around(OF_THE_APP[name]))
    found = granted_by_app(tmp_path, name, value)
    if isinstance(found, str):
        assert re.fullmatch(r"app\.py: .+", found)
        assert len(found.splitlines()) == 1
        return
    assert name not in {"a-mistyped-one", "instance-profiles", "roles"}  # there is no such file
    harmless = granted_by_app(tmp_path, name, OF_THE_APP[name])
    written = role_name if name == "role" else joined if name == "log-prefix" else str
    assert not any(sign in written(value) for sign in PATTERNS)
    if not written(value):
        harmless = replaced(harmless, f"{HARMLESS}/", "")
    if name != "instance-profile":  # its role is a dummy, named after it
        assert found == replaced(harmless, written(OF_THE_APP[name]), written(value))


@pytest.mark.parametrize("value", [7, ["text"], "", "\ud800", "${Token[a]}"])
@pytest.mark.parametrize("name", OF_THE_APP)
def test_the_app_ends_in_a_line_if_it_is_no_text(tmp_path: Path, name: str, value: object) -> None:
    found = granted_by_app(tmp_path, name, value)

    assert isinstance(found, str)
    assert re.fullmatch(r"app\.py: .+", found)


@OF_ALL
@given(lines=st.lists(around(HARMLESS), max_size=3))
def test_each_line_of_a_file_is_a_role_or_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "\n".join(lines)
    (tmp_path / "names.txt").write_bytes(text.encode("utf-8", "surrogatepass"))
    found = granted_by_app(tmp_path, "roles", "names.txt")
    if isinstance(found, str):
        assert all(re.fullmatch(r"app\.py: .*names\.txt:.+", line) for line in found.splitlines())
        return
    assert isinstance(found, dict)
    assert found["Roles"]
    assert not any(sign in role for sign in PATTERNS for role in found["Roles"])
    assert {*found["Roles"]} <= {line.partition("#")[0].strip() for line in text.splitlines()}
