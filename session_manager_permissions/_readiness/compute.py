"""Finds the compute of an app in its synthesized templates, with its role and its network."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cached_property, partial
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions._network.facts import Fact, Unknown
from session_manager_permissions._network.model import OTHER_INTERFACE, Placement, Reference
from session_manager_permissions._patterns import matches

from .launch import CONFIGURATION, TEMPLATE, Launch, LaunchReader, Written
from .parts import CLUSTERS, GROUP, STACKS, SUBNET, Parts, decider, inner, types_deployed
from .scripts import NO_SCRIPTS, Scripts, of_init, of_written
from .templates import functions
from .templates.files import PRODUCT
from .templates.model import APART, LABELS, Resource, Template, Unresolved, referred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PROFILE_TYPE: Final = "AWS::IAM::InstanceProfile"
_DEFAULT_VPC: Final = Unknown("the default VPC of the account")


class _LaunchingService(NamedTuple):
    """A service that launches instances, and the properties that say what it launches."""

    name: str
    within: tuple[str, ...]
    """The property that contains the others; empty if they are properties of the resource."""
    profile: str
    subnets: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    """The security groups of each kind of instance."""
    public_address: Fact | None = None


_EMR: Final = "Amazon EMR"
_SERVICES: Final = {
    "AWS::Batch::ComputeEnvironment": _LaunchingService(
        "AWS Batch", ("ComputeResources",), "InstanceRole", ("Subnets",), (("SecurityGroupIds",),)
    ),
    "AWS::EMR::Cluster": _LaunchingService(
        _EMR,
        ("Instances",),
        "JobFlowRole",
        ("Ec2SubnetId", "Ec2SubnetIds"),
        (
            ("EmrManagedMasterSecurityGroup", "AdditionalMasterSecurityGroups"),
            ("EmrManagedSlaveSecurityGroup", "AdditionalSlaveSecurityGroups"),
        ),
        Unknown(f"whether {_EMR} gives its nodes public addresses"),
    ),
    "AWS::ImageBuilder::InfrastructureConfiguration": _LaunchingService(
        "EC2 Image Builder", (), "InstanceProfileName", ("SubnetId",), (("SecurityGroupIds",),)
    ),
}
"""The services whose instances are judged by the templates. Any other service that gets an instance
profile launches instances by rules that are not known here.
"""

_BUILDERS: Final = ("AWS::ImageBuilder::Image", "AWS::ImageBuilder::ImagePipeline")
"""The types that build images by a recipe and its components."""

_BEANSTALK_TEMPLATE: Final = "AWS::ElasticBeanstalk::ConfigurationTemplate"
_OPTIONS: Final = {
    "IamInstanceProfile": "aws:autoscaling:launchconfiguration",
    "SecurityGroups": "aws:autoscaling:launchconfiguration",
    "Subnets": "aws:ec2:vpc",
    "AssociatePublicIpAddress": "aws:ec2:vpc",
}
"""The options of Elastic Beanstalk that are read, each with its namespace.

