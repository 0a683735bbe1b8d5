"""The accounts and regions of the tests, and what is named in them."""

import aws_cdk as cdk

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
REGION, OTHER_REGION = "eu-west-1", "eu-west-2"
HERE = cdk.Environment(account=ACCOUNT, region=REGION)
ELSEWHERE = cdk.Environment(account=OTHER_ACCOUNT, region=REGION)
THERE = cdk.Environment(account=ACCOUNT, region=OTHER_REGION)
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
ALIAS = "alias/sessions"


def role_arn(name: str = "Existing", account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def key_arn(region: str = REGION, account: str = ACCOUNT, resource: str = f"key/{KEY_ID}") -> str:
    return f"arn:aws:kms:{region}:{account}:{resource}"
