"""Which partition of AWS a region is in."""

import re
from functools import cache
from typing import Final, NamedTuple


class Partition(NamedTuple):
    """A group of regions, such as those of China."""

    name: str
    suffix: str
    """How the names of its services end."""


_PARTITIONS: Final = {
    "cn": Partition("aws-cn", "amazonaws.com.cn"),
    "eusc": Partition("aws-eusc", "amazonaws.eu"),
    "-gov": Partition("aws-us-gov", "amazonaws.com"),
    "-iso": Partition("aws-iso", "c2s.ic.gov"),
    "-isob": Partition("aws-iso-b", "sc2s.sgov.gov"),
    "-isoe": Partition("aws-iso-e", "cloud.adc-e.uk"),
    "-isof": Partition("aws-iso-f", "csp.hci.ic.gov"),
}
"""The partitions other than `aws`, by the part of a region's name that identifies them.

https://docs.aws.amazon.com/general/latest/gr/rande.html
"""
_ORDINARY: Final = Partition("aws", "amazonaws.com")

KNOWN: Final = frozenset(one.name for one in (_ORDINARY, *_PARTITIONS.values()))
"""The names of the partitions."""

SUFFIXES: Final = (*dict.fromkeys(one.suffix for one in (_ORDINARY, *_PARTITIONS.values())),)
"""How the names of services may end."""


@cache
def partition_of(region: str) -> Partition | None:
    """Return the partition of a region; None if it is not the name of one."""
    found = re.fullmatch("([a-z]+)(-gov|-iso[bef]?)?(-[a-z]+)+-[0-9]+", region)
    return _PARTITIONS.get(found[2] or found[1], _ORDINARY) if found else None
