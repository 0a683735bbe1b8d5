"""Session Manager permissions for IAM roles and instance profiles that already exist.

Names load when they are first used, so that the command, which needs nothing of CDK, does not wait
for it, nor for the Node.js that CDK starts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "SessionManagerFleet",
    "SessionManagerOptions",
    "SessionManagerPermissions",
    "SessionManagerReadiness",
    "SessionPreferences",
    "lookup_instance_profile",
    "session_manager_statements",
]

_MODULES = {
    "SessionManagerFleet": "._fleet",
    "SessionManagerOptions": "._statements",
    "SessionManagerPermissions": "._permissions",
    "SessionManagerReadiness": "._readiness",
    "SessionPreferences": "._preferences",
    "lookup_instance_profile": "._lookup",
    "session_manager_statements": "._statements",
}

if TYPE_CHECKING:
    from ._fleet import SessionManagerFleet
    from ._lookup import lookup_instance_profile
    from ._permissions import SessionManagerPermissions
    from ._preferences import SessionPreferences
    from ._readiness import SessionManagerReadiness
    from ._statements import SessionManagerOptions, session_manager_statements
else:  # hidden from type checkers, which would take any name at all for one of this module

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_MODULES[name], __name__), name)
        globals()[name] = value  # asked for once
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_MODULES})
