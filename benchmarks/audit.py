"""What an audit of a large account costs: `python benchmarks/audit.py`.

The account is simulated by a server of the tests on this machine, 200 roles and 40 subnets in four
regions. It answers after 50 ms, and throttles. The limit of EC2 is the documented one: 100 calls at
once and 20 a second, of each call in each region. Systems Manager and IAM have none that is
published: the server has 40 and 20, and for IAM 20 and 10.
https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from tests.deploy.gateway import served  # noqa: E402
from tests.verify.accounts import REGIONS, fleet  # noqa: E402
from tests.verify.served import Limit, Served  # noqa: E402

if TYPE_CHECKING:
    from collections import Counter

LIMITS = {"ec2": Limit(100, 20), "ssm": Limit(40, 20), "iam": Limit(20, 10)}
LATENCY = 0.05
COMMAND = [str(Path(sys.executable).with_name("session-manager-permissions")), "audit"]
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1",
}


class Cost(NamedTuple):
    """What an audit cost."""

    instances: int
    calls: Counter[str]
    throttled: int
    seconds: float
    processor: float
    mebibytes: float


def cost(instances: int) -> Cost:
    """Run the command on an account of this size."""
    server = Served(fleet(instances), LIMITS, LATENCY)
    regions = [argument for region in REGIONS for argument in ("--region", region)]
    with TemporaryDirectory() as folder, served(server) as address:
        file = str(Path(folder) / "audit.json")
        arguments = [*COMMAND, "--output", "json", "--file", file, *regions]
        started = time.monotonic()
        process = subprocess.Popen(arguments, env=ENVIRONMENT | {"AWS_ENDPOINT_URL": address})
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
    assert os.waitstatus_to_exitcode(status) == 1  # not all are reachable
    return Cost(
        instances,
        server.calls,
        sum(server.throttled.values()),
        seconds,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss / 1024,
    )


def main(sizes: list[int]) -> None:
    """Print Markdown tables."""
    costs = [cost(size) for size in sizes]
    print("| instances | calls | calls an instance | throttled | wall, s | CPU, s | peak, MiB |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for one in costs:
        calls = sum(one.calls.values())
        print(
            f"| {one.instances:,} | {calls:,} | {calls / one.instances:.2f} | {one.throttled:,} | "
            f"{one.seconds:.0f} | {one.processor:.1f} | {one.mebibytes:.0f} |"
        )
    print(f"\n| call | {' | '.join(f'{size:,}' for size in sizes)} |")
    print(f"|---|{'--:|' * len(sizes)}")
    for name, _ in costs[-1].calls.most_common():
        counts = (f"{one.calls[name]:,}" for one in costs)
        print(f"| `{name}` | {' | '.join(counts)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[100, 1000, 10_000])
    main(parser.parse_args().sizes)
