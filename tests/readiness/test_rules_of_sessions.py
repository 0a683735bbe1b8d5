"""The rules about images, Session documents, commands of ECS, and grants by tags."""

import json
from typing import Final

import pytest

from session_manager_permissions._needs import DEFAULT_DOCUMENT

from .faults import in_arn, on_c
from .launches import scaling, template
from .parts import att, each, nested, on, ref, resource, rows
from .reports import TRUST, Body, Check, inline, machine, managed_policy, policy, profile_and_role
from .statements import (
    ALL,
    AWS,
    CHANNELS_ONLY,
    READY,
    REGISTER_ONLY,
    UNKNOWN,
    Found,
    Statement,
    allow,
    deny,
)
from .test_what_findings_say import MINIMAL, PATH, session

DENIED: Final = frozenset({"session-denied"})
LOST: Final = frozenset({"log-lost"})

# Session documents


def own(*named: object, **inputs: object) -> Body:
    """A document, by default one that sessions name."""
    return {"A": session(*named, **inputs)}


def default(**inputs: object) -> Body:
    """The default document."""
    return own(DEFAULT_DOCUMENT, **inputs)


def key(*principals: object) -> Body:
    """A key whose policy allows the account, and these principals."""
    root = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
    statements = [allow("kms:*", Principal={"AWS": one}) for one in (root, *principals)]
    return resource("AWS::KMS::Key", KeyPolicy={"Statement": statements})


def a_key(**properties: object) -> Body:
    return {"Key": resource("AWS::KMS::Key", **properties)}


def with_key_policy(*statements: Statement) -> Body:
    """The default document, and a key with a policy of its own."""
    return default(kmsKeyId=ARN) | a_key(KeyPolicy={"Statement": [*statements]})


def encrypted(algorithm: object, by: object = None) -> Body:
    """The encryption of a bucket."""
    given = {"SSEAlgorithm": algorithm} | ({} if by is None else {"KMSMasterKeyID": by})
    return {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": given}]}


def with_bucket_policy(
    *statements: Statement, of_bucket: object = None, algorithm: object = "AES256", **more: object
) -> Body:
    """The default document, which enforces encrypted logs, and a bucket policy: of its bucket."""
    of_it = {"Bucket": of_bucket or ref("Bucket"), "PolicyDocument": {"Statement": [*statements]}}
    return default(s3BucketName=ref("Bucket"), s3EncryptionEnabled=True) | {
        "Bucket": resource("AWS::S3::Bucket", BucketEncryption=encrypted(algorithm), **more),
        "P": resource("AWS::S3::BucketPolicy", **of_it),
    }


def of(principal: object) -> Body:
    return {"Principal": {"AWS": principal}}


ARN: Final = att("Key", "Arn")
ACCOUNT: Final = of(ref("AWS::AccountId"))
MINE: Final = of(att("Role", "Arn"))
LEFT_TO_IAM: Final = with_key_policy(allow("kms:*", **ACCOUNT))
LETS_IN: Final = {"Key": key(att("Role", "Arn"))}
ANYBODY: Final = of("*")
SHUT: Final = deny("s3:*", **ANYBODY)
INSECURE: Final = {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}
ELSEWHERE: Final = default(kmsKeyId="arn:aws:kms:eu-west-1:1:key/1")
BY_PARAMETER: Final = default(kmsKeyId=ref("Free"))
LOGS_ELSEWHERE: Final = default(s3BucketName="logs", s3EncryptionEnabled=True)
ENFORCES: Final = {"cloudWatchEncryptionEnabled": True}
ON_S3, ON_LOGS = [allow("s3:*")], [allow("logs:*")]
READS: Final = "s3:GetEncryptionConfiguration"
SSE: Final = "s3:x-amz-server-side-encryption"


def closed(to: object) -> Body:
    """A bucket policy that denies everybody everything on this resource."""
    denies = {"Statement": [deny("s3:*", on=to, **ANYBODY)]}
    return resource("AWS::S3::BucketPolicy", Bucket=ref("Bucket"), PolicyDocument=denies)


def stack_set(body: object) -> Body:
    return resource("AWS::CloudFormation::StackSet", TemplateBody=body)


def log_group(**properties: object) -> Body:
    return {"Group": resource("AWS::Logs::LogGroup", **properties)}


ENFORCED_GROUP: Final = own(cloudWatchLogGroupName=ref("Group"), **ENFORCES)
CHANGES: Final = {"Custom": resource("Custom::Policy", Key=ref("Key"))}


def written(content: object) -> Body:
    """The default document with this content."""
    given = {"Name": DEFAULT_DOCUMENT, "DocumentType": "Session", "Content": content}
    return {"A": resource("AWS::SSM::Document", **given)}


FREELY_TRUE: Final = {"Free": {"Fn::Equals": [ref("Free"), "yes"]}}
WITH_KEY: Final = own(kmsKeyId=ARN)
SESSION_ID: Final = "kms:EncryptionContext:aws:ssm:SessionId"
OBJECTS: Final = {"Fn::Join": ["", [att("Bucket", "Arn"), "/logs/*"]]}
TO_BUCKET: Final = own(s3BucketName=ref("Bucket"), s3KeyPrefix="logs")
TO_KEY: Final = TO_BUCKET | {
    "Bucket": resource("AWS::S3::Bucket", BucketEncryption=encrypted("aws:kms", ref("Alias")))
}
TO_GROUP: Final = {"cloudWatchLogGroupName": "sessions"}
LOGGED: Final = own(**TO_GROUP)


def of_role(**properties: object) -> Body:
    """A role that is ready, except for these properties."""
    return {"Role": resource("AWS::IAM::Role", **TRUST | inline(ALL) | properties)}


def decrypt(on: object = ARN, **more: object) -> Statement:
    return allow("kms:Decrypt", on=on, **more)


def bounded(by: object, *more: Statement) -> Body:
    """A role that may decrypt within a boundary, and the boundary `B` with these as well."""
    role = TRUST | inline(ALL, decrypt()) | {"PermissionsBoundary": by}
    return {"Role": resource("AWS::IAM::Role", **role), "B": managed_policy(ALL, *more, roles=[])}


BY_ALIAS: Final = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/a"}}
BY_S3: Final = {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}
BY_VPC: Final = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}
BY_SESSIONS: Final = {"Null": {SESSION_ID: "false"}}
KEYS: Final = {"Fn::Sub": "arn:aws:kms:${AWS::Region}:1:key/*"}
OTHER: Final = att("Other", "Arn")
DENIES: Final = {"Statement": [deny("kms:*", Principal="*")]}
DEFAULT: Final = default(kmsKeyId=ARN)
ALIAS: Final = own(kmsKeyId=ref("Alias"))
ANYONE: Final = {"Statement": [allow("s3:PutObject", Principal="*")]}
ANYONE_IN_FREE: Final = {
    "Statement": [allow("s3:PutObject", Principal="*", on={"Fn::Sub": "arn:aws:s3:::${Free}/*"})]
}
OPEN: Final = resource("AWS::S3::BucketPolicy", Bucket=ref("Bucket"), PolicyDocument=ANYONE)
FOREIGN: Final = "arn:aws:kms:eu-west-1:2:key/1"
AS_ROOT: Final = {"runAsDefaultUser": "root"}
ENCRYPTED: Final = own(s3BucketName=ref("Bucket"), s3EncryptionEnabled=True)
HOSTS: Final = resource("AWS::SSM::DefaultHostManagementConfiguration")
CHANGED: Final = resource("Custom::Role", Role=ref("Role"))
REPLICA: Final = resource("AWS::KMS::ReplicaKey", **key()["Properties"])


ALIAS_ELSEWHERE: Final = default(kmsKeyId="alias/x") | {"X": resource(
    "AWS::KMS::Alias", AliasName="alias/x", TargetKeyId="arn:aws:kms:eu-west-1:1:key/1"
)}  # fmt: skip


def parts_of(arn: str) -> Body:
    return {"Fn::Sub": f"arn:aws:{arn}"}


def of_kms(name: str) -> Body:
    return parts_of(f"kms:${{AWS::Region}}:${{AWS::AccountId}}:{name}")


OF_ALIAS: Final = of_kms("alias/a")
KEY_IN_PARTS: Final = of_kms("key/${Key}")
GROUPS: Final = "logs:${AWS::Region}:${AWS::AccountId}:log-group:"
IN_GROUP: Final = default(cloudWatchLogGroupName=ref("Group"), **ENFORCES)
BY_FUNCTION: Final = {"Fn::Sub": "logs-${AWS::AccountId}"}
DESCRIBES, STREAMS = "logs:DescribeLogGroups", ("logs:CreateLogStream", "logs:PutLogEvents")


def by_account(key: str, account: object) -> Body:
    return {"Condition": {"StringEquals": {key: account}}}


def but(*roles: str) -> Body:
    return {"Condition": {"ArnNotLike": {"aws:PrincipalArn": [*roles]}}}


def as_json(names: Body | None = None, **inputs: object) -> Body:
    """The default document as a JSON text with variables, some of which have these values."""
    pattern = json.dumps(session(**inputs)["Properties"]["Content"])
    return written({"Fn::Sub": [pattern, names] if names else pattern})


def as_yaml(inputs: str) -> Body:
    """The default document as a YAML text with these inputs."""
    return written({"Fn::Sub": f"schemaVersion: '1.0'\ninputs: {inputs}\n"})


