"""What does Session Manager need of an instance's role? Facts only, nothing of CDK.

Sources: "Adding Session Manager permissions to an existing instance profile" and
"Create a custom IAM role for Session Manager" in the AWS Systems Manager user guide.
"""

from __future__ import annotations

from typing import Final

CHANNEL_ACTIONS: Final = (
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
"""The agent's connection to Session Manager; the actions have no resource type."""

LOG_ENCRYPTION_ACTION: Final = "s3:GetEncryptionConfiguration"
"""The agent's look at a log bucket, where the preferences enforce encrypted logs."""

DECRYPT_ACTION: Final = "kms:Decrypt"
"""The agent's only call to KMS for an encrypted session, made directly (no `kms:ViaService`)."""
