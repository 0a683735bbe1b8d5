"""Which keys sessions can be decrypted with, and how a policy must name them."""

import re
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk.interfaces import aws_kms as kms_interfaces
from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef

from tests import builders
from tests.conftest import MakeApp
from tests.keys import existing_key, imported_alias, l1_alias, owned_alias
from tests.places import ACCOUNT, ALIAS, HERE, KEY_ID, OTHER_ACCOUNT, OTHER_REGION, REGION, key_arn
from tests.reading import app_of, resources, statements, warned, warnings
from tests.roles import existing_role
from tests.templates import ALL_KEYS_HERE, as_list, in_partition, parameter

KeyOf = Callable[[cdk.Stack], IKeyRef | IAliasRef]


def permit(stack: cdk.Stack, key: IKeyRef | IAliasRef, *more: IKeyRef | IAliasRef) -> None:
    permissions = builders.permit(stack, existing_role(stack), encryption_key=key)
    for another in more:
        permissions.add_encryption_key(another)


def decrypt(stack: cdk.Stack) -> list[dict[str, Any]]:
    """The statements that grant decryption, without their common elements."""
    found = [s for sid, s in statements(stack).items() if sid.startswith("SessionManagerDecrypt")]
    for statement in found:
        assert (statement["Effect"], statement["Action"]) == ("Allow", "kms:Decrypt")
    return [{name: s[name] for name in ("Resource", "Condition") if name in s} for s in found]


def on_alias(resource: object, name: object = ALIAS) -> dict[str, object]:
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": name}}
    return {"Resource": resource, "Condition": condition}


# keys


KEYS: dict[str, Callable[[cdk.Stack], Any]] = {
    "L2": lambda s: kms.Key(s, "Key"),
    "L1 of an L2": lambda s: kms.Key(s, "Key").node.default_child,
    "L2 of L1": lambda s: kms.Key.from_cfn_key(kms.CfnKey(s, "Key", key_policy={"Statement": []})),
    "L1 of a spec of the deployment": lambda s: kms.CfnKey(s, "Key", key_spec=parameter(s)),
    "L1 of the right spec and usage": lambda s: kms.CfnKey(
        s, "Key", key_spec="SYMMETRIC_DEFAULT", key_usage="ENCRYPT_DECRYPT"),
    "L1 replica": lambda s: kms.CfnReplicaKey(s, "Key", primary_key_arn=key_arn(), key_policy={}),
    "imported L2": existing_key,
    "imported L1": lambda s: kms.CfnKey.from_key_arn(s, "Key", key_arn()),
}  # fmt: skip


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_is_granted_by_its_arn(stack: cdk.Stack, kind: str) -> None:
    permit(stack, KEYS[kind](stack))
    keys = resources(stack, "AWS::KMS::Key") | resources(stack, "AWS::KMS::ReplicaKey")
    owned: list[object] = [{"Fn::GetAtt": [key, "Arn"]} for key in keys]
    assert decrypt(stack) == [{"Resource": one} for one in owned or [key_arn()]]


def test_a_key_imported_by_its_id_is_granted_by_its_arn(stack_here: cdk.Stack) -> None:
    permit(stack_here, kms.CfnKey.from_key_id(stack_here, "Key", KEY_ID))
    arn = in_partition(f":kms:{REGION}:{ACCOUNT}:key/{KEY_ID}")
    assert decrypt(stack_here) == [{"Resource": arn}]


def test_a_key_whose_arn_only_the_deployment_knows_is_let_through(stack: cdk.Stack) -> None:
    by_arn = kms.Key.from_key_arn(stack, "ByArn", parameter(stack, "Arn"))
    permit(stack, by_arn, existing_key(stack, "ById", resource=f"key/{parameter(stack, 'Id')}"))
    by_id = {"Fn::Join": ["", [key_arn(resource="key/"), {"Ref": "Id"}]]}
    assert decrypt(stack) == [{"Resource": [{"Ref": "Arn"}, by_id]}]