WEB: Final = of_role(RoleName="web", **inline(ALL, *ON_S3))
FREELY: Final = dict.fromkeys((*ENFORCES, "s3EncryptionEnabled", "runAsEnabled"), ref("Free"))
DOCUMENTS: Final[list[tuple[str, Body, list[Statement], Found]]] = [
    ("a key", WITH_KEY, [], DENIED),
    ("a key that is granted", WITH_KEY, [decrypt()], READY),
    ("all keys", WITH_KEY, [decrypt("arn:aws:kms:*:1:key/*")], READY),
    ("all keys of each partition", DEFAULT, [decrypt("arn:aws*:kms:*:1:key/*")], READY),
    ("a key that is granted for sessions", DEFAULT, [decrypt(Condition=BY_SESSIONS)], READY),
    ("another key", WITH_KEY, [decrypt(OTHER)], DENIED),
    *((f"all keys but {what}", DEFAULT, [{"Effect": "Allow", "Action": "kms:Decrypt",
        "NotResource": but_on}], found) for what, but_on, found in (("it", [OTHER, ARN], DENIED),
            ("another one", OTHER, READY), ("some", ref("Free"), UNKNOWN))),
    *((f"a bucket whose policy denies all but {what}", TO_BUCKET | {"P": resource(
        "AWS::S3::BucketPolicy", Bucket=ref("Bucket"), PolicyDocument={"Statement": [
            {"Effect": "Deny", "Action": "s3:Put*", "NotResource": on_it, **ANYBODY}]})},
       ON_S3, found)
      for what, on_it, found in (
          ("its logs", OBJECTS, READY), ("others", {"Fn::Sub": "${Bucket.Arn}/others/*"}, LOST),
          ("some", {"Fn::Sub": "${Bucket.Arn}/${Free}/*"}, READY))),
    ("a bucket, beside the policy of one that the world lacks",
     default(s3BucketName=ref("Bucket"), s3EncryptionEnabled=True) | {
         "O": on(resource("AWS::S3::Bucket"), "Free"),
         "P": on(resource("AWS::S3::BucketPolicy", Bucket=ref("O")), "Free")},
     [{"Fn::If": ["Free", allow("s3:*"), ref("AWS::NoValue")]}], UNKNOWN),
    ("a key beyond the boundary", WITH_KEY | bounded(ref("B")), [], DENIED),
    ("a key within the boundary", WITH_KEY | bounded(ref("B"), decrypt()), [], READY),
    ("a key, and a boundary that can't be known", DEFAULT | bounded(ref("Free")), [], UNKNOWN),
    ("a key by a literal ARN", WITH_KEY, [decrypt("arn:aws:kms:eu-west-1:1:key/1234")], READY),
    ("a key by its alias", ALIAS, [decrypt(KEYS, Condition=BY_ALIAS)], READY),
    ("a key by its alias that is not granted", ALIAS, [], DENIED),
    *((f"a key by its alias on {what} that is not granted", ALIAS | {"Alias": resource(
        "AWS::KMS::Alias", AliasName="alias/a", TargetKeyId=target)}, [], DENIED)
      for what, target in (("its ARN", ARN), ("the ARN in parts", KEY_IN_PARTS),
          ("its id", att("Key", "KeyId")))),
    ("a key of another app", own(kmsKeyId="arn:aws:kms:eu-west-1:1:key/1"), [], READY),
    ("a key whose policy lets the role in", WITH_KEY | LETS_IN, [], READY),
    ("a key whose policy lets the role in, and a Deny on a condition",
     DEFAULT | LETS_IN, [deny("kms:*", Condition=BY_VPC)], UNKNOWN),
    ("a key whose policy lets the role in, and a Deny of another service",
     DEFAULT | LETS_IN, [deny("s3:*", Condition=BY_VPC)], READY),
    ("a key whose policy lets the role in, and a policy of AWS that is not known", DEFAULT
     | LETS_IN | of_role(**inline(ALL), ManagedPolicyArns=[f"{AWS}NewerThanTheData"]), [], UNKNOWN),
    ("a key whose policy lets anyone in", WITH_KEY | {"Key": key("*")}, [], READY),
    ("a key whose policy lets another role in",
     WITH_KEY | {"Key": key(OTHER), "Other": resource("AWS::IAM::Role")}, [], DENIED),
    ("a key that lets the role alone in", with_key_policy(allow("kms:Decrypt", **MINE)), [], READY),
    ("a key that lets anyone decrypt", with_key_policy(allow("kms:Decrypt", **ANYBODY)), [], READY),
    ("a key whose policy lets anyone decrypt by S3",
     with_key_policy(allow("kms:Decrypt", **ANYBODY, Condition=BY_S3)), [], DENIED),
    ("a key that lets it in, beyond the boundary",
     DEFAULT | LETS_IN | bounded(ref("B")), [], DENIED),
    ("a replica of a key", DEFAULT | {"Key": REPLICA}, [], DENIED),
    ("a replica of a key that is granted", DEFAULT | {"Key": REPLICA}, [decrypt()], READY),
    ("a replica of a key whose policy denies", DEFAULT | {"Key": resource(
        "AWS::KMS::ReplicaKey", KeyPolicy=DENIES)}, [decrypt()], DENIED),
    *((f"a key{beside}{what} that something else returns", DEFAULT | {"C": made},
       [*granted, {**statement, "Resource": att("C", "Value")}], UNKNOWN)
      for made in (resource("Custom::Arn"), resource("AWS::SSM::Parameter", Value=ARN))
      for beside, granted, what, statement in (
          ("", [], " by the ARN", decrypt()), (", and", [decrypt()], " a Deny", deny("kms:*")))),
    ("a key, and a secret", DEFAULT | {"C": resource("AWS::SecretsManager::Secret")},
     [decrypt(ref("C"))], DENIED),
    ("a key without a policy", DEFAULT | a_key(), [decrypt()], READY),
    ("a key whose policy is given", DEFAULT | a_key(KeyPolicy=ref("Free")), [decrypt()], UNKNOWN),
    ("a key whose policy denies", WITH_KEY | a_key(KeyPolicy=DENIES), [], DENIED),
    ("two documents, one of use", WITH_KEY | {"B": session()}, [], READY),
    ("two documents, the default of use", WITH_KEY | {"B": session(DEFAULT_DOCUMENT)}, [], READY),
    ("two documents, the default of no use", own() | {"B": DEFAULT["A"]}, [], DENIED),
    ("two documents, none of use", WITH_KEY | {"B": WITH_KEY["A"]}, [], DENIED),
    ("the default document", DEFAULT, [], DENIED),
    ("the default document, which a custom resource changes", default() | {"C": resource(
        "Custom::AWS", Create=f'{{"parameters": {{"Name": "{DEFAULT_DOCUMENT}"}}}}')}, [], UNKNOWN),
    ("the default document, which a custom resource changes on a condition", {"C": on(
        resource("Custom::AWS", Name=DEFAULT_DOCUMENT), "Free")}, [], UNKNOWN),
    ("the default document, which a custom resource makes",
     {"A": session(DEFAULT_DOCUMENT, runAsEnabled=True, **AS_ROOT) | {"Type": "Custom::Document"}},
     [], UNKNOWN),
    ("the default document in a stack set",
     {"C": stack_set(f"A: {{Type: AWS::SSM::Document, Name: {DEFAULT_DOCUMENT}}}")}, [], UNKNOWN),
    *((f"the default document, which {kind} names", {"C": resource(
        f"AWS::{kind}", Given={"Code": f"update(Name={DEFAULT_DOCUMENT!r})"})}, [], found)
      for kind, found in (("Lambda::Function", UNKNOWN), ("CodeBuild::Project", UNKNOWN),
                          ("SSO::PermissionSet", READY), ("IAM::ManagedPolicy", READY))),
    ("the default document, which a runbook changes", {"C": resource(
        "AWS::SSM::Document", Content={"inputs": DEFAULT_DOCUMENT})}, [], UNKNOWN),
    ("another document, which names the default one", own(shellProfile={"linux": DEFAULT_DOCUMENT}),
     [], READY),
    ("another document, which a custom resource changes",
     {"C": resource("Custom::AWS", Create='{"parameters": {"Name": "other"}}')}, [], READY),
    ("the default document, and a condition", DEFAULT, [decrypt(Condition=BY_VPC)], UNKNOWN),
    ("a key that only S3 may use", DEFAULT, [decrypt(Condition=BY_S3)], DENIED),
    *((f"a key, on the condition {operator} of kms:{name} {asked}",
       DEFAULT, [decrypt(Condition={operator: {f"kms:{name}": asked}})], found)
      for operator, name, asked, found in (
          ("Null", "EncryptionContext:aws:ssm:TargetId", "false", READY),
          ("StringLike", "EncryptionContext:aws:ssm:TargetId", "i-1*", UNKNOWN),
          ("ForAnyValue:StringEquals", "EncryptionContextKeys", "aws:ssm:SessionId", READY),
          ("ForAllValues:StringEquals", "EncryptionContextKeys", "aws:ssm:SessionId", UNKNOWN),
          ("StringEquals", "EncryptionAlgorithm", "RSAES_OAEP_SHA_256", DENIED))),
    ("a key that S3 may not use", DEFAULT, [decrypt(), deny("kms:*", Condition=BY_S3)], READY),
    *((f"a key elsewhere, with {statements}", parts, statements, found)
      for parts in (ELSEWHERE, ALIAS_ELSEWHERE) for statements, found in (
          ([], UNKNOWN), ([decrypt("arn:aws:kms:*:1:key/1")], READY), ([deny("kms:*")], DENIED))),
    ("a key of another account", default(kmsKeyId=FOREIGN), [], DENIED),
    ("a key of another account, granted", default(kmsKeyId=FOREIGN), [decrypt(FOREIGN)], UNKNOWN),
    ("a key of another region",
     default(kmsKeyId="arn:aws:kms:us-east-1:1:key/1"), [decrypt("arn:aws:kms:*:1:key/1")], DENIED),
    ("a key by the name of its alias", own(kmsKeyId="alias/a"), [], DENIED),
    ("a key by the name of another alias", own(kmsKeyId="alias/b"), [], READY),
    *((f"a key of AWS by {what}", own(kmsKeyId=by), [decrypt()], found)
      for what, by, found in (
          ("its alias", "alias/aws/ssm", DENIED),
          ("the ARN of its alias", of_kms("alias/aws/ssm"), DENIED),
          ("a name like that", "alias/awsome", READY),
          ("a name that has it within", "alias/my-alias/aws/ssm", READY))),
    ("a key by its id, granted", default(kmsKeyId="1234"), [decrypt(of_kms("key/1234"))], READY),
    ("a key by another id", default(kmsKeyId="1234"), [decrypt(of_kms("key/12345"))], UNKNOWN),
    ("a bucket by its name in the document", with_bucket_policy(BucketName="my-logs")
     | default(s3BucketName="my-logs", s3EncryptionEnabled=True), [], DENIED),
    ("a group by its name that has to encrypt and has no key",
     own(**TO_GROUP, **ENFORCES) | log_group(LogGroupName="sessions"), ON_LOGS, DENIED),
    ("a group that has no key, unless a custom resource gives it one",
     default(**TO_GROUP, **ENFORCES) | log_group(LogGroupName="sessions")
     | {"C": resource("Custom::Key", Of=ref("Group"))}, ON_LOGS, UNKNOWN),
    ("a key by its ARN in parts", LEFT_TO_IAM, [decrypt(of_kms("key/${Key}"))], READY),
    ("another key by its ARN in parts", LEFT_TO_IAM, [decrypt(of_kms("key/${Other}"))], DENIED),
    ("a document that can't be read", written(ref("Free")), [], UNKNOWN),
    ("a key whose policy something changes", with_key_policy() | CHANGES, [decrypt()], UNKNOWN),
    ("a key whose policy something changes, and a Deny of the role",
     with_key_policy() | CHANGES, [decrypt(), deny("kms:Decrypt")], DENIED),
    ("a key, and a statement of a macro", DEFAULT, [{"Fn::Transform": {"Name": "M"}}], UNKNOWN),
    ("a key, and a policy of AWS that is not known",
     DEFAULT | of_role(ManagedPolicyArns=[f"{AWS}NewerThanTheData"]), [], UNKNOWN),
    ("a key by parameter", BY_PARAMETER, [], UNKNOWN),
    ("a key by parameter that is granted", BY_PARAMETER, [decrypt(ref("Free"))], READY),
    ("a key granted by the ARN of its alias", WITH_KEY,
     [decrypt("arn:aws:kms:eu-west-1:1:alias/a")], DENIED | {"key-not-by-arn"}),
    ("a bucket by its ARN in parts", with_bucket_policy(), [allow(
        READS, on={"Fn::Sub": "arn:${AWS::Partition}:s3:::${Bucket}"}), allow("s3:Put*")], READY),
    ("a bucket by its name", with_bucket_policy(BucketName="my-logs"),
     [allow(READS, on="arn:aws:s3:::my-*"), allow("s3:Put*", on="arn:aws:s3:::my-logs/*")], READY),
    ("a bucket by the names of its logs", own(s3BucketName=ref("Bucket"))
     | {"Bucket": resource("AWS::S3::Bucket", BucketName="my-logs")},
     [allow("s3:PutObject", on="arn:aws:s3:::my-logs/*.log")], READY),
    ("a bucket of some partitions", with_bucket_policy(BucketName="my-logs"),
     [allow(READS, on="arn:aws-*:s3:::my-logs"), allow("s3:Put*")], UNKNOWN),
    ("a bucket elsewhere", LOGS_ELSEWHERE, [], UNKNOWN),
    ("a bucket elsewhere that is granted", LOGS_ELSEWHERE,
     [allow(READS, on={"Fn::Sub": "arn:${AWS::Partition}:s3:::logs"})], READY),
    ("a bucket whose policy denies what is not encrypted on its way",
     with_bucket_policy(deny("s3:*", **ANYBODY, **INSECURE)), ON_S3, READY),
    ("a bucket, another's policy", with_bucket_policy(SHUT, of_bucket="another"), ON_S3, READY),
    ("a bucket, and the policy of one that a custom resource returns", with_bucket_policy(
        SHUT, of_bucket=att("C", "Name")) | {"C": resource("Custom::Name")}, ON_S3, UNKNOWN),
    ("a bucket whose policy denies", with_bucket_policy(SHUT), ON_S3, DENIED),
    ("a bucket whose policy names it, and denies", with_bucket_policy(SHUT,
        of_bucket="my-logs", BucketName="my-logs"), ON_S3, DENIED),
    ("a bucket, and the policy of one by parameter, which lets somebody in",
     TO_BUCKET | {"P": OPEN | {"Properties": OPEN["Properties"] | {
         "Bucket": ref("Free"), "PolicyDocument": ANYONE_IN_FREE}}}, [], READY),
    ("a bucket that denies some",
     with_bucket_policy(deny("s3:*", **of(ref("Free")))), ON_S3, UNKNOWN),
    ("a bucket whose policy denies its objects", TO_BUCKET | {"P": closed(OBJECTS)}, ON_S3, LOST),
    ("a bucket whose policy denies other objects",
     TO_BUCKET | {"P": closed({"Fn::Sub": "${Bucket.Arn}/secret/*"})}, ON_S3, READY),
    ("a bucket that is encrypted twice",
     with_bucket_policy(algorithm={"Fn::Sub": "aws:kms:dsse"}), ON_S3, UNKNOWN),
    ("ports", own(kind="Port", kmsKeyId=ARN), [], READY),
    ("ports by a function", own(kind={"Fn::Join": ["", ["Po", "rt"]]}, kmsKeyId=ARN), [], READY),
    ("a document of sessions by parameter", default(kind=ref("Free"), kmsKeyId=ARN), [], UNKNOWN),
    ("a document on a condition", {"A": on(WITH_KEY["A"], "Free")}, [], DENIED),
    ("one on a condition, beside another",
     {"A": on(WITH_KEY["A"], "Free"), "B": session()}, [], READY),
    *((f"a key that a condition chooses, else {other}",
       own(kmsKeyId={"Fn::If": ["Free", ARN, other]}), [], found)
      for other, found in ((att("Other", "Arn"), DENIED), (ref("AWS::NoValue"), READY))),
    ("a policy on a condition", WITH_KEY | {"P": on(policy(decrypt()), "Free")}, [], READY),
    ("a policy on some role", WITH_KEY | {"P": policy(decrypt(), roles=[ref("Some")])}, [], READY),
    ("a policy on a role that is sure to be another",
     WITH_KEY | {"P": policy(decrypt(), roles=["another"])}, [], DENIED),
    ("a managed policy", WITH_KEY | {"P": managed_policy(decrypt())}, [], READY),
    ("as root", own(runAsEnabled=True, **AS_ROOT), [], DENIED),
    *((f"as {user} by {name}", own(name, runAsEnabled=True, runAsDefaultUser=user), [], found)
      for name, user, found in (
          (DEFAULT_DOCUMENT, ref("Root"), UNKNOWN), (DEFAULT_DOCUMENT, ref("User"), UNKNOWN),
          (DEFAULT_DOCUMENT, ref("Ana"), READY), ("another", ref("Root"), READY),
          (DEFAULT_DOCUMENT, "ssm-user", UNKNOWN), ("another", "ssm-user", READY),
          (ref(DEFAULT_DOCUMENT), "root", UNKNOWN | DENIED), (ref("Ana"), "root", DENIED))),
    ("as ssm-user, without Run As", default(runAsDefaultUser="ssm-user"), [], READY),
    ("inputs by a parameter", default(Ref="Inputs"), [], UNKNOWN),
    *((f"{[*inputs]}, or no inputs", default(**{"Fn::If": ["Free", inputs, {}]}), [], UNKNOWN)
      for inputs in (AS_ROOT | {"runAsEnabled": True}, {"kmsKeyId": ARN})),
    *((f"streamed logs by {json.dumps(streams)}",
       default(cloudWatchStreamingEnabled=streams), [], found) for streams, found in (
           ("false", DENIED), (1, DENIED), (ref("Free"), DENIED),
           ({"Fn::If": ["Free", True, False]}, READY))),
    ("a key that is disabled", WITH_KEY | a_key(Enabled=False), [decrypt()], DENIED),
    ("a key disabled by a parameter", DEFAULT | a_key(Enabled=ref("Free")), [decrypt()], UNKNOWN),
    ("a key that is enabled", WITH_KEY | a_key(Enabled="true"), [decrypt()], READY),
    ("a key for signatures",
     WITH_KEY | a_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY"), [decrypt()], DENIED),
    ("a group without a key that has to encrypt", ENFORCED_GROUP | log_group(), ON_LOGS, DENIED),
    ("a group that encrypts, with a key", ENFORCED_GROUP | log_group(KmsKeyId=ARN), ON_LOGS, READY),
    ("as root, switched off", own(runAsEnabled=False, **AS_ROOT), [], READY),
    ("a bucket", TO_BUCKET, [], LOST),
    ("a bucket that CDK empties at its end", TO_BUCKET | {"C": resource(
        "Custom::S3AutoDeleteObjects", BucketName=ref("Bucket"))}, [], LOST),
    ("a bucket that is granted", TO_BUCKET, [allow("s3:PutObject", on=OBJECTS)], READY),
    ("a bucket of which other objects are granted", TO_BUCKET,
     [allow("s3:PutObject", on={"Fn::Sub": "${Bucket.Arn}/others/*"})], LOST),
    ("a bucket of which objects by parameter are granted", TO_BUCKET,
     [allow("s3:PutObject", on={"Fn::Sub": "${Bucket.Arn}/${Free}/*"})], READY),
    ("a bucket whose policy lets somebody in", TO_BUCKET | {"P": OPEN}, [], READY),
    ("a bucket whose key is not granted", TO_KEY, [allow("s3:*"), decrypt()], LOST),
    *((f"a bucket whose key by {what} is not granted",
       TO_KEY | {"Bucket": resource("AWS::S3::Bucket", BucketEncryption=encrypted("aws:kms", by))},
       [allow("s3:*"), decrypt()], found)
      for what, by, found in (
          ("its id", ref("Key"), LOST), ("its ARN in parts", KEY_IN_PARTS, LOST),
          ("its alias", "alias/a", LOST), ("the ARN of its alias", OF_ALIAS, LOST),
          ("another alias", "alias/b", READY))),
    ("a bucket whose key is granted", TO_KEY, [allow("s3:*"), allow("kms:*", on=ARN)], READY),
    ("a bucket whose key is granted for sessions", TO_KEY,
     [allow("s3:*"), allow("kms:*", on=ARN, Condition={"Null": {SESSION_ID: "false"}})], LOST),
    ("a bucket whose key is granted for S3", TO_KEY,
     [allow("s3:*"), allow("kms:Generate*", on=ARN, Condition=BY_S3)], READY),
    ("a bucket whose key is of AWS", with_bucket_policy(algorithm="aws:kms"), ON_S3, READY),
    ("a bucket that is enforced", ENCRYPTED, [allow("s3:PutObject")], DENIED),
    *((f"a bucket of {algorithm} whose policy denies uploads by {operator}, and {reads}",
       with_bucket_policy(deny("s3:PutObject", **ANYBODY, Condition={operator: {SSE: asked}}),
           algorithm=algorithm) | TO_BUCKET,
       [allow("s3:PutObject"), *([allow(reads)] if reads else [])], found)
      for operator, asked, algorithm, reads, found in (
          ("Null", "true", "AES256", "", LOST), ("Null", "true", "AES256", READS, READY),
          ("Null", "true", "aws:kms:dsse", READS, READY), ("Null", "true", ref("Free"), "", LOST),
          ("StringNotEquals", "aws:kms", "AES256", READS, LOST),
          ("StringNotEquals", "aws:kms", "aws:kms", READS, READY),
          ("StringNotEquals", "aws:kms", ref("Free"), READS, READY),
          ("StringEquals", "AES256", "AES256", "", READY),
          ("StringEquals", "AES256", "AES256", READS, LOST))),
    ("a bucket whose policy demands encryption, which the role perhaps can't read",
     with_bucket_policy(deny("s3:PutObject", **ANYBODY, Condition={"Null": {SSE: "true"}}))
     | TO_BUCKET, [allow("s3:PutObject"), allow(READS, Condition=BY_VPC)], READY),
    ("a group", LOGGED, [], LOST),
    ("a group that is granted", LOGGED, ON_LOGS, READY),
    ("a group that is enforced", own(**TO_GROUP, **ENFORCES), [], DENIED),
    ("a role that something may change", DEFAULT | {"C": CHANGED}, [], UNKNOWN),
    ("a role that something may change, another document", WITH_KEY | {"C": CHANGED}, [], READY),
    ("a role that registers beside Default Host Management", DEFAULT | {"H": HOSTS}, [], DENIED),
    ("a role that does not register beside Default Host Management",
     DEFAULT | {"H": HOSTS} | of_role(**inline(CHANNELS_ONLY)), [], UNKNOWN),
    ("a role of others beside Default Host Management",
     DEFAULT | {"H": HOSTS} | of_role(AssumeRolePolicyDocument={"Statement": []}), [], UNKNOWN),
    ("as root under Default Host Management", default(runAsEnabled=True, **AS_ROOT)
     | {"H": HOSTS} | of_role(**inline(CHANNELS_ONLY)), [], DENIED),
    ("a key whose material is imported", DEFAULT | a_key(Origin="EXTERNAL"), [decrypt()], UNKNOWN),
    ("a key whose material is of KMS", DEFAULT | a_key(Origin="AWS_KMS"), [decrypt()], READY),
    ("a key by the ARN of its alias", default(kmsKeyId=OF_ALIAS), [decrypt()], READY),
    ("a key by the ARN of some alias", default(kmsKeyId=of_kms("alias/ab")), [decrypt()], UNKNOWN),
    *((f"a key by an alias that a parameter names, and {on} is granted",
       default(kmsKeyId={"Fn::Sub": "alias/${Free}"}), [decrypt(on)], found)
      for on, found in ((KEYS, READY), (ARN, UNKNOWN))),
    ("a key by its ARN in parts in the document", default(kmsKeyId=KEY_IN_PARTS), [], DENIED),
    ("a key that is granted by its alias", DEFAULT, [decrypt(
        "*", Condition={"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/*"}})], READY),
    ("a key that is granted by an alias of another key",
     default(kmsKeyId=OTHER), [decrypt("*", Condition=BY_ALIAS)], UNKNOWN),
    ("a key for the account of the role", DEFAULT,
     [decrypt(**by_account("kms:CallerAccount", ref("AWS::AccountId")))], READY),
    ("a key for other accounts", DEFAULT,
     [decrypt(**by_account("kms:CallerAccount", "2"))], DENIED),
    ("a key whose policy lets the account in by a condition", with_key_policy(
        allow("kms:*", **ANYBODY, **by_account("aws:PrincipalAccount", "1"))), [], READY),
    *((f"a bucket whose policy denies all but {what}", with_bucket_policy(
        deny("s3:*", **ANYBODY, **but(f"arn:aws:iam::1:role/{name}"))) | role, ON_S3, found)
      for what, name, role, found in (
          ("another role", "a", WEB, DENIED), ("the role", "w*", WEB, READY),
          ("a role that may have the name", "w*", {}, UNKNOWN))),
    ("a prefix with slashes", own(s3BucketName=ref("Bucket"), s3KeyPrefix="/a//logs/"),
     [allow("s3:*", on={"Fn::Sub": "${Bucket.Arn}/a/logs/*"})], READY),
    ("a prefix with slashes that is granted as written",
     own(s3BucketName=ref("Bucket"), s3KeyPrefix="/a//logs/"),
     [allow("s3:*", on={"Fn::Sub": "${Bucket.Arn}//a//logs/*"})], LOST),
    ("a bucket by a name that a function gives", with_bucket_policy(BucketName=BY_FUNCTION),
     [allow("s3:*", on=parts_of("s3:::logs-${AWS::AccountId}*"))], READY),
    ("another bucket by a name that a function gives", with_bucket_policy(BucketName=BY_FUNCTION),
     [allow("s3:*", on=parts_of("s3:::others-${AWS::AccountId}*"))], DENIED),
    ("all groups", IN_GROUP | log_group(KmsKeyId=ARN),
     [allow("logs:*", on=parts_of(f"{GROUPS}*"))], READY),
    ("the group alone, where all are described", IN_GROUP | log_group(KmsKeyId=ARN,
        LogGroupName="sessions"), [allow("logs:*", on=parts_of(f"{GROUPS}sessions:*"))], DENIED),
    *((f"the streams of the group{when}", own(**TO_GROUP, **inputs), [allow(*STREAMS,
        on=parts_of(f"{GROUPS}sessions:log-stream:*"))], found) for when, inputs, found in (
            ("", {}, READY), (" as they are written", {"cloudWatchStreamingEnabled": True}, LOST))),
    ("a group by its attribute", own(cloudWatchLogGroupName=ref("Group")) | log_group(),
     [allow(*STREAMS, on=att("Group", "Arn"))], READY),
    ("a group without streams", LOGGED, [allow(*STREAMS, on=parts_of(f"{GROUPS}sessions"))], LOST),
    *((f"the streams of a group by a parameter, in {of}", LOGGED,
       [allow(*STREAMS, on={"Fn::Sub": f"arn:aws:logs:{of}:log-group:${{Free}}:*"})], found)
      for of, found in (("us-east-1:1", LOST), ("*", READY))),  # the account as well
    *((f"a document as a text, with {statements}", text, statements, found)
      for text in (as_json(kmsKeyId="${Key.Arn}"), as_yaml("\n  kmsKeyId: ${Key.Arn}"), written(
          {"Fn::Join": ["", ['{"schemaVersion": "1.0", "inputs": {"kmsKeyId": "', ARN, '"}}']]}))
      for statements, found in (([decrypt()], READY), ([], DENIED))),
    ("a document as a text that is no document", as_yaml("{\ud800"), [], UNKNOWN),
    *((f"a document as a text, in which a parameter is {what}",
       as_yaml(f"\n  cloudWatchStreamingEnabled: {value}"), [], found)
      for what, value, found in (
          ("a boolean", "${Free}  # not '${Free}'", READY), ("a string", "'${Free}'", DENIED),
          ("a string in lines", "|\n    ${Free}", DENIED), ("a word", "x-${Free}", DENIED))),
    ("a document as a text with a variable", as_json({"K": ARN}, kmsKeyId="${K}"), [], DENIED),
    ("a text with a policy's variable",
     as_json(cloudWatchLogGroupName="${!a}"), [allow(DESCRIBES)], LOST),
    *((f"encrypted logs by parameter, {what}",
       default(**inputs, **FREELY) | log_group(KmsKeyId=ARN) | {"Bare": log_group()["Group"]},
       [*statements, allow("logs:Create*", "logs:Put*")], found)
      for what, inputs, statements, found in (
          ("to a bucket", {"s3BucketName": ref("Bucket")}, [allow("s3:Put*")], UNKNOWN),
          ("to a bucket that is read", {"s3BucketName": ref("Bucket")}, ON_S3, READY),
          ("to a bucket elsewhere", {"s3BucketName": "logs"}, [], UNKNOWN),
          ("to a bucket elsewhere that is read", {"s3BucketName": "logs"}, [allow(READS)], READY),
          ("to a group", {"cloudWatchLogGroupName": ref("Group")}, [], UNKNOWN),
          ("to a found group", {"cloudWatchLogGroupName": ref("Group")}, [allow(DESCRIBES)], READY),
          ("to a group in a stream", {"cloudWatchLogGroupName": ref("Group"),
              "cloudWatchStreamingEnabled": True}, [], UNKNOWN),
          ("to one of no key", {"cloudWatchLogGroupName": ref("Bare")},
           [allow(DESCRIBES)], UNKNOWN),
          ("to a group elsewhere", {"cloudWatchLogGroupName": "logs"}, [allow(DESCRIBES)], UNKNOWN),
          ("and root by parameter", AS_ROOT, [], UNKNOWN),
          ("and another user by parameter", {"runAsDefaultUser": "ana"}, [], READY))),
    ("encrypted logs in a group elsewhere", default(**TO_GROUP, **ENFORCES), ON_LOGS, UNKNOWN),
    *((f"encrypted logs in {what} by its ARN", default(**inputs) | made,
       [allow(READS, on=att("Bucket", "Arn")), allow("logs:*")], UNKNOWN)
      for what, inputs, made in (
          ("a bucket", {"s3BucketName": att("Bucket", "Arn"), "s3EncryptionEnabled": True}, {}),
          ("a group", {"cloudWatchLogGroupName": att("Group", "Arn"), **ENFORCES},
           log_group(KmsKeyId=ARN)),
          ("what precedes a slash in the name of a group",  # which may have slashes
           {"cloudWatchLogGroupName": in_arn(0, "/", in_arn(6, ":", att("Group", "Arn"))),
            **ENFORCES}, log_group(KmsKeyId=ARN)))),
    ("encrypted logs in a bucket elsewhere by its ARN",
     default(s3BucketName="arn:aws:s3:::logs", s3EncryptionEnabled=True), ON_S3, UNKNOWN),
    ("logs in a group elsewhere", default(**TO_GROUP), ON_LOGS, READY),
]  # fmt: skip


