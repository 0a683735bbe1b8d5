"""Session Manager permissions for IAM roles and instance profiles that already exist."""

from ._fleet import SessionManagerFleet
from ._lookup import lookup_instance_profile
from ._permissions import SessionManagerPermissions
from ._preferences import SessionPreferences
from ._statements import session_manager_statements

__all__ = [
    "SessionManagerFleet",
    "SessionManagerPermissions",
    "SessionPreferences",
    "lookup_instance_profile",
    "session_manager_statements",
]
