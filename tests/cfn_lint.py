"""What cfn-lint finds in a template."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from cfnlint.config import ConfigMixIn
from cfnlint.decode import decode_str
from cfnlint.runner import Runner

if TYPE_CHECKING:
    from cfnlint.rules import Match

# `cfnlint.api.lint` loads the rules for each template, which takes longer than to run them.
_runner = cache(lambda region: Runner(ConfigMixIn(regions=[region])))


def lint(template: str, region: str = "us-east-1") -> list[Match]:
    """What is found where the template is deployed to the region."""
    decoded, errors = decode_str(template)
    return errors or [*_runner(region).validate_template(decoded)]