@pytest.mark.parametrize(("added", "statements", "found"), rows(DOCUMENTS))
def test_documents(check: Check, added: Body, statements: list[Statement], found: Found) -> None:
    alias = resource("AWS::KMS::Alias", AliasName="alias/a", TargetKeyId=ref("Key"))
    parts = {"Key": key(), "Other": key(), "Alias": alias, "Bucket": resource("AWS::S3::Bucket")}
    body = profile_and_role(inline(ALL, *statements), **parts | added)
    body["Conditions"] = FREELY_TRUE
    defaults = {"Root": "root", "Ana": "ana", DEFAULT_DOCUMENT: DEFAULT_DOCUMENT}
    body["Parameters"] = {name: {"Default": default} for name, default in defaults.items()} | {
        "Free": {"Type": "String"}, "User": {"AllowedValues": ["ana", "root"]}}  # fmt: skip
    report = check(body, a="1")

    verdict = {READY: "ready", LOST: "ready", DENIED: "not ready"}.get(found, "can't be known")
    assert report.rules == found
    assert report.verdicts == {verdict if DEFAULT_DOCUMENT in str(added) else "ready": 1}


@pytest.mark.parametrize(("of_machine", "found"), [
    ({}, UNKNOWN),
    ({"MetadataOptions": {"HttpEndpoint": "disabled"}}, {"metadata-off"}),
])  # fmt: skip
def test_documents_beside_what_is_not_ready(check: Check, of_machine: Body, found: Found) -> None:
    server = machine(IamInstanceProfile=ref("Profile"), SubnetId="subnet-1", **of_machine)
    body = profile_and_role(inline(ALL), Key=key(), **WITH_KEY, Machine=server)

    assert check(body, a="1").rules == DENIED | found


