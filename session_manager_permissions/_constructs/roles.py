"""Find the role that a user gives, attach a policy to it, and refuse one that can't be changed.

A role can't be changed in three cases. Its ARN is that of a service-linked role, or of one that AWS
reserves (`refuse_by_arn`). A stack of another account owns it (`_refuse_other_account`). Or CDK
leaves it out of the policy (`attach_or_refuse`), as it was imported with `mutable=False`, or by the
ARN of another account (`refuse_arn_of_other_account`). `operators` checks by itself whom it grants
permissions to.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from session_manager_permissions import _limits

from .checks import described
from .tokens import (
    DYNAMIC_REFERENCE,
    Environment,
    differ,
    is_name,
    is_token,
    known_property,
    parse_arn,
    resolved,
    resource_by_arn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_cdk.aws_eks import CfnNodegroup
    from aws_cdk.interfaces.aws_iam import IInstanceProfileRef, IRoleRef
    from constructs import Construct, IConstruct

_BY_NAME: Final = "iam.Role.from_role_name(scope, id, name)"


class Target(NamedTuple):
    """A role that a policy may be attached to."""

    role: iam.IRole
    key: object
    """Equal for the same role, however it is given: its name where that is known."""
    name: str = ""
    """The name by which a policy lists the role; empty if CDK is sure to attach to it."""
    cfn_role: iam.CfnRole | None = None
    """The L1 of a role of this app."""


def role_target(scope: Construct, role_id: str, role: IRoleRef, stack: cdk.Stack) -> Target:
    """Return the role as an L2; an L1 is imported as `role_id` below `scope`, which is in `stack`.

    Raises:
        TypeError: `role` is no IAM role.
        ValueError: it is known that its policies can't be changed from `stack`.
    """
    if isinstance(role, iam.Role):
        _refuse_other_account("role", role, stack)
        cfn_role = role.node.default_child  # none where `customize_roles` prevents its synthesis
        if not isinstance(cfn_role, iam.CfnRole):
            return Target(role=role, key=role.node.path)
        return Target(role=role, key=_key(cfn_role), cfn_role=cfn_role)
    if isinstance(role, iam.CfnRole):
        owner = role.node.scope
        if isinstance(owner, iam.Role) and role.node.id == "Resource":
            return role_target(scope, role_id, owner, stack)
        _refuse_other_account("role", role, stack)
        imported = iam.Role.from_role_name(scope, role_id, role.ref)
        return Target(role=imported, key=_key(role), cfn_role=role)
    arn: object = getattr(role, "role_arn", None)
    if not isinstance(arn, str) or not hasattr(role, "attach_inline_policy"):
        if isinstance(role, type) or not hasattr(role, "role_ref"):
            is_profile = hasattr(role, "instance_profile_ref")
            raise TypeError(
                f"role must be an IAM role, got {described(role)}: give "
                f"{'it as instance_profile' if is_profile else f'instance.role or {_BY_NAME}'}"
            )
        arn = role.role_ref.role_arn
        role = iam.Role.from_role_arn(scope, role_id, arn)
    imported = cast("iam.IRole", role)
    if not isinstance(role, iam.LazyRole):  # which is no import
        refuse_by_arn(arn, stack)
    parts = parse_arn(arn)
    name = imported.role_name if parts is None else parts.resource.rpartition("/")[2]
    given = arn if parts is None else name
    cfn_role = resource_by_arn(given, stack, iam.CfnRole)
    if cfn_role is None:
        return Target(role=imported, key=_referenced_key(given, stack), name=name)
    _refuse_other_account("role", cfn_role, stack)
    return Target(role=imported, key=_key(cfn_role), name=name, cfn_role=cfn_role)


def profile_target(
    scope: Construct, role_id: str, profile: IInstanceProfileRef, stack: cdk.Stack
) -> Target:
    """Return the role of an instance profile as an L2, imported as `role_id` if need be.

    Raises:
        TypeError: `profile` is no instance profile.
        ValueError: its role is not known, or can't be changed from `stack`.
    """
    if isinstance(profile, iam.CfnInstanceProfile):
        return _named_target(scope, role_id, profile, stack)
    if not any(hasattr(profile, f"instance_profile_{what}") for what in ("name", "ref")):
        is_role = hasattr(profile, "role_ref")
        raise TypeError(
            f"instance_profile must be an IAM instance profile, got {described(profile)}: "
            f"give {'it as role' if is_role else f'one by {_BY_PROFILE}, or role=instance.role'}"
        )
    role: iam.IRole | None = getattr(profile, "role", None)
    if role is None:
        raise ValueError(
            f"instance_profile {profile.node.path!r} was imported without its role, and only a "
            f"role can have policies: give it by {_BY_PROFILE}, or its role as role={_BY_NAME}"
        )
    return role_target(scope, role_id, role, stack)


_BY_PROFILE = (
    "lookup_instance_profile(scope, id, instance_profile_name=name) or "
    "iam.InstanceProfile.from_instance_profile_attributes(scope, id, "
    "instance_profile_arn=arn, role=role)"
)


def attach_or_refuse(policy: iam.Policy, target: Target, stack: cdk.Stack) -> None:
    """Attach `policy`, and refuse the role if the policy does not list it then.

    CDK has no property that says whether a role can be changed, and raises no error if it can't.

    The policy may omit the role in two cases: before the CLI has looked up the role, and for roles
    of `iam.Role.customize_roles`, whose report has the policy.

    Raises:
        ValueError: CDK can't attach policies to the role.
        RuntimeError: CDK's, for a role that has another policy of the same name.
    """
    role = target.role
    role.attach_inline_policy(policy)
    if not target.name:
        return
    cfn_policy = cast("iam.CfnPolicy", policy.node.default_child)
    found = stack.resolve({"name": target.name, "roles": cfn_policy.roles})
    if found["name"] in found.get("roles", ()) or is_lookup_dummy(role) or reports_only(role):
        return
    refuse_arn_of_other_account(role, stack)
    account = Environment.in_arn(role.role_arn).account or Environment.of(stack).account
    there = Environment.of(cdk.Stack.of(role)).account
    if differ(there, account):
        raise ValueError(
            f"role {role.node.path!r} was imported in a stack of account {there}, where CDK "
            f"attaches no policy to it: import it in a stack of account {account}"
        )
    raise ValueError(
        f"role {role.node.path!r} was imported with mutable=False, or comes from "
        "without_policy_updates(), so CDK can't attach a policy to it: give the role itself, or "
        "add session_manager_statements() where its policies are managed"
    )


def refuse_arn_of_other_account(role: iam.IRole, stack: cdk.Stack) -> None:
    """Refuse a role whose ARN is of another account than `stack`, as far as both are known."""
    account, here = Environment.in_arn(role.role_arn).account, Environment.of(stack).account
    if differ(account, here) and not is_lookup_dummy(role):
        raise ValueError(_other_account(f"role {role.role_arn!r}", account, here))


def inline_policy_names(cfn_role: iam.CfnRole) -> list[str]:
    """Return the names of the policies that the role is made with."""
    policies = known_property(cfn_role, "policies")
    known = policies if isinstance(policies, list) else ()
    return [one.policy_name for one in known if isinstance(one, iam.CfnRole.PolicyProperty)]


def condition_path(resource: cdk.CfnResource) -> str:
    """Return the path of the condition that it is deployed on; empty without one."""
    condition = resource.cfn_options.condition
    return "" if condition is None else condition.node.path


def roles_named(names: list[str], stack: cdk.Stack) -> list[iam.CfnRole]:
    """Return the roles that `stack` makes by these names, without those on a condition."""
    if not names:
        return []
    named = stack.resolve(names)
    return [
        role
        for role in cdk.ConstructSelector.resources_of_type("AWS::IAM::Role").select(stack)
        if isinstance(role, iam.CfnRole)
        and (name := role.role_name) is not None
        and (stack.resolve(name) if is_token(name) else name) in named
        and not condition_path(role)
    ]


def customizes_roles(scope: IConstruct) -> bool:
    """Tell whether `iam.Role.customize_roles` holds for `scope`.

    aws-cdk-lib/core/lib/helpers-internal/customize-roles.ts has the context key.
    """
    return scope.node.try_get_context("@aws-cdk/iam:customizeRoles") is not None


def reports_only(role: iam.IRole) -> bool:
    """Tell whether `iam.Role.customize_roles` keeps the role's policies to its report.

    The import below such a role tells it from an immutable role, which has the same interface.
    """
    if not customizes_roles(role):
        return False
    if isinstance(role, (iam.Role, iam.LazyRole)):
        return True
    scope = cast("IConstruct", role.node.scope)
    return scope.node.try_find_child(f"Import{role.node.id}") is not None


def is_lookup_dummy(role: iam.IRole) -> bool:
    """Tell whether this is what `iam.Role.from_lookup` gives until the CLI has looked the role up.

    A real role's ARN has no region (aws-cdk-lib/aws-iam/lib/role.ts, `fromLookup`).
    """
    dummy = r"arn:[^:]+:iam:[^:]+:123456789012:role/DUMMY_ARN"
    return re.fullmatch(dummy, role.role_arn) is not None


def _key(cfn_role: iam.CfnRole) -> str:
    """Return the role's name, which may be a token; without a name, return its reference."""
    return cfn_role.role_name or cfn_role.ref


