"""The parts of templates: stacks, resources, and the values that refer to them."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from session_manager_permissions._partitions import partition_of

from . import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator
    from pathlib import Path

    from session_manager_permissions._partitions import Partition


class Stack(NamedTuple):
    """A stack of the app, as the manifest describes it."""

    name: str = ""
    account: str | None = None
    """Its account; None if it is only known at deployment."""
    region: str | None = None
    """Its region; None if it is only known at deployment."""
    tagged: bool = False
    """Whether it has tags, which CloudFormation gives to its resources."""
    stage: str = ""
    """The folder of its stage; empty for a template without a manifest."""

    @property
    def environment(self) -> tuple[str | None, str | None]:
        """Its account and its region."""
        return self.account, self.region

    @property
    def partition(self) -> Partition | None:
        """The partition of its region; None where it is not known."""
        return partition_of(self.region) if self.region else None


OF_IAM: Final = {"AWS::IAM::InstanceProfile": "instance-profile", "AWS::IAM::Role": "role"}
"""The IAM types whose `Ref` is a name, each with its name in ARNs."""
_IAM: Final = "arn:${AWS::Partition}:iam::${AWS::AccountId}"
_HERE: Final = "${AWS::Region}:${AWS::AccountId}"
ARNS: Final = {
    **{one: f"{_IAM}:{kind}${{Path}}${{Name}}" for one, kind in OF_IAM.items()},
    "AWS::KMS::Alias": f"arn:${{AWS::Partition}}:kms:{_HERE}:${{Name}}",
    "AWS::KMS::Key": f"arn:${{AWS::Partition}}:kms:{_HERE}:key/${{Name}}",
    "AWS::KMS::ReplicaKey": f"arn:${{AWS::Partition}}:kms:{_HERE}:key/${{Name}}",
    "AWS::Logs::LogGroup": f"arn:${{AWS::Partition}}:logs:{_HERE}:log-group:${{Name}}:*",
    "AWS::S3::Bucket": "arn:${AWS::Partition}:s3:::${Name}",
}
"""The ARNs of these types, by the name that `Ref` returns."""

NAMED_BY: Final = {
    "AWS::AutoScaling::LaunchConfiguration": "LaunchConfigurationName",
    "AWS::EC2::LaunchTemplate": "LaunchTemplateName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::EKS::Cluster": "Name",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
}
"""The property that names a resource of these types."""


class ReturnValue(NamedTuple):
    """A value that AWS gives a resource: that of `Ref`, or an attribute of `Fn::GetAtt`."""

    resource: Resource
    attribute: str = ""


class Unresolved(NamedTuple):
    """A value that is only known at deployment. Equal instances have the same value."""

    scope: Hashable
    """The part of the app in which `expression` has one value: a template, or an environment."""
    expression: Hashable = ""
    """The expression that the template has instead of the value."""
    allowed: frozenset[str] | None = None
    """All values that it can have, as a parameter with `AllowedValues` does; None if any."""

    @property
    def default(self) -> str | None:
        """The default value, if it is a parameter that has one."""
        default = self._parameter.get("Default")
        return None if default is None else str(default)

    @property
    def may_be_empty(self) -> bool:
        """Whether it may be an empty text. A number, an id or a pseudo parameter can't be empty."""
        # A pseudo parameter has no type. Its name begins with `AWS::`, as the types of ids do.
        type_ = str(self._parameter.get("Type", self.expression))
        has_no_minimum = str(self._parameter.get("MinLength", "0")) == "0"
        return has_no_minimum and not type_.startswith(("AWS::", "Number"))

    @property
    def _parameter(self) -> dict[str, Any]:
        parameters = self.scope.parameters if isinstance(self.scope, Template) else {}
        return functions.mapping(parameters.get(str(self.expression)))


Value: TypeAlias = "tuple[str | ReturnValue | Unresolved, ...]"
"""A text in parts. No part is empty, and no two strings are next to each other."""


def merged(parts: Iterable[str | ReturnValue | Unresolved]) -> Value:
    """Return parts as one value: without empty texts, and with one text for several in a row."""
    found: list[str | ReturnValue | Unresolved] = []
    for is_text, several in groupby(parts, lambda part: isinstance(part, str)):
        group = [*several]
        found += filter(None, ["".join(map(str, group))]) if is_text else group
    return tuple(found)


def name_in(arn: Value) -> Value:
    """Return the name at the end of an ARN, without a path; return a name as it is."""
    for place, part in reversed([*enumerate(arn)]):
        if isinstance(part, str) and "/" in part:
            last = part.rpartition("/")[2]
            return (*([last] if last else []), *arn[place + 1 :])
    return arn


def referred(value: Value) -> Resource | None:
    """Return the resource to which a value refers, even if only the end of an ARN does."""
    match value:
        case (ReturnValue(resource, _),):
            return resource
        case (str(start), *_, ReturnValue(resource, "")) if start.startswith("arn:"):
            return resource
    return None