KEY_POLICIES: Final[dict[Found, tuple[list[Statement], ...]]] = {
    READY: ([allow("kms:*", **ACCOUNT)],
        [allow({"Fn::Sub": "kms:*"}, **ACCOUNT) | {"Effect": {"Fn::Join": ["", ["Al", "low"]]}}]),
    DENIED: ([allow("kms:*", Principal={"Service": "logs.amazonaws.com"})],
        [allow("kms:*", **of("2"))], [allow("kms:*", **of("arn:aws:iam::1:role/web"))],
        [allow("kms:*", **of("arn:aws:iam::1:user/ana"))], [allow("kms:List*", **ACCOUNT)],
        [allow("kms:*", **ACCOUNT), deny("kms:Decrypt", **ACCOUNT)],
        [allow("kms:*", **MINE), deny("kms:Decrypt", **ACCOUNT)]),
    UNKNOWN: ([allow("kms:Decrypt", **MINE, Condition={"Bool": {"a": "b"}})],
        [allow("kms:*", **of(ref("Free")))],
        [allow("kms:*", **of("arn:aws:iam::1:role/a-Role-1A2B3C4D5E6F"))],
        [allow("kms:*", **of("arn:aws:sts::1:assumed-role/web/ana"))],
        [allow("kms:*") | {"NotPrincipal": of("arn:aws:iam::1:user/ana")}],
        [allow("kms:*", **ACCOUNT), deny("kms:*", **ANYBODY, Condition={"Null": {"a": "b"}})],
        [allow("kms:*", **ACCOUNT) | {"Effect": ref("Free")}]),
}  # fmt: skip


