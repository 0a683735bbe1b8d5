"""The statements of AWS managed policies, from `aws_managed_policies.json`.

`make managed-policies` makes the file, which is read when the first policy is asked for. It has the
policies of the partition `aws`. AWS uses the same names in the other partitions.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from .policies import ASKED, Statement, anything, read


@cache
def aws_managed(name: str, about: tuple[str, ...] = ASKED) -> list[Statement]:
    """Return the statements of an AWS managed policy about some of the actions of `ASKED`.

    A policy that is not in the file may allow and deny anything, as AWS may have added it later.

    Args:
        name: the part of its ARN after `policy/`, with the path: IAM does not find a policy under
            a wrong path.
        about: the actions.
    """
    data = _data()
    source = f"the AWS managed policy {name!r}"
    if name in data["relevant"]:
        return read(data["relevant"][name], source, about=about)
    if name in data["others"]:
        return []
    return anything(f"{source}, which AWS did not list on {data['newest']}")


@cache
def _data() -> dict[str, Any]:
    written = Path(__file__).with_name("aws_managed_policies.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(written)
    return data | {"others": frozenset(data["others"])}
