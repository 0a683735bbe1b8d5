"""Can Session Manager reach an instance under each profile of the app? Asked at synthesis."""

from __future__ import annotations

import re
from collections import Counter
from importlib import metadata
from typing import TYPE_CHECKING, Final, NamedTuple

import aws_cdk as cdk
import jsii

from session_manager_permissions import _needs
from session_manager_permissions._constructs.checks import refuse_wrong_type

from .policies import Answer, Decision, Statement, decide, within
from .roles import Policy, Profiles, Role
from .templates import Assembly, Resource, listed, shown, text

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANNEL_MISSING: Final = "channel-missing"
REGISTRATION_MISSING: Final = "registration-missing"
EXPLICIT_DENY: Final = "explicit-deny"
POLICIES_TOO_LONG: Final = "inline-policies-too-long"
REFUSED_POLICY: Final = "refused-policy"
CANNOT_BE_KNOWN: Final = "cannot-be-known"
KEY_NOT_BY_ARN: Final = "key-not-by-arn"
DECRYPT_ON_ALL_KEYS: Final = "decrypt-on-all-keys"
DEPRECATED_POLICY: Final = "deprecated-policy"
BOOT_ORDER: Final = "boot-order"

_NOT_READY: Final = (
    CHANNEL_MISSING,
    REGISTRATION_MISSING,
    EXPLICIT_DENY,
    POLICIES_TOO_LONG,
    REFUSED_POLICY,
)
_RULES: Final = (
    *_NOT_READY,
    KEY_NOT_BY_ARN,
    DECRYPT_ON_ALL_KEYS,
    DEPRECATED_POLICY,
    BOOT_ORDER,
    CANNOT_BE_KNOWN,
)


