"""Strings and ARNs that may be or contain CDK tokens, and their parts known at synthesis."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import aws_cdk as cdk

from session_manager_permissions import _limits

if TYPE_CHECKING:
    from constructs import IConstruct

_L1 = TypeVar("_L1", bound=cdk.CfnResource)

TOKEN: Final = re.compile(r"\$\{Token\[[A-Za-z0-9:._-]+\]\}|dummy-value-for-[^:]*")
"""A token in a string, by the pattern of aws-cdk-lib/core/lib/private/encoding.ts; or what
`ssm.StringParameter.value_from_lookup` returns until the CLI has looked the value up.
"""

DYNAMIC_REFERENCE: Final = "{{resolve:"
"""The beginning of a dynamic reference, which CloudFormation replaces by a value."""


class Arn(NamedTuple):
    """The parts of an ARN; each may hold tokens."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return ":".join(("arn", *self))

    @property
    def is_placed(self) -> bool:
        """Whether partition, region and account are not empty and have no invalid characters."""
        names = (self.partition, self.region, self.account)  # which in a test may be no digits
        text = without_tokens("".join(names))
        return all(names) and re.fullmatch(r"[\w-]*", text, re.ASCII) is not None


def is_token(text: str) -> bool:
    """Tell whether `text` is, or contains, a token, asking CDK only if it may have one."""
    return "${" in text and cdk.Token.is_unresolved(text)


def parse_arn(text: str) -> Arn | None:
    """Return the parts of an ARN; None if `text` is one token, or no ARN.

    A token within (`arn:${Token[AWS.Partition.5]}:…`) has no colon and stays in its part.
    """
    prefix, *parts = text.split(":", 5)
    return Arn(*parts) if prefix == "arn" and len(parts) == len(Arn._fields) else None


def without_tokens(text: str) -> str:
    """Return the part of `text` that is known at synthesis: all but its tokens."""
    return TOKEN.sub("", text)


def is_name(text: str, name: _limits.Name) -> bool:
    """Tell whether `text` may be such a name. A token in it may become any text, or none."""
    known = without_tokens(text)
    return (name if known == text else name._replace(shortest=0)).fits(known)


def refuse_wildcards(argument: str, text: str) -> None:
    """Refuse a wildcard or a policy variable in `text`. The values of tokens are not known.

    Raises:
        ValueError: `text` has a `*`, a `?` or a `${` that is no token's.
    """
    if _limits.is_pattern(without_tokens(text)):
        raise ValueError(
            f"{argument} {text!r} has a wildcard or a policy variable (* ? ${{): give an exact name"
        )


def referenced(text: str) -> IConstruct | None:
    """Return the construct that `text` refers to (`Ref`, `Fn::GetAtt`); None if it is no token."""
    if not is_token(text):
        return None
    token = cdk.Tokenization.reverse(text, fail_concat=False)
    return token.target if isinstance(token, cdk.Reference) else None


def referenced_by_arn(arn: str) -> IConstruct | None:
    """Return the construct that an ARN refers to as a whole, or by the name at its end."""
    return referenced(_name_in(arn))


def _name_in(arn: str) -> str:
    """Return the name at the end of an ARN; the ARN itself if it is one token."""
    parts = parse_arn(arn)
    return arn if parts is None else parts.resource.rpartition("/")[2]


def resource_by_arn(arn: str, scope: IConstruct, *types: type[_L1]) -> _L1 | None:
    """Return the L1 of one of `types` that an ARN or a name refers to.

    A token of CDK refers to a construct. A function of a template, such as `!Sub "${Key.Arn}"`,
    refers to a logical id.

    Args:
        arn: the ARN, or the name.
        scope: a construct of the stack whose template has the ARN.
        types: the classes of the L1.
    """
    if not is_token(arn):
        return None
    found = referenced_by_arn(arn)
    if found is not None:
        return found if isinstance(found, types) else None
    stack = cdk.Stack.of(scope)
    match stack.resolve(_name_in(resolved(arn, stack))):
        case {"Ref": str(logical_id)} | {"Fn::GetAtt": [str(logical_id), "Arn"]}:
            path = stack.node.path  # jsii gives a new object each time for a stack that CDK made
            for node in stack.node.find_all():
                # The stack is asked last, as that costs the most requests.
                if (
                    isinstance(node, types)
                    and stack.resolve(node.logical_id) == logical_id
                    and node.stack.node.path == path
                ):
                    return node
    return None


def known_property(resource: object, name: str) -> object:
    """Return a property of an L1; None if jsii can't pass its value to Python.

    This is the case for a `cdk.Lazy`, and for some `Fn::If` that `CfnInclude` keeps.
    """
    try:
        return getattr(resource, name, None)
    except (KeyError, RuntimeError):
        return None


def resolved(text: str, stack: cdk.Stack) -> str:
    """Replace the tokens in `text` that CDK can resolve now, such as an owned alias's name.

    `Fn::Sub` and `Fn::Join` become one string, in which only the references are tokens.
    """
    match stack.resolve(text):
        case str(known):
            return known
        case {"Fn::Sub": str(template)}:
            return _substituted(template, {}) or text
        case {"Fn::Sub": [str(template), dict(values)]}:
            return _substituted(template, values) or text
        case {"Fn::Join": [str(delimiter), [*fragments]]}:
            return delimiter.join(
                fragment if isinstance(fragment, str) else cdk.Token.as_string(fragment)
                for fragment in fragments
            )
    return text


def _substituted(template: str, values: dict[str, object]) -> str:
    """Return what `Fn::Sub` makes of a template; empty if that is not known."""

    def value(found: re.Match[str]) -> str:
        name, attribute = found.groups()
        if name in values:
            return cdk.Token.as_string(values[name])
        return cdk.Fn.get_att(name, attribute).to_string() if attribute else cdk.Fn.ref(name)

    known = re.sub(r"\$\{([\w:]+)(?:\.([\w.]+))?\}", value, template)
    return "" if "${" in without_tokens(known) else known


class Environment(NamedTuple):
    """An account and a region; None if only the deployment knows it."""

    account: str | None
    region: str | None

    @classmethod
    def of(cls, stack: cdk.Stack) -> Environment:
        """Return the environment of `stack`, in one call to CDK."""
        account, _, region = stack.environment.removeprefix("aws://").partition("/")
        return cls(
            None if account == "unknown-account" else account,
            None if region == "unknown-region" else region,
        )

    @classmethod
    def in_arn(cls, arn: str) -> Environment:
        """Return the environment that an ARN names."""
        parts = parse_arn(arn)
        if parts is None:
            return cls(None, None)
        return cls(
            None if is_token(parts.account) else parts.account,
            None if is_token(parts.region) else parts.region,
        )


def differ(known: str | None, other: str | None) -> bool:
    """Tell whether two accounts or regions are known to differ."""
    return known is not None and other is not None and known != other
