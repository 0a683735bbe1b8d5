"""Session Manager permissions for IAM roles and instance profiles that already exist."""

from __future__ import annotations

# Type checkers treat this name like `typing.TYPE_CHECKING`. Importing `typing` takes longer than
# everything else that the command needs before it can answer a Ctrl-C.
TYPE_CHECKING = bool()  # noqa: UP018 # editors would not look below a plain `False`

__all__ = [
    "SessionManagerAccess",
    "SessionManagerEndpoints",
    "SessionManagerFleet",
    "SessionManagerOptions",
    "SessionManagerPermissions",
    "SessionManagerReadiness",
    "SessionPreferences",
    "lookup_instance_profile",
    "session_manager_statements",
]

_MODULES = {
    "SessionManagerAccess": "._constructs.access",
    "SessionManagerEndpoints": "._constructs.endpoints",
    "SessionManagerFleet": "._constructs.fleet",
    "SessionManagerOptions": "._constructs.statements",
    "SessionManagerPermissions": "._constructs.permissions",
    "SessionManagerReadiness": "._readiness.plugin",
    "SessionPreferences": "._constructs.preferences",
    "lookup_instance_profile": "._constructs.lookup",
    "session_manager_statements": "._constructs.statements",
}

if TYPE_CHECKING:
    from ._constructs.access import SessionManagerAccess
    from ._constructs.endpoints import SessionManagerEndpoints
    from ._constructs.fleet import SessionManagerFleet
    from ._constructs.lookup import lookup_instance_profile
    from ._constructs.permissions import SessionManagerPermissions
    from ._constructs.preferences import SessionPreferences
    from ._constructs.statements import SessionManagerOptions, session_manager_statements
    from ._readiness.plugin import SessionManagerReadiness
else:
    # Names are loaded on first use, so that the command does not wait for CDK and its Node.js,
    # which it does not need. Type checkers do not see this function, because with it they would
    # accept any name.

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 # only the constructs need it

        value = getattr(import_module(_MODULES[name], __name__), name)
        globals()[name] = value  # asked for once
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_MODULES})
