"""Session logs: what is granted on which bucket, prefix, bucket key and log group."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.cloudformation_include import CfnInclude
from aws_cdk.interfaces.aws_logs import ILogGroupRef
from aws_cdk.interfaces.aws_s3 import IBucketRef

from session_manager_permissions import (
    SessionManagerEndpoints,
    SessionManagerPermissions,
    session_manager_statements,
)
from tests import templates
from tests.conftest import MakeApp
from tests.keys import existing_key, imported_alias, l1_alias, l1_bucket, l2_bucket, owned_alias
from tests.places import ACCOUNT, ALIAS, HERE, KEY_ID, OTHER_ACCOUNT, REGION, key_arn
from tests.preference_options import GROUP
from tests.reading import crosses, statements, warned, warnings
from tests.roles import existing_role
from tests.scenarios import BUCKET, BUCKET_ARN, GROUP_ARN, bucket
from tests.templates import ALL_KEYS_HERE, deployed, in_partition, parameter, resource

MakeBucket = Callable[[cdk.Stack], IBucketRef]

FOR_ALIAS: Final = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": ALIAS}}


def granted(stack: cdk.Stack, **options: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401
    """The statements that the construct puts on a role in `stack`, by Sid."""
    SessionManagerPermissions(stack, "Permissions", role=existing_role(stack), **options)
    return statements(stack)


def joined(*parts: object) -> dict[str, Any]:
    return {"Fn::Join": ["", [*parts]]}


def below(arn: Any, rest: str) -> object:  # noqa: ANN401
    """The ARN with this text at its end, as CDK writes it."""
    match arn:
        case str():
            return arn + rest
        case {"Fn::Join": ["", [*parts, str(last)]]}:
            return joined(*parts, last + rest)
        case {"Fn::Join": ["", parts]}:
            return joined(*parts, rest)
    return joined(arn, rest)


def get_arn(logical_id: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [logical_id, "Arn"]}


# Which bucket


def bucket_of(stack: cdk.Stack, account: str | None) -> s3.IBucket:
    return s3.Bucket.from_bucket_attributes(stack, "Logs", bucket_name=BUCKET, account=account)


L1_BUCKET: Final = get_arn("Logs")
IN_CHINA: Final = f"arn:aws-cn:s3:::{BUCKET}"
BUCKET_HERE: Final = in_partition(f":s3:::{BUCKET}")
BUCKETS: Final[dict[str, tuple[MakeBucket, object]]] = {
    "owned": (lambda s: s3.Bucket(s, "Logs"), get_arn("Logs6819BB44")),
    "imported-by-name": (lambda s: s3.Bucket.from_bucket_name(s, "Logs", BUCKET), BUCKET_HERE),
    "imported-by-arn": (lambda s: s3.Bucket.from_bucket_arn(s, "Logs", IN_CHINA), IN_CHINA),
    "imported-by-attributes": (lambda s: bucket_of(s, None), BUCKET_HERE),
    "l1": (lambda s: s3.CfnBucket(s, "Logs"), L1_BUCKET),
    "l1-by-name": (lambda s: s3.CfnBucket.from_bucket_name(s, "Logs", BUCKET), BUCKET_HERE),
    "l1-by-arn": (lambda s: s3.CfnBucket.from_bucket_arn(s, "Logs", BUCKET_ARN), BUCKET_ARN),
    "l2-of-l1": (lambda s: s3.Bucket.from_cfn_bucket(s3.CfnBucket(s, "Logs")), L1_BUCKET),
}


@pytest.mark.parametrize(("make", "arn"), BUCKETS.values(), ids=BUCKETS)
def test_bucket_gets_its_grants(stack_here: cdk.Stack, make: MakeBucket, arn: object) -> None:
    found = granted(stack_here, log_bucket=make(stack_here), log_prefix="sessions")

    assert [(sid, one["Action"], one["Resource"]) for sid, one in found.items()][1:] == [
        ("SessionManagerLogEncryption", "s3:GetEncryptionConfiguration", arn),
        ("SessionManagerLogObjects", "s3:PutObject", below(arn, "/sessions/*")),
    ]


# Another account's bucket and log group


@pytest.mark.parametrize(("env", "account", "acl"), [
    (HERE, OTHER_ACCOUNT, True),
    *((HERE, account, False) for account in (ACCOUNT, None, cdk.Aws.ACCOUNT_ID)),
    (None, OTHER_ACCOUNT, False),
], ids=["another", "this", "not said", "token", "stack of no known account"])  # fmt: skip
def test_bucket_known_to_be_another_account_s_gets_an_acl_and_such_a_log_group_a_warning(
    make_app: MakeApp, env: cdk.Environment | None, account: str | None, *, acl: bool
) -> None:
    """The endpoints do not warn: instances of another account may share their VPC."""
    app = make_app()
    stack, network = (cdk.Stack(app, name, env=env) for name in ("Stack", "Network"))
    theirs = bucket_of(stack, account)
    arn = f"arn:aws:logs:{REGION}:{account or cdk.Aws.ACCOUNT_ID}:log-group:{GROUP}"
    group = logs.LogGroup.from_log_group_arn(stack, "Group", arn)
    SessionManagerEndpoints(network, "Endpoints", vpc=ec2.Vpc(network, "Vpc"), log_group=group)

    objects = granted(stack, log_bucket=theirs, log_group=group)["SessionManagerLogObjects"]
    alone = {one.sid: one.actions for one in session_manager_statements(log_bucket=theirs)}

    actions = ["s3:PutObject", "s3:PutObjectAcl"] if acl else ["s3:PutObject"]
    assert alone["SessionManagerLogObjects"] == actions
    assert objects["Action"] == (actions if acl else actions[0])
    assert warned(stack) == ["log-group-of-another-account"] * acl
    assert not warned(network)


# The prefix


def objects_below(prefix: str) -> list[str]:
    found = session_manager_statements(log_bucket=bucket(cdk.Stack()), log_prefix=prefix)
    return {one.sid: one for one in found}["SessionManagerLogObjects"].resources


@pytest.mark.parametrize("prefix", ["", "/", "//"])
def test_empty_prefix_is_the_top_of_the_bucket(prefix: str) -> None:
    assert objects_below(prefix) == [f"{BUCKET_ARN}/*"]
    with pytest.raises(ValueError, match="has no bucket"):
        session_manager_statements(log_prefix=prefix)


def test_prefix_may_be_a_token(stack_here: cdk.Stack) -> None:
    prefix = f"/sessions//{parameter(stack_here)}/"

    found = granted(stack_here, log_bucket=bucket(stack_here), log_prefix=prefix)

    objects = joined(f"{BUCKET_ARN}/sessions/", {"Ref": "Given"}, "/*")
    assert found["SessionManagerLogObjects"]["Resource"] == objects


@pytest.mark.parametrize("rest", ["/*", "/${aws:userid}", "?", "/.."])
def test_the_rest_after_a_token_is_checked(stack: cdk.Stack, rest: str) -> None:
    with pytest.raises(ValueError, match=r"^log_prefix "):
        objects_below(parameter(stack) + rest)


# The bucket's key


PLAIN_KEY: Final = get_arn("Key961B73FD")
L1_KEY: Final = get_arn("Key")
KEYS_HERE: Final = in_partition(f":kms:{REGION}:{ACCOUNT}:key/*")
KEY_HERE: Final = in_partition(f":kms:{REGION}:{ACCOUNT}:key/{KEY_ID}")


def l1_key(stack: cdk.Stack) -> kms.CfnKey:
    return kms.CfnKey(stack, "Key", key_policy={"Version": "2012-10-17", "Statement": []})


def replica(stack: cdk.Stack) -> kms.CfnReplicaKey:
    return kms.CfnReplicaKey(stack, "Key", primary_key_arn=key_arn("eu-west-2"), key_policy={})


def changed(stack: cdk.Stack) -> s3.Bucket:
    """An L2 bucket whose L1 was given a key."""
    bucket = s3.Bucket(stack, "Bucket")
    made = cast("s3.CfnBucket", bucket.node.default_child)
    made.bucket_encryption = l1_bucket(stack, l1_key(stack).ref).bucket_encryption
    return bucket


def imported_with(stack: cdk.Stack, key: kms.IKey) -> s3.IBucket:
    return s3.Bucket.from_bucket_attributes(stack, "Logs", bucket_name=BUCKET, encryption_key=key)


ALL_KEYS: Final = key_arn(resource="key/*")
KEYS_OF_BUCKETS: Final[dict[str, tuple[MakeBucket, object]]] = {
    "owned": (lambda s: s3.Bucket(s, "Logs", encryption_key=kms.Key(s, "Key")), PLAIN_KEY),
    "owned-key-made-by-cdk": (l2_bucket(s3.BucketEncryption.KMS), get_arn("LogsKeyB5D1D597")),
    "owned-dual-layer": (l2_bucket(s3.BucketEncryption.DSSE), get_arn("LogsKeyB5D1D597")),
    "owned-with-alias": (lambda s: s3.Bucket(s, "Logs", encryption_key=owned_alias(s)), KEYS_HERE),
    "imported": (lambda s: imported_with(s, existing_key(s)), key_arn()),
    "imported-with-alias": (lambda s: imported_with(s, imported_alias(s)), KEYS_HERE),
    "imported-alias-arn": (lambda s: imported_with(s, existing_key(s, resource=ALIAS)), ALL_KEYS),
    "l2-of-l1": (lambda s: s3.Bucket.from_cfn_bucket(l1_bucket(s, l1_key(s).attr_arn)), L1_KEY),
    "l1-ref": (lambda s: l1_bucket(s, l1_key(s).ref), L1_KEY),
    "l1-get-arn": (lambda s: l1_bucket(s, l1_key(s).attr_arn), L1_KEY),
    "l1-get-key-id": (lambda s: l1_bucket(s, l1_key(s).attr_key_id), L1_KEY),
    "l1-arn-of-a-replica": (lambda s: l1_bucket(s, replica(s).attr_arn), L1_KEY),
    "l1-of-an-l2-changed": (changed, L1_KEY),
    "l1-arn-of-an-owned-key": (lambda s: l1_bucket(s, kms.Key(s, "Key").key_arn), PLAIN_KEY),
    "l1-id-of-an-owned-key": (lambda s: l1_bucket(s, kms.Key(s, "Key").key_id), PLAIN_KEY),
    "l1-ref-of-an-alias": (lambda s: l1_bucket(s, l1_alias(s).ref), KEYS_HERE),
    "l1-name-of-an-owned-alias": (lambda s: l1_bucket(s, owned_alias(s).alias_name), KEYS_HERE),
    "l1-arn-of-an-owned-alias": (lambda s: l1_bucket(s, owned_alias(s).alias_arn), KEYS_HERE),
    "l1-arn": (lambda s: l1_bucket(s, key_arn()), key_arn()),
    "l1-id": (lambda s: l1_bucket(s, KEY_ID), KEY_HERE),
    "l1-arn-with-a-token": (lambda s: l1_bucket(s, key_arn(resource=f"key/{parameter(s)}")),
        joined(key_arn(resource="key/"), {"Ref": "Given"})),
    "l1-alias": (lambda s: l1_bucket(s, ALIAS), KEYS_HERE),
    "l1-alias-arn": (lambda s: l1_bucket(s, key_arn(resource=ALIAS)), ALL_KEYS),
}  # fmt: skip


def with_rule(stack: cdk.Stack) -> s3.CfnBucket:
    """A bucket with an encryption rule that names no key."""
    rule = s3.CfnBucket.ServerSideEncryptionRuleProperty(bucket_key_enabled=True)
    encryption = s3.CfnBucket.BucketEncryptionProperty(server_side_encryption_configuration=[rule])
    return s3.CfnBucket(stack, "Logs", bucket_encryption=encryption)


# those with no key to grant on, or none that is known
NO_KEY: Final[dict[str, MakeBucket]] = {
    "owned": lambda s: s3.Bucket(s, "Logs"),
    "owned, S3": l2_bucket(s3.BucketEncryption.S3_MANAGED),
    "owned, AWS managed": l2_bucket(s3.BucketEncryption.KMS_MANAGED),
    "imported, AWS managed": lambda s: imported_with(s, imported_alias(s, "alias/aws/s3")),
    "imported": lambda s: s3.Bucket.from_bucket_name(s, "Logs", BUCKET),
    "L1": lambda s: s3.CfnBucket(s, "Logs"),
    "L1, S3": lambda s: l1_bucket(s, algorithm="AES256"),
    "L1, AWS managed by default": l1_bucket,
    "L1, AWS managed": lambda s: l1_bucket(s, "alias/aws/s3"),
    "L1, AWS managed by ARN": lambda s: l1_bucket(s, key_arn(resource="alias/aws/s3")),
    "L1, all is a token": lambda s: s3.CfnBucket(
        s, "Logs", bucket_encryption=cdk.Token.as_any({"Fn::If": ["A", "B", "C"]})),
    "L1, a rule of no key": with_rule,
    "L1, imported": lambda s: s3.CfnBucket.from_bucket_name(s, "Logs", BUCKET),
    "L1, S3 with a key by a condition": lambda s: l1_bucket(
        s, cdk.Fn.condition_if("Wanted", ALIAS, cdk.Aws.NO_VALUE).to_string(), "AES256"),
}  # fmt: skip


def of_keys(found: dict[str, dict[str, Any]]) -> list[tuple[object, object, object]]:
    """The actions, the resource and the condition of each statement on keys."""
    return [
        (one["Action"], one["Resource"], one.get("Condition"))
        for one in found.values()
        if "kms:" in str(one["Action"])
    ]


def on_bucket_key(resource: object, condition: object = None) -> list[tuple[object, ...]]:
    """Only the permissions on the bucket's key that the agent needs."""
    return [(["kms:Decrypt", "kms:GenerateDataKey"], resource, condition)]