@pytest.mark.parametrize(("statements", "found"), each(KEY_POLICIES))
def test_policy_of_a_key(check: Check, statements: list[Statement], found: Found) -> None:
    body = profile_and_role(inline(ALL, decrypt()), **with_key_policy(*statements))

    assert check(body, a="1").rules == found


# Session documents in apps of several stacks

Stacks = tuple[Body, Body]
"""The templates of an app, and where each is deployed."""
IN_IRELAND, IN_VIRGINIA = "1/eu-west-1", "1/us-east-1"


def two(there: Body, here: Body, where: str, at: str = IN_IRELAND) -> Stacks:
    """Another stack somewhere, and the one with the role in Ireland."""
    return {"There": {"Resources": there}, "Here": here}, {"There": where, "Here": at}


def key_of_account_2(of_key: Body, *, is_granted: bool) -> Stacks:
    """The key policy and a policy of the role both have to allow it."""
    key_ = {"Key": of_key.get("Key", resource("AWS::KMS::Key"))}
    output = {"StackName": "There", "OutputName": "Key", "RoleArn": "arn:aws:iam::2:role/reader"}
    its = {"Fn::GetStackOutput": output}
    role = inline(ALL, *[decrypt(its)] * is_granted) | {"RoleName": "web"}
    bodies, at = two(key_, profile_and_role(role, **default(kmsKeyId=its)), "2/eu-west-1")
    bodies["There"]["Outputs"] = {"Key": {"Value": ARN}}
    return bodies, at


def bucket_of(account: str, granted: list[Statement], *let_in: Statement) -> Stacks:
    there = with_bucket_policy(*let_in, BucketName="logs")
    parts = {name: there[name] for name in ("Bucket", "P")}
    here = profile_and_role(inline(ALL, *granted), **LOGS_ELSEWHERE)
    return two(parts, here, f"{account}/eu-west-1", "1/eu-west-2")


def writing(given: object, to: str = "eu-west-1") -> Body:
    """What CDK writes of a stack for one of another region, which reads it by `CARRIED`."""
    written_ = {"WriterProps": {"region": to, "exports": {"/cdk/exports/it": given}}}
    return {"Writer": resource("Custom::CrossRegionExportWriter", **written_)}


CARRIED: Final = att("Reader", "/cdk/exports/it")
READER: Final = {"Reader": resource("Custom::CrossRegionExportReader")}


def key_carried(given: object, to: str = "eu-west-1", **of_key: object) -> Stacks:
    alias = resource("AWS::KMS::Alias", AliasName="alias/a", TargetKeyId=ref("Key"))
    replica, grants = resource("AWS::KMS::ReplicaKey"), inline(ALL, decrypt(att("Replica", "Arn")))
    here = profile_and_role(grants, Replica=replica, **READER, **default(kmsKeyId=CARRIED))
    return two(a_key(**of_key) | {"Alias": alias} | writing(given, to), here, IN_VIRGINIA)


def group_carried(there: str, **of_group: object) -> Stacks:
    """The agent looks for a group of this name in its own region."""
    document = default(cloudWatchLogGroupName=CARRIED, **ENFORCES)
    here = profile_and_role(inline(ALL, *ON_LOGS), **READER, **document)
    return two(log_group(**of_group) | writing(ref("Group")), here, there)


def default_in(*places: str) -> Stacks:
    """The default document with a key, in other stacks, and another document beside the role."""
    at = {f"Other{number}": place for number, place in enumerate(places)}
    others = {name: {"Resources": DEFAULT | {"Key": key()}} for name in at}
    here = {"Here": profile_and_role(inline(ALL), A=session())}
    return others | here, at | {"Here": IN_IRELAND}


def by_name(*statements: Statement, **more: Body) -> Body:
    """A role, and the profile `web` of it."""
    body = profile_and_role(inline(ALL, *statements), **more)
    body["Resources"]["Profile"]["Properties"]["InstanceProfileName"] = "web"
    return body


BY_NAME: Final = {"Machine": machine(IamInstanceProfile="web", SubnetId="subnet-1")}


def launched_in_virginia(
    document: Body, where: str, there: Body | None = None, *on_condition: str
) -> Stacks:
    """The profile is of Ireland. The subnet of the compute is not known."""
    here, beside = on_c({"Resources": BY_NAME}, *on_condition), document | {"Key": key()}
    bodies = {"There": there or by_name(), "Here": here, "Document": {"Resources": beside}}
    return bodies, {"There": IN_IRELAND, "Here": IN_VIRGINIA, "Document": where}