def reference_to(value: Value, *types: str) -> Resource | None:
    """Return the resource whose `Ref` the value is, if the resource has one of these types."""
    match value:
        case (ReturnValue(resource, ""),) if resource.type in types:
            return resource
    return None


_LIST: Final = re.compile("^CommaDelimitedList$|List<")
"""The types of parameters whose value is a list."""


class Template:
    """A synthesized template. The template of a nested stack knows the resource that deploys it."""

    def __init__(
        self, path: Path, body: dict[str, Any], stack: Stack, nested_as: Resource | None = None
    ) -> None:
        self.path = path
        self.content = b""
        """The content of its file."""
        self.has_choices = True
        """Whether a property in it may have another value in another world."""
        self.stack = stack
        """The stack that is deployed; for a nested stack, the top-level stack around it."""
        self.nested_as = nested_as
        self.top: Template = nested_as.template.top if nested_as else self
        """The template of the stack that is deployed."""
        self.depth: int = nested_as.template.depth + 1 if nested_as else 0
        self.holds: Callable[[object], bool] = bool
        """Tells whether a condition of the template holds in the world that is judged."""
        self.entries: Callable[[object], list[Any] | None] = lambda _: None
        """Returns the entries of a list that a function makes, as `Decided` says."""
        self.value: Callable[[object], Value] = lambda _: ()
        """Returns the value of an expression in the template, as `Assembly.value` does."""
        self.conditions = functions.mapping(body.get("Conditions"))
        self.parameters = functions.mapping(body.get("Parameters"))
        self.lists = frozenset(
            name
            for name, parameter in self.parameters.items()
            if _LIST.search(functions.text(functions.mapping(parameter).get("Type", "")))
        )
        """The parameters whose value is a list."""
        self.outputs = functions.mapping(body.get("Outputs"))
        self.mappings = functions.mapping(body.get("Mappings"))
        self.nested: dict[str, Template] = {}
        entries = functions.mapping(body.get("Resources"))
        self.made_later = {
            name: entry
            for name, entry in entries.items()
            if not (isinstance(entry, dict) and "Type" in entry)
            and (name.startswith("Fn::") or functions.maker_in(functions.mapping(entry)))
        }
        """The entries that CloudFormation turns into resources: `Fn::ForEach`, `Fn::Transform`."""
        self.resources = {
            logical_id: Resource(self, logical_id, entry)
            for logical_id, entry in entries.items()
            if isinstance(entry, dict) and logical_id not in self.made_later
        }
        shared = functions.mapping(body.get("Globals"))  # SAM adds properties by these
        for kind, given in shared.items():
            for one in self.resources.values():
                if one.type == f"AWS::Serverless::{kind}":
                    one.written = {**one.written, "Globals": given}
        self.types_made = {
            name: frozenset(_types_made(name, entry)) for name, entry in self.made_later.items()
        }
        """The resource types that each entry of `made_later` makes; `UNKNOWN` is any type."""
        written = functions.listed([body.get("Transform"), body.get(functions.MACRO)])
        macros = [functions.text(functions.mapping(one).get("Name", one)) for one in written]
        self.transforms = [name for name in macros if not _HARMLESS_TRANSFORMS.fullmatch(name)]
        """The macros that may change the template in any way."""

    def has(self, condition: object) -> bool:
        """Tell whether the world has the stack, and a part of it with this condition, or none."""
        if self.nested_as is not None and not self.nested_as.exists:
            return False
        return condition is None or self.holds(condition)

    def may_make_list(self, expression: object) -> bool:
        """Tell whether an expression is a function that may make a list."""
        function, argument = functions.intrinsic(expression)
        is_list = function == "Ref" and argument in self.lists
        return is_list or function in {"Fn::FindInMap", "Fn::Split"}

    def may_vary(self, value: dict[str, Any]) -> bool:
        """Tell whether a mapping is a function that may choose a value, or make a list."""
        return functions.is_function(value) and (
            "Fn::If" in value
            or value == functions.NO_VALUE
            or self.may_make_list(value)
            or bool(functions.maker_in(value))
        )

    @property
    def makers(self) -> list[str]:
        """The loops and the macros that may make resources which the check judges."""
        return [name for name, types in self.types_made.items() if not all(map(APART.match, types))]

    @cached_property
    def disclosed(self) -> frozenset[Resource]:
        """The resources whose generated names another template may be able to read.

        A template reads them from an output, from its parameters, or from a resource that stores
        a value, such as an SSM parameter. It can't read them from resources of these services.
        """
        found = self.mentioned_in([self.outputs, self.made_later])
        for resource in self.resources.values():
            if not _NEVER_STORE.match(resource.type):
                found += resource.mentions
        return frozenset(found)

    def mentioned_in(self, value: object) -> list[Resource]:
        """Return the resources that a part of the template refers to or depends on."""
        return [
            self.resources[mentioned]
            for one in functions.mappings_in(value)
            for name, entry in one.items()
            if name in {"DependsOn", "Fn::GetAtt", "Fn::Sub", "Ref"}
            for mentioned in _mentioned(name, entry)
            if mentioned in self.resources
        ]