@pytest.mark.parametrize(
    ("make", "resource"),
    [*KEYS_OF_BUCKETS.values(), *((make, None) for make in NO_KEY.values())],
    ids=[*KEYS_OF_BUCKETS, *(f"no key: {kind}" for kind in NO_KEY)],
)
def test_bucket_keys_are_granted(stack_here: cdk.Stack, make: MakeBucket, resource: object) -> None:
    found = granted(stack_here, log_bucket=make(stack_here))

    condition = FOR_ALIAS if resource in (KEYS_HERE, ALL_KEYS) else None
    assert of_keys(found) == (on_bucket_key(resource, condition) if resource else [])
    assert "SessionManagerLogObjects" in found
    assert {*warned(stack_here)} <= {"log-bucket-dsse"}


def included(stack: cdk.Stack, folder: Path, key_id: object) -> CfnInclude:
    """A template with a key, an alias, a log group, and a bucket that names its key by `key_id`."""
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_id}
    encryption = {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": default}]}
    maybe = {"Fn::If": ["Wanted", encryption, {"Ref": "AWS::NoValue"}]}
    return templates.include(
        stack,
        folder,
        Parameters={"Given": {"Type": "String"}},
        Conditions={"Wanted": {"Fn::Equals": [{"Ref": "Given"}, "yes"]}},
        Resources={
            "Key": resource("AWS::KMS::Key", KeyPolicy={"Version": "2012-10-17", "Statement": []}),
            "Alias": resource("AWS::KMS::Alias", AliasName=ALIAS, TargetKeyId={"Ref": "Key"}),
            "Bucket": resource("AWS::S3::Bucket", BucketEncryption=encryption),
            "Conditional": resource("AWS::S3::Bucket", BucketEncryption=maybe),
            "Group": resource("AWS::Logs::LogGroup", LogGroupName=GROUP),
        },
    )


SUB_OF_ARN: Final = "arn:aws:kms:${AWS::Region}:${AWS::AccountId}:key/${Key}"
IN_REGION: Final = "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:"
KEYS_OF_TEMPLATES: Final[list[tuple[object, object, object]]] = [
    ({"Ref": "Key"}, get_arn("Key"), None),
    *(({"Fn::Sub": text}, get_arn("Key"), None) for text in ("${Key}", "${Key.Arn}", SUB_OF_ARN)),
    ({"Fn::Sub": ["${It}", {"It": {"Ref": "Key"}}]}, get_arn("Key"), None),
    ({"Fn::Sub": "${Alias}"}, KEYS_HERE, ALIAS),
    ({"Fn::Sub": f"{IN_REGION}{ALIAS}"}, ALL_KEYS_HERE, ALIAS),
    ({"Fn::Sub": "alias/${Given}"}, KEYS_HERE, {"Fn::Join": ["", ["alias/", {"Ref": "Given"}]]}),
    ({"Fn::Sub": f"{IN_REGION}alias/aws/s3"}, None, None),
]
"""A bucket's key in a template, the resource of the grant, and the alias in its condition."""
# a bucket with one of these is warned of
KNOWN_AT_DEPLOYMENT: Final[list[object]] = [
    *({"Fn::Sub": one} for one in ("${Given}", "${!Given}")), "{{resolve:ssm:/sessions/key}}",
    {"Fn::If": ["Wanted", {"Ref": "Key"}, {"Ref": "AWS::NoValue"}]},
    {"Fn::ImportValue": "key"}, {"Ref": "Given"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("key_id", "resource", "alias"),
    [*KEYS_OF_TEMPLATES, *((key_id, None, None) for key_id in KNOWN_AT_DEPLOYMENT)],
    ids=str,
)
def test_bucket_and_group_of_a_template_that_is_included(
    stack_here: cdk.Stack, tmp_path: Path, key_id: object, resource: object, alias: object
) -> None:
    nested = cdk.NestedStack(stack_here, "Nested")
    l1_key(nested).override_logical_id("Key")  # another, of the same name
    template = included(stack_here, tmp_path, key_id)
    bucket = cast("s3.CfnBucket", template.get_resource("Bucket"))
    group = cast("logs.CfnLogGroup", template.get_resource("Group"))

    session_manager_statements(log_bucket=bucket)  # a warning is said once
    session_manager_statements(log_bucket=cast("Any", template.get_resource("Conditional")))
    found = granted(stack_here, log_bucket=bucket, log_group=group)

    assert found["SessionManagerLogEncryption"]["Resource"] == get_arn("Bucket")
    assert found["SessionManagerLogStreams"]["Resource"] == group_resource({"Ref": "Group"})
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}} if alias else None
    assert of_keys(found) == (on_bucket_key(resource, condition) if resource else [])
    assert warned(stack_here) == ["log-bucket-key-not-known"] * (key_id in KNOWN_AT_DEPLOYMENT)


