"""What the diagnosis of one node costs, over the start of botocore: `python benchmarks/verify.py`.

The node has all there is: a key, logs in S3 and CloudWatch, an operator, endpoints of each service.
Time of the processor, of the process alone: its answers come from servers on this machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from local_aws import local_aws  # noqa: E402

from tests.deploy.diagnoser import diagnosing  # noqa: E402
from tests.verify.causes import OPERATORS  # noqa: E402

BOTOCORE = "import botocore.session; botocore.session.get_session().get_available_services()"
"""What `aws --version` does before it prints."""


def spent() -> float:
    """Seconds of the processor, of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(rounds: int) -> None:
    """Print a Markdown table."""
    node = OPERATORS[0]  # who may do all
    ours, botocore, calls = [], [], 0
    with (
        local_aws() as aws,
        TemporaryDirectory() as folder,
        diagnosing(aws, Path(folder)) as diagnoser,
    ):
        for _ in range(rounds):
            before = spent()
            subprocess.run([sys.executable, "-c", BOTOCORE], env=os.environ, check=True)
            between = spent()
            calls = len(diagnoser.run(node, as_process=True).calls)
            ours.append(spent() - between)
            botocore.append(between - before)
    ratios = [one / base for one, base in zip(ours, botocore, strict=True)]
    print("| | CPU, s, median | lowest to highest |")
    print("|---|--:|--:|")
    for name, found in (("botocore alone", botocore), ("the diagnosis", ours), ("ratio", ratios)):
        print(f"| {name} | {statistics.median(found):.2f} | {min(found):.2f} to {max(found):.2f} |")
    print(f"\n{calls} calls")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    main(parser.parse_args().rounds)
