"""What cfn-lint finds in a template."""

from functools import cache
from typing import Any

from cfnlint.rules import Match

from .conftest import ON_LOWEST_CDK


# `cfnlint.api.lint` loads the rules for each template, which takes longer than to run them.
@cache
def _runner(region: str) -> Any:  # noqa: ANN401 - what takes seconds to import
    from cfnlint.config import ConfigMixIn  # noqa: PLC0415
    from cfnlint.runner import Runner  # noqa: PLC0415

    return Runner(ConfigMixIn(regions=[region]))


def lint(template: str, region: str = "us-east-1") -> list[Match]:
    """What is found where the template is deployed to the region; with the newest CDK alone."""
    if ON_LOWEST_CDK:
        return []
    from cfnlint.decode import decode_str  # noqa: PLC0415

    decoded, errors = decode_str(template)
    return errors or [*_runner(region).validate_template(decoded)]
