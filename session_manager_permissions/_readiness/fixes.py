"""Write the fixes of a finding: as code for an app, or as steps for its templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .rules.python import Code
from .rules.steps import Step, Steps

if TYPE_CHECKING:
    from .rules import Finding
    from .rules.constructs import Constructs
    from .rules.writer import Shared


def with_fixes(finding: Finding, shared: Shared, constructs: Constructs | None) -> Finding:
    """Return a finding with its fixes as code of the app, or as steps if its constructs are None.

    What code can't mend is in the description.
    """
    if constructs is None:
        return finding._replace(fixes=(), steps=_steps(finding, shared))
    code = Code(shared, constructs, finding.resources)
    for fix in finding.fixes:
        fix.in_python(code)
    clauses, written = code.clauses, code.text()
    if not code.finds_all:
        clauses, written = [*map(_in_file, _steps(finding, shared))], ""
    said = dict.fromkeys((finding.description, *clauses))
    return finding._replace(fixes=(), description="; ".join(said), code=written)


def _steps(finding: Finding, shared: Shared) -> tuple[Step, ...]:
    steps = Steps(shared)
    for fix in finding.fixes:
        fix.in_template(steps)
    return steps.steps


def _in_file(step: Step) -> str:
    """Return what to change as a clause that names the template's file."""
    return step.text if step.template is None else f"in {step.template.path.name!r}, {step.text}"
