"""Checks whether sessions on hybrid nodes are turned on in the region.

https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-configure-instance-tiers.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .asking import CannotAsk, NotThere
from .checks import TIER, Evidence, Outcome
from .node import service_setting

if TYPE_CHECKING:
    from .node import Node

_SETTING: Final = "/ssm/managed-instance/activation-tier"
_ADVANCED, _STANDARD = "advanced", "standard"


def tier(node: Node) -> Outcome:
    """Check whether the region has the tier that sessions on hybrid nodes take."""
    if not node.is_hybrid:
        return TIER.of(node.region).skipped("the node is an instance of EC2, which needs no tier")
    found = service_setting(node.session, _SETTING, "the region has no tiers of hybrid nodes")
    if isinstance(found, NotThere):
        return TIER.of(node.region).skipped(str(found))
    if isinstance(found, CannotAsk):
        return TIER.of(node.region).unasked(found)
    of_region = TIER.of(node.region, Evidence("ssm:GetServiceSetting", _SETTING, found))
    if found == _ADVANCED:
        return of_region.passed(f"{node.region} is on the advanced-instances tier")
    setting = f"--setting-id {_SETTING} --setting-value {_ADVANCED}"
    fix = node.aws(f"ssm update-service-setting {setting}")
    if found != _STANDARD:
        why = f"the tier of {node.region} is {found!r}, which is neither of the two that are known"
        return of_region.unknown(why, fix=fix)
    why = (
        f"{node.region} is on the standard-instances tier, on which no session opens on a hybrid "
        "node; AWS charges the advanced one for each node"
    )
    return of_region.failed(why, fix=fix)
