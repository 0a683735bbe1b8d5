"""The rules of the check for cfn-lint: `cfn-lint -a session_manager_permissions.cfn_lint FILE`.

A CDK app is read as a whole, whichever of its templates cfn-lint checks. Any other template is read
alone, with the templates that it nests. A finding in a nested template is reported on the resource
that deploys it. cfn-lint is not a dependency of this package.
"""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from cfnlint.rules import CloudFormationLintRule, RuleMatch

from ._address import SITE
from ._causes import page
from ._quoting import shown
from ._readiness.apps import App, apps
from ._readiness.check import check
from ._readiness.rules import RULES, Finding
from ._readiness.templates.loading import CannotRead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cfnlint.template import Template

IDS: Final = {
    "channel-missing": "W9501",
    "registration-missing": "W9502",
    "explicit-deny": "W9503",
    "inline-policies-too-long": "W9504",
    "managed-policy-too-long": "W9505",
    "too-many-managed-policies": "W9506",
    "no-instance-profile": "W9507",
    "role-not-assumable": "W9508",
    "metadata-off": "W9509",
    "agent-missing": "W9510",
    "no-network-path": "W9511",
    "endpoint-missing": "W9512",
    "endpoint-unreachable": "W9513",
    "egress-closed": "W9514",
    "session-denied": "W9515",
    "log-lost": "W9516",
    "exec-denied": "W9517",
    "tags-match-nothing": "W9518",
    "key-not-by-arn": "W9519",
    "decrypt-on-all-keys": "W9520",
    "deprecated-policy": "W9521",
    "boot-order": "W9522",
    "cannot-be-known": "I9501",
}
"""The id of each rule in cfn-lint. An id is never given to another rule."""


class RuleOfTheCheck(CloudFormationLintRule):  # type: ignore[misc] # cfn-lint is not typed here
    """One rule of the check."""

    name = ""

    def match(self, cfn: Template) -> list[RuleMatch]:
        """Called by cfn-lint for each template."""
        return [
            RuleMatch(path, message) for rule, path, message in _found(cfn) if rule == self.name
        ]


for _name, _id in IDS.items():
    globals()[_id] = type(
        _id,
        (RuleOfTheCheck,),
        {
            "id": _id,
            "name": _name,
            "shortdesc": f"Session Manager: {_name}",
            "description": f"Finds {RULES[_name].finds}",
            "source_url": page(_name) if SITE else None,  # SARIF takes no relative address
            "tags": ["session-manager"],
        },
    )

_Match = tuple[str, list[str], str]


@lru_cache(maxsize=1)  # cfn-lint calls all rules for one template before the next template
def _found(cfn: Template) -> list[_Match]:
    path = Path(cfn.filename or "")
    if path.is_file():
        return [*_matches(path)]
    with TemporaryDirectory() as folder:  # standard input
        path = Path(folder) / "template.json"
        path.write_text(json.dumps(cfn.template, default=str), encoding="utf-8")
        return [*_matches(path)]


def _matches(path: Path) -> Iterator[_Match]:
    """Yield the findings in a template: the rule, the place, and the message."""
    try:
        app, findings = _app(path)
    except CannotRead:
        return  # cfn-lint says why
    for finding in findings:
        for resource in finding.resources:
            there, inside = resource, ""
            while not app.paths and there.template.nested_as is not None:
                inside = f"{resource.template.path.name}, {resource.logical_id}: "
                there = there.template.nested_as
            if there.template.path.resolve() != path.resolve() or finding.rule.id not in IDS:
                continue
            if app.reason(resource, finding.rule.id) is None:
                of = [] if inside else finding.location.split(".")
                steps = "; ".join(step.text for step in finding.steps)
                message = f"{inside}{finding.description}{f'. Fix: {steps}' if steps else ''}"
                yield finding.rule.id, ["Resources", there.logical_id, *of], shown(message)


def _app(path: Path) -> tuple[App, list[Finding]]:
    """Judge the app that a template belongs to; without an app, judge the template alone."""
    # a stage is in a folder within that of its app
    folders = [*takewhile(lambda one: (one / "manifest.json").is_file(), path.resolve().parents)]
    if folders:
        folder = folders[-1]
        found = _synthesized(folder, (folder / "manifest.json").stat().st_mtime_ns)
        if any(one.path.resolve() == path.resolve() for one in found[0].assembly.templates):
            return found
    return _judged(str(path))


@lru_cache(maxsize=4)
def _synthesized(folder: Path, _: int) -> tuple[App, list[Finding]]:
    return _judged(str(folder))


def _judged(path: str) -> tuple[App, list[Finding]]:
    (app,) = apps([path])
    return app, check(app.assembly, network=True)[0]
