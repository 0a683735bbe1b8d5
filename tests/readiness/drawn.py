"""Draws templates: a profile, its role and the role's policies, as CDK and as people write them."""

from random import Random
from typing import Any, Final

from .deployments import NO_VALUE
from .parts import resource
from .statements import ACTIONS, AWS, EC2_TRUST, REGISTER

CONDITIONS: Final = ("IsProduction", "HasKey", "IsPrivate")
PARAMETERS: Final = {
    "Action": ("ssm:UpdateInstanceInformation", "s3:GetObject", "*"),
    "Service": ("ssm", "ssmmessages", "s3"),
    "Resource": ("*", "arn:aws:s3:::logs/*"),
    "Kind": ("instance", "volume"),
}
"""The parameters of a template, and values that a deployment may give them."""

CHANNELS: Final = ACTIONS[:4]
NEEDED: Final[tuple[list[Any], ...]] = (
    [list(ACTIONS)], [list(CHANNELS), [REGISTER]], [["ssmmessages:*"], ["ssm:*"]], ["*"],
    [[*CHANNELS, REGISTER.lower()]],
    [["ssmmessages:Create*", "ssmmessages:Open????Channel", "ssmmessages:OpenControl*"], REGISTER],
    [[{"Fn::Join": [":", ["ssmmessages", "*"]]}, {"Fn::Sub": "ssm:UpdateInstance*"}]],
    [["SSMMESSAGES:*", "SSM:update*"]], [["ssmmessages:**", "ssm:U*InstanceInf*n"]],
    [["ssmmessages:?*C?ann*", "ssm:*?Instance?nformation"]],
)  # fmt: skip
"""Lists of actions that together allow everything that the agent needs."""

OTHERS: Final = (
    *("s3:*", "s3:GetObject", "kms:Decrypt", "logs:*", "ec2:Describe*", "ec2messages:*"),
    *("ssm:GetParameter*", "ssm:Describe*", "ssmmessages:?", "ssm:UpdateInstance", "iam:*"),
    *("ssmmessages:[CO]*", "ssmmessages:*Channel?", "ssmmessages:*Channels", "ssm:${"),
)
SOME: Final = (
    *ACTIONS, *("ssmmessages:*", "ssm:*", "*", "*:*", "ssmmessages:Create*", "ssmmessages:*Data*"),
    *("ssm:?pdate*", "SSM:UPDATEINSTANCEINFORMATION", "ssmmessages:open*channel", "ssmmessages:C*l")
)  # fmt: skip
ACTION_FUNCTIONS: Final = (
    {"Ref": "Action"}, {"Fn::Sub": "${Service}:*"},
    {"Fn::Sub": ["${Name}:Update*", {"Name": {"Ref": "Service"}}]},
    {"Fn::Join": [":", [{"Ref": "Service"}, "Create*"]]}, {"Fn::Join": ["", ["ssm", ":", "*"]]},
    {"Fn::Select": [0, {"Fn::Split": [",", "ssm:*,s3:*"]}]},
    {"Fn::Select": ["1", ["s3:*", {"Ref": "Action"}]]},
)  # fmt: skip
RESOURCES: Final = (
    *("arn:aws:s3:::logs", "arn:aws:s3:::logs/*", "arn:aws:kms:*:111122223333:key/*"),
    *("arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:eu-west-1:111122223333:instance/i-0?b*"),
    *("arn:aws:ssm:*:*:managed-instance/*", "arn:*:ssm:*:*:managed-instance/mi-*"),
    *("arn:aws:ssm:*:*:parameter/*", "arn:aws:ec2:*:*:volume/*", "arn:aws:ssm:*"),
    *("arn:aws:ec2:*:*:*", "arn:aws:ec2:*:*:*/*", "arn:aws:ssm:*:*:document/AWS-*"),
    *("arn:aws:ec2:*:instance/i-????", "arn:aws:EC2:*:*:instance/*", "arn:aws:ec2:*:*:[i]*/i-?a*"),
    "arn:aws:ec2:*:*:instance/${aws:PrincipalTag/instance}",
    "arn:aws:s3:::${aws:PrincipalTag/bucket}/*",
)
RESOURCE_FUNCTIONS: Final = (
    {"Ref": "Resource"}, {"Fn::GetAtt": ["Bucket", "Arn"]},
    {"Fn::Join": ["", [{"Fn::GetAtt": ["Bucket", "Arn"]}, "/*"]]}, {"Fn::Sub": "${Bucket.Arn}/*"},
    {"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/*"},
    {"Fn::Sub": "arn:${AWS::Partition}:ec2:*:*:${Kind}/*"},
    {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":ssm:*:*:parameter/*"]]},
    {"Fn::Sub": ["arn:aws:s3:::${Name}/${!aws:userid}", {"Name": {"Ref": "Bucket"}}]},
    {"Fn::Select": [1, {"Fn::Split": ["|", "arn:aws:s3:::a|*"]}]},
)  # fmt: skip
REQUESTS: Final[tuple[dict[str, Any], ...]] = (
    {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}},
    {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1", "eu-west-2"]}},
    {"Bool": {"aws:SecureTransport": "true"}}, {"Bool": {"aws:SecureTransport": False}},
    {"StringLike": {"aws:SourceVpc": "vpc-1*"}},
    {"StringNotLikeIfExists": {"aws:SourceVpc": "vpc-1*"}}, {"Null": {"aws:SourceVpc": "true"}},
    {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"ArnLike": {"ec2:SourceInstanceARN": "arn:aws:ec2:*:*:instance/i-0a*"}},
    {"ForAnyValue:StringEquals": {"aws:PrincipalOrgPaths": ["o-1/r-1"]}},
    {"StringEquals": {"aws:RequestedRegion": {"Ref": "AWS::Region"}}},
)  # fmt: skip
AWS_MANAGED: Final = (
    *("AmazonSSMManagedInstanceCore", "PowerUserAccess", "AdministratorAccess"),
    *("AmazonS3ReadOnlyAccess", "CloudWatchAgentServerPolicy", "AWSDenyAll"),
    *("AmazonSSMManagedInstanceCore", "service-role/AmazonEC2RoleforSSM"),
    *("AmazonSSMPatchAssociation", "AmazonEKSWorkerNodePolicy", "ReadOnlyAccess"),
    *("AmazonSecurityLakePermissionsBoundary", "service-role/AmazonEC2RoleforAWSCodeDeploy"),
)


