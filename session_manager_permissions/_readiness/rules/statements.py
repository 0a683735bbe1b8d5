"""Policies, as templates have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_manager_permissions._needs import NeededStatement

AWS_MANAGED: Final = "arn:${AWS::Partition}:iam::aws:policy/"
"""How the ARN of an AWS managed policy begins."""


def policy_of(statements: Iterable[object]) -> dict[str, object]:
    """Return a policy document."""
    return {"Version": "2012-10-17", "Statement": [*statements]}


def inline(name: str, statements: Iterable[object]) -> dict[str, object]:
    """Return an inline policy. One of the same name would take its place on the role."""
    return {"PolicyName": name, "PolicyDocument": policy_of(statements)}


def allow(actions: Iterable[str], resource: object = "*") -> dict[str, object]:
    """Return a statement that allows actions."""
    return {"Effect": "Allow", "Action": [*actions], "Resource": resource}


def statement_of(needed: NeededStatement) -> dict[str, object]:
    """Return a statement of `_needs`, in whose resource `${...}` refers to a template."""
    resource = {"Fn::Sub": needed.resource} if "${" in needed.resource else needed.resource
    return {"Sid": needed.sid, **allow(needed.actions, resource)}


def trusted(service: str) -> dict[str, object]:
    """Return a statement that lets a service assume a role."""
    return {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
