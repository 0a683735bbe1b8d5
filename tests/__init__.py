import os

# CDK's own template validator takes seconds in each process; cfn-lint checks the snapshots.
os.environ.setdefault("CDK_VALIDATION", "false")