def test_a_looked_up_key_is_no_error_before_the_cli_has_asked(make_app: MakeApp) -> None:
    def use(stack: cdk.Stack) -> None:
        permit(stack, kms.Key.from_lookup(stack, "Key", alias_name=ALIAS))

    (statement,) = decrypt(builders.answered(make_app, use, {"keyId": "real-id"}))
    assert statement["Resource"]["Fn::Join"][1][-1] == f":kms:{REGION}:{ACCOUNT}:key/real-id"


# aliases: a policy that names one grants nothing


@jsii.implements(kms_interfaces.IAliasRef)
class AliasOfOnesOwn(cdk.Resource):
    @property
    def alias_ref(self) -> kms_interfaces.AliasReference:
        return kms_interfaces.AliasReference(alias_name=ALIAS)


ALIASES: dict[str, Callable[[cdk.Stack], Any]] = {
    "L2": owned_alias,
    "add_alias": lambda s: kms.Key(s, "Key").add_alias("sessions"),
    "L2 of an imported key": lambda s: owned_alias(s, existing_key(s)),
    "L1 of an L2": lambda s: owned_alias(s).node.default_child,
    "L1 by a Ref": l1_alias,
    "L1 by an id": lambda s: l1_alias(s, KEY_ID),
    "from_alias_name": imported_alias,
    "a class of one's own": lambda s: AliasOfOnesOwn(s, "Alias"),
    "from_alias_attributes": lambda s: kms.Alias.from_alias_attributes(
        s, "Alias", alias_name=ALIAS, alias_target_key=kms.Key(s, "Key")
    ),
}


@pytest.mark.parametrize("alias_name_ref", [False, True])
@pytest.mark.parametrize("kind", ALIASES)
def test_an_alias_grants_on_its_key(make_app: MakeApp, kind: str, *, alias_name_ref: bool) -> None:
    stack = cdk.Stack(make_app(**{"@aws-cdk/aws-kms:aliasNameRef": alias_name_ref}), "Stack")
    permit(stack, ALIASES[kind](stack))
    assert decrypt(stack) == [on_alias(ALL_KEYS_HERE)]


def test_an_alias_is_granted_where_its_key_is(stack: cdk.Stack) -> None:
    theirs = existing_key(stack, account=OTHER_ACCOUNT, region=OTHER_REGION)
    imported = kms.Alias.from_alias_attributes
    permit(stack, imported(stack, "Alias", alias_name=ALIAS, alias_target_key=theirs))
    assert decrypt(stack) == [on_alias(in_partition(f":kms:{OTHER_REGION}:{OTHER_ACCOUNT}:key/*"))]


@pytest.mark.parametrize("minimize", [False, True])
def test_keys_and_each_alias_have_their_statements(make_app: MakeApp, *, minimize: bool) -> None:
    stack = cdk.Stack(make_app(**{builders.MINIMIZE: minimize}), "Stack")
    added = [
        existing_key(stack, "Alias1", resource=ALIAS),
        existing_key(stack, "Key1"),
        existing_key(stack, "Alias2", resource="alias/other"),
        existing_key(stack, "Key2", region=OTHER_REGION),
        existing_key(stack, "Alias3", region=OTHER_REGION, resource=ALIAS),
        existing_key(stack, "Alias4", account=OTHER_ACCOUNT, resource=ALIAS),
    ]
    permit(stack, *added, *added)
    every_key = key_arn(resource="key/*")
    elsewhere = {every_key.replace(REGION, OTHER_REGION), every_key.replace(ACCOUNT, OTHER_ACCOUNT)}
    assert [one | {"Resource": {*as_list(one["Resource"])}} for one in decrypt(stack)] == [
        on_alias({every_key, *elsewhere}),
        {"Resource": {key_arn(), key_arn(OTHER_REGION)}},
        on_alias({every_key}, "alias/other"),
    ]


def test_aliases_that_only_the_deployment_knows_are_each_let_through(stack: cdk.Stack) -> None:
    by_name = kms.Alias.from_alias_name(stack, "Alias1", parameter(stack, "One"))
    l1 = kms.CfnAlias(stack, "Alias2", alias_name=parameter(stack, "Two"), target_key_id=KEY_ID)
    permit(stack, by_name, l1)
    assert decrypt(stack) == [on_alias(ALL_KEYS_HERE, {"Ref": name}) for name in ("One", "Two")]


# of one's own making


