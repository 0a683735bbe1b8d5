"""The names, paths, ARNs, prefixes and policies that AWS accepts. Independent of CDK.

The constructs check names in an app against these limits. The command checks the names of its
command line and of a live Session document against the same limits. A function whose name ends in
`_fault` returns what is wrong with a text, as a phrase that follows the text in a message, or None.

Sources: the API references of IAM, AWS KMS, Amazon CloudWatch Logs and AWS Systems Manager; in the
IAM user guide, "IAM and AWS STS quotas"; in the Amazon S3 user guide, "General purpose bucket
naming rules" and "Naming Amazon S3 objects".
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_IAM: Final = r"\w+=,.@-"


class Name(NamedTuple):
    """The length and the characters that AWS accepts in a name."""

    what: str
    """What the text is, such as `the name of a role`."""
    characters: str
    """The characters, as in a set of a regular expression; `\\w` has ASCII characters only."""
    shortest: int
    longest: int

    def fits(self, text: str) -> bool:
        """Tell whether `text` can be such a name."""
        pattern = f"[{self.characters}]{{{self.shortest},{self.longest}}}"
        return re.fullmatch(pattern, text, re.ASCII) is not None

    @property
    def signs(self) -> str:
        """The characters that are neither letters nor digits."""
        return self.characters.replace(r"\w", "_")

    @property
    def rule(self) -> str:
        """The limits in words, such as `1 to 64 characters of A-Z a-z 0-9 _ .`."""
        signs = " ".join(self.signs)
        return f"{self.shortest} to {self.longest} characters of A-Z a-z 0-9 {signs}"

    def fault(self, text: str) -> str | None:
        """Tell why `text` is no such name; None if it is one."""
        return None if self.fits(text) else f"is not {self.what}: {self.rule}"


ROLE: Final = Name("the name of a role", _IAM, 1, 64)
INSTANCE_PROFILE: Final = Name("the name of an instance profile", _IAM, 1, 128)
POLICY: Final = Name("the name of a policy", _IAM, 1, 128)
BUCKET: Final = Name("the name of an S3 bucket", r"\w.-", 3, 255)
"""Buckets made in us-east-1 before March 2018 may have what a new bucket may not."""
NEW_BUCKET: Final = re.compile(
    r"(?!xn--|sthree-|amzn-s3-demo-|.*\.\.|.*-an$|\d+(\.\d+){3}$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    re.ASCII,
)
"""A name that S3 accepts for a new bucket in the global namespace."""
OTHER_BUCKETS: Final = ("--ol-s3", "--table-s3", "--x-s3", "-s3alias", ".mrap")
"""The suffixes of the names of directory buckets, table buckets and access points."""
LOG_GROUP: Final = Name("the name of a log group", r"\w./#-", 1, 512)
KEY_ID: Final = Name("the id of a KMS key", r"\w-", 1, 2048)
ALIAS: Final = Name("the name of a KMS alias", r"\w:/-", 1, 250)
"""Without the `alias/` that it begins with."""
DOCUMENT: Final = Name("the name of an SSM document", r"\w.-", 3, 128)
INSTANCE_ID: Final = Name("the id of an instance", r"\w-", 1, 64)
"""Wider than EC2's ids, as unit tests of CDK apps use words. `node_fault` checks real ids."""
EC2_ID: Final = Name("the id of a resource of EC2", r"\w-", 1, 64)
ACCOUNT: Final = Name("an account", r"\w-", 1, 64)
"""Wider than AWS's ids, as unit tests of CDK apps use words. `account_fault` checks real ids."""
REGION: Final = Name("the name of a region", r"\w-", 1, 63)
PARTITION: Final = Name("the name of a partition", r"\w-", 1, 63)

USER: Final = re.compile(r"[A-Za-z_][\w.-]{0,31}|[\w.][\w.-]{0,63}@[A-Za-z0-9.-]{1,253}", re.ASCII)
"""A user of the operating system, or one of a domain, `NAME@DOMAIN`."""
RESERVED_DOCUMENTS: Final = (
    "aws",
    "amazon",
    "amzn",
    "AWSEC2",
    "AWSConfigRemediation",
    "AWSSupport",
)
"""The prefixes of document names that AWS reserves for itself.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html
"""

MAX_INLINE_POLICIES: Final = 10_240
"""The most characters, without white space, of all inline policies of a role together."""
MAX_MANAGED_POLICY: Final = 6_144
"""The most characters, without white space, of a managed policy."""
MANAGED_POLICIES: Final = 10
"""The most managed policies of a role, unless the account's quota was raised."""
MAX_MANAGED_POLICIES: Final = 25
"""The most managed policies of a role, with the highest quota that AWS grants."""

IN_NO_POLICY: Final = re.compile("[^\0-\xff]")
"""A character that IAM accepts in no policy.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html
"""

_MAX_PATH: Final = 512
_MAX_OBJECT_KEY: Final = 1024
"""Bytes of an object's key in UTF-8."""


