"""The options that several constructs take: each does the same, or is refused alike, wherever."""

import functools
import inspect
import itertools
import json
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions import (
    SessionManagerAccess,
    SessionManagerEndpoints,
    SessionManagerFleet,
    SessionManagerOptions,
    SessionManagerPermissions,
    SessionPreferences,
    session_manager_statements,
)
from session_manager_permissions._limits import MAX_INLINE_POLICIES
from tests.builders import MINIMIZE, l1_profile
from tests.conftest import MakeApp
from tests.keys import existing_key, imported_alias, l1_alias
from tests.places import ACCOUNT, ALIAS, HERE, KEY_ID, OTHER_ACCOUNT, OTHER_REGION, REGION, key_arn
from tests.reading import policy
from tests.roles import existing_role, owned_role
from tests.scenarios import SCENARIOS
from tests.templates import as_list

Statements = dict[str, dict[str, Any]]
Make = Callable[[cdk.Stack], object]
Take = Callable[..., object]

TAKE: Final[dict[str, Take]] = {
    "construct": lambda s, **options: SessionManagerPermissions(
        s, "It", instance_profile=l1_profile(s, "Existing"), **options
    ),
    "fleet": lambda s, **o: l1_profile(s, "Existing") and SessionManagerFleet(s, "It", **o),
    "mixin": lambda s, **options: l1_profile(s, "Existing").with_(SessionManagerAccess(**options)),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_option_allows_the_same_wherever_it_is_given(make_app: MakeApp, scenario: str) -> None:
    alone = cdk.Stack(make_app(), "Stack", env=HERE)
    statements = session_manager_statements(**SCENARIOS[scenario](alone))
    expected = alone.resolve(iam.PolicyDocument(statements=statements))
    app = make_app()
    stacks = {name: cdk.Stack(app, name, env=HERE) for name in TAKE}
    for name, stack in stacks.items():
        TAKE[name](stack, **SCENARIOS[scenario](stack))
    for stack in stacks.values():
        assert policy(stack)["PolicyDocument"] == expected


def signing_key(scope: cdk.Stack) -> kms.Key:
    spec, usage = kms.KeySpec.ECC_NIST_P256, kms.KeyUsage.SIGN_VERIFY
    return kms.Key(scope, "Key", key_spec=spec, key_usage=usage)


def rsa(scope: cdk.Stack) -> kms.CfnKey:
    return kms.CfnKey(scope, "Key", key_spec="RSA_2048")


def bucket(name_or_arn: str) -> Make:
    by_arn, by_name = s3.Bucket.from_bucket_arn, s3.CfnBucket.from_bucket_name
    is_arn = "/" in name_or_arn or REGION in name_or_arn
    return lambda s: (by_arn if is_arn else by_name)(s, "It", name_or_arn)


def group_by_name(name: str) -> Make:
    return lambda s: logs.LogGroup.from_log_group_name(s, "It", name)


def group_by_arn(resource: str, service: str = "logs") -> Make:
    arn = f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"
    return lambda s: logs.LogGroup.from_log_group_arn(s, "It", arn)


UNFIT: Final[dict[str, Make]] = {
    "L2": signing_key,
    "L1": rsa,
    "L1 by its ARN": lambda s: kms.Key.from_key_arn(s, "It", rsa(s).attr_arn),
    "alias": lambda s: kms.Alias(s, "A", alias_name="alias/a", target_key=signing_key(s)),
    "alias by its attributes": lambda s: kms.Alias.from_alias_attributes(
        s, "Alias", alias_name=ALIAS, alias_target_key=signing_key(s)
    ),
    "L1 alias by a Ref": lambda s: l1_alias(s, rsa(s).ref),
    "L1 alias by an ARN": lambda s: l1_alias(s, signing_key(s).key_arn),
}
"""Keys that certainly can't decrypt."""
ON_NO_KEY: Final[dict[str, Make]] = {
    "AWS managed": lambda s: imported_alias(s, "alias/aws/ssm"),
    "AWS managed, by ARN": lambda s: existing_key(s, resource="alias/aws/ssm"),
    "alias without its prefix": lambda s: imported_alias(s, "sessions"),
    "all aliases": lambda s: imported_alias(s, "alias/*"),
    "all keys": lambda s: existing_key(s, resource="key/*"),
    "another service's": lambda s: kms.Key.from_key_arn(s, "Key", f"arn:aws:s3:::key/{KEY_ID}"),
    "no region": lambda s: existing_key(s, region=""),
    "all regions": lambda s: existing_key(s, region="*"),
    "all accounts": lambda s: existing_key(s, account="*"),
    "no account": lambda s: existing_key(s, account="", resource=ALIAS),
    "no region's name": lambda s: existing_key(s, region="eu west", resource=ALIAS),
    "no account's id": lambda s: existing_key(s, account="my account"),
}
NO_ONE_BUCKET: Final = (
    *("session-*", "logs-${aws:userid}", "arn:aws:s3:::session-logs"),
    *("arn:aws:s3:::session-logs/a.log", f"arn:aws:s3:{REGION}:{ACCOUNT}:session-logs"),
)
NO_ONE_GROUP: Final[dict[str, Make]] = {
    "another service's": group_by_arn("logs", "s3"),
    "stream": group_by_arn("log-group:/session/logs:log-stream:a"),
    "destination": group_by_arn("destination:logs"),
    "all": group_by_arn("log-group:*"),
    "many": group_by_arn("log-group:/a/*/b"),
    "ARN for a name": group_by_name(f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/session/logs"),
    "wildcard": group_by_name("/session/*"),
    "variable": group_by_name("/a/${aws:username}"),
}
WRONG_TYPES: Final[dict[str, tuple[object, ...]]] = {
    "encryption_key": (ALIAS, 7, owned_role, existing_role),
    "log_bucket": ("session-logs", 7, {"bucket": 1}, existing_role, logs.CfnLogGroup),
    "log_group": ("/session/logs", 7, existing_role, s3.CfnBucket),
    "allow_registration": ("true", 1, None),
    "decrypt_sessions_only": ("false", 0, None),
    # None is the default of check_log_encryption, which preferences decide.
    "check_log_encryption": ("true", 1, [True]),
    "preferences": ("SSM-SessionManagerRunShell", {"log_bucket": 1}, True),
}
WRONG_VALUES: Final[dict[str, dict[str, object]]] = {
    "encryption_key": {**UNFIT, **ON_NO_KEY},
    "log_bucket": {name: bucket(name) for name in NO_ONE_BUCKET},
    "log_group": {**NO_ONE_GROUP},
    "log_prefix": {"without a bucket": "web"},
}
WRONG: Final = [
    *(pytest.param(option, value, TypeError, id=f"{option} {getattr(value, '__name__', value)}")
      for option, values in WRONG_TYPES.items() for value in values),
    *(pytest.param(option, value, ValueError, id=f"{option} {kind}")
      for option, values in WRONG_VALUES.items() for kind, value in values.items()),
]  # fmt: skip
IN_A_DOCUMENT: Final = ("encryption_key", "log_bucket", "log_prefix", "log_group")
"""The options that preferences have as well."""


def takers(stack: cdk.Stack, option: str) -> dict[str, Take]:
    """All constructs and functions that take the option."""
    vpc, role = ec2.Vpc(stack, "Vpc", max_azs=1), existing_role(stack, "Role")
    permissions = SessionManagerPermissions(stack, "Permissions", role=role)
    found: dict[str, Take] = {
        "function": session_manager_statements,
        "construct": lambda **o: SessionManagerPermissions(stack, "It", role=role, **o),
        "fleet": lambda **o: SessionManagerFleet(stack, "It", **o),
        "mixin": SessionManagerAccess,
        "endpoints": lambda **o: SessionManagerEndpoints(stack, "It", vpc=vpc, **o),
    }
    if option in IN_A_DOCUMENT:
        exists = SessionPreferences.from_document_name
        found["preferences"] = lambda **o: SessionPreferences(stack, "It", **o)
        found["preferences that exist"] = lambda **o: exists(stack, "It", **o)
    if option == "encryption_key":
        found["later"] = permissions.add_encryption_key
    return found


@pytest.mark.parametrize(("option", "wrong", "error"), WRONG)
def test_a_wrong_option_is_refused_alike_wherever_and_nothing_is_made(
    stack: cdk.Stack, option: str, wrong: object, error: type[Exception]
) -> None:
    given: dict[str, Any] = {option: wrong}
    if callable(wrong):
        given[option] = wrong(stack, "Wrong") if isinstance(wrong, type) else wrong(stack)
    take = takers(stack, option)
    before = [child.node.path for child in stack.node.find_all()]
    said = set()
    for call in take.values():
        with pytest.raises(error, match=f"^{option} ") as caught:
            call(**given)
        said.add((caught.type, str(caught.value)))
    assert len(said) == 1
    assert [child.node.path for child in stack.node.find_all()] == before


TYPES: Final = {k: one.__forward_arg__ for k, one in SessionManagerOptions.__annotations__.items()}


@pytest.mark.parametrize("callee", [
    *(session_manager_statements, SessionManagerAccess.__init__, SessionManagerEndpoints.__init__),
    *(SessionManagerFleet.__init__, SessionManagerPermissions.__init__),
])  # fmt: skip
def test_each_option_is_a_keyword_of_its_type(callee: Callable[..., object]) -> None:
    """Editors show it so, with its default."""
    parameters = inspect.signature(callee).parameters
    flags = {"allow_registration": False, "decrypt_sessions_only": False}
    found = {key: one for key, one in parameters.items() if key in TYPES}
    assert {key: one.annotation for key, one in found.items()} == TYPES
    assert {one.kind for one in found.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert {key: one.default for key, one in found.items()} == {**dict.fromkeys(TYPES), **flags}
    assert [one for one in parameters.values() if one.kind is one.VAR_KEYWORD] == []


# they compose: each adds its own statements, in any order and beside any other

BUCKETS: Final = {scenario for scenario in SCENARIOS if scenario.startswith("log_bucket ")}
KEYS: Final = {
    "key": key_arn(),
    "far key": key_arn(OTHER_REGION),
    "alias": key_arn(resource="alias/sessions"),
    "far alias": key_arn(OTHER_REGION, resource="alias/sessions"),
    "other alias": key_arn(resource="alias/others"),
}
OTHERS: Final = ("log_group", "allow_registration", "check_log_encryption off")


def composed(parts: Sequence[str], *, first_later: bool = False, **flags: bool) -> Statements:
    """The statements where these are given in this order, without the order within a statement.

    Args:
        parts: keys, of which the first is an option and the others are added, and scenarios.
        first_later: whether the first key is added as well.
        flags: other options, and `minimize`.
    """
    context = {MINIMIZE: flags.pop("minimize", False)}
    stack = cdk.Stack(cdk.App(context=context), "Stack", env=HERE)
    options: dict[str, Any] = dict(flags)
    keys = []
    for part in parts:
        if part in KEYS:
            keys.append(kms.Key.from_key_arn(stack, part, KEYS[part]))
        else:
            options |= SCENARIOS[part](stack)
    if keys and not first_later:
        options["encryption_key"] = keys.pop(0)
    role = existing_role(stack)
    permissions = SessionManagerPermissions(stack, "Permissions", role=role, **options)
    for key in keys:
        permissions.add_encryption_key(key)
    found = stack.resolve(permissions.policy.document)["Statement"]
    assert len({statement["Sid"] for statement in found}) == len(found)
    return {statement["Sid"]: without_order(statement) for statement in found}


@functools.cache
def alone(part: str, *, sessions_only: bool) -> Statements:
    return composed([part], decrypt_sessions_only=sessions_only)


def without_order(statement: dict[str, Any]) -> dict[str, Any]:
    lists = ("Action", "Resource")
    sets = {name: {json.dumps(one) for one in as_list(statement[name])} for name in lists}
    return statement | sets


def union(found: Collection[Statements]) -> Statements:
    """All statements, each with what it allows anywhere."""
    merged: Statements = {}
    for sid, statement in (one for statements in found for one in statements.items()):
        known = merged.setdefault(sid, statement)
        merged[sid] = known | {"Resource": known["Resource"] | statement["Resource"]}
    return merged


PAIRS: Final = [*itertools.permutations((*sorted(BUCKETS), *OTHERS, *KEYS), 2)]
TOGETHER: Final = [
    *(pair for pair in PAIRS if not {*pair} <= BUCKETS),
    ("log_bucket of another account", *OTHERS, *KEYS),
    (*reversed(KEYS), *OTHERS, "log_bucket with an alias"),
]


@pytest.mark.parametrize(
    ("parts", "way"), [*zip(TOGETHER, itertools.cycle(itertools.product([False, True], repeat=3)))]
)
def test_options_add_up_in_any_order(parts: Sequence[str], way: tuple[bool, bool, bool]) -> None:
    first_later, minimize, sessions_only = way
    added = {part: alone(part, sessions_only=sessions_only) for part in parts}
    expected = union([composed([]), *(added[part] for part in parts if part not in BUCKETS)])
    for part in BUCKETS & {*parts}:  # whose encryption is read, in place of that of any
        expected |= added[part]
    if "check_log_encryption off" in parts:
        del expected["SessionManagerLogEncryption"]

    only = {"decrypt_sessions_only": sessions_only}
    assert composed(parts, first_later=first_later, minimize=minimize, **only) == expected


# The limit of IAM


def test_longest_options_fit() -> None:
    """The longest names that AWS takes, and the longest prefix, take half of what there is."""
    stack = cdk.Stack(cdk.App(context={MINIMIZE: True}), "Stack", env=HERE)
    key = kms.Alias.from_alias_name(stack, "Key", f"alias/{'a' * 250}")
    permissions = SessionManagerPermissions(
        stack,
        "Permissions",
        role=existing_role(stack),
        allow_registration=True,
        log_bucket=s3.Bucket.from_bucket_attributes(
            stack, "Bucket", bucket_name="b" * 63, account=OTHER_ACCOUNT, encryption_key=key
        ),
        log_prefix="p" * 1024,
        log_group=logs.LogGroup.from_log_group_name(stack, "Group", "g" * 512),
        encryption_key=key,
        decrypt_sessions_only=True,
    )

    permissions.add_encryption_key(existing_key(stack, "Second"))

    document = stack.resolve(permissions.policy.document)
    # IAM counts no white space.
    size = len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    assert size < MAX_INLINE_POLICIES / 2