def template(rng: Random) -> dict[str, Any]:
    """One template; the same for the same state of `rng`."""
    return _Draw(rng).template()


class _Draw:
    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._resources: dict[str, Any] = {"Bucket": resource("AWS::S3::Bucket")}
        self._role: dict[str, Any] = {
            "AssumeRolePolicyDocument": EC2_TRUST,
            "Policies": [],
            "ManagedPolicyArns": [],
        }
        self._made: dict[str, Any] = {}
        """The condition of the role itself."""

    def _likely(self, share: float) -> bool:
        return self._rng.random() < share

    def template(self) -> dict[str, Any]:
        choose = self._rng.choice
        if self._likely(0.1):
            self._made = {"Condition": choose(CONDITIONS)}
        policies: list[list[Any]] = []
        if self._likely(0.7):
            policies = [[self._written("Allow", one, self._everywhere())] for one in choose(NEEDED)]
            if self._likely(0.4):
                policies = [[entry for policy in policies for entry in policy]]
        if self._likely(0.15):
            self._role["ManagedPolicyArns"].append(self._aws_managed())
        more = [self._statement() for _ in range(choose((0, 0, 1, 1, 2, 3)))]
        if more:
            policies.append(more)
        self._rng.shuffle(policies)
        for number, statements in enumerate(policies):
            self._attach(f"Policy{number}", self._document(statements))
        if self._likely(0.2):
            self._role["PermissionsBoundary"] = self._boundary()
        self._resources["Role"] = {"Type": "AWS::IAM::Role", "Properties": self._role, **self._made}
        self._resources["Profile"] = {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"Roles": [self._role_reference()]},
            **self._made,
        }
        return {
            "Parameters": {name: {"Type": "String"} for name in (*PARAMETERS, *CONDITIONS)},
            "Conditions": {name: {"Fn::Equals": [{"Ref": name}, "yes"]} for name in CONDITIONS},
            "Resources": self._resources,
        }

    def _role_reference(self) -> object:
        return {"Ref": "Role"}

    def _attach(self, name: str, document: object) -> None:
        """Make a policy inline in the role, or as a resource that is attached to it."""
        kind = self._rng.choice(("", "Policy", "Policy", "RolePolicy", "ManagedPolicy", "arn"))
        properties: dict[str, Any] = {"PolicyName": name, "PolicyDocument": document}
        if not kind:
            self._role["Policies"].append(self._maybe(properties, 0.1, NO_VALUE))
            return
        if kind == "arn":
            kind = "ManagedPolicy"
            self._role["ManagedPolicyArns"].append(self._maybe({"Ref": name}, 0.1, NO_VALUE))
        elif kind == "RolePolicy":
            properties["RoleName"] = self._role_reference()
        else:
            properties["Roles"] = [self._maybe(self._role_reference(), 0.05, NO_VALUE)]
        condition = self._made
        if kind != "ManagedPolicy" and self._likely(0.1):
            condition = {"Condition": self._rng.choice(CONDITIONS)}
        self._resources[name] = {"Type": f"AWS::IAM::{kind}", "Properties": properties, **condition}

    def _boundary(self) -> object:
        if self._likely(0.3):
            return self._aws_managed()
        actions = self._rng.choice(NEEDED)
        statements: list[Any] = [self._written("Allow", one, "*") for one in actions]
        if self._likely(0.3):
            statements = [self._statement()]
        self._resources["Boundary"] = {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"PolicyDocument": self._document(statements)},
        }
        return self._maybe({"Ref": "Boundary"}, 0.1, NO_VALUE)

    def _aws_managed(self) -> object:
        name = self._rng.choice(AWS_MANAGED)
        partition = ["arn:", {"Ref": "AWS::Partition"}, f":iam::aws:policy/{name}"]
        return self._rng.choice((f"{AWS}{name}", {"Fn::Join": ["", partition]}))

    def _maybe(self, value: object, share: float, *others: object) -> object:
        """`value`, or an `Fn::If` of it and one of the others."""
        if not self._likely(share):
            return value
        branches = [value, self._rng.choice(others)]
        self._rng.shuffle(branches)
        return {"Fn::If": [self._rng.choice(CONDITIONS), *branches]}

    def _everywhere(self) -> object:
        return self._rng.choice(("*", "*", "*", ["*"], ["arn:aws:s3:::logs", "*"]))

    def _some(self, few: tuple[Any, ...], functions: tuple[Any, ...]) -> object:
        """Some of the values, alone or in a list, with some of the functions among them."""
        choose = self._rng.choice
        found: list[object] = []
        for _ in range(choose((1, 1, 2, 3))):
            one = choose(functions) if self._likely(0.2) else choose(few)
            found.append(self._maybe(one, 0.15, choose(few), NO_VALUE, one))
        if self._likely(0.05):
            return {"Fn::If": [choose(CONDITIONS), found, choose(few)]}
        return found[0] if len(found) == 1 and self._likely(0.5) else found

    def _actions(self) -> object:
        pool = SOME if self._likely(0.5) else OTHERS
        return self._some(pool, ACTION_FUNCTIONS)

    def _statement(self) -> object:
        """A statement on something, that allows or denies it."""
        effect: object = "Deny" if self._likely(0.45) else "Allow"
        resources = self._some(RESOURCES, RESOURCE_FUNCTIONS)
        if self._likely(0.4):
            resources = self._everywhere()
        written = self._written(self._maybe(effect, 0.05, "Allow"), self._actions(), resources)
        if self._likely(0.15):
            written["NotAction"] = written.pop("Action")
        if self._likely(0.15):
            written["NotResource"] = written.pop("Resource")
        return self._maybe(written, 0.1, NO_VALUE, self._written("Allow", "s3:*", "*"), written)

    def _written(self, effect: object, actions: object, resources: object) -> dict[str, Any]:
        written = {"Effect": effect, "Action": actions, "Resource": resources}
        choose = self._rng.choice
        if self._likely(0.15):
            written["Condition"] = self._maybe(choose(REQUESTS), 0.2, NO_VALUE, {})
        if self._likely(0.1):
            # What is there in one deployment and not in another, as a template may have it.
            absent = choose(("NotAction", "NotResource", "Condition"))
            written[absent] = choose((NO_VALUE, {"Fn::If": [choose(CONDITIONS), *[NO_VALUE] * 2]}))
        if self._likely(0.05):
            name = choose(("Action", "Resource"))
            condition = choose(CONDITIONS)
            value = written[name]
            written[name] = {"Fn::If": [condition, value, NO_VALUE]}
            written[f"Not{name}"] = {"Fn::If": [condition, NO_VALUE, "*"]}
        return written

    def _document(self, statements: list[Any]) -> object:
        document: dict[str, Any] = {"Version": "2012-10-17", "Statement": statements}
        if self._likely(0.1):
            del document["Version"]
        elif self._likely(0.05):
            document["Version"] = "2008-10-17"
        if len(statements) == 1 and self._likely(0.2):
            document["Statement"] = statements[0]
        if "Effect" in statements[0] and self._likely(0.05):
            statements[0]["Sid"] = self._rng.choice(("", {"Fn::Sub": "For${Service}"}))
        return self._maybe(document, 0.03, {"Version": "2012-10-17", "Statement": statements})