def _referenced_key(name_or_arn: str, stack: cdk.Stack) -> str:
    """Return the key of a role that no construct stands for: its name or ARN if it is literal.

    CDK makes a new token of each `Fn::Sub` and `Fn::ImportValue`, so their key is what they
    resolve to. A `Ref` is its own key: two stacks may each have a resource of one logical id.
    """
    if not is_token(name_or_arn):
        return name_or_arn
    text = json.dumps(stack.resolve(name_or_arn))
    return name_or_arn if '"Ref"' in text or '"Fn::GetAtt"' in text else text


def _named_target(
    scope: Construct, role_id: str, profile: iam.CfnInstanceProfile, stack: cdk.Stack
) -> Target:
    """Return the role of an L1 profile: by its name, a `Ref`, or a list known at deployment."""
    names = role_names(profile)
    if cdk.Token.is_unresolved(names):
        _refuse_other_account("instance_profile", profile, stack)
        name = cdk.Fn.select(0, names)
        return Target(role=iam.Role.from_role_name(scope, role_id, name), key=names[0], name=name)
    if len(names) != 1:
        raise ValueError(
            f"instance_profile {profile.node.path!r} has {len(names)} roles: give it one role"
        )
    (name,) = names
    role = _role_of_app(profile, name)
    if role is None:
        _refuse_other_account("instance_profile", profile, stack)
        role = iam.Role.from_role_name(scope, role_id, name)
    return role_target(scope, role_id, role, stack)