def test_a_bucket_s_key_in_a_nested_template_is_granted(stack: cdk.Stack, tmp_path: Path) -> None:
    included(stack, tmp_path, {"Fn::Sub": "${Key.Arn}"})  # the file, and keys of the same ids
    inside = templates.include_nested(stack, tmp_path / "template.json")
    bucket = cast("s3.CfnBucket", inside.included_template.get_resource("Bucket"))

    found = {one.sid: one for one in session_manager_statements(log_bucket=bucket)}

    (resource,) = found["SessionManagerLogBucketKey"].resources
    assert inside.stack.resolve(resource) == get_arn("Key")
    assert not warnings(stack)


def test_the_way_out_that_the_warning_says_is_one(stack_here: cdk.Stack) -> None:
    key = existing_key(stack_here)
    arn = l1_bucket(stack_here, parameter(stack_here)).attr_arn
    known = s3.Bucket.from_bucket_attributes(stack_here, "Own", bucket_arn=arn, encryption_key=key)

    found = granted(stack_here, log_bucket=known)

    assert found["SessionManagerLogBucketKey"]["Resource"] == key_arn()
    assert found["SessionManagerLogEncryption"]["Resource"] == get_arn("Logs")
    assert warnings(stack_here) == []


# The log group


def group_resource(*name: object) -> dict[str, Any]:
    return joined("arn:", {"Ref": "AWS::Partition"}, f":logs:{REGION}:{ACCOUNT}:log-group:", *name)