def is_path(text: str) -> bool:
    """Tell whether `text` can be the path of a role: `/`, or a text between two slashes.

    The text of a CDK token has only characters that a path may have.
    """
    return len(text) <= _MAX_PATH and re.fullmatch(r"/|/[!-~]+/", text) is not None


def is_pattern(text: str) -> bool:
    """Tell whether a policy would read a wildcard or a policy variable in `text`."""
    return re.search(r"\*|\?|\$\{", text) is not None


def prefix_fault(prefix: str) -> str | None:
    """Tell why no session log can have this key prefix, or no policy can name it."""
    if is_pattern(prefix):
        return "has a wildcard or a policy variable (* ? ${): give an exact prefix"
    if found := re.search(r"[^\x20-\x7e\xa0-\xff]", prefix):
        return (
            f"has {found[0]!r}: give it without control characters and without characters above "
            "U+00FF, which IAM accepts in no policy"
        )
    if "{{" in prefix:
        return (
            "has a {{, which begins a parameter of a Session document and a dynamic reference of "
            "CloudFormation: give the prefix itself"
        )
    if {".", ".."} & {*prefix.split("/")}:
        return "has '.' or '..' between its slashes, which the agent resolves: give the result"
    if (size := len(prefix.encode())) > _MAX_OBJECT_KEY:
        return (
            f"is {size} bytes long, and the key of an S3 object has at most {_MAX_OBJECT_KEY}: "
            "give a shorter one"
        )
    return None


def account_fault(account: str) -> str | None:
    """Tell why `account` is not the id of an account."""
    is_id = re.fullmatch(r"\d{12}", account, re.ASCII)
    return None if is_id else "is not the id of an account: 12 digits"


def role_fault(name_or_arn: str) -> str | None:
    """Tell why `name_or_arn` is neither the name nor the ARN of a role."""
    return _name_or_arn_fault(name_or_arn, ROLE, "role")


def instance_profile_fault(name_or_arn: str) -> str | None:
    """Tell why `name_or_arn` is neither the name nor the ARN of an instance profile."""
    return _name_or_arn_fault(name_or_arn, INSTANCE_PROFILE, "instance-profile")


def _name_or_arn_fault(text: str, limit: Name, kind: str) -> str | None:
    path, _, name = text.rpartition("/")
    if "/" in text or ":" in text:
        found = re.fullmatch(rf"arn:[\w-]+:iam::\d{{12}}:{kind}(/.*)?", path, re.ASCII | re.DOTALL)
        if not found or not is_path(f"{found[1] or ''}/"):
            return f"is not {limit.what} or its ARN: arn:PARTITION:iam::ACCOUNT:{kind}/NAME"
    return limit.fault(name)


def log_group_fault(name_or_arn: str) -> str | None:
    """Tell why `name_or_arn` is neither the name nor the ARN of a log group."""
    if not name_or_arn.startswith("arn:"):
        return LOG_GROUP.fault(name_or_arn)
    found = re.fullmatch(r"arn:[\w-]+:logs:[\w-]+:\d{12}:log-group:(.*)", name_or_arn, re.ASCII)
    if not found or not LOG_GROUP.fits(found[1].removesuffix(":*")):
        return (
            "is not the ARN of a log group: arn:PARTITION:logs:REGION:ACCOUNT:log-group:NAME, with "
            f"a name of {LOG_GROUP.rule}"
        )
    return None


def user_fault(name: str) -> str | None:
    """Tell why `name` is the name of no user of the operating system or of a domain."""
    if USER.fullmatch(name):
        return None
    return (
        "is not the name of a user: 1 to 32 characters of A-Z a-z 0-9 _ . -, the first a letter or "
        "_; or NAME@DOMAIN for a user of a domain"
    )


def node_fault(node_id: str) -> str | None:
    """Tell why `node_id` is the id of neither an instance nor a hybrid node."""
    if re.fullmatch(r"m?i-[0-9a-f]{8,17}", node_id):
        return None
    return "is not the id of an instance (i-...) or of a hybrid node (mi-...)"


def arn_fault(text: str) -> str | None:
    """Tell why a text is no ARN."""
    return None if re.match(r"arn:[\w-]+:[\w-]+:[\w-]*:\d*:.", text, re.ASCII) else "is not an ARN"


def principal_fault(arn: str) -> str | None:
    """Tell why `arn` is the ARN of neither a user nor a role, nor of a role that is assumed."""
    principal = r"arn:[\w-]+:(iam::\d{12}:(user|role)|sts::\d{12}:assumed-role)/.+"
    return None if re.fullmatch(principal, arn, re.ASCII) else "is not the ARN of a user or a role"


def key_fault(arn: str) -> str | None:
    """Tell why `arn` is the ARN of neither a KMS key nor a KMS alias."""
    found = re.fullmatch(r"arn:[\w-]+:kms:[\w-]+:\d{12}:(key|alias)/(.*)", arn, re.ASCII)
    if not found or not (KEY_ID if found[1] == "key" else ALIAS).fits(found[2]):
        return "is not the ARN of a KMS key or an alias: arn:PARTITION:kms:REGION:ACCOUNT:key/ID"
    return None
