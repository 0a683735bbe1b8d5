"""Read the statements of policies about the calls in question, in the world that is judged."""

from __future__ import annotations

import re
from functools import partial
from os.path import commonprefix
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._conditions import NO_CONTEXT, RequestContext
from session_manager_permissions._patterns import any_matches, has_marks, matches, may_match

from .marks import ALIAS, marked
from .policies import NEEDED, Statement, known_of, read
from .templates.functions import UNKNOWN, listed
from .templates.model import Resource, ReturnValue, Template, Value, may_be_equal
from .templates.texts import as_text

if TYPE_CHECKING:
    from .compute import Launchers
    from .roles import Policy
    from .templates import Assembly

_OTHER_PARTITION: Final = ", whose Resource is of another partition, which IAM refuses"
_INSTANCE: Final = "arn:aws:ec2:${Region}:${AWS::AccountId}:instance/i-+7f0c2a9b1d3e4f56"
"""An id that no policy names: a pattern that matches it matches every instance."""
_RETURN_OWN_NAMES: Final = re.compile(
    "AWS::(DynamoDB|IAM|KMS|Lambda|Logs|S3|SNS|SQS|SecretsManager)::"
)
"""The services whose resources return only their own ARNs and names.

A custom resource, a nested stack or a parameter of Systems Manager may return any.
"""


class Asked(NamedTuple):
    """The actions that are asked about, all on the same resource."""

    actions: tuple[str, ...]
    on: Value | None = None
    """The resource; None for the one that `NEEDED` has for each action."""
    encryption: str | None = None
    """The encryption that an upload requests from Amazon S3; empty if none, None if not known."""

    def is_on(self, pattern: Value) -> bool | None:
        """Tell whether the `Resource` of a statement covers `on`; None if that is not known."""
        ours = self.on or ()
        written, asked = marked(pattern), marked(ours)
        if written == "*" or matches(written, asked):
            return True
        if all(re.match("arn(:[^:]*){5}", one) for one in (written, asked)):
            parts = [*zip(written.split(":", 5), asked.split(":", 5), strict=True)]
            differ = (matches(*one) is False and not has_marks("".join(one)) for one in parts[2:5])
            # The pattern is for another service, region or account, unless a `*` before a colon
            # matches several parts.
            if not re.search(r"\${|\*:", written) and any(differ):
                return False
            # A `*` as the region or the account matches any value, even one that is not known.
            written = ":".join(its if part == "*" else part for part, its in parts)
        # Equal beginnings match, whatever their unknown parts are.
        alike = len(commonprefix((written, asked)))  # noqa: RUF071 # they are no paths
        rest = written[alike:], asked[alike:]
        is_known = not (has_marks("".join(rest)) or re.match("arn:[^:]+:", written))
        if asked.startswith("arn:") and is_known:
            return None if may_match(*rest) else False
        theirs, its = _resources_in(pattern), _resources_in(ours)
        if theirs and its and not theirs & its:
            return False
        text = as_text(pattern)
        service = re.match("arn:[^:]*:([a-z0-9-]+):", text)
        is_alias = ":alias/" in text  # the ARN of an alias in a policy matches no key
        is_other = service and service[1] != self.actions[0].partition(":")[0]
        return False if is_alias or is_other else None


EACH_SESSION: Final = Asked(tuple(NEEDED))
"""The actions that every session needs."""


