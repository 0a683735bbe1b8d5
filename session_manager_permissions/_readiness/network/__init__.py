"""Reads the network of an app out of its synthesized templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from session_manager_permissions._network.judge import Judge

from .endpoints import read_endpoints, read_zones
from .groups import read_groups
from .reading import Reading, given_ids
from .routes import read_nat_gateways, read_tables
from .vpcs import read_subnets, read_vpcs

if TYPE_CHECKING:
    from session_manager_permissions._network.model import Network
    from session_manager_permissions._readiness.values import Values


def judge_of(values: Values) -> Judge:
    """The judge of the network of an app.

    A literal id, such as `vpc-1a2b3c4d`, stands for what another app has made. But an app may also
    look up in one stack what it makes in another, so no path is closed unless it is closed
    whatever the literal ids stand for.
    """

    def in_doubt() -> Network | None:
        has_ids = values.ids or given_ids(values)
        return network_of(values.with_ids_in_doubt()) if has_ids else None

    return Judge(network_of(values), in_doubt)


def network_of(values: Values) -> Network:
    """The network that the templates of an app describe.

    It does not have what people or other apps add to these VPCs. What the templates leave open, and
    what a custom resource or a loop may add, is unknown.
    """
    reading = Reading(values)
    read_vpcs(reading)
    read_subnets(reading)
    read_tables(reading)
    read_nat_gateways(reading)
    read_groups(reading)
    read_endpoints(reading)
    read_zones(reading)
    return reading.network
