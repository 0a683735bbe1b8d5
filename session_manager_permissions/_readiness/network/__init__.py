"""Reads the network of an app out of its synthesized templates, each part when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from session_manager_permissions._network.judge import Judge
from session_manager_permissions._network.model import Network
from session_manager_permissions._readiness.parts import Parts

from .groups import GroupReader
from .reading import Lazily, Reading
from .routes import RouteReader
from .vpcs import SubnetReader, VpcReader

if TYPE_CHECKING:
    from session_manager_permissions._readiness.templates import Assembly


def judge_of(assembly: Assembly) -> Judge:
    """The judge of the network of an app.

    A literal id, such as `vpc-1a2b3c4d`, stands for a resource that another app has made. But an
    app may also look up in one stack a resource that it makes in another stack. So a path is closed
    only if it is closed whatever the literal ids stand for.
    """
    cautious = network_of(Parts(assembly, doubts_ids=True)) if assembly.has_ids else None
    return Judge(network_of(Parts(assembly)), cautious, assembly.worlds)


def network_of(parts: Parts) -> Network:
    """The network that the templates of an app describe, in the world that is judged.

    It lacks what people or other apps add to these VPCs. Whatever the templates leave open, and
    whatever a custom resource or a loop may add, is unknown.
    """
    reading = Reading(parts)
    routes = RouteReader(reading)
    return Network(
        vpcs=Lazily(parts, VpcReader(reading).read),
        subnets=Lazily(parts, SubnetReader(reading).read),
        tables=Lazily(parts, routes.read_table),
        nat_gateways=Lazily(parts, routes.read_nat_gateway),
        groups=Lazily(parts, GroupReader(reading).read),
    )
