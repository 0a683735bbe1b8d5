"""Session Manager permissions for IAM roles and instance profiles that already exist."""

from ._lookup import lookup_instance_profile
from ._permissions import SessionManagerPermissions
from ._preferences import SessionPreferences
from ._statements import SessionManagerOptions, session_manager_statements

__all__ = [
    "SessionManagerOptions",
    "SessionManagerPermissions",
    "SessionPreferences",
    "lookup_instance_profile",
    "session_manager_statements",
]