@jsii.implements(cdk.IPolicyValidationPlugin)
class SessionManagerReadiness:
    """Tells at synthesis which instance profiles Session Manager can't reach, why, and the remedy.

    A policy validation plug-in, for an app or a stage:
    `cdk.Validations.of(app).add_plugins(SessionManagerReadiness())`.

    For every `AWS::IAM::InstanceProfile` in the templates, those of nested stacks too, it reads the
    policies of the role behind it: the role's own, `AWS::IAM::Policy`, `AWS::IAM::RolePolicy`,
    `AWS::IAM::ManagedPolicy`, the AWS managed policies whose content is known, and the permissions
    boundary. A profile is *ready* if they allow the four channel actions and the registration, and
    then there is nothing to report; *not ready* if one of them is denied; and it *can't be known*
    where something decides that no template has, such as a role of another app, a condition, or a
    policy given by its ARN. What others attach to the role, service control policies, the network
    and the agent are not looked at.

    | rule | severity | reported on | what it finds |
    |---|---|---|---|
    | `channel-missing` | warning; error if strict | the profile | a `ssmmessages` channel action \
that no policy allows, or the permissions boundary does not |
    | `registration-missing` | warning; error if strict | the profile | the same of \
`ssm:UpdateInstanceInformation`, which Default Host Management Configuration can stand in for |
    | `explicit-deny` | warning; error if strict | the profile | a `Deny` of one of these actions |
    | `inline-policies-too-long` | warning; error if strict | the profile | inline policies of its \
role with more than 10,240 characters, which IAM refuses |
    | `refused-policy` | warning; error if strict | the profile | a policy of its role that breaks \
the grammar of IAM policies, so that the deployment fails |
    | `key-not-by-arn` | warning | the policy | `kms:Decrypt` on an alias or a bare key id, which \
grants nothing |
    | `decrypt-on-all-keys` | warning | the policy | `kms:Decrypt` on every key, unconditionally |
    | `deprecated-policy` | warning | the role | `AmazonEC2RoleforSSM` |
    | `boot-order` | warning | the instance | an instance that may boot before its role has the \
policy of a `SessionManagerPermissions` |
    | `cannot-be-known` | info | the profile | what decides is known after the deployment only |

    Each finding can be acknowledged, on the construct that it is reported on or on one above it, by
    the name of the check and the rule, as the CLI prints it:
    `cdk.Validations.of(profile).acknowledge(cdk.Acknowledgment(
    id="SessionManagerReadiness::registration-missing", reason="…"))`.

    What is needed:
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
    Default Host Management Configuration:
    https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-default-host-management-configuration.html
    What allows and denies:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    The grammar of policies:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    The length of policies:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    Keys in policies:
    https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html
    The deprecated policy:
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEC2RoleforSSM.html
    The order of resources:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-dependson.html
    """

    def __init__(self, *, strict: bool = False) -> None:
        """Report, and fail the synthesis if asked to.

        Args:
            strict: whether a profile that is not ready fails the synthesis; one that can't be known
                does not. Default: - False: findings are reported, as not every profile is meant for
                Session Manager.

        Raises:
            TypeError: `strict` is no bool.
        """
        refuse_wrong_type("strict", strict, bool)
        self._strict = strict

    @property
    def name(self) -> str:
        """What the report calls the check, and what precedes `::` in the id of a finding."""
        return "SessionManagerReadiness"

    @property
    def version(self) -> str | None:
        """The version of the package, None where it is not installed as one."""
        try:
            return metadata.version("session-manager-permissions")
        except metadata.PackageNotFoundError:
            return None

    @property
    def rule_ids(self) -> list[str]:
        """The ids of the rules, without the name of the check."""
        return list(_RULES)

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        """Called by CDK at the end of synthesis.

        Args:
            context: what was synthesized; its `template_paths` are read, each once.

        Returns:
            The findings, and in `metadata` how many profiles are ready, not ready, or can't be
            known.
        """
        findings, verdicts = _check(Assembly(context.template_paths))
        return cdk.PolicyValidationPluginReport(
            success=not (self._strict and verdicts["not ready"]),
            violations=[self._violation(finding) for finding in findings],
            metadata={verdict: str(verdicts[verdict]) for verdict in _VERDICTS},
        )

    def _violation(self, finding: _Finding) -> cdk.PolicyViolation:
        # Once a finding is acknowledged, CDK goes by the severities of the others alone.
        severity = "error" if self._strict and finding.rule in _NOT_READY else "warning"
        return cdk.PolicyViolation(
            rule_name=finding.rule,
            description=finding.description,
            severity="info" if finding.rule == CANNOT_BE_KNOWN else severity,
            fix=finding.fix,
            violating_resources=[
                cdk.PolicyViolatingResource(
                    resource_logical_id=finding.resource.logical_id,
                    template_path=str(finding.resource.template.path),
                    locations=[finding.location],
                )
            ],
        )


_VERDICTS: Final = ("ready", "not ready", "can't be known")


class _Finding(NamedTuple):
    rule: str
    resource: Resource
    location: str
    description: str
    fix: str


def _check(assembly: Assembly) -> tuple[list[_Finding], Counter[str]]:
    """What there is to report, and how many profiles are ready, not ready, and can't be known."""
    index = Profiles(assembly)
    roles = {profile: index.role(profile) for profile in index.profiles}
    findings: list[_Finding] = []
    verdicts: Counter[str] = Counter()
    for profile, role in roles.items():
        found = [*_of_profile(profile, role)]
        findings += found
        verdicts[_verdict(found)] += 1
    for role in dict.fromkeys(roles.values()):
        findings += _of_role(role)
    policies = (policy for role in roles.values() for policy, _ in (*role.inline, *role.managed))
    for policy in dict.fromkeys(policies):
        findings += dict.fromkeys(_of_policy(policy))
    for instance in index.instances:
        behind = index.of_instance(instance)
        if behind is not None:
            findings += _of_instance(instance, roles[behind])
    return findings, verdicts


def _verdict(found: list[_Finding]) -> str:
    if not found:
        return "ready"
    return "can't be known" if found[0].rule == CANNOT_BE_KNOWN else "not ready"


