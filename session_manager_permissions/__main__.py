"""The app without a checkout: `cdk deploy --app "python -m session_manager_permissions"`.

The command `session-manager-permissions` is in `_command.py`.
"""

import os
import sys

if __name__ == "__main__":
    if "CDK_OUTDIR" not in os.environ:  # the CDK CLI sets it
        sys.exit(
            "session_manager_permissions: this is a CDK app, which the CDK CLI runs: npx aws-cdk "
            'deploy --app "python -m session_manager_permissions" -c instance-profile=NAME; to '
            "verify, audit, check or print a policy, run session-manager-permissions"
        )
    try:
        from ._app import main
    except ModuleNotFoundError as error:  # the package was installed without its dependencies
        why = f"{error.name} is not installed: pip install session-manager-permissions"
        sys.exit(f"session_manager_permissions: {why}")
    main("session_manager_permissions")
