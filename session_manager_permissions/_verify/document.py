"""What do sessions with this document use? Read on the live account; nothing of CDK."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from .simulator import CannotAsk, asking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_ssm.client import SSMClient

    from .simulator import Role


class Document(NamedTuple):
    """What a Session document of type `Standard_Stream` names; None for what it leaves empty."""

    key: str | None
    """The ARN of the key, or of the alias."""
    log_bucket: str | None
    log_prefix: str | None
    log_group: str | None
    checks_log_encryption: bool
    """Whether the agent asks how the bucket encrypts."""


def read_document(ssm: SSMClient, name: str, role: Role, region: str | None) -> Document:
    """What the live document of this name says.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html

    Raises:
        CannotAsk: there is none in the region, it is no document of session preferences, or
            Systems Manager may not be asked.
    """
    where = f"the document {name}"
    with asking(
        "ssm", where, f"there is no document {name!r} in {region}: give another, or --region"
    ):
        text = ssm.get_document(Name=name, DocumentFormat="JSON")["Content"]
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("sessionType") != "Standard_Stream":
        raise CannotAsk(
            f"{where} is none of session preferences: its sessionType is not Standard_Stream; give "
            "the document that sessions are started with"
        )
    inputs = content.get("inputs") or {}
    key = _said(inputs, "kmsKeyId", where)
    if key is not None and not key.startswith("arn:"):
        resource = key if key.startswith("alias/") else f"key/{key}"
        key = f"arn:{role.partition}:kms:{region}:{role.account}:{resource}"
    return Document(
        key,
        _said(inputs, "s3BucketName", where),
        _said(inputs, "s3KeyPrefix", where),
        _said(inputs, "cloudWatchLogGroupName", where),
        bool(inputs.get("s3EncryptionEnabled", True)),
    )


def _said(inputs: Mapping[str, object], name: str, where: str) -> str | None:
    value = inputs.get(name) or None
    if value is None:
        return None
    if not isinstance(value, str) or "{{" in value:
        raise CannotAsk(
            f"{where} has the {name} {value!r}, which is known when a session starts only: give "
            "what it will be by --key, --log-bucket, --log-prefix and --log-group, in place of "
            "--document"
        )
    return value
