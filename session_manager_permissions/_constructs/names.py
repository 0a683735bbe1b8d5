"""The default names of policies and documents, and the check of given names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from session_manager_permissions import _limits

from .checks import refuse_wrong_text
from .tokens import Environment, is_name

if TYPE_CHECKING:
    from constructs import Construct


def default_name(scope: Construct, limit: _limits.Name, suffix: str = "") -> str:
    """Return a name that is unique to the construct and its stack, and ends with `suffix`."""
    name = cdk.Names.unique_resource_name(
        scope,
        max_length=limit.longest - len(suffix),
        separator="-",
        allowed_special_characters=limit.signs,
    )
    return f"{name}{suffix}"


def default_policy_name(scope: Construct, environment: Environment) -> str:
    """Return a name that is unique to the construct, its stack and the stack's region.

    Roles are global, so two stacks, or one stack in two regions, may attach policies to one role,
    and `PutRolePolicy` overwrites a policy of the same name.
    """
    suffix = f"-{environment.region}" if environment.region else ""
    return default_name(scope, _limits.POLICY, suffix)


def refuse_invalid_name(argument: str, name: str, limit: _limits.Name, service: str) -> None:
    """Refuse a name that the service does not accept.

    Raises:
        TypeError: the name is not a string.
        ValueError: the name is too short, is too long, or has invalid characters.
    """
    refuse_wrong_text(argument, name)
    if not is_name(name, limit):
        raise ValueError(f"{argument} {name!r} is not a name that {service} accepts: {limit.rule}")