def _of_profile(profile: Resource, role: Role) -> Iterator[_Finding]:
    """What keeps Session Manager from instances of the profile; else what is not known of it."""
    where = profile, "Properties.Roles"
    its_role = f"its role {role.name!r}" if role.name else "its role"
    refused = [policy for policy, certain in role.policies if certain and policy.refused]
    for policy in refused:
        yield _Finding(
            REFUSED_POLICY,
            *where,
            f"IAM refuses a policy of {its_role}, the one in {policy.resource.logical_id!r}, so "
            f"the deployment will fail: {policy.refused}",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html",
        )
    if refused:
        return
    asked = _ask(role)
    decisions = {action: within(*answers) for action, answers in asked.items()}
    missing = {
        action: asked[action]
        for action, decision in decisions.items()
        if decision.answer is Answer.IMPLICIT_DENY
    }
    denied = [name for name, one in decisions.items() if one.answer is Answer.EXPLICIT_DENY]
    unknown = [name for name, one in decisions.items() if one.answer is Answer.UNKNOWN]
    length = sum(policy.length for policy, certain in role.inline if certain)
    channels = missing.keys() & {*_needs.CHANNELS.actions}
    if channels:
        yield _Finding(
            CHANNEL_MISSING,
            *where,
            "Session Manager can't reach instances of this profile: "
            f"{its_role} is not allowed {', '.join(sorted(channels))}",
            _remedy(missing),
        )
    registration = missing.keys() & {*_needs.REGISTRATION.actions}
    if registration:
        yield _Finding(
            REGISTRATION_MISSING,
            *where,
            f"instances of this profile can't register with Systems Manager: {its_role} is not "
            f"allowed {', '.join(registration)}, and so they depend on the account's Default Host "
            "Management Configuration",
            _remedy(missing),
        )
    if denied:
        yield _Finding(
            EXPLICIT_DENY,
            *where,
            f"Session Manager can't reach instances of this profile: {its_role} is denied "
            f"{', '.join(denied)} by {_deciding(decisions, denied)}, whatever else allows it",
            f"leave them out of the Deny; where it denies all else, use not_actions={denied!r}",
        )
    if length > _needs.MAX_INLINE_POLICIES:
        yield _Finding(
            POLICIES_TOO_LONG,
            *where,
            f"the inline policies of {its_role} are {length} characters long or more, and IAM "
            f"takes {_needs.MAX_INLINE_POLICIES} of a role: the deployment will fail",
            'iam.ManagedPolicy(self, "SessionManager", roles=[role], '
            "statements=session_manager_statements()), in place of the inline policy",
        )
    elif unknown and not missing and not denied:
        yield _Finding(
            CANNOT_BE_KNOWN,
            *where,
            "it can't be known at synthesis whether Session Manager reaches instances of this "
            f"profile: that depends on {_deciding(decisions, unknown)}",
            "ask IAM after the deployment: session-manager-permissions verify --role "
            + (role.name if role.resource is profile and role.name else "NAME"),
        )


class _Answers(NamedTuple):
    """Of a role's policies, and of its permissions boundary."""

    identity: Decision
    boundary: Decision


def _ask(role: Role) -> dict[str, _Answers]:
    """What the role may do of each action that its instance needs."""
    statements = role.statements
    found = {}
    for need in (_needs.CHANNELS, _needs.REGISTRATION):
        # a policy may be about some instances, and which will be under the profile is not known
        resource = _needs.REGISTRATION_RESOURCES if need is _needs.REGISTRATION else need.resource
        for action in need.actions:
            boundary = Decision(Answer.ALLOWED)
            if role.boundary is not None:
                boundary = decide(role.boundary, action, resource)
            found[action] = _Answers(decide(statements, action, resource), boundary)
    return found


def _remedy(missing: dict[str, _Answers]) -> str:
    """The line that allows what is missing, in the role's policies or in its boundary."""
    registers = not missing.keys().isdisjoint(_needs.REGISTRATION.actions)
    option = "allow_registration=True" if registers else ""
    lines = []
    if any(one.identity.answer is Answer.IMPLICIT_DENY for one in missing.values()):
        lines.append(f"{_PERMISSIONS}{', ' if option else ''}{option})")
    if any(one.boundary.answer is Answer.IMPLICIT_DENY for one in missing.values()):
        lines.append(f"boundary.add_statements(*session_manager_statements({option}))")
    return "\n".join(lines)


