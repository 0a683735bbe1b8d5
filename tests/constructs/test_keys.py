"""Which keys sessions can be decrypted with, and how a policy must name them."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk.interfaces import aws_kms as kms_interfaces

from session_manager_permissions import SessionManagerPermissions, session_manager_statements
from tests.conftest import (
    ACCOUNT,
    HERE,
    KEY_ID,
    OTHER_ACCOUNT,
    OTHER_REGION,
    REGION,
    MakeApp,
    MakeStack,
    app_of,
    existing_key,
    existing_role,
    key_arn,
    lookups,
    owned_role,
    resources,
    statements,
    warnings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef

    KeyOf = Callable[[cdk.Stack], IKeyRef | IAliasRef]

DECRYPT = "SessionManagerDecrypt"
ALIAS_NAME_REF = "@aws-cdk/aws-kms:aliasNameRef"


def permit(
    stack: cdk.Stack, key: IKeyRef | IAliasRef, *more: IKeyRef | IAliasRef
) -> SessionManagerPermissions:
    permissions = SessionManagerPermissions(
        stack, "Permissions", role=existing_role(stack), encryption_key=key
    )
    for another in more:
        permissions.add_encryption_key(another)
    return permissions


def decrypt(stack: cdk.Stack) -> list[dict[str, Any]]:
    """The statements that grant decryption, without what is the same in each."""
    found = [s for sid, s in statements(stack).items() if sid.startswith(DECRYPT)]
    for statement in found:
        assert (statement["Effect"], statement["Action"]) == ("Allow", "kms:Decrypt")
    return [{name: s[name] for name in ("Resource", "Condition") if name in s} for s in found]


def on_alias(resource: object, name: object = "alias/sessions") -> dict[str, object]:
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": name}}
    return {"Resource": resource, "Condition": condition}


ALL_KEYS_HERE = {
    "Fn::Join": [
        "",
        [
            "arn:",
            {"Ref": "AWS::Partition"},
            ":kms:",
            {"Ref": "AWS::Region"},
            ":",
            {"Ref": "AWS::AccountId"},
            ":key/*",
        ],
    ]
}


def imported_alias(scope: cdk.Stack, name: str = "alias/sessions") -> kms.IAlias:
    return kms.Alias.from_alias_name(scope, "Alias", name)


def owned_alias(scope: cdk.Stack, key: kms.IKey | None = None) -> kms.Alias:
    key = key or kms.Key(scope, "Key")
    return kms.Alias(scope, "Alias", alias_name="alias/sessions", target_key=key)


def signing_key(scope: cdk.Stack) -> kms.Key:
    return kms.Key(
        scope,
        "Key",
        key_spec=kms.KeySpec.ECC_NIST_P256,
        key_usage=kms.KeyUsage.SIGN_VERIFY,
    )


def l1_alias(scope: cdk.Stack, target: str) -> kms.CfnAlias:
    return kms.CfnAlias(scope, "Alias", alias_name="alias/sessions", target_key_id=target)


# keys


@pytest.mark.parametrize(
    "key_of",
    [
        pytest.param(lambda s: kms.Key(s, "Key"), id="L2"),
        pytest.param(lambda s: kms.Key(s, "Key").node.default_child, id="L1 of an L2"),
        pytest.param(lambda s: kms.CfnKey(s, "Key"), id="L1"),
        pytest.param(
            lambda s: kms.Key.from_cfn_key(kms.CfnKey(s, "Key", key_policy={"Statement": []})),
            id="L2 of an L1",
        ),
        pytest.param(
            lambda s: kms.CfnKey(s, "Key", key_spec=cdk.CfnParameter(s, "Spec").value_as_string),
            id="L1 of a spec that only the deployment knows",
        ),
        pytest.param(
            lambda s: kms.CfnKey(
                s, "Key", key_spec="SYMMETRIC_DEFAULT", key_usage="ENCRYPT_DECRYPT"
            ),
            id="L1 of the right spec and usage",
        ),
    ],
)
def test_an_owned_key_is_granted_by_its_arn(stack: cdk.Stack, key_of: KeyOf) -> None:
    permit(stack, key_of(stack))
    (key,) = resources(stack, "AWS::KMS::Key")
    assert decrypt(stack) == [{"Resource": {"Fn::GetAtt": [key, "Arn"]}}]


@pytest.mark.parametrize(
    "key_of",
    [
        pytest.param(existing_key, id="L2"),
        pytest.param(lambda s: kms.CfnKey.from_key_arn(s, "Key", key_arn()), id="L1"),
    ],
)
def test_a_key_imported_by_its_arn_is_granted(stack: cdk.Stack, key_of: KeyOf) -> None:
    permit(stack, key_of(stack))
    assert decrypt(stack) == [{"Resource": key_arn()}]


def test_a_key_imported_by_its_id_is_granted_by_its_arn(stack_here: cdk.Stack) -> None:
    permit(stack_here, kms.CfnKey.from_key_id(stack_here, "Key", KEY_ID))
    arn = ["arn:", {"Ref": "AWS::Partition"}, f":kms:{REGION}:{ACCOUNT}:key/{KEY_ID}"]
    assert decrypt(stack_here) == [{"Resource": {"Fn::Join": ["", arn]}}]


def test_a_key_whose_arn_only_the_deployment_knows_is_let_through(stack: cdk.Stack) -> None:
    arn, key_id = (cdk.CfnParameter(stack, name).value_as_string for name in ("Arn", "Id"))
    permit(
        stack,
        kms.Key.from_key_arn(stack, "ByArn", arn),
        existing_key(stack, "ById", resource=f"key/{key_id}"),
    )
    by_id = {"Fn::Join": ["", [key_arn(resource="key/"), {"Ref": "Id"}]]}
    assert decrypt(stack) == [{"Resource": [{"Ref": "Arn"}, by_id]}]


def test_a_looked_up_key_is_no_error_before_the_cli_has_asked(make_app: MakeApp) -> None:
    def build(**context: object) -> cdk.Stack:
        stack = cdk.Stack(make_app(**context), "Stack", env=HERE)
        permit(stack, kms.Key.from_lookup(stack, "Key", alias_name="alias/sessions"))
        return stack

    asking = build()
    (asked,) = lookups(asking)
    assert asked["provider"] == "key-provider"
    assert warnings(asking) == []
    answered = build(**{asked["key"]: {"keyId": "real-id"}})
    (statement,) = decrypt(answered)
    assert statement["Resource"]["Fn::Join"][1][-1] == f":kms:{REGION}:{ACCOUNT}:key/real-id"


def test_keys_of_several_regions_share_one_statement(stack: cdk.Stack) -> None:
    permit(
        stack,
        existing_key(stack, "Here"),
        existing_key(stack, "There", region=OTHER_REGION),
        existing_key(stack, "Faraway", region="us-gov-west-1"),
    )
    arns = [key_arn(), key_arn(OTHER_REGION), key_arn("us-gov-west-1")]
    assert decrypt(stack) == [{"Resource": arns}]


def test_a_key_or_an_alias_added_twice_is_granted_once(stack: cdk.Stack) -> None:
    key, alias = existing_key(stack), imported_alias(stack)
    permit(stack, key, alias, key, alias)
    assert decrypt(stack) == [{"Resource": key_arn()}, on_alias(ALL_KEYS_HERE)]


def test_a_key_added_later_is_granted_as_one_given_at_once(make_stack: MakeStack) -> None:
    at_once, later = make_stack(), make_stack()
    permit(at_once, existing_key(at_once))
    permissions = SessionManagerPermissions(later, "Permissions", role=existing_role(later))
    permissions.add_encryption_key(existing_key(later))
    assert statements(at_once) == statements(later)


# aliases: a policy that names one grants nothing


@pytest.mark.parametrize("alias_name_ref", [False, True])
@pytest.mark.parametrize(
    "alias_of",
    [
        pytest.param(owned_alias, id="L2"),
        pytest.param(
            lambda s: kms.Alias(s, "Alias", alias_name="sessions", target_key=kms.Key(s, "Key")),
            id="L2 without the prefix",
        ),
        pytest.param(lambda s: kms.Key(s, "Key").add_alias("sessions"), id="add_alias"),
        pytest.param(lambda s: owned_alias(s, existing_key(s)), id="L2 of an imported key"),
        pytest.param(lambda s: owned_alias(s).node.default_child, id="L1 of an L2"),
        pytest.param(lambda s: l1_alias(s, kms.CfnKey(s, "Key").ref), id="L1 by a Ref"),
        pytest.param(lambda s: l1_alias(s, KEY_ID), id="L1 by an id"),
    ],
)
def test_an_owned_alias_grants_on_the_key_that_has_it(
    make_app: MakeApp, alias_of: KeyOf, *, alias_name_ref: bool
) -> None:
    stack = cdk.Stack(make_app(**{ALIAS_NAME_REF: alias_name_ref}), "Stack")
    permit(stack, alias_of(stack))
    assert decrypt(stack) == [on_alias(ALL_KEYS_HERE)]


@pytest.mark.parametrize(
    "alias_of",
    [
        pytest.param(imported_alias, id="from_alias_name"),
        pytest.param(
            lambda s: kms.Alias.from_alias_attributes(
                s,
                "Alias",
                alias_name="alias/sessions",
                alias_target_key=existing_key(s),
            ),
            id="from_alias_attributes",
        ),
    ],
)
def test_an_imported_alias_grants_on_the_key_that_has_it(stack: cdk.Stack, alias_of: KeyOf) -> None:
    permit(stack, alias_of(stack))
    assert decrypt(stack) == [on_alias(ALL_KEYS_HERE)]


def test_the_arn_of_an_alias_given_to_from_key_arn_grants_on_the_key_that_has_it(
    stack: cdk.Stack,
) -> None:
    permit(stack, existing_key(stack, resource="alias/sessions"))
    assert decrypt(stack) == [on_alias(key_arn(resource="key/*"))]


def test_the_same_alias_of_several_regions_and_accounts_shares_one_statement(
    stack: cdk.Stack,
) -> None:
    permit(
        stack,
        existing_key(stack, "Here", resource="alias/sessions"),
        existing_key(stack, "There", region=OTHER_REGION, resource="alias/sessions"),
        existing_key(stack, "Theirs", account=OTHER_ACCOUNT, resource="alias/sessions"),
    )
    arns = [
        key_arn(resource="key/*"),
        key_arn(OTHER_REGION, resource="key/*"),
        key_arn(account=OTHER_ACCOUNT, resource="key/*"),
    ]
    assert decrypt(stack) == [on_alias(arns)]


@pytest.mark.parametrize(
    ("resource", "is_one"),
    [
        ("key/k", True),
        (f"key/{'k' * 2048}", True),
        (f"key/{'k' * 2049}", False),
        ("alias/a", True),
        (f"alias/{'a' * 250}", True),
        (f"alias/{'a' * 251}", False),
    ],
)
def test_ids_and_aliases_are_as_long_as_those_of_kms(
    stack: cdk.Stack, resource: str, *, is_one: bool
) -> None:
    key = existing_key(stack, resource=resource)

    with nullcontext() if is_one else pytest.raises(ValueError, match=r"^encryption_key has the"):
        permit(stack, key)


def test_keys_and_each_set_of_aliases_have_a_statement_of_their_own(stack: cdk.Stack) -> None:
    permit(
        stack,
        existing_key(stack, "Alias1", resource="alias/sessions"),
        existing_key(stack, "Key1"),
        existing_key(stack, "Alias2", resource="alias/other"),
        existing_key(stack, "Key2", region=OTHER_REGION),
    )
    every_key = key_arn(resource="key/*")
    assert decrypt(stack) == [
        on_alias(every_key),
        {"Resource": [key_arn(), key_arn(OTHER_REGION)]},
        on_alias(every_key, "alias/other"),
    ]


@pytest.mark.parametrize("minimize", [False, True])
def test_minimized_policies_keep_the_statements_apart(make_app: MakeApp, *, minimize: bool) -> None:
    app = make_app(**{"@aws-cdk/aws-iam:minimizePolicies": minimize})
    stack = cdk.Stack(app, "Stack")
    permit(
        stack,
        existing_key(stack, "Key1"),
        existing_key(stack, "Alias1", resource="alias/sessions"),
        existing_key(stack, "Alias2", resource="alias/other"),
    )
    assert len(decrypt(stack)) == 3
    assert len(statements(stack)) == 5


def test_aliases_whose_names_only_the_deployment_knows_are_let_through_each_by_itself(
    stack: cdk.Stack,
) -> None:
    names = [cdk.CfnParameter(stack, name).value_as_string for name in ("One", "Two")]
    permit(
        stack,
        kms.Alias.from_alias_name(stack, "Alias1", names[0]),
        kms.CfnAlias(stack, "Alias2", alias_name=names[1], target_key_id=KEY_ID),
    )
    assert decrypt(stack) == [
        on_alias(ALL_KEYS_HERE, {"Ref": "One"}),
        on_alias(ALL_KEYS_HERE, {"Ref": "Two"}),
    ]


# what can not decrypt


@pytest.mark.parametrize(
    ("key_of", "spec"),
    [
        pytest.param(signing_key, "ECC_NIST_P256", id="L2"),
        pytest.param(
            lambda s: kms.Key(
                s,
                "Key",
                key_spec=kms.KeySpec.HMAC_256,
                key_usage=kms.KeyUsage.GENERATE_VERIFY_MAC,
            ),
            "HMAC_256",
            id="L2 for MACs",
        ),
        pytest.param(
            lambda s: kms.Key(s, "Key", key_spec=kms.KeySpec.RSA_2048),
            "RSA_2048",
            id="L2 for asymmetric encryption",
        ),
        pytest.param(lambda s: kms.CfnKey(s, "Key", key_spec="RSA_2048"), "RSA_2048", id="L1"),
        pytest.param(lambda s: owned_alias(s, signing_key(s)), "ECC_NIST_P256", id="alias"),
        pytest.param(
            lambda s: kms.Alias.from_alias_attributes(
                s, "Alias", alias_name="alias/sessions", alias_target_key=signing_key(s)
            ),
            "ECC_NIST_P256",
            id="from_alias_attributes",
        ),
        pytest.param(
            lambda s: l1_alias(s, kms.CfnKey(s, "Key", key_spec="RSA_2048").ref),
            "RSA_2048",
            id="L1 alias by a Ref",
        ),
        pytest.param(
            lambda s: l1_alias(s, signing_key(s).key_arn),
            "ECC_NIST_P256",
            id="L1 alias by an ARN",
        ),
    ],
)
def test_a_key_that_is_known_not_to_decrypt_is_refused(
    stack: cdk.Stack, key_of: KeyOf, spec: str
) -> None:
    key = key_of(stack)
    named = "'Stack/Key(/Resource)?'"  # CDK may know the L1 within alone
    message = f"^encryption_key {named} has the key_spec {spec}, .* give a key of key_spec "
    with pytest.raises(ValueError, match=message):
        permit(stack, key)
    with pytest.raises(ValueError, match=message):
        session_manager_statements(encryption_key=key)
    permissions = SessionManagerPermissions(stack, "Later", role=owned_role(stack))
    with pytest.raises(ValueError, match=message):
        permissions.add_encryption_key(key)


@pytest.mark.parametrize(
    ("key_of", "message"),
    [
        pytest.param(
            lambda s: imported_alias(s, "alias/aws/ssm"),
            "is the AWS managed key 'alias/aws/ssm', .*: give a customer managed key",
            id="AWS managed",
        ),
        pytest.param(
            lambda s: existing_key(s, resource="alias/aws/ssm"),
            "is the AWS managed key",
            id="AWS managed, by ARN",
        ),
        pytest.param(
            lambda s: imported_alias(s, "sessions"),
            "has the alias name 'sessions', .* give it as 'alias/NAME'",
            id="alias without its prefix",
        ),
        pytest.param(
            lambda s: imported_alias(s, "alias/*"),
            r"'alias/\*' has a wildcard",
            id="all aliases",
        ),
        pytest.param(lambda s: existing_key(s, resource="key/*"), r"'key/\*' has a", id="all keys"),
        pytest.param(
            lambda s: kms.Key.from_key_arn(s, "Key", f"arn:aws:s3:{REGION}:{ACCOUNT}:key/{KEY_ID}"),
            "has the ARN 'arn:aws:s3:.*: give the key by its ARN",
            id="ARN of another service",
        ),
    ],
)
def test_what_grants_on_no_key_of_ones_own_is_refused(
    stack: cdk.Stack, key_of: KeyOf, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^encryption_key {message}"):
        permit(stack, key_of(stack))


@pytest.mark.parametrize("resource", [f"key/{KEY_ID}", "alias/sessions"])
@pytest.mark.parametrize(
    ("region", "account"),
    [
        ("", ACCOUNT),
        (REGION, ""),
        ("eu west", ACCOUNT),
        (REGION, "my account"),
    ],
)
def test_a_key_without_a_region_or_an_account_is_refused(
    stack: cdk.Stack, region: str, account: str, resource: str
) -> None:
    arn = key_arn(region, account, resource)
    with pytest.raises(
        ValueError, match=f"^encryption_key has the ARN '{arn}', which is not the ARN of one"
    ):
        permit(stack, kms.Key.from_key_arn(stack, "Key", arn))


def test_region_and_account_of_a_key_may_be_tokens(stack: cdk.Stack) -> None:
    permit(stack, existing_key(stack, region=cdk.Aws.REGION, account=cdk.Aws.ACCOUNT_ID))

    arn = statements(stack)["SessionManagerDecrypt"]["Resource"]
    assert {"Ref": "AWS::Region"} in arn["Fn::Join"][1]
    assert {"Ref": "AWS::AccountId"} in arn["Fn::Join"][1]


@pytest.mark.parametrize(
    "arn",
    [
        KEY_ID,
        f"arn:aws:kms:{REGION}:{ACCOUNT}:{KEY_ID}",
        f"arn:aws:kms:{REGION}",
        f"urn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}",
    ],
)
def test_a_key_of_ones_own_making_is_refused_without_a_keys_arn(stack: cdk.Stack, arn: str) -> None:
    @jsii.implements(kms_interfaces.IKeyRef)
    class Key(cdk.Resource):
        @property
        def key_ref(self) -> kms_interfaces.KeyReference:
            return kms_interfaces.KeyReference(key_arn=arn, key_id=KEY_ID)

    with pytest.raises(ValueError, match=f"^encryption_key .*'{re.escape(arn)}'.* by its ARN"):
        permit(stack, Key(stack, "Key"))


def test_an_alias_of_ones_own_making_is_taken(stack_here: cdk.Stack) -> None:
    @jsii.implements(kms_interfaces.IAliasRef)
    class Alias(cdk.Resource):
        @property
        def alias_ref(self) -> kms_interfaces.AliasReference:
            return kms_interfaces.AliasReference(alias_name="alias/sessions")

    permit(stack_here, Alias(stack_here, "Alias"))

    (found,) = (one for sid, one in statements(stack_here).items() if "Decrypt" in sid)
    assert found["Condition"] == {
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/sessions"}
    }
    assert found["Resource"]["Fn::Join"][1][-1] == f":kms:{REGION}:{ACCOUNT}:key/*"


@pytest.mark.parametrize(
    "wrong_of",
    [
        pytest.param(lambda _: key_arn(), id="ARN"),
        pytest.param(lambda _: "alias/sessions", id="alias's name"),
        pytest.param(owned_role, id="role"),
        pytest.param(lambda s: existing_role(s, "Imported"), id="imported role"),
    ],
)
def test_what_is_no_key_is_a_type_error(
    stack: cdk.Stack, wrong_of: Callable[[cdk.Stack], Any]
) -> None:
    wrong = wrong_of(stack)
    message = r"^encryption_key must be a KMS key or alias, got .*from_key_arn\("
    with pytest.raises(TypeError, match=message):
        permit(stack, wrong)
    with pytest.raises(TypeError, match=message):
        session_manager_statements(encryption_key=wrong)
    permissions = SessionManagerPermissions(stack, "Later", role=owned_role(stack, "Role"))
    with pytest.raises(TypeError, match=message):
        permissions.add_encryption_key(wrong)


# what may be meant, and is often a mistake

ANOTHER_ACCOUNT = "session-manager-permissions:key-of-another-account"
NO_KEY_HERE = "session-manager-permissions:no-key-in-region"


def warned(stack: cdk.Stack) -> list[str]:
    """The ids of the stack's warnings."""
    return re.findall(r"\[ack: (.*?)\]", "\n".join(warnings(stack)))