APART: Final = re.compile(
    r"AWS::(ApiGateway(V2)?|AppSync|ApplicationAutoScaling|Backup(?!::Restore)|CertificateManager|"
    r"CloudFront|CloudTrail|CloudWatch|CodeBuild|Cognito|DynamoDB|ECR|EFS|ElastiCache|"
    r"ElasticLoadBalancing(V2)?|Events|IAM|KMS|Kinesis(Analytics(V2)?|Firehose|Video)?|Lambda|Logs|"
    r"S3|SNS|SQS|SSM::Parameter|SecretsManager|Serverless::(Function|StateMachine)|StepFunctions|"
    r"WAFv2)\b"
)
"""Types whose resources launch no instances and are not a part of a network."""

_NEVER_STORE: Final = re.compile(
    r"AWS::(AutoScaling|EC2|ECS::TaskDefinition|EKS::(Cluster|Nodegroup)|IAM|KMS|S3)\b"
)
"""Services and types whose resources don't return a role's name by `Ref` or `Fn::GetAtt`."""

LABELS: Final = ("AssociationName", "Description", "EventPattern", "Tags", "VersionDescription")
"""The properties that only describe a resource, or the events that it waits for."""

_HARMLESS_TRANSFORMS: Final = re.compile(
    "AWS::(CodeDeployBlueGreen|LanguageExtensions|SecretsManager-(2020-07-23|2024-09-16)|"
    "Serverless-2016-10-31)"
)
"""Transforms that do not change the resources of IAM and EC2."""


class Resource:
    """One resource of a template."""

    def __init__(self, template: Template, logical_id: str, body: dict[str, Any]) -> None:
        self.template = template
        self.logical_id = logical_id
        self.body = body
        self.written = functions.mapping(body.get("Properties"))
        """Its properties as the template has them."""
        type_ = body.get("Type")
        self.type = type_ if type(type_) is str else functions.UNKNOWN
        self.condition = body.get("Condition")

    @property
    def properties(self) -> dict[str, Any]:
        """Its properties, as they are deployed in the world that is judged."""
        return self._deployed if self.template.has_choices else self.written

    @property
    def arn(self) -> Value:
        """The ARN of a resource whose type is in `ARNS`. The value of its `Ref` is a part of it."""
        given = {"Path": self.properties.get("Path", "/"), "Name": {"Ref": self.logical_id}}
        return self.template.value({"Fn::Sub": [ARNS[self.type], given]})

    @property
    def acting(self) -> dict[str, Any]:
        """Its properties as the template has them, without those that only describe it."""
        return {name: one for name, one in self.written.items() if name not in LABELS}

    @cached_property
    def _deployed(self) -> dict[str, Any]:
        maker = functions.maker_in(self.body)
        if maker or any(map(self.template.may_vary, functions.mappings_in(self.written))):
            return functions.Deployed(self.written | maker, self.template)
        return self.written

    @property
    def exists(self) -> bool:
        """Whether it exists in the world that is judged, by its condition and its stack's."""
        return self.template.has(self.condition)

    @property
    def path(self) -> str:
        """The path of its construct; empty if the template does not contain the path."""
        match self.body:
            case {"Metadata": {"aws:cdk:path": str(path)}}:
                return path
        return ""

    @cached_property
    def mentions(self) -> list[Resource]:
        """The resources of its template that it refers to or depends on."""
        return self.template.mentioned_in(self.body)

    @cached_property
    def waits_for(self) -> set[Resource]:
        """The resources of its template that CloudFormation creates before it."""
        found: set[Resource] = set()
        left = [self]
        while left:
            new = {*left.pop().mentions} - found
            found |= new
            left += new
        return found


def _types_made(name: str, entry: object) -> Iterator[str]:
    """Yield the resource types that an entry or a loop makes; `UNKNOWN` stands for any type."""
    if not name.startswith("Fn::ForEach::"):
        type_ = functions.text(functions.mapping(entry).get("Type"))
        yield functions.UNKNOWN if "{" in type_ else type_
        return
    fragments = functions.mapping(entry[-1] if isinstance(entry, list) and entry else None)
    # In AWS's own templates, a loop within a loop may have an empty entry beside it.
    made = [one for one in fragments.items() if one[1] is not None]
    for fragment in made or [("", None)]:
        yield from _types_made(*fragment)


def _mentioned(name: str, entry: object) -> list[str]:
    """Return the logical ids in the argument of a function or in `DependsOn`, and other names."""
    match name, entry:
        case "Fn::Sub", str(pattern) | [str(pattern), *_]:
            return re.findall(r"\$\{([^}.!]+)", pattern)
        case _, str(found):
            return [found.partition(".")[0]]
        case _, [*names]:
            return [found for found in names if isinstance(found, str)]
    return []


def may_be_equal(one: str | None, other: str | None) -> bool:
    """Tell whether two accounts, or two regions, may be the same. None stands for any."""
    return one is None or other is None or one == other
