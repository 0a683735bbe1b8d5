"""`SessionManagerReadiness`: the check at synthesis, as a plug-in of CDK."""

from __future__ import annotations

from importlib import metadata

import aws_cdk as cdk
import jsii

from session_manager_permissions._causes import more, page
from session_manager_permissions._quoting import shown

from .check import VERDICTS, check
from .rules import READY, RULES, Finding
from .rules.constructs import Constructs
from .templates import Assembly
from .tree import ConstructTree


@jsii.implements(cdk.IPolicyValidationPlugin)
class SessionManagerReadiness:
    """Checks at synthesis whether Session Manager can reach the instances of each profile.

    It is a policy validation plug-in for an app or a stage:
    `cdk.Validations.of(app).add_plugins(SessionManagerReadiness())`.

    The check looks at every `AWS::IAM::InstanceProfile` and `AWS::EKS::Nodegroup` in the templates,
    including nested stacks. It reads the policies of the role: its inline policies,
    `AWS::IAM::Policy`, `AWS::IAM::RolePolicy`, `AWS::IAM::ManagedPolicy`, the AWS managed policies
    whose content is known, and the permissions boundary. It gives one of three verdicts:

    - *ready*: the policies allow the four channel actions and the registration, and nothing is
      wrong with the compute of the profile. There are at most warnings.
    - *not ready*: one of these actions is denied, the role's policies exceed IAM's quotas, or the
      compute can't reach Systems Manager.
    - *can't be known*: the answer depends on something that is in no template. Examples are a role
      of another app, the `Condition` of a statement, a policy given by its ARN, and a policy on a
      role that is known only at deployment.

    A verdict holds for every deployment that the conditions of the templates allow. If these
    deployments differ, the answer can't be known. The check does not look at policies that others
    attach to the role, at service control policies, or at software on the instance.

    For all compute of the app, the check finds the role. It follows TCP 443 from each subnet to the
    VPC endpoints of `ssm` and `ssmmessages`, or along a route out of the VPC. The worst finding
    about a profile, its role or its compute is the verdict on the profile.

    A role with several profiles has one finding for each cause, which names all of the profiles.
    The documentation of the check has a table of the rules, with their severities.

    You can acknowledge a finding on the construct that it is reported on, or on a construct above.
    The id has the name of the check and of the rule, as the CLI prints it:
    `cdk.Validations.of(profile).acknowledge(cdk.Acknowledgment(
    id="SessionManagerReadiness::registration-missing", reason="…"))`.

    What is needed:
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
    Default Host Management Configuration:
    https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-default-host-management-configuration.html
    What allows and denies:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    The length and the number of policies:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    Keys in policies:
    https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html
    The deprecated policy:
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEC2RoleforSSM.html
    Who may assume a role:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_switch-role-ec2_instance-profiles.html
    The network path:
    https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-create-vpc.html
    The order of resources:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-dependson.html
    """

    def __init__(self, *, strict: bool = False, network: bool = True) -> None:
        """Make the plug-in.

        Args:
            strict: whether the synthesis fails if something is not ready. It does not fail for
                something that can't be known.
                Default: - False: findings are only reported, as not every profile is meant for
                Session Manager.
            network: whether to check compute too: its instance profile, its role's trust policy,
                its metadata service, its image, and its network path. The order in which compute
                boots is checked in any case. Default: - True.

        Raises:
            TypeError: `strict` or `network` is not a bool.
        """
        for name, value in (("strict", strict), ("network", network)):
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be a bool, got {type(value).__name__} {value!r}")
        self._strict = strict
        self._network = network

    @property
    def name(self) -> str:
        """The name of the check in the report, and before `::` in the id of a finding."""
        return "SessionManagerReadiness"

    @property
    def version(self) -> str | None:
        """The version of the package; None if it is not installed as a package."""
        try:
            return metadata.version("session-manager-permissions")
        except metadata.PackageNotFoundError:
            return None

    @property
    def rule_ids(self) -> list[str]:
        """The ids of the rules, without the name of the check."""
        return list(RULES)

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        """Called by CDK at the end of synthesis.

        Args:
            context: what was synthesized; its `template_paths` are read, each once.

        Returns:
            The findings, and in `metadata` how many profiles are ready, not ready, or can't be
            known. If there is nothing to report, one finding on no resource keeps these counts, as
            CDK drops a report without findings.
        """
        app = getattr(context, "app_construct", None)
        findings, verdicts = check(
            Assembly(context.template_paths),
            network=self._network,
            constructs=Constructs() if app is None else ConstructTree(app),
        )
        return cdk.PolicyValidationPluginReport(
            success=not (self._strict and any(one.rule.not_ready for one in findings)),
            violations=[self._violation(finding) for finding in findings],
            metadata={verdict: str(verdicts[verdict]) for verdict in VERDICTS},
        )

    def _violation(self, finding: Finding) -> cdk.PolicyViolation:
        # CDK ignores the severity of a finding that is acknowledged.
        rule = finding.rule
        is_cause = rule != READY
        link = more(rule.id) if is_cause else ""
        return cdk.PolicyViolation(
            rule_name=rule.id,
            description=shown(finding.description),
            severity=rule.severity_if(strict=self._strict),
            fix="\n".join(filter(None, (finding.code, link and f"# {link}"))),
            rule_metadata={"page": page(rule.id)} if is_cause else None,
            violating_resources=[
                cdk.PolicyViolatingResource(
                    resource_logical_id=resource.logical_id,
                    template_path=str(resource.template.path),
                    locations=[finding.location],
                )
                for resource in finding.resources
            ],
        )