@pytest.mark.parametrize(
    "key_of",
    [
        pytest.param(lambda s: existing_key(s, account=OTHER_ACCOUNT), id="key"),
        pytest.param(
            lambda s: existing_key(s, account=OTHER_ACCOUNT, resource="alias/sessions"), id="alias"
        ),
        pytest.param(
            lambda s: imported_alias(
                cdk.Stack(
                    app_of(s), "Other", env=cdk.Environment(account=OTHER_ACCOUNT, region=REGION)
                )
            ),
            id="alias of another account's stack",
        ),
    ],
)
def test_a_key_of_another_account_is_warned_of(stack_here: cdk.Stack, key_of: KeyOf) -> None:
    permit(stack_here, key_of(stack_here))
    (warning,) = warnings(stack_here)
    assert f"belongs to account {OTHER_ACCOUNT}" in warning
    assert "key policy" in warning
    assert f"[ack: {ANOTHER_ACCOUNT}]" in warning


@pytest.mark.parametrize(
    "key_of",
    [
        pytest.param(lambda s: existing_key(s, region=OTHER_REGION), id="key"),
        pytest.param(
            lambda s: existing_key(s, region=OTHER_REGION, resource="alias/sessions"), id="alias"
        ),
        pytest.param(
            lambda s: owned_alias(
                cdk.Stack(
                    app_of(s), "Other", env=cdk.Environment(account=ACCOUNT, region=OTHER_REGION)
                )
            ),
            id="alias of another region's stack",
        ),
        pytest.param(
            lambda s: kms.Key(
                cdk.Stack(
                    app_of(s),
                    "Other",
                    env=cdk.Environment(account=ACCOUNT, region=OTHER_REGION),
                    cross_region_references=True,
                ),
                "Key",
            ),
            id="key of another region's stack",
        ),
    ],
)
def test_no_key_in_the_stacks_region_is_warned_of_once(make_app: MakeApp, key_of: KeyOf) -> None:
    stack = cdk.Stack(make_app(), "Stack", env=HERE, cross_region_references=True)
    permit(stack, key_of(stack), existing_key(stack, "Faraway", region="eu-west-3"))
    (warning,) = warnings(stack)
    assert f"no encryption key is in {REGION}" in warning
    assert "add_encryption_key()" in warning
    assert f"[ack: {NO_KEY_HERE}]" in warning


