"""Grants to operators on instances with tags that no compute of the app has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._readiness.policies import is_about
from session_manager_permissions._readiness.templates.functions import (
    UNKNOWN,
    entries,
    listed,
    mapping,
)
from session_manager_permissions._readiness.templates.loading import as_document

from .constructs import Source
from .remedies import Advice, Fix, Writer
from .rule import Finding, warning
from .writer import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.compute import Launchers
    from session_manager_permissions._readiness.parts import Parts
    from session_manager_permissions._readiness.roles import Roles
    from session_manager_permissions._readiness.templates.model import Resource

    from .python import Code

TAGS_MATCH_NOTHING: Final = warning(
    "tags-match-nothing",
    "`instance_tags` of a grant to operators that no compute of the app has",
    "the policy of the grant",
)
RULES: Final = (TAGS_MATCH_NOTHING,)

_START: Final = ("ssm:StartSession",)
_TAG: Final = "ssm:resourcetag/"
"""The prefix of the condition keys of tags, in lower case, as IAM ignores the case of keys."""
_NOT_OF_APP: Final = re.compile(
    r"(?i)(aws|eks|elasticbeanstalk):|([\w.-]*\.)?(k8s|karpenter|kubernetes)\.\w+/|AmazonECSManaged$"
)
"""Matches the beginnings of tag keys that AWS, Kubernetes or Karpenter gives to instances."""
_MAKES_TAGS: Final = re.compile(rb"create[-_]?tags|new-ec2tag")
"""Matches the call that tags instances, in a script, in code or in a policy."""
_POLICIES: Final = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
_GROUP: Final = "AWS::AutoScaling::AutoScalingGroup"
_TAGGED: Final = ("AWS::EC2::Instance", _GROUP)
"""The types of compute that pass their own tags to the instances."""
_READ: Final = (*_TAGGED, "AWS::EKS::Nodegroup")
"""The types of compute whose instance tags are known, together with those of launch templates."""


def of_grants(parts: Parts, roles: Roles, launchers: Launchers) -> Iterator[Finding]:
    """Find tags of grants that no compute has. Compute also gets the tags of its stack."""
    grants = [
        (policy.resource, key, values)
        for policy in roles.policies
        if policy.resource.type in _POLICIES
        and policy.may_be_about(_START)
        and policy.resource.exists
        for key, values in _required_tags(parts, policy.resource)
    ]
    if not grants or parts.mention(_MAKES_TAGS):
        return
    compute = [one for one in (*launchers.resources, *launchers.stacks) if one.exists]
    if not compute or any(_may_have_others(parts, one) for one in compute):
        return
    tags = [tag for one in compute for tag in _tags(parts, one)]
    tags += [tag for one in launchers.templates if one.exists for tag in _template_tags(parts, one)]
    for policy, key, values in grants:
        may_be_it = (
            (UNKNOWN in name or name == key.lower()) and (UNKNOWN in value or value in values)
            for name, value in tags
        )
        if not any(may_be_it):
            why = f"the grant allows sessions on instances whose tag {key!r} is "
            why += f"{' or '.join(map(repr, values))}, and no compute of the app has this tag"
            fix = _fix(policy, compute, {name for name, _ in tags}, Tag(compute[0], key, values[0]))
            yield TAGS_MATCH_NOTHING.found(policy, "Properties.PolicyDocument", why, fix)


def _may_have_others(parts: Parts, compute: Resource) -> bool:
    """Tell whether the instances may have tags that their resources and templates do not show."""
    is_read = compute.type in _READ and not compute.template.stack.tagged
    return not is_read or parts.changed(compute) is not None


def _required_tags(parts: Parts, policy: Resource) -> Iterator[tuple[str, list[str]]]:
    """Yield each tag that a grant requires, with its values, if they are known.

    Grants on hybrid nodes are left out, as no template contains hybrid nodes.
    """
    document = mapping(as_document(policy.properties.get("PolicyDocument")))
    for statement in entries(document.get("Statement")):
        effect = parts.text(policy, statement.get("Effect"))
        of_nodes = ":managed-instance/" in str(statement.get("Resource"))
        if is_about(statement, _START) and effect == "Allow" and not of_nodes:
            condition = mapping(statement.get("Condition"))
            for name, asked in mapping(condition.get("StringEquals")).items():
                values = [parts.text(policy, one) for one in listed(asked)]
                # The value of a policy variable is known only when a request is made.
                is_known = values and not any(UNKNOWN in one or "${" in one for one in values)
                prefix, key = name[: len(_TAG)], name[len(_TAG) :]
                if is_known and prefix.lower() == _TAG and not _NOT_OF_APP.match(key):
                    yield key, values


def _tags(parts: Parts, compute: Resource) -> Iterator[tuple[str, str]]:
    """Yield the tags of compute, and of the nested stacks that contain it."""
    if compute.type == "AWS::EKS::Nodegroup":
        return  # its own tags are not passed to its instances
    if compute.template.nested_as is not None:
        yield from _tags(parts, compute.template.nested_as)
    for entry in entries(compute.properties.get("Tags")):
        if compute.type != _GROUP or parts.text(compute, entry.get("PropagateAtLaunch")) != "false":
            yield _tag(parts, compute, entry)


def _template_tags(parts: Parts, template: Resource) -> Iterator[tuple[str, str]]:
    data = mapping(template.properties.get("LaunchTemplateData"))
    for entry in entries(data.get("TagSpecifications")):
        if parts.text(template, entry.get("ResourceType")) in {"instance", UNKNOWN}:
            yield from (_tag(parts, template, tag) for tag in entries(entry.get("Tags", UNKNOWN)))


def _tag(parts: Parts, owner: Resource, tag: dict[str, Any]) -> tuple[str, str]:
    """Return the key and the value of a tag. The key is in lower case, as IAM ignores its case."""
    return parts.text(owner, tag.get("Key")).lower(), parts.text(owner, tag.get("Value"))


# Fixes -------------------------------------------------------------------------------------------


def _fix(policy: Resource, compute: list[Resource], tagged: set[str], tag: Tag) -> Fix:
    """Return the fix that tags the compute, or advice if it is not clear which compute is meant."""
    if len(compute) == 1 and compute[0].type in _TAGGED and tag.key.lower() not in tagged:
        return tag
    named = f"in {policy.logical_id!r}, name a tag of the compute, or give the compute the tag "
    return Advice(f"{named}{tag.key!r} with value {tag.value!r}")


@dataclass(frozen=True)
class Tag(Fix):
    """Gives an instance, or the instances of a group, the tag."""

    compute: Resource
    key: str
    value: str

    def in_python(self, code: Code) -> None:
        """Write the tag as code if the construct writes all tags of the compute."""
        if code.constructs.source(self.compute, "Tags") != Source.CONSTRUCT:
            self.apply(code)
            return
        given = f"{code.literal(self.key)}, {code.literal(self.value)}"
        code.add(f"{code.core('Tags')}.of({code.l1(self.compute)}).add({given})")

    def apply(self, to: Writer) -> None:
        """Add the tag."""
        tag: dict[str, object] = {"Key": self.key, "Value": self.value}
        if self.compute.type == _GROUP:
            tag["PropagateAtLaunch"] = True
        # A group may have a tag with this key that is not propagated, and can't have a second one.
        there = [one.get("Key") for one in entries(written(self.compute, "Tags"))]
        if self.key in there or not to.append(self.compute, "Tags", tag):
            to.say(f"give {self.compute.logical_id} the tag {to.literal(tag)}")