def imported(of: type, by: str, given: str, stack: cdk.Stack) -> ILogGroupRef:
    found: ILogGroupRef = getattr(of, by)(stack, "Group", given)
    return found


GROUPS: Final[dict[str, tuple[Callable[[cdk.Stack], ILogGroupRef], object]]] = {
    "owned": (lambda s: logs.LogGroup(s, "Group"), group_resource({"Ref": "GroupC77FDACD"})),
    "l1": (lambda s: logs.CfnLogGroup(s, "Group"), group_resource({"Ref": "Group"})),
    **{f"{of.__name__}.{by} {name}": (functools.partial(imported, of, by, name), arn)
       for of in (logs.LogGroup, logs.CfnLogGroup)
       for by, name, arn in (
           ("from_log_group_name", GROUP, in_partition(GROUP_ARN.removeprefix("arn:aws"))),
           ("from_log_group_arn", GROUP_ARN, GROUP_ARN),
           ("from_log_group_arn", f"{GROUP_ARN}:*", GROUP_ARN),
       )},
}  # fmt: skip


@pytest.mark.parametrize(("make", "group"), GROUPS.values(), ids=GROUPS)
def test_log_group_gets_each_action_on_the_resource_it_takes(
    stack_here: cdk.Stack, make: Callable[[cdk.Stack], ILogGroupRef], group: object
) -> None:
    found = granted(stack_here, log_group=make(stack_here))

    on_logs = {
        sid: (statement["Action"], statement["Resource"])
        for sid, statement in found.items()
        if "logs:" in json.dumps(statement["Action"])
    }
    assert on_logs == {
        "SessionManagerLogGroups": ("logs:DescribeLogGroups", "*"),
        "SessionManagerLogStreams": ("logs:DescribeLogStreams", group),
        "SessionManagerLogEvents": (
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            below(group, ":*"),
        ),
    }
    assert found["SessionManagerLogEncryption"]["Resource"] == "*"


@pytest.mark.parametrize("given", [GROUP_ARN, f"{GROUP_ARN}:*"])
def test_log_group_whose_arn_is_a_token(stack_here: cdk.Stack, given: str) -> None:
    group = logs.LogGroup.from_log_group_arn(stack_here, "Imported", parameter(stack_here))

    found = granted(stack_here, log_group=group)

    assert deployed(found["SessionManagerLogStreams"]["Resource"], Given=given) == GROUP_ARN
    assert deployed(found["SessionManagerLogEvents"]["Resource"], Given=given) == f"{GROUP_ARN}:*"


def test_a_policy_in_another_stack(make_app: MakeApp, references: dict[str, object]) -> None:
    app = make_app(**references)
    stack, other = (cdk.Stack(app, name, env=HERE) for name in ("Stack", "Other"))

    found = granted(
        stack,
        log_bucket=l1_bucket(other, l1_key(other).ref),
        log_group=logs.LogGroup(other, "Group", log_group_name=GROUP),
    )

    for sid, statement in found.items():
        on_all = sid in {"SessionManagerChannels", "SessionManagerLogGroups"}
        assert crosses(statement["Resource"]) != on_all
