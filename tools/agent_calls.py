"""The tables of the page "What the agent calls", made of what was measured.

`tests/data/agent_calls.json` has the measurements: `with` names the option with which a denial
`loses` a session or its log. A test compares them with what the options grant.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _needs
from session_manager_permissions._patterns import covers_action, matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MEASURED: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "tests/data/agent_calls.json").read_text("utf-8")
)
Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""The header, and the rows."""
ACCOUNT: Final = "111122223333"
REGION: Final = "eu-west-1"
BUCKET: Final = "session-logs"
GROUP: Final = "/session/logs"


def versions() -> Table:
    """Return what was measured."""
    return ("measured", "version"), [*MEASURED["versions"].items()]


def role(options: Mapping[str, str]) -> Table:
    """Return the calls that the agent signs with the role.

    Args:
        options: the option that adds each statement, by its Sid.
    """
    return ("action", "when", "resource", "what a denial does", "granted by"), [
        (
            f"`{call['action']}`",
            call["when"],
            _resource(call["on"]),
            call["denied"],
            "; ".join(dict.fromkeys(_granted_by(call, options))) or "none",
        )
        for call in MEASURED["role"]
    ]


def instance() -> Table:
    """Return the calls that the agent signs with the identity of the instance."""
    return ("action", "when", "what a denial does"), [
        (f"`{call['action']}`", call["when"], call["denied"]) for call in MEASURED["instance"]
    ]


def operator() -> Table:
    """Return the calls of the CLI and the plug-in, with the operator's credentials."""
    return ("action", "when", "resource", "what a denial does"), [
        (f"`{call['action']}`", call["when"], call["on"], call["denied"])
        for call in MEASURED["operator"]
    ]


def retries() -> Table:
    """Return when the agent tries again, by what failed."""
    return ("what failed", "the agent tries again after", "known"), [
        (one["after"], one["waits"], one["how"]) for one in MEASURED["retries"]
    ]


def logs() -> Table:
    """Return where logs arrive."""
    return ("what", "object in the bucket", "in CloudWatch Logs"), [
        (one["what"], f"`{one['s3']}`" if one["s3"] else "nothing", one["cloudwatch"])
        for one in MEASURED["logs"]
    ]


def _resource(arn: str) -> str:
    """Return the resource of a call in the words of the page."""
    if arn.endswith(":log-group::log-stream:"):
        return "all log groups: `*`"
    if ":key/" in arn:
        return "the key"
    named = arn.replace(f"arn:aws:s3:::{BUCKET}", "BUCKET")
    named = re.sub(r"^arn:aws:logs:.*?:log-group:", "log-group:", named).replace(GROUP, "GROUP")
    return f"`{named}`"


def _granted_by(call: Mapping[str, Any], options: Mapping[str, str]) -> Iterator[str]:
    """Find the options that add a statement which allows the call."""
    for other_account in (False, True):
        found = [
            options[need.sid]
            for need in _statements(call, other_account=other_account)
            if covers_action({"Action": [*need.actions]}, call["action"].lower())
            and matches(need.resource, call["on"])
        ]
        if found:
            yield from (f"{one}, of another account" if other_account else one for one in found)
            return


def _statements(
    call: Mapping[str, Any], *, other_account: bool
) -> Iterator[_needs.NeededStatement]:
    yield from _needs.needed(
        bucket_arn=f"arn:aws:s3:::{BUCKET}",
        bucket_key=None,
        prefix="PREFIX",
        group_arn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}",
        allow_registration=True,
        check_log_encryption=True,
        bucket_of_other_account=other_account,
    )
    if call["action"] == "kms:Decrypt":
        yield _needs.decrypt(call["on"], sessions_only=False)
