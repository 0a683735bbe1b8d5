"""Templates: what CloudFormation makes of them, and templates that an app includes."""

import json
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk.cloudformation_include import CfnInclude, CfnIncludeProps, IncludedNestedStack
from constructs import Construct

from .places import ACCOUNT, REGION


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


PSEUDO: Final = {"AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::Region": REGION}


def deployed(value: Any, **parameters: str) -> Any:  # noqa: ANN401
    """What CloudFormation makes of the functions in `value`.

    Args:
        value: a part of a template.
        parameters: the values of parameters, and of references to resources.
    """
    known = PSEUDO | parameters
    match value:
        case {"Ref": name} | {"Fn::GetAtt": [name, "Arn"]} if name in known:
            value = known[name]
        case {"Fn::Join": [separator, parts]}:
            value = separator.join(deployed(part, **parameters) for part in parts)
        case {"Fn::Split": [separator, text]}:
            value = deployed(text, **parameters).split(separator)
        case {"Fn::Select": [index, parts]}:
            value = deployed(parts, **parameters)[int(index)]
        case dict():
            value = {name: deployed(part, **parameters) for name, part in value.items()}
        case list():
            value = [deployed(part, **parameters) for part in value]
    return value


def in_partition(*rest: object) -> dict[str, Any]:
    """An ARN in the partition of the deployment."""
    return {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, *rest]]}


ALL_KEYS_HERE: Final = in_partition(
    ":kms:", {"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}, ":key/*"
)


def parameter(scope: Construct, name: str = "Given") -> str:
    return cdk.CfnParameter(scope, name).value_as_string


def names_of_a_parameter(scope: Construct) -> list[str]:
    return cdk.CfnParameter(scope, "Names", type="CommaDelimitedList").value_as_list


def resource(kind: str, **properties: object) -> dict[str, Any]:
    """A resource as a template has it."""
    return {"Type": kind, "Properties": properties}


def include(scope: Construct, folder: Path, **sections: object) -> CfnInclude:
    """Include a template of these sections, which is written into the folder."""
    path = folder / "template.json"
    path.write_text(json.dumps(sections), encoding="utf-8")
    return CfnInclude(scope, "Included", template_file=str(path))


def include_profile(scope: Construct, folder: Path, roles: object) -> CfnInclude:
    """A template from outside CDK, with a role and two profiles whose `Roles` are `roles`."""
    profile = resource("AWS::IAM::InstanceProfile", Roles=roles)
    own = {"PolicyName": "Own", "PolicyDocument": {}}
    policies = [{"Fn::If": ["Wanted", own, {"Ref": "AWS::NoValue"}]}]
    return include(
        scope,
        folder,
        Parameters={"Name": {"Type": "String"}, "Names": {"Type": "CommaDelimitedList"}},
        Conditions={"Wanted": {"Fn::Equals": [{"Ref": "Name"}, "yes"]}},
        Resources={
            "Role": resource("AWS::IAM::Role", AssumeRolePolicyDocument={}, Policies=policies),
            "Profile": profile,
            "Twin": profile,
        },
    )


def include_nested(stack: cdk.Stack, inner: Path) -> IncludedNestedStack:
    """Include a template that has this one for a nested stack."""
    body = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "inner"}}
    outer = inner.with_name("outer.json")
    outer.write_text(json.dumps({"Resources": {"Nested": body}}), encoding="utf-8")
    loaded = {"Nested": CfnIncludeProps(template_file=str(inner))}
    included = CfnInclude(stack, "Outer", template_file=str(outer), load_nested_stacks=loaded)
    return included.get_nested_stack("Nested")
