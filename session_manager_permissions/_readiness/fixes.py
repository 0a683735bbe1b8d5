"""Write the fixes of a finding: as code for an app, or as steps for its templates."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from session_manager_permissions._quoting import in_python

from .rules.python import Code
from .rules.rule import together
from .rules.steps import Step, Steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .rules import Finding
    from .rules.constructs import Constructs
    from .rules.writer import Shared


def with_fixes(
    findings: Iterable[Finding], shared: Shared, constructs: Constructs | None
) -> list[Finding]:
    """Return findings with their fixes as code of the app, or as steps if its constructs are None.

    Findings with the same fix become one finding, also in several stacks that the same code fixes,
    such as the same stack of each stage.
    """
    findings = together(findings, _without_resources)
    if constructs is None:
        return [one._replace(fixes=(), steps=_steps(one, shared)) for one in findings]
    in_code = [_in_code(one, shared, constructs) for one in findings]
    runs_in = defaultdict[str, dict[tuple[str, ...], str]](dict)
    for one, code in in_code:
        if one.code:
            runs_in[one.code][code.scope] = code.where
    merged = together((one for one, _ in in_code), _without_resources)
    return [_where_it_runs(one, runs_in[one.code], constructs) for one in merged]


def _without_resources(finding: Finding) -> Finding:
    return finding._replace(resources=())


def _in_code(finding: Finding, shared: Shared, constructs: Constructs) -> tuple[Finding, Code]:
    """Return a finding with its fixes as code. What code can't fix is in the description."""
    code = Code(shared, constructs, finding.resources)
    for fix in finding.fixes:
        fix.in_python(code)
    if code.finds_all:
        clauses, written = code.clauses, code.text()
    else:
        clauses, written = [*map(_in_file, _steps(finding, shared))], ""
    said = "; ".join(dict.fromkeys((finding.description, *clauses)))
    return finding._replace(fixes=(), description=said, code=written), code


def _where_it_runs(
    finding: Finding, places: Mapping[tuple[str, ...], str], constructs: Constructs
) -> Finding:
    """Return a finding whose code says where it runs, unless it starts with a comment.

    Args:
        finding: the finding.
        places: what to call each construct that the code runs in, by its ids.
        constructs: knows whether other constructs have the class whose constructor runs the code.
    """
    code = finding.code
    if code.startswith("#") or not code:
        return finding
    if constructs.share_class(places):
        *lines, call = code.split("\n")
        paths = ", ".join(in_python("/".join(one)) for one in places)
        code = "\n".join([*lines, f"if self.node.path in [{paths}]:", f"    {call}"])
    return finding._replace(code=f"# In {' and in '.join(places.values())}:\n{code}")


def _steps(finding: Finding, shared: Shared) -> tuple[Step, ...]:
    steps = Steps(shared)
    for fix in finding.fixes:
        fix.in_template(steps)
    return steps.steps


def _in_file(step: Step) -> str:
    """Return what to change as a clause that names the template's file."""
    return step.text if step.template is None else f"in {step.template.path.name!r}, {step.text}"