def named_like(bucket: str, region: str) -> Stacks:
    """A role that may call AWS in Ireland alone, logs that go to `logs`, and a bucket."""
    elsewhere = {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}
    role = inline(allow("*"), deny("*", Condition=elsewhere))
    there = {"Bucket": resource("AWS::S3::Bucket", BucketName=bucket)}
    return two(there, profile_and_role(role, **LOGS_ELSEWHERE), f"1/{region}")


ROOT_IN_ALL: Final = {"runAsEnabled": True, **AS_ROOT}
OF_ACCOUNT_1: Final = [allow("kms:*", **of("1"))], [allow("kms:*", **ANYBODY)]
STACKS: Final[list[tuple[str, Stacks, Found]]] = [
    ("a key of another account", key_of_account_2({}, is_granted=True), DENIED),
    *((f"a key of another account that lets in {len(more)}: {more[-1:]}", key_of_account_2(
        with_key_policy(allow("kms:*", **ACCOUNT), *more), is_granted=is_granted), found)
      for more, is_granted, found in (
          ([], True, DENIED), *((one, True, READY) for one in OF_ACCOUNT_1),
          *((one, False, DENIED) for one in OF_ACCOUNT_1),
          ([allow("kms:*", **of("2"))], True, DENIED),
          ([allow("kms:*", **of("arn:aws:iam::1:role/web"))], True, READY))),
    ("a bucket of another account", bucket_of("2", ON_S3), DENIED),
    ("a bucket of the account", bucket_of("1", ON_S3), READY),
    *((f"a bucket of another account that lets this one in, and {len(granted)} grants",
       bucket_of("2", granted, allow("s3:*", **of("1"))), found)
      for granted, found in ((ON_S3, READY), ([], DENIED))),
    ("a carried bucket as a log group", two(
        {"Bucket": resource("AWS::S3::Bucket")} | writing(ref("Bucket")), profile_and_role(
            inline(ALL, *ON_LOGS), **BY_NAME, **READER, **default(cloudWatchLogGroupName=CARRIED)),
        IN_VIRGINIA), UNKNOWN),
    ("a carried key by its ARN", key_carried(ARN), DENIED),
    ("a carried key by its id", key_carried(ref("Key")), DENIED),
    ("a carried key of one region", key_carried(ref("Key"), MultiRegion=False), DENIED),
    ("a carried key of several regions", key_carried(ref("Key"), MultiRegion=True), UNKNOWN),
    ("a carried alias", key_carried(ref("Alias")), UNKNOWN),
    ("a key that is carried elsewhere", key_carried(ARN, "eu-west-2"), UNKNOWN),
    ("an alias of the same name in another region", two({"Key": key(), "Alias": resource(
        "AWS::KMS::Alias", AliasName="alias/x", TargetKeyId=ref("Key"))}, profile_and_role(
            inline(ALL, decrypt(KEYS)), **default(kmsKeyId="alias/x")), IN_VIRGINIA), READY),
    *((f"a carried log group of {there}, with {of_group}", group_carried(there, **of_group), found)
      for there, of_group, found in (
          (IN_VIRGINIA, {"KmsKeyId": "key"}, UNKNOWN), (IN_VIRGINIA, {}, UNKNOWN),
          (IN_IRELAND, {"KmsKeyId": "key"}, READY), (IN_IRELAND, {}, DENIED))),
    *((f"the default document in {' and '.join(places)}", default_in(*places), found)
      for places, found in (
          ([IN_IRELAND], DENIED), ([IN_VIRGINIA, "2/eu-west-1", "2/unknown-region"], READY),
          (["unknown-account/unknown-region"], UNKNOWN), (["1/unknown-region"], UNKNOWN),
          (["1/unknown-region", IN_IRELAND], DENIED), ([IN_IRELAND, "1/unknown-region"], DENIED))),
    *((f"what changes the default document, in {where}", two(
        {"C": resource("Custom::Document", Name=DEFAULT_DOCUMENT)}, profile_and_role(inline(ALL)),
        where), found) for where, found in (("1/unknown-region", UNKNOWN), (IN_VIRGINIA, READY))),
    ("the default document of the compute", launched_in_virginia(DEFAULT, IN_VIRGINIA), DENIED),
    ("of compute on a condition",
     launched_in_virginia(DEFAULT, IN_VIRGINIA, None, "Machine"), UNKNOWN),
    ("of compute whose role something changes", launched_in_virginia(DEFAULT, IN_VIRGINIA, by_name(
        Custom=resource("Custom::Policy", Role=ref("Role")))), UNKNOWN),
    *((f"of compute whose role may use keys of {of_}", launched_in_virginia(
        DEFAULT, IN_VIRGINIA, by_name(decrypt(f"arn:aws:kms:{of_}:1:key/*"))), found)
      for of_, found in (("us-east-1", UNKNOWN), ("eu-west-1", DENIED),
                         ("${aws:RequestedRegion}", UNKNOWN))),
    ("a document of the compute", launched_in_virginia(WITH_KEY, IN_VIRGINIA), DENIED | UNKNOWN),
    *((f"a document as root in {where}", launched_in_virginia(made(**ROOT_IN_ALL), where), found)
      for made, where, found in (
          (default, IN_VIRGINIA, DENIED), (own, IN_VIRGINIA, DENIED | UNKNOWN),
          (default, IN_IRELAND, DENIED | UNKNOWN))),
    *((f"the default document in {where}, and not that of the compute",
       launched_in_virginia(DEFAULT, where), UNKNOWN) for where in ("1/us-east-2", IN_IRELAND)),
    *((f"the bucket {bucket} in {region}", named_like(bucket, region), found)
      for bucket, region, found in (("logs", "eu-west-1", READY), ("logs", "us-east-1", DENIED),
                                    ("others", "eu-west-1", UNKNOWN))),
    ("documents of each stack that launches", (
        {"There": by_name(), "First": {"Resources": BY_NAME | WITH_KEY | {"Key": key()}},
         "Last": {"Resources": BY_NAME | {"Other": session()}}},
        {"There": IN_IRELAND, "First": IN_VIRGINIA, "Last": IN_VIRGINIA}), DENIED | UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("stacks", "found"), rows(STACKS))
def test_several_stacks(check: Check, stacks: Stacks, found: Found) -> None:
    bodies, at = stacks

    assert check(**bodies, at=at).rules == found


def test_names_are_those_of_the_own_stack(check: Check) -> None:
    alias = resource("AWS::KMS::Alias", AliasName="alias/a", TargetKeyId=ref("Key"))
    by_name = session(DEFAULT_DOCUMENT, kmsKeyId="alias/a")
    body = profile_and_role(inline(ALL, decrypt()), Alias=alias, Key=key(), A=by_name)

    assert check(body, body).rules == READY


@pytest.mark.parametrize(("region", "found"), [("us-east-1", READY), ("eu-west-1", DENIED)])
def test_region_of_calls_is_that_of_the_key(check: Check, region: str, found: Found) -> None:
    """Also if the app launches instances in other regions."""
    elsewhere = {"StringNotEquals": {"aws:RequestedRegion": region}}
    may = decrypt("arn:aws:kms:*:1:key/*"), deny("kms:*", Condition=elsewhere)
    here = {"Resources": {**BY_NAME, "Key": key(), **DEFAULT}}
    at = {"There": IN_IRELAND, "Here": IN_VIRGINIA}

    report = check(There=by_name(*may, Machine=machine()), Here=here, at=at, network=False)

    assert report.rules == found


def test_policy_of_a_key_may_name_a_role_of_another_app(check: Check) -> None:
    parts = with_key_policy(allow("kms:*", **of("arn:aws:iam::1:role/web")))

    assert check(profile_and_role(roles=["web"], **parts), a="1").rules == UNKNOWN


@pytest.mark.parametrize("principal", ["root", "role/web"])
@pytest.mark.parametrize(
    ("account", "found"), [("1", READY), ("2", DENIED), ("unknown-account", UNKNOWN)]
)
def test_number_of_a_keys_account(check: Check, principal: str, account: str, found: Found) -> None:
    parts = with_key_policy(allow("kms:*", **of(f"arn:aws:iam::1:{principal}")))
    body = profile_and_role(inline(ALL, decrypt()) | {"RoleName": "web"}, **parts)

    assert check(body, a=account).rules == found


@pytest.mark.parametrize(("name", "found"), [
    ("AmazonSSMManagedInstanceCore", DENIED),
    ("AmazonS3FullAccess", DENIED),
    ("AWSKeyManagementServicePowerUser", DENIED),
    ("AdministratorAccess", READY),
])  # fmt: skip
def test_managed_policies_of_aws(check: Check, name: str, found: Found) -> None:
    role = inline(ALL) | {"ManagedPolicyArns": [f"{AWS}{name}"]}

    assert check(profile_and_role(role, Key=key(), **WITH_KEY)).rules == found


@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1"])
def test_managed_policies_of_aws_are_the_same_in_each_partition(check: Check, region: str) -> None:
    """AWS has those of each partition with the ARNs of that partition."""
    arn = {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AWSElasticBeanstalkWebTier"}
    role = inline(CHANNELS_ONLY, REGISTER_ONLY) | {"ManagedPolicyArns": [arn]}
    parts = with_bucket_policy(BucketName="elasticbeanstalk-logs")

    assert check(profile_and_role(role, **parts), region=region).rules == READY


def test_arn_of_a_resource_is_of_its_partition(check: Check) -> None:
    body = profile_and_role(inline(ALL, decrypt()), Key=key(), **DEFAULT)

    assert check(body, region="cn-north-1").rules == READY


def test_wildcards_for_a_region_and_an_account_that_are_not_known(check: Check) -> None:
    others = allow(*STREAMS, on="arn:aws:logs:*:*:log-group:others:*")

    assert check(profile_and_role(inline(ALL, others), **LOGGED)).rules == LOST


# Images

OF_CDK: Final = "SsmParameterValueC96584B6F00A464EAD1953AFF4B05118Parameter"


def image(written: object, *lines: str) -> dict[str, object]:
    script = "\n".join(("#!/bin/bash", *lines))
    return {"ImageId": written, "UserData": {"Fn::Base64": script}}


def doing(line: str) -> dict[str, object]:
    return {"ImageId": MINIMAL, "UserData": {"Fn::Base64": {"Fn::Sub": line}}}


IMAGES: Final[list[tuple[dict[str, object], str]]] = [
    (image(MINIMAL), "agent-missing"),
    (image(f"resolve:ssm:{PATH}"), "agent-missing"),
    (image(ref(OF_CDK)), "agent-missing"),
    (image({"Fn::Sub": MINIMAL.replace("x86_64", "${Id}")}), "agent-missing"),
    (image({"Fn::Sub": f"resolve:ssm:{PATH}:${{Id}}"}), "agent-missing"),
    (image(MINIMAL, "dnf -y update", "", "# all is new"), "agent-missing"),
    ({"ImageId": MINIMAL}, "agent-missing"),
    (image(MINIMAL, "dnf install -y amazon-ssm-agent"), "cannot-be-known"),
    (image(MINIMAL, "curl https://example.com/boot | sh"), "cannot-be-known"),
    (doing("dnf install -y ${Id}"), "cannot-be-known"),
    (doing("echo ${Id}"), "agent-missing"),
    *((image(MINIMAL, f"yum {line}"), found) for found, lines in (
        ("cannot-be-known", ("install -y https://example.com/all.rpm", "-y install 'amazon-*'",
                             "-y group install Tools", "groupinstall Tools", "install @tools",
                             "install /opt/amazon-???-agent.rpm", "install amazon-[s]sm-agent",
                             "install amazon-{s,e}sm-agent")),
        ("agent-missing", ("install 'httpd' libcgroup-0.41-21.amzn2.x86_64", "-y upgrade")))
      for line in lines),
    ({"ImageId": MINIMAL, "UserData": ref("Script")}, "cannot-be-known"),
    (image(ref("Image")), "cannot-be-known"),  # whoever deploys may pass another one
    *((image(f"{{{{resolve:ssm:/aws/service/{name}}}}}"), found) for names, found in (
        (("bottlerocket/aws-ecs-2/x86_64/latest/image_id", "datasync/ami", "marketplace/a/latest",
          "debian/release/12/latest/amd64", "canonical/ubuntu/server-minimal/24.04/a",
          "ecs/optimized-ami/amazon-linux/recommended/image_id"), "cannot-be-known"),
        (("canonical/ubuntu/server/24.04/a", "ecs/optimized-ami/amazon-linux-2023/a"), ""))
      for name in names),
    (image(ref("ImageOrMinimal")), "cannot-be-known"),
    (image(ref("Minimal")), "agent-missing"),
    (image({"Fn::Sub": "resolve:ssm:${ImagePath}"}), "cannot-be-known"),
    (image({"Fn::Sub": MINIMAL.replace("x86_64", "${Arch}")}), "agent-missing"),
    *((image({"Fn::Sub": MINIMAL.replace(part, "${Id}")}), "cannot-be-known")
      for part in ("minimal-", "-minimal")),
    (image({"Fn::Sub": MINIMAL.replace("minimal-", "${Kind}")}), "cannot-be-known"),
    (image({"Fn::Sub": MINIMAL.replace("minimal-", "${Other}")}), ""),
    (image({"Fn::Sub": MINIMAL.replace("minimal-", "").replace("x86_64", "${Id}")}), ""),
    (image(ref("Id")), ""),
    (image({"Fn::Sub": "ami-${Id}"}), ""),
    (image("ami-12345678"), ""),
    (image(MINIMAL.replace("-minimal", "")), ""),
    ({}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("given", "found"), IMAGES)
def test_images(check: Check, given: dict[str, object], found: str) -> None:
    typed = {"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "Default": PATH}
    instance = machine(IamInstanceProfile=ref("Profile"), **given)
    body = profile_and_role(inline(ALL), Machine=instance)
    kinds = {"Kind": {"AllowedValues": ["", "minimal-"]}, "Other": {"AllowedValues": ["", "a-"]}}
    defaults = {"ImagePath": {"Default": PATH}, "Arch": {"Default": "x86_64"}}
    other, arm = PATH.replace("-minimal", ""), PATH.replace("x86_64", "arm64")
    body["Parameters"] = {OF_CDK: typed, "Image": typed, "Id": {"Type": "String"}} | kinds
    body["Parameters"] |= defaults | {
        "ImageOrMinimal": typed | {"Default": other, "AllowedValues": [other, PATH]},
        "Minimal": typed | {"AllowedValues": [PATH, arm]},
    }
    report = check(body)
    (finding,) = report.findings
    is_about_image = any(
        one in finding.description
        for one in (PATH.removesuffix("x86_64"), "'Image", "'Kind'", "whether the image")
    )

    assert finding.rule == (found or "cannot-be-known")  # the default VPC can't be known
    assert is_about_image is bool(found)


@pytest.mark.parametrize(("minimal", "standard"), [
    ("al2023-ami-minimal-kernel-6.1-arm64", "al2023-ami-kernel-6.1-arm64"),
    ("amzn-ami-minimal-pv-x86_64-ebs", "amzn-ami-pv-x86_64-ebs"),
    ("amzn2-ami-minimal-hvm-x86_64-ebs", "amzn2-ami-hvm-x86_64-ebs"),
    ("amzn2-ami-minimal-hvm-arm64-ebs", "amzn2-ami-hvm-arm64-gp2"),
])  # fmt: skip
def test_image_in_place_of_a_minimal_one_exists(check: Check, minimal: str, standard: str) -> None:
    folder = PATH.rpartition("/")[0]
    given = f"{{{{resolve:ssm:{folder}/{minimal}}}}}"
    instance = machine(IamInstanceProfile=ref("Profile"), ImageId=given)
    (found,) = check(profile_and_role(inline(ALL), Machine=instance)).findings

    assert f"{{{{resolve:ssm:{folder}/{standard}}}}}" in found.fix


@pytest.mark.parametrize(("default", "given", "found"), [
    (PATH, {}, "agent-missing"),  # which the parent leaves as it is
    (PATH, {"Image": PATH.replace("-minimal", "")}, "cannot-be-known"),
    ("", {"Image": PATH}, "agent-missing"),
    ("", {"Image": ref("Free")}, "cannot-be-known"),
])  # fmt: skip
def test_image_of_a_nested_stack(check: Check, default: str, given: Body, found: str) -> None:
    typed = {"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "Default": default}
    machine_ = machine(IamInstanceProfile="web", ImageId=ref("Image"))
    inner = {"Parameters": {"Image": typed}, "Resources": {"M": machine_}}
    outer = {"Resources": {"N": nested("nested", Parameters=given)}}

    assert check(outer, nested=inner).rules == {found}


# Commands in containers


def service(**more: object) -> Body:
    given = {"EnableExecuteCommand": True, "TaskDefinition": ref("Task")}
    return resource("AWS::ECS::Service", **given | more)


def task(**more: object) -> Body:
    containers = [{"Name": "app"} | more]
    role = {"TaskRoleArn": att("Role", "Arn")}
    return resource("AWS::ECS::TaskDefinition", ContainerDefinitions=containers, **role)


def tasks(**more: object) -> Body:
    return {"Task": resource("AWS::ECS::TaskDefinition", **more)}


READ_ONLY: Final = {"ReadonlyRootFilesystem": True}
BARE_ROLE: Final = {"Role": resource("AWS::IAM::Role")}
WEB_ROLE: Final = {"Role": resource("AWS::IAM::Role", RoleName="web")}
TASKS: Final[list[tuple[Body, int]]] = [
    ({}, 0),
    ({"Task": task(**READ_ONLY)}, 1),
    ({"Task": task(ReadonlyRootFilesystem="false")}, 0),
    ({"Task": task(ReadonlyRootFilesystem=ref("Free"))}, 0),
    ({"Task": task(**READ_ONLY, MountPoints=[{"ContainerPath": "/var/lib/amazon"}])}, 0),
    ({"Task": task(**READ_ONLY, VolumesFrom=[{"SourceContainer": "other"}])}, 0),
    ({"Task": task(**READ_ONLY, LinuxParameters={"Tmpfs": [{"ContainerPath": "/var/lib"}]})}, 0),
    ({"Task": task(**READ_ONLY, LinuxParameters={"Tmpfs": [{"ContainerPath": "/run"}]})}, 1),
    ({"Task": task(Environment=[{"Name": "AWS_ACCESS_KEY_ID", "Value": "a"}])}, 1),
    ({"Task": task(Secrets=[{"Name": "AWS_SECRET_ACCESS_KEY", "ValueFrom": "a"}])}, 1),
    ({"Task": task(Environment=[{"Name": "AWS_REGION", "Value": "a"}])}, 0),
    (BARE_ROLE, 1),
    (BARE_ROLE | {"Service": service(EnableExecuteCommand=False)}, 0),
    (BARE_ROLE | {"Service": on(service(), "Never")}, 0),
    (BARE_ROLE | {"Service": service(EnableExecuteCommand={"Fn::If": ["Maybe", True, False]})}, 0),
    (BARE_ROLE | {"C": CHANGED}, 0),  # what may give the role its policies
    (BARE_ROLE | {"C": resource("Custom::Task", Task=ref("Task"))}, 1),
    ({"C": CHANGED, "Task": task(**READ_ONLY)}, 1),
    (tasks(RequiresCompatibilities=["FARGATE"]), 1),
    (tasks(), 0),  # the instance's role may stand in
    (tasks(TaskRoleArn=ref("Free")), 0),
    (tasks(TaskRoleArn="arn:aws:iam::1:role/web") | WEB_ROLE, 1),
    (tasks(TaskRoleArn="arn:aws:iam::2:role/web") | WEB_ROLE, 0),
    (tasks(ContainerDefinitions=ref("Free"), TaskRoleArn=att("Role", "Arn")), 0),
    (tasks(ContainerDefinitions=[ref("Free"), READ_ONLY], TaskRoleArn=att("Role", "Arn")), 1),
    ({"Service": service(TaskDefinition="elsewhere:1")}, 0),
    ({"Service": service(TaskDefinition=ref("Role"))}, 0),
]


@pytest.mark.parametrize(("changes", "number"), TASKS)
def test_commands_in_containers(check: Check, changes: Body, number: int) -> None:
    role = resource("AWS::IAM::Role", **inline(CHANNELS_ONLY))
    resources = {"Service": service(), "Task": task(), "Role": role} | changes
    conditions = {"Never": {"Fn::Equals": ["a", "b"]}, "Maybe": {"Fn::Equals": [ref("P"), "a"]}}
    given = {"Parameters": {"P": {"Type": "String"}}, "Conditions": conditions}

    report = check({"Resources": resources} | given, a="1")

    assert [one.rule for one in report.findings] == ["exec-denied"] * number


OVERRIDE: Final = {"Logging": "OVERRIDE"}
BY_KEY: Final = {"KmsKeyId": ARN}
S3: Final = {"S3BucketName": ref("Bucket")}
TO_LOGS: Final = OVERRIDE | {"LogConfiguration": {"CloudWatchLogGroupName": ref("Logs")}}
TO_S3: Final = OVERRIDE | {"LogConfiguration": S3}
ENFORCED: Final = OVERRIDE | {"LogConfiguration": S3 | {"S3EncryptionEnabled": True}}
DENIED_EXEC: Final = "commands can't be executed in containers of this service: the task role"
LOST_EXEC: Final = "the logs of commands in containers of this service are lost: the task role"
WRITE: Final = allow("s3:PutObject", on={"Fn::Sub": "${Bucket.Arn}/*"})
CLUSTERS: Final[list[tuple[object, list[Statement], str]]] = [
    (BY_KEY, [], DENIED_EXEC),
    (BY_KEY, [decrypt()], ""),
    (BY_KEY, [decrypt(on=ref("Free"))], ""),
    ({"KmsKeyId": ref("Free")}, [], ""),
    (TO_LOGS, [], LOST_EXEC),
    (TO_LOGS, ON_LOGS, ""),
    (TO_LOGS | {"Logging": "NONE"}, [], ""),
    (TO_LOGS | {"Logging": ref("Free")}, [], ""),
    (TO_S3, [], LOST_EXEC),
    (TO_S3, [WRITE], ""),
    (OVERRIDE | {"LogConfiguration": {"S3BucketName": "logs"}}, [], ""),
    (ENFORCED, [WRITE], DENIED_EXEC),
    (BY_KEY | TO_LOGS, [], DENIED_EXEC),
    (BY_KEY | TO_LOGS, [decrypt()], LOST_EXEC),
    (BY_KEY, [deny("kms:*")], DENIED_EXEC),
    (ref("Free"), [], ""),
]


@pytest.mark.parametrize(("executes", "statements", "says"), CLUSTERS)
@pytest.mark.parametrize("channels", [True, False])
def test_what_a_cluster_asks_of_a_task_role(
    check: Check, executes: object, statements: list[Statement], says: str, *, channels: bool
) -> None:
    given = [CHANNELS_ONLY, *statements] if channels else statements
    configuration = {"ExecuteCommandConfiguration": executes}
    resources = {
        "Service": service(Cluster="web" if channels else ref("Cluster")), "Task": task(),
        "Role": resource("AWS::IAM::Role", **inline(*given)),
        "Cluster": resource("AWS::ECS::Cluster", ClusterName="web", Configuration=configuration),
        "Key": key(), "Bucket": resource("AWS::S3::Bucket"),
        "Logs": resource("AWS::Logs::LogGroup"),
    }  # fmt: skip
    report = check({"Resources": resources})
    its = [one for one in report.findings if one.rule == "exec-denied"]
    found = [one.description for one in its]

    assert len(found) == bool(says or not channels)
    has_no_bucket = "S3BucketName" not in str(executes)
    assert channels or ("check_log_encryption=False" in its[0].fix) is has_no_bucket
    assert all(one.startswith(says if channels else DENIED_EXEC) for one in found)
    assert all(("as the cluster 'Cluster' asks for" in one) is bool(says) for one in found)

    resources["Custom"] = resource("Custom::Changes", Cluster=ref("Cluster"))
    assert len(check({"Resources": resources}).findings) == (not channels)


# Grants by tags


def grant(on: str = "*", **tags: object) -> Body:
    by = {"StringEquals": {f"ssm:resourceTag/{name}": value for name, value in tags.items()}}
    return policy(allow("ssm:StartSession", on=on, Condition=by), roles=["operators"])


def beside(effect: str, key: str, value: object) -> Body:
    """A statement by a tag beside the grant."""
    condition = {"StringEquals": {key: value}}
    given = {"Effect": {"Fn::Sub": effect}, "Condition": condition}
    statement = {**allow("ssm:StartSession"), **given}
    return {"M": machine(Tags=tagged("Team", "web")), "B": policy(statement, roles=["operators"])}


def tagged(name: object, value: object, **more: object) -> list[dict[str, object]]:
    return [{"Key": name, "Value": value, **more}]


def tagging(kind: str) -> Body:
    given = {"ResourceType": kind, "Tags": tagged("Team", "web")}
    return template(TagSpecifications=[given])


AS_JSON: Final = json.dumps(grant(Team="web")["Properties"]["PolicyDocument"])


def calling(one: str) -> Body:
    """An instance whose script calls EC2 for tags."""
    return machine(UserData=f"aws ec2 {one}-tags --tags Key=Team,Value=web")


EITHER: Final = grant(Team=["web", "db"])
TAGS: Final[dict[bool, list[Body]]] = {
    False: [
        {},  # no compute of the app: the grant is for another's
        *({"M": machine(Tags=one)} for one in (
            tagged("Team", "web"), tagged("team", "web"), tagged("Team", ref("Free")),
            tagged({"Fn::Sub": "T${Free}"}, "web"), ref("Free"))),
        {"N": nested("nested", Tags=tagged("Team", "web"))},
        {"M": machine(Tags=tagged("Team", "db")), "G": EITHER},
        *({"M": machine(), "G": grant(**{one: "web"})} for one in (
            "eks:cluster-name", "elasticbeanstalk:environment-name", "AmazonECSManaged",
            "karpenter.sh/nodepool", "node.kubernetes.io/role")),
        *({"M": machine(), "G": one} for one in (
            grant("arn:aws:ssm:*:*:managed-instance/*", Team="web"), grant(Team=ref("Free")))),
        {"M": scaling(Tags=tagged("Team", "web", PropagateAtLaunch=True))},
        *({"M": machine(), "T": one} for one in (
            resource("Custom::Tags", Instance=ref("M")), calling("create"), tagging("instance"),
            on(machine(Tags=tagged("Team", "web")), "Free"))),
        {"M": resource("AWS::Batch::ComputeEnvironment", ComputeResources={"Type": "EC2"})},
        *({"M": machine(), "N": one} for one in (
            resource("AWS::CloudFormation::Stack", TemplateURL="s3://b/t"), stack_set(ref("Free")),
            stack_set('{"I": {"Type": "AWS::EC2::Instance"}}'), stack_set("Transform: Ours"))),
        beside("Deny", "ssm:resourceTag/Of", "production"),
        *(beside("Allow", f"ssm:resourceTag/{key}", value) for key, value in (
            ("Of", "${aws:PrincipalTag/Of}"), ("Of", ["a", "${aws:username}"]),
            ("aws:cloudformation:stack-name", "a"), ("AWS:CloudFormation:stack-name", "a"))),
    ],
    True: [
        {"M": machine()},
        *({"M": machine(Tags=one)} for one in (
            tagged("Team", "Web"), tagged("Team", "db"), tagged("Name", ref("Free")))),
        {"N": nested("nested", Tags=tagged("Team", "db"))},
        *({"M": machine(), "G": one} for one in (
            EITHER, on(grant(Team="web"), "Free"), grant(AmazonECSManagedBy="web"),
            grant(k8s="web"), grant("arn:aws:ec2:*:*:instance/*", Team="web"),
            resource("AWS::IAM::Policy", PolicyDocument=AS_JSON))),
        {"M": scaling(Tags=tagged("Team", "web", PropagateAtLaunch=False))},
        *({"M": machine(), "T": one} for one in (
            calling("delete"), calling("describe"), tagging("volume"))),
        {"M": resource("AWS::EKS::Nodegroup", Tags={"Team": "web"})},
        {"M": machine(), "N": stack_set("T: {Type: AWS::SNS::Topic}")},
        beside("Allow", "ssm:resourceTag/Of", "$aws:username"),
        beside("Allow", "SSM:ResourceTag/Of", "a"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("changes", "is_found"), each(TAGS))
def test_grants_by_tags(check: Check, changes: Body, is_found: bool) -> None:  # noqa: FBT001
    body = {"Resources": {"G": grant(Team="web")} | changes, "Conditions": FREELY_TRUE}
    report = check(body, nested={"Resources": {"M": machine()}})

    assert ("tags-match-nothing" in report.rules) is is_found
