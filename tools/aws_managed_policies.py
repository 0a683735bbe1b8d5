"""`make managed-policies`: what AWS managed policies say of what the check asks about.

The source is the copy of all of them that moto has, from an account of the partition `aws`. Kept of
a policy are the statements that match one of the actions, with the actions by name; the rest of a
statement is as AWS wrote it. Most policies have none: of them only the name is kept. The file names
its source and the licence of that, and is thus changed from it as said here.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from importlib.metadata import metadata, version
from pathlib import Path
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data

from session_manager_permissions._patterns import as_list
from session_manager_permissions._readiness.policies import ASKED

ROOT = Path(__file__).resolve().parent.parent
MOTO = json.loads(aws_managed_policies_data)
DATA = ROOT / "session_manager_permissions/_readiness/aws_managed_policies.json"


def policies() -> dict[str, dict[str, Any]]:
    """The whole documents of moto, by what an ARN has behind `policy/`: the path and the name."""
    return {
        f"{policy['Path'].lstrip('/')}{name}": policy["Document"] for name, policy in MOTO.items()
    }


def reduced(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what is not about the actions."""
    statements = []
    for statement in as_list(document["Statement"]):
        patterns = as_list(statement.get("Action", statement.get("NotAction")))
        matching = [
            action
            for action in ASKED
            if any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)
            is ("Action" in statement)
        ]
        if matching:
            others = {key: value for key, value in statement.items() if key != "NotAction"}
            statements.append(others | {"Action": matching})
    return document | {"Statement": statements}


def made() -> str:
    """The text of the file."""
    found = {name: reduced(document) for name, document in policies().items()}
    data = {
        "source": f"moto {version('moto')}",
        "source_url": metadata("moto")["Home-page"],
        "license": f"{metadata('moto')['License']}, Copyright 2012 Steve Pulec",
        "newest": max(policy["UpdateDate"] for policy in MOTO.values())[:10],
        "relevant": {name: document for name, document in found.items() if document["Statement"]},
        "others": sorted(name for name, document in found.items() if not document["Statement"]),
    }
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    DATA.write_text(made(), encoding="utf-8")