def _role_of_app(resource: cdk.CfnResource, name_or_arn: str) -> iam.IRole | iam.CfnRole | None:
    """Return the role of an L1, if its maker was given it, or `name_or_arn` refers to it."""
    of_maker = role_of_maker(resource, name_or_arn)
    return of_maker or resource_by_arn(name_or_arn, resource, iam.CfnRole)


def role_of_maker(resource: cdk.CfnResource, name_or_arn: str) -> iam.IRole | None:
    """Return the role of the construct that `resource` was made in, if `resource` has that role.

    `ec2.Instance`, `AutoScalingGroup`, `LaunchTemplate`, the compute environments of AWS Batch and
    the node groups of EKS make an L1, which has only the name or the ARN of the role that they were
    given. The construct still has the role itself, which knows whether it may be changed.

    Args:
        resource: the L1.
        name_or_arn: what `resource` gives: the name of its role for a profile, else the ARN.
    """
    attribute = "role_name" if isinstance(resource, iam.CfnInstanceProfile) else "role_arn"
    maker = cast("IConstruct", resource.node.scope)
    of_maker = (role for role in roles_given_to(maker) if getattr(role, attribute) == name_or_arn)
    return next(of_maker, None)


def roles_given_to(maker: IConstruct) -> Iterator[iam.IRole]:
    """Yield the roles that the instances of a construct have, as L2: none of most constructs."""
    for property_name in ("role", "instance_role"):
        try:
            role = getattr(maker, property_name, None)
        except RuntimeError:  # an `AutoScalingGroup` whose launch template has no role
            continue
        if hasattr(role, "attach_inline_policy"):
            yield cast("iam.IRole", role)


def node_group_target(
    scope: Construct, role_id: str, node_group: CfnNodegroup, stack: cdk.Stack
) -> Target:
    """Return the role that an L1 node group of EKS has by its ARN, as an L2.

    Raises:
        ValueError: it is no role's ARN, or the role can't be changed from `stack`.
    """
    role = _role_of_app(node_group, node_group.node_role)
    if role is None:
        arn = resolved(node_group.node_role, stack)
        parts = parse_arn(arn)
        if not is_token(arn) if parts is None else "/" not in parts.resource:
            raise ValueError(
                f"node_role {arn!r} is not the ARN of a role: arn:…:iam::ACCOUNT:role/NAME"
            )
        role = iam.Role.from_role_arn(scope, role_id, arn)
    return role_target(scope, role_id, role, stack)


def compute_target(scope: Construct, role_id: str, compute: IConstruct, stack: cdk.Stack) -> Target:
    """Return the role of an instance profile or an L1 node group, as an L2.

    Raises:
        TypeError: CDK does not know what role the compute has.
        ValueError: the role is not known, or can't be changed from `stack`.
    """
    if is_node_group(compute):
        return node_group_target(scope, role_id, cast("CfnNodegroup", compute), stack)
    if type(compute) is cdk.CfnResource:
        raise TypeError(
            f"{compute.node.path!r} is a cdk.CfnResource, whose role CDK does not know: make it "
            "with iam.CfnInstanceProfile or eks.CfnNodegroup"
        )
    return profile_target(scope, role_id, cast("IInstanceProfileRef", compute), stack)


def is_node_group(construct: IConstruct) -> bool:
    """Tell whether it is an L1 node group of EKS, without loading `aws_eks`."""
    return hasattr(type(construct), "node_role")


