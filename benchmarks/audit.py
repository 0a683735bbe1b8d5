"""What an audit of a large account costs: `python benchmarks/audit.py [SIZE…]`.

The account is simulated by a server of the tests on this machine, 200 roles and 40 subnets in four
regions. It answers after 50 ms, and throttles. The limit of EC2 is the documented one: 100 calls at
once and 20 a second, of each call in each region. Systems Manager and IAM have none that is
published: the server has 40 and 20, and for IAM 20 and 10.
https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from tests.deploy.gateway import served  # noqa: E402
from tests.verify.accounts import REGIONS, fleet  # noqa: E402
from tests.verify.served import Limit, Served  # noqa: E402

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


def cost(instances: int) -> dict[str, str]:
    """Run the command on an account of this size; the figures by what they are of."""
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
    calls = server.calls.total()
    return {
        "calls": f"{calls:,}",
        "calls an instance": f"{calls / instances:.2f}",
        "throttled": f"{server.throttled.total():,}",
        "wall, s": f"{seconds:.0f}",
        "CPU, s": f"{used.ru_utime + used.ru_stime:.1f}",
        "peak, MiB": f"{used.ru_maxrss / 1024:.0f}",
        **{f"`{name}`": f"{count:,}" for name, count in server.calls.most_common()},
    }


def main(sizes: list[int]) -> None:
    """Print a Markdown table."""
    costs = [cost(size) for size in sizes]
    print(f"| instances | {' | '.join(f'{size:,}' for size in sizes)} |")
    print(f"|---|{'--:|' * len(sizes)}")
    for name in costs[-1]:
        print(f"| {name} | {' | '.join(one.get(name, '0') for one in costs)} |")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [100, 1000, 10_000])