https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/command-options-general.html
"""

_NEVER_LAUNCH: Final = re.compile(
    r"Custom::|AWS::(CloudFormation|Config|DMS|DeviceFarm|SSM::Document|SecurityHub)\b|"
    "AWS::EC2::(EIP|InternetGateway|NatGateway|Network|Route|SecurityGroup|Subnet|VPC)|"
    + APART.pattern
)
"""Types that launch no instances with a profile that they name, unless their code does: `in_code`
looks for that. The types of AWS DMS and of Device Farm name another kind of profile.
"""

RUN_CODE: Final = (
    *("AWS::CodeBuild::Project", "AWS::Config::RemediationConfiguration", "AWS::Events::Rule"),
    *("AWS::Lambda::Function", "AWS::SSM::Document", "AWS::StepFunctions::StateMachine"),
    *("AWS::Serverless::Function", "AWS::Serverless::StateMachine"),
    *("Custom::AWSCDK-EKS-HelmChart", "Custom::AWSCDK-EKS-KubernetesResource"),
)
"""The types whose code, runbook or manifest may launch instances with a profile that it names."""
_NODE_CLASS: Final = "EC2NodeClass"
"""The manifest of Karpenter that names the profile of its nodes, or their role."""

_NAMES_A_PROFILE: Final = re.compile("instance[_-]?profile", re.IGNORECASE)
"""The name of a property, or of an option, that gives instances a profile."""
_BETWEEN_WORDS: Final = re.compile(r"[^\w+.@-]+")
"""The separators between words in code. A word may be the name of a profile."""


class Compute(NamedTuple):
    """Instances that one resource launches in one way."""

    resource: Resource
    """The resource that launches them."""
    launch: Launch
    """How they are launched. They need no profile if scripts register them by an activation."""
    placements: tuple[Placement, ...] = ()
    """Every place where they may be; empty for a launch template that nothing in the app uses."""
    opaque: str = ""
    """The service or the resource that launches them by rules that the templates do not show."""

    def calling(self, **known: Any) -> Compute:  # noqa: ANN401 # as `Placement` takes it
        """Return the same instances, with more knowledge about their calls."""
        return self._replace(placements=tuple(one._replace(**known) for one in self.placements))


class Launchers:
    """Finds the resources that launch instances, and how they do so in the world that is judged.

    A launch template is part of the compute of each resource that uses it. If nothing in the app
    uses it, it is compute of its own, without a placement: somebody else may launch instances from
    it, and may give them a profile.
    """

    def __init__(self, parts: Parts) -> None:
        self.templates = parts.by_type[TEMPLATE]
        """The launch templates, which are compute only if nothing launches from them."""
        self._parts = parts
        self._reader = LaunchReader(parts)
        self._read: dict[str, Callable[[Resource], Iterable[Compute]]] = {
            "AWS::EC2::Instance": self._instance,
            "AWS::AutoScaling::AutoScalingGroup": self._group,
            "AWS::EC2::SpotFleet": self._spot_fleet,
            "AWS::EC2::EC2Fleet": lambda one: self._by_templates(one, one.properties),
            "AWS::EKS::Nodegroup": self._node_group,
            **dict.fromkeys(_SERVICES, self._service_compute),
            "AWS::ElasticBeanstalk::Environment": self._beanstalk_compute,
            PRODUCT: self._product_compute,
        }
        """The function that reads the compute of each type of resource, in the findings' order."""

    @cached_property
    def resources(self) -> list[Resource]:
        """The resources that launch instances, except launch templates."""
        read = {*self._read, *STACKS, TEMPLATE, CONFIGURATION}
        others = [one for one in self._parts.by_type if one not in read]
        others = [one for one in others if not _NEVER_LAUNCH.match(one)]
        may_launch = (*self._parts.of_types(others), *self.stacks)
        found = self._parts.of_types(self._read)
        found += (one for one in may_launch if self._has_profile(one, one.written))
        for template in self._parts.assembly.templates:
            for name in template.makers:
                types, made = template.types_made[name], functions.quoted(template.made_later[name])
                if types & {functions.UNKNOWN, *self._read} or _NAMES_A_PROFILE.search(made):
                    found.append(Resource(template, name, {}))
        return found

    @cached_property
    def stacks(self) -> list[Resource]:
        """The stacks whose template is not read, and that may have compute."""
        return [*filter(_may_launch, self._parts.unread_stacks)]

    @cached_property
    def in_templates(self) -> set[Template]:
        """The templates that may launch instances in any world."""
        changed = (one for one in self._parts.assembly.templates if one.transforms)
        found = (*self.resources, *self.templates, *self.stacks)
        return {*changed, *(one.template for one in found)}

    def of(self, resource: Resource) -> list[Compute]:
        """Return the instances that a resource launches; none if the world does not have it."""
        if not resource.exists:
            return []
        if resource.logical_id in resource.template.made_later:
            kind = "loop" if resource.logical_id.startswith("Fn::ForEach::") else "macro"
            return [self._opaque(resource, f"the {kind} {resource.logical_id!r}", None)]
        if resource.type == TEMPLATE:
            return [self._unused_template(resource)]
        return [*self._read.get(resource.type, self._unrecognized)(resource)]

    # Who else launches ---------------------------------------------------------------------------

    def _has_profile(self, resource: Resource, value: object) -> bool:
        """Whether a value of a resource, as the template has it, names a profile in any world."""
        given = self._parts.refers_to(resource, value)
        is_named = _NAMES_A_PROFILE.search(str(value))  # which is faster than JSON
        return bool(is_named) or any(one.type == PROFILE_TYPE for one in given)

    def _unrecognized(self, resource: Resource) -> Iterator[Compute]:
        """The instances of a resource of another type that names a profile, by rules of its own."""
        launcher = resource.type
        if launcher in STACKS:
            launcher = "the template that it deploys, which is not read,"
        for profile in self._profiles_in(resource, resource.properties, ""):
            yield self._opaque(resource, launcher, profile)

    def _profiles_in(self, resource: Resource, value: object, name: str) -> Iterator[object]:
        """Yield the values that name a profile, as the property or the value itself shows."""
        if isinstance(value, list):
            for one in value:
                yield from self._profiles_in(resource, one, name)
        elif functions.is_mapping(value):
            for inner_name, written in dict.items(value):
                its = name if _NAMES_A_PROFILE.search(name) else inner_name
                is_read = inner_name not in LABELS
                # The world is asked only about what may be a profile.
                if is_read and self._has_profile(resource, {its: written}) and inner_name in value:
                    yield from self._profiles_in(resource, value[inner_name], its)
        elif _NAMES_A_PROFILE.search(name) or self._is_profile(resource, value):
            yield value

    def _is_profile(self, resource: Resource, value: object) -> bool:
        """Whether a whole value is the name or the ARN of a profile, in any world."""
        if isinstance(value, str):
            return re.match("arn:[^:]*:iam::[^:]*:instance-profile/", value) is not None
        found = map(referred, self._parts.assembly.possible(resource.template, value))
        return any(one is not None and one.type == PROFILE_TYPE for one in found)

    def in_code(self, role: Resource, profile: Resource) -> str:
        """Name the code that may launch instances with a profile or its role; "" if none does."""
        if profile.type != PROFILE_TYPE:
            return ""
        for holder, is_role in ((profile, False), (role, True)):
            for named in (holder, self._parts.assembly.name_of(holder)):
                for one, makes_profiles in self._code.get(named, ()):
                    if (makes_profiles or not is_role) and one.exists:
                        return f"what {one.logical_id!r} launches"
        return ""

    @cached_property
    def _code(self) -> dict[object, list[tuple[Resource, bool]]]:
        """Map each resource or name to the code that has it, and to whether that makes profiles."""
        found = defaultdict[object, list[tuple[Resource, bool]]](list)
        for one in (*self._parts.of_types(RUN_CODE), *self._parts.custom):
            named: set[object] = {*self._parts.refers_to(one, one.acting)}
            text = json.dumps(one.acting)
            is_of_nodes = _NODE_CLASS in text
            if is_of_nodes or _NAMES_A_PROFILE.search(text):
                words = map(_BETWEEN_WORDS.split, functions.texts_in(one.acting))
                named |= {(word,) for several in words for word in several}
            for each in named:
                found[each].append((one, is_of_nodes))
        for one in (*self.resources, *self._parts.of_types((TEMPLATE, CONFIGURATION))):
            for each in self._in_texts(one):
                found[each].append((one, False))
        return found

    def _in_texts(self, resource: Resource) -> Iterator[object]:
        """Yield the words and resources in texts about profiles, such as a script that launches."""
        for text in functions.texts_in(resource.acting):
            # A text with neither a space nor a brace is a name or an ARN, which is read elsewhere.
            if re.search("[ {]", text) and _NAMES_A_PROFILE.search(text):
                yield from ((word,) for word in _BETWEEN_WORDS.split(text))
        for value in functions.mappings_in(resource.acting):
            is_text = functions.intrinsic(value)[0] in {"Fn::Join", "Fn::Sub"}
            is_about_one = is_text and _NAMES_A_PROFILE.search(json.dumps(value))
            if is_about_one and not self._is_profile(resource, value):
                yield from self._parts.refers_to(resource, value)

    # What launches -------------------------------------------------------------------------------

    def _instance(self, resource: Resource) -> Iterator[Compute]:
        launch = self._reader.read(resource, resource.properties)
        written = resource.properties.get("LaunchTemplate")
        if written is not None:
            launch = launch.over(self._reader.from_template(resource, written))
        if given := self._reader.has_elastic_address(resource):
            launch = launch._replace(elastic_address=given)
        yield self._compute(resource, launch)

    def _group(self, resource: Resource) -> Iterator[Compute]:
        subnets = self._reader.subnets(resource, resource.properties.get("VPCZoneIdentifier"))
        for launch in self._launches(resource):
            yield self._compute(resource, launch._replace(subnets=subnets or launch.subnets))

    def _launches(self, resource: Resource) -> Iterator[Launch]:
        """Each launch configuration or template with which an Auto Scaling group launches."""
        properties, reader = resource.properties, self._reader
        if (name := properties.get("LaunchConfigurationName")) is not None:
            found = self._parts.assembly.resource(CONFIGURATION, resource.template, name)
            if found is None:
                yield reader.unknown(resource, decider(name, "launch configuration"))
            else:
                yield reader.read(found, found.properties)
        elif (written := properties.get("LaunchTemplate")) is not None:
            yield reader.from_template(resource, written)
        elif (mixed := inner(properties, "MixedInstancesPolicy", "LaunchTemplate")) is not None:
            base = reader.from_template(resource, mixed.get("LaunchTemplateSpecification"))
            yield from self._overridden(resource, base, mixed.get("Overrides"))
        else:
            yield reader.unknown(resource, f"what {resource.logical_id!r} launches from")

    def _overridden(self, resource: Resource, base: Launch, overrides: object) -> list[Launch]:
        """The launches from a template; overrides that differ only in subnets are one launch."""
        found: list[Launch] = []
        subnets: defaultdict[int, tuple[Reference, ...]] = defaultdict(tuple)
        for written in functions.listed(overrides) or [{}]:
            template, override = base, written if functions.is_mapping(written) else {}
            if "LaunchTemplateSpecification" in override:
                specification = override["LaunchTemplateSpecification"]
                other = self._reader.from_template(resource, specification)
                template = other._replace(uses=(*other.uses, *base.uses))
            launch = self._reader.read(resource, written).over(template)
            anywhere = launch._replace(origin=template.origin, scripts=template.scripts, subnets=())
            if anywhere not in found:
                found.append(anywhere)
            subnets[found.index(anywhere)] += launch.subnets or (_DEFAULT_VPC,)
        return [one._replace(subnets=subnets[number]) for number, one in enumerate(found)]

    def _spot_fleet(self, resource: Resource) -> Iterator[Compute]:
        data = inner(resource.properties, "SpotFleetRequestConfigData") or {}
        for written in functions.listed(data.get("LaunchSpecifications")):
            yield self._compute(resource, self._reader.read(resource, written))
        yield from self._by_templates(resource, data)

    def _by_templates(self, resource: Resource, data: dict[str, Any]) -> Iterator[Compute]:
        """The launches of a fleet from its launch templates."""
        for written in functions.listed(data.get("LaunchTemplateConfigs")):
            entry = written if functions.is_mapping(written) else {}
            specified = entry.get("LaunchTemplateSpecification") if entry else written
            base = self._reader.from_template(resource, specified)
            for launch in self._overridden(resource, base, entry.get("Overrides")):
                yield self._compute(resource, launch)

    def _node_group(self, resource: Resource) -> Iterator[Compute]:
        """The nodes of an EKS node group. EKS makes their profile for the node role."""
        properties = resource.properties
        written = properties.get("LaunchTemplate")
        from_template = self._reader.from_template
        launch = Launch(resource) if written is None else from_template(resource, written)
        launch = launch._replace(
            profile=None,
            maybe_profile=None,
            subnets=self._reader.subnets(resource, properties.get("Subnets")),
            groups=launch.groups or (self._cluster(resource),),
        )
        yield self._compute(resource, launch)

    def _cluster(self, resource: Resource) -> Reference:
        """The cluster, which stands for the security group that EKS makes for it."""
        written = resource.properties.get("ClusterName")
        find = self._parts.assembly.resource
        found = filter(None, (find(type_, resource.template, written) for type_ in CLUSTERS))
        return next(found, Unknown(f"the security group of {decider(written, 'cluster')}"))

    def _service_compute(self, resource: Resource) -> Iterator[Compute]:
        service = _SERVICES[resource.type]
        data = inner(resource.properties, *service.within) or {}
        written = data.get(service.profile, resource.properties.get(service.profile))
        if "ManagedInstancesProvider" in data:
            yield from self._unrecognized(resource)
            return
        if not (data or written) or self._has_no_instances(resource, data.get("Type")):
            return
        specified = data.get("LaunchTemplate")
        base = Launch(resource)
        if specified is not None:
            base = self._reader.from_template(resource, specified)
            if "Overrides" in functions.mapping(specified):
                unknown = self._reader.unknown(resource, "its launch templates")
                base = unknown._replace(uses=base.uses)
        refer = partial(self._parts.references, resource)
        subnets = refer([data.get(name) for name in service.subnets], SUBNET)
        for names, image in product(service.groups, self._images(resource, data, base)):
            groups = refer([data.get(name) for name in names], GROUP) or base.groups
            if written is None or not subnets or not groups:
                yield self._opaque(resource, service.name, written, base.uses)
                return
            launch = base._replace(
                profile=Written(resource, written),
                maybe_profile=None,
                subnets=subnets,
                groups=groups,
                public_address=service.public_address or base.public_address,
                image=image,
            )
            yield self._compute(resource, launch)

    def _images(
        self, resource: Resource, data: dict[str, Any], base: Launch
    ) -> Iterator[Written | None]:
        """Yield the images that instances of AWS Batch are launched with. Other services name none.

        AWS's pages contradict each other about an environment that names an image in both ways.
        https://docs.aws.amazon.com/batch/latest/userguide/ami-selection-order.html
        https://docs.aws.amazon.com/batch/latest/APIReference/API_Ec2Configuration.html
        """
        own, decides = data.get("ImageId"), f"which image {resource.logical_id!r} uses"
        configured = functions.listed(data.get("Ec2Configuration")) or [{}]
        for one in map(functions.mapping, configured):
            given = one.get("ImageIdOverride", own)
            is_open = own not in (None, given)
            if is_open and self._parts.worlds.is_true(("image", resource), decides):
                given = own
            yield base.image if given is None else Written(resource, given)

    def _has_no_instances(self, resource: Resource, type_: object) -> bool:
        """Whether a compute environment uses Fargate. If a parameter says so, the world decides."""
        match resource.template.value(type_ or ""):
            case (str(known), *_):
                return known.startswith("FARGATE")
            case (Unresolved() as open_,):
                deciding = decider(type_, "type")
                return self._parts.worlds.is_one_of(open_, _FARGATE, deciding, open_.allowed)
        return False

    def _beanstalk_compute(self, resource: Resource) -> Iterator[Compute]:
        """The instances of an environment, whose own options override those of its template.

        The configuration template counts only if it is in the same stack.
        """
        options: dict[str, object] = {}
        template, find = resource.properties.get("TemplateName"), self._parts.assembly.resource
        base = find(_BEANSTALK_TEMPLATE, resource.template, template)
        uses = (base,) if base and base.template is resource.template else ()
        settings = [one.properties.get("OptionSettings") for one in (*uses, resource)]
        for setting in functions.entries(settings):
            named = map(setting.get, ("Namespace", "OptionName"))
            written = " ".join(self._parts.text(resource, one) for one in named)
            for name, namespace in _OPTIONS.items():
                is_set = matches(written, f"{namespace} {name}")
                if is_set is not False:
                    options[name if is_set else functions.UNKNOWN] = setting.get("Value")
        profile = options.get("IamInstanceProfile")
        subnets = self._parts.split(resource, options.get("Subnets", ""), SUBNET)
        if profile is None or not subnets or functions.UNKNOWN in options:
            yield self._opaque(resource, _ELASTIC_BEANSTALK, profile, uses)
            return
        groups = self._parts.split(resource, options.get("SecurityGroups", ""), GROUP)
        given = options.get("AssociatePublicIpAddress")
        public = self._parts.fact(resource, given, "public address", default=False)
        launch = Launch(
            resource,
            Written(resource, profile),
            subnets=subnets,
            groups=(*groups, Unknown(f"the security group that {_ELASTIC_BEANSTALK} makes")),
            public_address=public or _GIVEN_BY_BEANSTALK,
            uses=uses,
        )
        yield self._compute(resource, launch)

    def _product_compute(self, resource: Resource) -> Iterator[Compute]:
        if resource in self._parts.assembly.products_unread:
            yield self._opaque(resource, "its template, which can't be read,", None)

    def _opaque(
        self, resource: Resource, launcher: str, profile: object, uses: tuple[Resource, ...] = ()
    ) -> Compute:
        """Return compute that is launched by rules which the templates do not show."""
        doubt = Unknown(launcher)
        known = doubt if profile is None else Written(resource, profile)
        return Compute(resource, Launch(resource, known, doubt, uses=uses), opaque=launcher)

    def _unused_template(self, resource: Resource) -> Compute:
        """Return the compute of a launch template that the app does not use."""
        launch = self._reader.read(resource, resource.properties.get("LaunchTemplateData"))
        doubt = Unknown(f"what launches instances from the launch template {resource.logical_id!r}")
        launch = launch._replace(profile=launch.profile or doubt)
        return self._compute(resource, launch)._replace(placements=())

    # Places --------------------------------------------------------------------------------------

    def _compute(self, resource: Resource, launch: Launch) -> Compute:
        changed = self._parts.changed
        doubt = changed(resource) or changed(launch.origin)
        scripts = launch.scripts.and_(of_init(resource)).and_(self._image_scripts(launch))
        without_profile = doubt or scripts.activation
        off = launch.metadata_off or False
        launch = launch._replace(
            profile=launch.profile or without_profile,
            metadata_off=without_profile or off if off is True else off,
            scripts=scripts,
        )
        changed_by = doubt.decides if doubt else scripts.other_way
        if launch.other_interfaces or self._reader.may_have_more_interfaces(resource):
            changed_by = OTHER_INTERFACE
        places = (
            Placement(
                subnet,
                launch.groups,
                launch.public_address,
                launch.elastic_address or self._reader.floating_address(resource) or False,
                changed_by=changed_by,
                address=launch.address,
            )
            for subnet in launch.subnets or (_DEFAULT_VPC,)
        )
        return Compute(resource, launch, (*places,))

    def _image_scripts(self, launch: Launch) -> Scripts:
        """What scripts have done to a launch's image, if EC2 Image Builder builds the image."""
        for builder in self._agent_removing:
            image, find = launch.image, self._parts.assembly.resource
            built = image and find(builder.type, image.owner.template, image.value)
            if built is builder or not builder.waits_for.isdisjoint(launch.uses):
                name = builder.logical_id
                return Scripts(agent=f"whether the image that {name!r} builds has the SSM Agent")
        return NO_SCRIPTS

    @cached_property
    def _agent_removing(self) -> list[Resource]:
        """The resources that build images by a recipe or a component that may remove the agent."""
        builders = self._parts.of_types(_BUILDERS)
        return [one for one in builders if any(of_written(it.acting).agent for it in one.waits_for)]


def _may_launch(stack: Resource) -> bool:
    """Whether the template of a stack, which is not read, may have compute."""
    return any(one in STACKS or not _NEVER_LAUNCH.match(one) for one in types_deployed(stack))


_FARGATE: Final = frozenset({"FARGATE", "FARGATE_SPOT"})
_ELASTIC_BEANSTALK: Final = "AWS Elastic Beanstalk"
_GIVEN_BY_BEANSTALK: Final = Unknown(
    f"whether {_ELASTIC_BEANSTALK} gives its instances public addresses"
)
"""An environment with a single instance gives it an Elastic IP address. The source bundle of the
application may set the option as well.

https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/command-options-general.html
"""