def role_names(profile: iam.CfnInstanceProfile) -> list[str]:
    """Return the names of an L1 profile's roles, or tokens of them."""
    try:
        return profile.roles
    except RuntimeError:  # `CfnInclude` keeps a `Ref` to a list parameter as no list
        return cdk.Token.as_list(profile._cfn_properties["roles"])  # noqa: SLF001 - CDK's protected


def refuse_by_arn(arn: str, scope: IConstruct) -> None:
    """Refuse a role by its ARN, which `Role.from_role_arn` and `from_role_name` do not check.

    If the ARN is a token as a whole, only the path of a role of this app is known.

    Args:
        arn: the ARN.
        scope: a construct of the stack whose template has the ARN.

    Raises:
        ValueError: it is no role's ARN, or that of a role whose policies can't be changed.
    """
    parts = parse_arn(arn)
    if parts is None:
        _refuse_path(arn, scope)
        return
    kind, slash, path_and_name = parts.resource.partition("/")
    path, _, name = f"/{path_and_name}".rpartition("/")
    is_role = (parts.service, kind) == ("iam", "role") and _limits.is_path(f"{path}/")
    if not (is_role and is_name(parts.account, _limits.ACCOUNT)):
        raise ValueError(f"role {arn!r} is not the ARN of a role: arn:…:iam::ACCOUNT:role/NAME")
    if path_and_name.startswith("arn:"):
        raise ValueError(
            f"role is given by the name {path_and_name!r}, which is an ARN: give the name alone, "
            "or use iam.Role.from_role_arn(scope, id, arn)"
        )
    if path_and_name.startswith("aws-service-role/"):
        raise ValueError(
            f"role {arn!r} is a service-linked role, whose policies can't be changed: give a role "
            "of your own"
        )
    if path_and_name.startswith("aws-reserved/"):
        raise ValueError(
            f"role {arn!r} is reserved by AWS, and only AWS can change it: change the permission "
            "set in IAM Identity Center"
        )
    if DYNAMIC_REFERENCE in path_and_name:
        raise ValueError(
            f"role is given by the dynamic reference {path_and_name!r}, in which CDK reads a / as "
            "the end of a path: give its value as a token, such as "
            "ssm.StringParameter.value_for_string_parameter(scope, parameter)"
        )
    # `customize_roles` makes an ARN without a name.
    if slash and not is_name(name, _limits.ROLE):
        raise ValueError(
            f"role {arn!r} has the name {name!r}, which no role can have: {_limits.ROLE.rule}"
        )


def _refuse_path(arn: str, scope: IConstruct) -> None:
    """Refuse a role of this app that is imported by its ARN, if its ARN has a path.

    CDK takes the first part of the path for the name: aws-cdk-lib/aws-iam/lib/role.ts,
    `fromRoleArn`.
    """
    role = resource_by_arn(arn, scope, iam.CfnRole) or _exported_role(arn, cdk.Stack.of(scope))
    path = known_path(role)
    if role and path:
        raise ValueError(
            f"role is imported by the ARN of {role.node.path!r}, and CDK takes a part of its path "
            f"{path!r} for the name: give the role itself"
        )


def _exported_role(arn: str, stack: cdk.Stack) -> iam.CfnRole | None:
    """Return the role whose ARN a stack of this stage exports, if `Fn::ImportValue` imports it."""
    match stack.resolve(arn):
        case {"Fn::ImportValue": str(name)}:
            here = Environment.of(stack)
            for node in cast("cdk.Stage", cdk.Stage.of(stack)).node.find_all():
                if not isinstance(node, cdk.CfnOutput) or node.export_name != name:
                    continue
                if Environment.of(node.stack) == here:
                    # `CfnInclude` keeps a value that is a function, and not as a string
                    return resource_by_arn(cdk.Token.as_string(node.value), node, iam.CfnRole)
    return None


def known_path(made: cdk.CfnResource | None) -> str:
    """Return the path of a role, a group or a user; empty if it is `/` or not known."""
    path: str | None = getattr(made, "path", None)
    return "" if path is None or path == "/" or is_token(path) else path


def _refuse_other_account(
    argument: str, owned: IRoleRef | IInstanceProfileRef, stack: cdk.Stack
) -> None:
    """Refuse what a stack of another account owns: CDK would attach to the bare name here."""
    owner = cdk.Stack.of(owned)
    if owner is stack:
        return
    account, here = Environment.of(owner).account, Environment.of(stack).account
    if differ(account, here):
        raise ValueError(_other_account(f"{argument} {owned.node.path!r}", account, here))


def _other_account(what: str, account: str | None, here: str | None) -> str:
    return (
        f"{what} belongs to account {account}, and this stack deploys to {here}, from where it "
        f"can't be changed: change it from a stack of account {account}, with its credentials"
    )
