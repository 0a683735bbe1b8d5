"""Code that runs at synthesis, once the user's code has made everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import jsii
from constructs import IConstruct, IValidation

if TYPE_CHECKING:
    from collections.abc import Callable


@jsii.implements(cdk.IAspect, IValidation)
class AtSynthesis:
    """Calls a function of Python: when CDK visits a construct, or when CDK validates it.

    An Aspect may still make constructs. A validation runs after all Aspects: it may add warnings
    and dependencies of resources, and the errors that it returns fail the synthesis.
    """

    def __init__(self, function: Callable[[], list[str] | None]) -> None:
        self._function = function

    def visit(self, _node: IConstruct) -> None:
        """Called by CDK for an Aspect."""
        self._function()

    def validate(self) -> list[str]:
        """Called by CDK for a validation."""
        return self._function() or []