class PolicyReader:
    """Reads the statements of policies."""

    def __init__(self, assembly: Assembly, launchers: Launchers) -> None:
        self._assembly = assembly
        self._launchers = launchers
        self._once = assembly.worlds.once

    def statements(self, policy: Policy, about: tuple[str, ...]) -> list[Statement]:
        """Return the statements of a policy about some actions, for any principal."""
        return self._once((policy, about), lambda: self._read(policy, about, NO_CONTEXT))

    def _read(
        self, policy: Policy, about: tuple[str, ...], context: RequestContext
    ) -> list[Statement]:
        template = policy.resource.template
        known, partition = partial(self._assembly.text, template), template.stack.partition
        found = read(policy.owner.get("PolicyDocument"), policy.source, known, about, context)
        if partition is None:
            return found
        of_another = re.compile(rf"arn:(?!{partition.name}:)aws[a-z-]*:")
        return [
            one._replace(certain=False, doubt=_OTHER_PARTITION)
            if any(map(of_another.match, one.resources))
            else one
            for one in found
        ]

    def asked_statements(self, policy: Policy, asked: Asked = EACH_SESSION) -> list[Statement]:
        """Return the statements of a policy about the calls of an instance."""

        def reads() -> list[Statement]:
            template = policy.resource.template
            context = self._once((template, asked), lambda: self.context(template, template, asked))
            return self.on(template, self._read(policy, asked.actions, context), asked)

        return self._once((policy, asked), reads)

    def context(self, template: Template, of_role: Template, asked: Asked) -> RequestContext:
        """Return the known condition keys of the calls of instances.

        Args:
            template: the template of the policy that decides about the calls.
            of_role: the template of their role, or one that is deployed to the role's account.
            asked: the calls.
        """
        known = known_of(asked.actions, marked(of_role.value({"Ref": "AWS::AccountId"})))
        aliases = (("kms:resourcealiases", one) for one in self._aliases(asked.on))
        context = known._replace(
            read=lambda written: marked(template.value(written)), among=(*known.among, *aliases)
        )
        if asked.encryption:
            context = context.knowing({_needs.ENCRYPTION_KEY: asked.encryption})
        elif asked.encryption is not None:
            context = context._replace(lacks=context.lacks | {_needs.ENCRYPTION_KEY})
        # A call is made in the region of its resource. A bucket's name does not tell its region.
        regions = (*(_region(one.template) for one in _resources_in(asked.on or ())),)
        if not (regions or asked.actions[0].startswith("s3:")):
            regions = self._regions(template)
        return context._replace(perhaps={**context.perhaps, _needs.REGION_KEY.lower(): regions})

    def _aliases(self, key: Value | None) -> list[str]:
        """Return the aliases of the app that a key has in the world that is judged."""
        match key:
            case (ReturnValue(resource, _),):
                return [
                    marked((ReturnValue(one),))
                    for one in self._assembly.by_type[ALIAS]
                    if one.exists and _resources_in(_target(one)) == {resource}
                ]
        return []

    def _regions(self, template: Template) -> tuple[str, ...]:
        """Return the region of a template, and the regions of instances in its account.

        The others are the regions of the stacks that may launch instances, or of all stacks if no
        stack may.
        """
        own = template.stack

        def find() -> tuple[str, ...]:
            templates = self._assembly.templates
            beside = [one for one in templates if may_be_equal(one.stack.account, own.account)]
            if any(one.stack.environment != own.environment for one in beside):
                beside = [one for one in beside if one in self._launchers.in_templates] or beside
            return (*dict.fromkeys(map(_region, (template, *beside))),)

        return self._once(("regions", own.environment), find)

    def on(self, template: Template, found: list[Statement], asked: Asked) -> list[Statement]:
        """Return the statements that may cover the resource; certain ones get the resource `*`."""
        if asked.on is None:
            return [self._on_instances(template, one) for one in found]
        on = []
        for one in found:
            covered: bool | None = None
            if one.written_resource is not None:
                values = [template.value(on) for on in listed(one.written_resource)]
                covered = any_matches([*map(asked.is_on, values)], negated=one.not_resources)
            if covered is not False:
                resources = ("*",) if covered else (UNKNOWN,)
                on.append(one._replace(resources=resources, not_resources=False))
        return on

    def _on_instances(self, template: Template, statement: Statement) -> Statement:
        """Add all EC2 instances to a statement that allows something on each one of the app."""
        is_on_some = statement.allows and statement.resources != ("*",)
        if is_on_some and not statement.not_resources:
            known = template.value
            on = [known(one) for one in listed(statement.written_resource)]
            instances = (
                Asked(_needs.REGISTRATION.actions, known({"Fn::Sub": [_INSTANCE, {"Region": one}]}))
                for one in self._regions(template)
            )
            if all(any(map(one.is_on, on)) for one in instances):
                resources = (*statement.resources, _needs.REGISTRATION_RESOURCES[0])
                return statement._replace(resources=resources)
        return statement


def _region(template: Template) -> str:
    return marked(template.value({"Ref": "AWS::Region"}))


def _target(alias: Resource) -> Value:
    return alias.template.value(alias.properties.get("TargetKeyId"))


def _resources_in(value: Value) -> set[Resource]:
    """Return the resources that a value refers to and that return only their own ARNs and names."""
    return {
        part.resource
        for part in value
        if isinstance(part, ReturnValue) and _RETURN_OWN_NAMES.match(part.resource.type)
    }
