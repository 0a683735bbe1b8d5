"""Statements and policies, and the rules that the check finds by them."""

from typing import Any

from session_manager_permissions._needs import CHANNELS, REGISTRATION
from session_manager_permissions._readiness.rules import CANNOT_BE_KNOWN
from session_manager_permissions._readiness.rules.permissions import (
    CHANNEL_MISSING,
    EXPLICIT_DENY,
    REGISTRATION_MISSING,
)

Statement = dict[str, Any]
Found = frozenset[str]
"""The ids of the rules that find something."""

ACTIONS = (*CHANNELS.actions, *REGISTRATION.actions)
REGISTER = REGISTRATION.actions[0]
AWS = "arn:aws:iam::aws:policy/"
READY = frozenset[str]()
NO_CHANNEL = frozenset({CHANNEL_MISSING.id})
NO_REGISTRATION = frozenset({REGISTRATION_MISSING.id})
NEITHER = NO_CHANNEL  # one finding says both
DENIED = frozenset({EXPLICIT_DENY.id})
UNKNOWN = frozenset({CANNOT_BE_KNOWN.id})


def allow(*actions: object, on: object = "*", **more: object) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: object, on: object = "*", **more: object) -> Statement:
    return {"Effect": "Deny", "Action": list(actions), "Resource": on, **more}


def not_actions(effect: str, *actions: object) -> Statement:
    return {"Effect": effect, "NotAction": list(actions), "Resource": "*"}


ALL = allow(*ACTIONS)
CHANNELS_ONLY = allow(*CHANNELS.actions)
REGISTER_ONLY = allow(REGISTER)
CORE = f"{AWS}AmazonSSMManagedInstanceCore"


def document(statements: list[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def may_assume(service: object, effect: str = "Allow") -> Statement:
    return {"Effect": effect, "Principal": {"Service": service}, "Action": "sts:AssumeRole"}


EC2_TRUST: dict[str, Any] = document([may_assume("ec2.amazonaws.com")])
