"""Images that AWS ships without the SSM Agent.

https://docs.aws.amazon.com/systems-manager/latest/userguide/ami-preinstalled-agent.html
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._patterns import as_list
from session_manager_permissions._readiness.templates.functions import UNKNOWN, as_written, mapping
from session_manager_permissions._readiness.templates.model import Template, Unresolved
from session_manager_permissions._readiness.templates.texts import DYNAMIC, as_text

from .kinds import kind_of, launches, unreachable
from .remedies import Advice, Set
from .rule import Finding, Told, not_ready
from .writer import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.compute import Compute
    from session_manager_permissions._readiness.later_changes import LaterChanges
    from session_manager_permissions._readiness.launch import Written
    from session_manager_permissions._readiness.parts import Parts

AGENT_MISSING: Final = not_ready(
    "agent-missing",
    "an image that AWS ships without the SSM Agent, such as Amazon Linux *minimal*, and "
    "nothing that installs it",
    "the instance, launch template, launch configuration or Spot fleet",
)
RULES: Final = (AGENT_MISSING,)

_MINIMAL: Final = re.compile("/aws/service/ami-amazon-linux-latest/(al2023|amzn2?)-ami-minimal-.*")
"""The public parameters of the images without the agent."""

_OTHER_PUBLISHERS: Final = (
    "/aws/service/(?!(ami-amazon-linux-latest|ami-windows-latest|canonical|cloud9|deeplearning|"
    "ec2-macos|ecs|eks|neuron|suse)/)"
)
"""The public parameters of publishers whose images may lack the agent."""
_MAY_LACK: Final = re.compile(
    f"{_OTHER_PUBLISHERS}|/aws/service/(canonical/ubuntu/[^/]*minimal/|ecs/optimized-ami/amazon-linux/|"
    f"ami-amazon-linux-latest/([^-]+-ami-?)?{UNKNOWN})"
)
"""The public parameters of images that may lack the agent, as AWS does not list them with it.

If a part of an Amazon Linux parameter is not known, the image may be a minimal one.

https://docs.aws.amazon.com/systems-manager/latest/userguide/ami-preinstalled-agent.html
"""

_WORDS: Final = re.compile(f"minimal|ami/amazon-linux/|{_OTHER_PUBLISHERS}".encode())
"""Matches a part of each parameter whose image lacks the agent, or may lack it."""

_NAMED_BY: Final = ("ImageId", *(f"Ec2Configuration.{n}.ImageIdOverride" for n in (0, 1)))
"""The properties that name an image. AWS Batch takes at most two entries in `Ec2Configuration`."""

_CDK_PARAMETER_END: Final = "C96584B6F00A464EAD1953AFF4B05118Parameter"
"""The end of the names of CDK's own parameters for images. They always have their default value."""

_PATH: Final = re.compile("(?:(?:{{)?resolve:ssm:)?(/[^:}]*)")
"""The forms in which a template, or a parameter of it, names a public parameter."""

_HARMLESS: Final = re.compile(
    rf"#.*|(sudo )?((dnf|yum)(?! .*\bgroup)( [^][{{;&|`$()<>@*?{UNKNOWN}]*)?|"
    r"(systemctl|service|set|export|useradd|usermod|mkdir|hostnamectl|timedatectl|echo)"
    "( [^;&|`$()<>]*)?)|"
)
"""Lines of a script that install nothing but the packages that they name, which are all known.

A pattern or a group of packages may have the agent in it.
"""


def of_compute(parts: Parts, later: LaterChanges, compute: Compute) -> Iterator[Told]:
    """Find compute whose image has no agent."""
    if doubt := compute.launch.scripts.agent or later.stops_agent(compute.resource):
        yield doubt
    image = compute.launch.image
    if image is None or not (paths := _paths_without_agent(parts, image)):
        return
    path = _path(parts, image)
    named = repr(path.replace(UNKNOWN, "…"))
    if _MAY_LACK.match(path):
        yield f"whether the image {named} has the SSM Agent"
    if _MINIMAL.fullmatch(path) is None:
        return
    if _may_install(parts, compute):
        yield f"whether the user data installs the SSM Agent, which the image {named} lacks"
    elif changed_by := parts.changed(image.owner):
        yield changed_by.decides
    else:
        yield _without_agent(image, path, named, is_same=paths == {path})