@pytest.mark.parametrize(
    "here_of",
    [
        pytest.param(lambda s: existing_key(s, "Here"), id="imported"),
        pytest.param(lambda s: kms.Key(s, "Here"), id="L2"),
        pytest.param(lambda s: kms.CfnKey(s, "Here"), id="L1"),
        pytest.param(imported_alias, id="alias"),
        pytest.param(
            lambda s: kms.Key.from_key_arn(s, "Here", cdk.CfnParameter(s, "Arn").value_as_string),
            id="one that only the deployment knows",
        ),
        pytest.param(
            lambda s: kms.Key(cdk.Stack(app_of(s), "Other", env=HERE), "Here"),
            id="of another stack there",
        ),
        pytest.param(
            lambda s: kms.Key(cdk.NestedStack(s, "Nested"), "Here"), id="of a nested stack"
        ),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_a_key_in_the_stacks_region_is_enough_whenever_it_is_added(
    stack_here: cdk.Stack, here_of: KeyOf, *, last: bool
) -> None:
    keys = [here_of(stack_here), existing_key(stack_here, "There", region=OTHER_REGION)]
    permit(stack_here, *(reversed(keys) if last else keys))
    assert warnings(stack_here) == []


@pytest.mark.parametrize("region", [REGION, OTHER_REGION])
def test_an_environment_agnostic_stack_is_not_warned(stack: cdk.Stack, region: str) -> None:
    permit(stack, existing_key(stack, region=region, account=OTHER_ACCOUNT))
    assert warnings(stack) == []


def test_a_key_of_an_environment_agnostic_stack_is_not_warned_of(stack_here: cdk.Stack) -> None:
    agnostic = cdk.Stack(app_of(stack_here), "Agnostic")
    permit(stack_here, imported_alias(agnostic))
    assert warnings(stack_here) == []


def test_no_key_at_all_is_no_warning(stack_here: cdk.Stack) -> None:
    SessionManagerPermissions(stack_here, "Permissions", role=existing_role(stack_here))
    assert warnings(stack_here) == []


def annotations_acknowledge(scope: SessionManagerPermissions | cdk.Stack, warning: str) -> None:
    cdk.Annotations.of(scope).acknowledge_warning(warning)


def validations_acknowledge(scope: SessionManagerPermissions | cdk.Stack, warning: str) -> None:
    cdk.Validations.of(scope).acknowledge(cdk.Acknowledgment(id=warning, reason="it is meant"))


@pytest.mark.parametrize("acknowledge", [annotations_acknowledge, validations_acknowledge])
@pytest.mark.parametrize("on_stack", [False, True], ids=["on the construct", "on the stack"])
@pytest.mark.parametrize(
    ("acknowledged", "left"), [(ANOTHER_ACCOUNT, NO_KEY_HERE), (NO_KEY_HERE, ANOTHER_ACCOUNT)]
)
def test_each_warning_can_be_acknowledged(
    stack_here: cdk.Stack,
    acknowledge: Callable[[SessionManagerPermissions | cdk.Stack, str], None],
    acknowledged: str,
    left: str,
    *,
    on_stack: bool,
) -> None:
    key = existing_key(stack_here, region=OTHER_REGION, account=OTHER_ACCOUNT)
    permissions = permit(stack_here, key)
    acknowledge(stack_here if on_stack else permissions, acknowledged)
    assert warned(stack_here) == [left]
