#!/usr/bin/env python3
"""The app of the package, for a checkout: `cdk deploy -c instance-profile=NAME`."""

from session_manager_permissions._app import main

if __name__ == "__main__":
    main("app.py")