def _without_agent(image: Written, path: str, named: str, *, is_same: bool) -> Finding:
    """Return the finding about an image, which the public parameter with this path names.

    If the images differ between worlds, such as by processor, no single image can replace them.
    """
    where, kind = image.owner, kind_of(image.owner)
    # Of the Amazon Linux 2 images for ARM, only the minimal one has a parameter that ends in `ebs`.
    standard = path.replace("-minimal", "").replace("arm64-ebs", "arm64-gp2")
    with_agent = f"{{{{resolve:ssm:{standard}}}}}"
    named_at = [f"{before}{name}" for before, _ in launches(where) for name in _NAMED_BY]
    named_at = [one for one in named_at if written(where, one) == image.value]
    fixes = [Set(where, one, with_agent) for one in named_at if is_same and UNKNOWN not in path]
    in_words = Advice(f"use images without `-minimal` in their names for {where.logical_id!r}")
    location = f"Properties.{next(iter(named_at), f'{kind.launch}ImageId')}"
    why = f"the image {named} has no SSM Agent, and the user data does not install it"
    return AGENT_MISSING.found(where, location, unreachable(where, why), *(fixes or (in_words,)))


def _paths_without_agent(parts: Parts, image: Written) -> frozenset[str]:
    """Return the paths of an image in all worlds, if one of the images may lack the agent.

    If none may, the result is empty, and the worlds need not be told apart: a map may have an image
    for each region.
    """

    def find() -> frozenset[str]:
        worlds, too_many = parts.worlds.each(lambda: _path(parts, image))
        paths = frozenset(one.judged for one in worlds)
        if too_many:  # a map may have an image for each region and operating system
            may_lack = parts.mention(_WORDS)
        else:
            may_lack = any(_MAY_LACK.match(one) or _MINIMAL.match(one) for one in paths)
        return paths if may_lack else frozenset()

    key = "may lack the agent", image.owner, json.dumps(as_written(image.value))
    return parts.worlds.once(key, find)


def _path(parts: Parts, image: Written) -> str:
    """Return the path of the public parameter that names an image; empty if none does."""
    value = image.owner.template.value(image.value)
    match value:
        case (Unresolved(tuple(joined), expression),) if expression == DYNAMIC:
            value = joined
        case (Unresolved(_, str(reference)),) if reference.startswith(DYNAMIC):
            value = (reference,)
    found = _PATH.match("".join(_as_passed(parts, one) for one in value))
    return found[1] if found else ""


def _as_passed(parts: Parts, part: Any) -> str:  # noqa: ANN401 # of a `Value`
    """Return a part as a text. A parameter becomes the value that the world passes, if it is known.

    A deployment may pass another value than the default, unless CDK made the parameter.
    """
    if not isinstance(part, Unresolved) or not isinstance(part.scope, Template):
        return as_text((part,))
    name = str(part.expression)
    parameter = mapping(part.scope.parameters.get(name))
    values = parameter.get("AllowedValues", parameter.get("Default", []))
    known = frozenset(map(str, as_list(values)))
    is_all = "AllowedValues" in parameter or name.endswith(_CDK_PARAMETER_END)
    for one in sorted(known):
        decider = f"the parameter {name!r}"
        if parts.worlds.is_one_of(part, frozenset({one}), decider, known if is_all else None):
            return one
    return UNKNOWN


def _may_install(parts: Parts, compute: Compute) -> bool:
    """Tell whether the user data does anything that may install the agent."""
    written = compute.launch.user_data
    if written is None:
        return False
    script = mapping(written.value).get("Fn::Base64", written.value)
    text = parts.assembly.text(written.owner.template, script)
    lines = map(str.strip, text.splitlines())
    return "ssm" in text or any("://" in one or not _HARMLESS.fullmatch(one) for one in lines)