@pytest.mark.parametrize("arn", [
    KEY_ID,
    f"arn:aws:kms:{REGION}:{ACCOUNT}:{KEY_ID}",
    f"arn:aws:kms:{REGION}",
    f"urn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}",
])  # fmt: skip
def test_a_key_of_ones_own_making_is_refused_without_a_keys_arn(stack: cdk.Stack, arn: str) -> None:
    @jsii.implements(kms_interfaces.IKeyRef)
    class Key(cdk.Resource):
        @property
        def key_ref(self) -> kms_interfaces.KeyReference:
            return kms_interfaces.KeyReference(key_arn=arn, key_id=KEY_ID)

    with pytest.raises(ValueError, match=f"^encryption_key .*'{re.escape(arn)}'.* by its ARN"):
        permit(stack, Key(stack, "Key"))


# what may be meant, and is often a mistake

THEIRS = "key-of-another-account"
NO_KEY_HERE = "no-key-in-region"


def elsewhere(stack: cdk.Stack, account: str = ACCOUNT, region: str = REGION) -> cdk.Stack:
    """Another stack of the app."""
    env = cdk.Environment(account=account, region=region)
    return cdk.Stack(app_of(stack), "Other", env=env, cross_region_references=True)


UNREACHED: dict[str, tuple[KeyOf, list[str]]] = {
    "their far key": (lambda s: existing_key(s, account=OTHER_ACCOUNT, region=OTHER_REGION),
        [THEIRS, NO_KEY_HERE]),
    "their alias": (lambda s: existing_key(s, account=OTHER_ACCOUNT, resource=ALIAS), [THEIRS]),
    "their stack alias": (lambda s: imported_alias(elsewhere(s, account=OTHER_ACCOUNT)), [THEIRS]),
    "far key": (lambda s: existing_key(s, region=OTHER_REGION), [NO_KEY_HERE]),
    "far alias": (lambda s: existing_key(s, region=OTHER_REGION, resource=ALIAS), [NO_KEY_HERE]),
    "far stack's alias": (lambda s: owned_alias(elsewhere(s, region=OTHER_REGION)), [NO_KEY_HERE]),
    "far stack's key": (lambda s: kms.Key(elsewhere(s, region=OTHER_REGION), "Key"), [NO_KEY_HERE]),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNREACHED)
def test_a_key_out_of_reach_is_warned_of_once(make_app: MakeApp, kind: str) -> None:
    stack = cdk.Stack(make_app(), "Stack", env=HERE, cross_region_references=True)
    key_of, expected = UNREACHED[kind]
    permit(stack, key_of(stack), existing_key(stack, "Faraway", region="eu-west-3"))
    assert warned(stack) == expected


KEYS_HERE: dict[str, KeyOf] = {
    "imported": lambda s: existing_key(s, "Here"),
    "L2": lambda s: kms.Key(s, "Here"),
    "L1": lambda s: kms.CfnKey(s, "Here"),
    "alias": imported_alias,
    "one that only the deployment knows": lambda s: kms.Key.from_key_arn(s, "Here", parameter(s)),
    "of another stack there": lambda s: kms.Key(cdk.Stack(app_of(s), "Other", env=HERE), "Here"),
    "of a nested stack": lambda s: kms.Key(cdk.NestedStack(s, "Nested"), "Here"),
}


@pytest.mark.parametrize("kind", KEYS_HERE)
@pytest.mark.parametrize("last", [False, True])
def test_a_key_in_the_region_is_enough(stack_here: cdk.Stack, kind: str, *, last: bool) -> None:
    keys = [KEYS_HERE[kind](stack_here), existing_key(stack_here, "There", region=OTHER_REGION)]
    permit(stack_here, *(reversed(keys) if last else keys))
    assert warnings(stack_here) == []


@pytest.mark.parametrize("key_of", [
    lambda s: existing_key(s, region=OTHER_REGION, account=OTHER_ACCOUNT),
    lambda s: imported_alias(cdk.Stack(app_of(s), "Known", env=HERE)),
])  # fmt: skip
def test_an_environment_agnostic_stack_is_not_warned(stack: cdk.Stack, key_of: KeyOf) -> None:
    permit(stack, key_of(stack))
    assert warnings(stack) == []
