"""Benchmark 2: the import alone."""

from __future__ import annotations

import argparse

from measure import Arm, interleaved, over, spread, table


def measure(rounds: int) -> str:
    """The table."""
    iam, again = Arm("`aws_cdk.aws_iam`", "import_iam"), Arm("the same again", "import_iam")
    ours = Arm("`session_manager_permissions`", "import_ours")
    samples = interleaved([iam, again, ours], rounds)
    rows = [
        (
            arm.name,
            spread(run.wall for run in runs),
            "" if arm is iam else spread(over(runs, samples[iam], lambda s: s.wall), "+.1f"),
            spread(run.cpu for run in runs),
            spread((run.peak for run in runs), ".0f"),
            runs[0].modules,
        )
        for arm, runs in samples.items()
    ]
    header = ("import", "wall, s", "over the first, %", "CPU, s", "peak, MiB", "modules of CDK")
    return table(header, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    print(measure(parser.parse_args().rounds))