_PERMISSIONS: Final = 'SessionManagerPermissions(self, "SessionManagerPermissions", role=role'


def _deciding(decisions: dict[str, Decision], actions: list[str]) -> str:
    """The statements that decide on the actions, for a message."""
    return " and ".join(
        dict.fromkeys(_called(one) for action in actions for one in decisions[action].by)
    )


def _called(statement: Statement) -> str:
    return (
        f"statement {statement.sid!r} of {statement.source}" if statement.sid else statement.source
    )


def _of_role(role: Role) -> Iterator[_Finding]:
    for name in role.aws_managed:
        instead = _needs.AWS_MANAGED_DEPRECATED.get(name)
        if instead is not None:
            yield _Finding(
                DEPRECATED_POLICY,
                role.resource,
                "Properties.ManagedPolicyArns",
                f"the AWS managed policy {name} is deprecated: it allows more than the agent "
                "needs, such as reading every S3 object",
                f'iam.ManagedPolicy.from_aws_managed_policy_name("{instead}"), in its place',
            )


def _of_policy(policy: Policy) -> Iterator[_Finding]:
    """Statements on the key of the sessions that grant nothing, or everything."""
    fix = f"{_PERMISSIONS}, encryption_key=key)"
    for statement in policy.statements:
        on_kms = tuple(action for action in statement.actions if action.startswith("kms:"))
        named = statement._replace(actions=on_kms)
        if not statement.allows or statement.not_actions or named.covers_action(_DECRYPT) is False:
            continue
        if named.applies(_DECRYPT, _ANY_KEY):
            yield _Finding(
                DECRYPT_ON_ALL_KEYS,
                policy.resource,
                policy.location,
                f"{_called(statement)} allows kms:Decrypt on every key that leaves it to IAM",
                fix,
            )
        for written, _ in listed(statement.written.get("Resource")):
            if _is_no_key(written, policy.resource):
                yield _Finding(
                    KEY_NOT_BY_ARN,
                    policy.resource,
                    policy.location,
                    f"{_called(statement)} allows kms:Decrypt on {shown(written)}, which grants "
                    "nothing: IAM knows a key by its ARN alone, not by an alias or its id",
                    f"{fix}, which takes keys and aliases",
                )


_DECRYPT: Final = "kms:decrypt"
_ANY_KEY: Final = "arn:aws:kms:-:-:key/-"  # which fits patterns that name no one's keys
_ALIAS_OR_ID: Final = re.compile(
    r"(arn:[^:]*:kms:[^:]*:[^:]*:)?alias/.*"
    r"|(key/)?(mrk-[0-9a-f]{32}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12})",
    re.DOTALL,
)


def _is_no_key(written: object, resource: Resource) -> bool:
    """Whether a statement's resource is meant as a key, and is not the ARN of one."""
    if isinstance(written, dict) and "Ref" in written:
        referenced = resource.template.resources.get(str(written["Ref"]))
        return referenced is not None and referenced.type in {"AWS::KMS::Key", "AWS::KMS::Alias"}
    return _ALIAS_OR_ID.fullmatch(text(written)) is not None


def _of_instance(instance: Resource, role: Role) -> Iterator[_Finding]:
    """A policy of ours that CloudFormation may attach after the instance has booted.

    The agent tries to register at boot, and then again after 5 minutes, up to an hour.
    """
    for policy, _ in role.inline:
        if (
            policy.resource.type == "AWS::IAM::Policy"
            and policy.resource.template is instance.template
            and any(one.sid == _needs.CHANNELS.sid for one in policy.statements)
            and not instance.waits_for(policy.resource)
        ):
            yield _Finding(
                BOOT_ORDER,
                instance,
                "DependsOn",
                "this instance may boot before its role has the policy "
                f"{policy.resource.logical_id!r}, and the agent tries again minutes later",
                "instance.instance.node.add_dependency(permissions)",
            )
