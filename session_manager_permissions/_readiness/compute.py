"""Finds the compute of an app in its synthesized templates: what it runs as, and where."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions._network.facts import Fact, Unknown
from session_manager_permissions._network.model import Placement

from .templates import Resource, ReturnValue, is_function, present, shown, text
from .values import CLUSTERS, GROUP, SUBNET, Values, decider, fact, mappings

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from session_manager_permissions._network.model import Reference

    from .templates import Template, Value

_TEMPLATE: Final = "AWS::EC2::LaunchTemplate"
_CONFIGURATION: Final = "AWS::AutoScaling::LaunchConfiguration"
_LAUNCHING: Final = (
    "AWS::AutoScaling::AutoScalingGroup",
    "AWS::EC2::EC2Fleet",
    "AWS::EC2::Instance",
    "AWS::EC2::SpotFleet",
    "AWS::EKS::Nodegroup",
)
_PROXY: Final = "whether the agent uses a proxy, of which the user data speaks"
_REGISTERS: Final = Unknown("the hybrid activation that the user data registers the agent with")
_ACTIVATES: Final = re.compile(r"ssm.*-register\b.*-(?:code|id)\b", re.DOTALL | re.IGNORECASE)
"""The command line that registers the agent with an activation in place of a profile.

https://docs.aws.amazon.com/systems-manager/latest/userguide/hybrid-multicloud-ssm-agent-install-linux.html
"""
_DEFAULT_VPC: Final = Unknown("the default VPC of the account")
_NOTHING: Final[tuple[dict[str, Any], None, bool]] = ({}, None, True)
"""The entry to use if `mappings` yields none."""

_OPAQUE: Final = {
    "AWS::Batch::ComputeEnvironment": ("AWS Batch", "ComputeResources", "InstanceRole"),
    "AWS::ECS::CapacityProvider": (
        "Amazon ECS",
        "ManagedInstancesProvider",
        "InstanceLaunchTemplate",
        "Ec2InstanceProfileArn",
    ),
    "AWS::EMR::Cluster": ("Amazon EMR", "JobFlowRole"),
    "AWS::ImageBuilder::InfrastructureConfiguration": (
        "EC2 Image Builder",
        "InstanceProfileName",
    ),
}
"""Who launches the instances of a resource by its own rules, and where their profile is written."""

_BEANSTALK: Final = (
    "AWS::ElasticBeanstalk::ConfigurationTemplate",
    "AWS::ElasticBeanstalk::Environment",
)


class Written(NamedTuple):
    """A value, and the template that it is in."""

    template: Template
    value: object


class Compute(NamedTuple):
    """Instances that one resource launches in one way."""

    resource: Resource
    """The resource that launches them."""
    set_in: Resource
    """Where their profile and metadata options belong: it, or its launch template."""
    profile: Written | Unknown | None
    """The name or the ARN of their instance profile; None where they are given none."""
    metadata_off: Fact
    """Whether they get no credentials, as their metadata endpoint is disabled."""
    placements: tuple[Placement, ...] = ()
    """Every place where they may be; none of a launch template that nothing of the app uses."""
    role: Written | None = None
    """The name or the ARN of the role that a service makes a profile for, as EKS does."""
    maybe_profile: Written | None = None
    """The profile that they may be given, where that depends on a version of their template."""
    opaque: str = ""
    """The service that launches them by its own rules, which the templates do not show."""


class _Launch(NamedTuple):
    """How to launch instances, by what one resource says. It does not say what has its default."""

    origin: Resource
    profile: Written | Unknown | None = None
    metadata_off: Fact | None = None
    subnets: tuple[Reference, ...] = ()
    groups: tuple[Reference, ...] = ()
    public_address: Fact | None = None
    elastic_address: Fact = False
    other_interfaces: bool = False
    maybe_profile: Written | None = None
    sets_proxy: bool = False
    registers: bool = False

    def over(self, base: _Launch) -> _Launch:
        """Return the two combined: what this one says overrides what `base` says."""
        defaults = self._field_defaults
        said = {
            name: value
            for name, value in self._asdict().items()
            if name not in defaults or value != defaults[name]
        }
        maybe = base.maybe_profile if self.profile is None else None
        return base._replace(**said | {"maybe_profile": maybe})


def compute_of(values: Values) -> list[Compute]:
    """The compute of an app, in the order of the types of what launches it.

    A launch template is part of what launches from it. One that nothing of the app launches from is
    compute of its own without a place, and who launches from it may give it a profile.
    """
    return [*_Finder(values).found()]


class _Finder:
    def __init__(self, values: Values) -> None:
        self._values = values
        self._named: defaultdict[tuple[str, str], list[Resource]] = defaultdict(list)
        for type_, name in (
            (_TEMPLATE, "LaunchTemplateName"),
            (_CONFIGURATION, "LaunchConfigurationName"),
            ("AWS::EKS::Cluster", "Name"),
        ):
            for resource in values.by_type[type_]:
                written = text(resource.properties.get(name))
                self._named[type_, written].append(resource)
        self._used: set[Resource] = set()
        self._addresses = self._elastic_addresses()
        self._floating = self._floating_address()
        attached = [
            values.behind(one.template, one.properties.get("InstanceId"))
            for one in values.by_type["AWS::EC2::NetworkInterfaceAttachment"]
        ]
        self._attached = {one for one in attached if isinstance(one, Resource)}
        self._attached_anywhere = len(self._attached) < len({*attached})

    def found(self) -> Iterator[Compute]:
        by_type = self._values.by_type
        for resource in by_type["AWS::EC2::Instance"]:
            yield self._instance(resource)
        for resource in by_type["AWS::AutoScaling::AutoScalingGroup"]:
            yield from self._group(resource)
        for resource in by_type["AWS::EC2::SpotFleet"]:
            yield from self._spot_fleet(resource)
        for resource in by_type["AWS::EC2::EC2Fleet"]:
            yield from self._by_templates(resource, resource.properties)
        for resource in by_type["AWS::EKS::Nodegroup"]:
            yield self._node_group(resource)
        yield from self._opaque()
        yield from self._made_later()
        for resource in by_type[_TEMPLATE]:
            if resource not in self._used:
                launch = self._launch(resource, resource.properties.get("LaunchTemplateData"))
                yield self._compute(resource, self._by_others(launch), placed=False)

    # What launches -------------------------------------------------------------------------------

    def _instance(self, resource: Resource) -> Compute:
        launch = self._launch(resource, resource.properties)
        written = present(resource.properties, "LaunchTemplate")
        if written is not None:
            launch = launch.over(self._from_template(resource, written))
        address = self._addresses.get(resource, launch.elastic_address)
        return self._compute(resource, launch._replace(elastic_address=address))

    def _group(self, resource: Resource) -> Iterator[Compute]:
        subnets = self._subnets(resource, resource.properties.get("VPCZoneIdentifier"))
        for launch in self._launches(resource):
            yield self._compute(resource, launch._replace(subnets=subnets or launch.subnets))

    def _launches(self, resource: Resource) -> Iterator[_Launch]:
        """Each way in which an Auto Scaling group launches."""
        properties = resource.properties
        configuration = present(properties, "LaunchConfigurationName")
        if configuration is not None:
            named = self._resource(resource.template, configuration, _CONFIGURATION)
            if named is None:
                yield self._unknown(resource, decider(configuration, "launch configuration"))
            else:
                yield self._launch(named, named.properties)
            return
        written = present(properties, "LaunchTemplate")
        if written is not None:
            yield self._from_template(resource, written)
            return
        mixed = _inner(properties, "MixedInstancesPolicy", "LaunchTemplate")
        if mixed is None:
            yield self._unknown(resource, f"what {resource.logical_id!r} launches from")
            return
        base = self._from_template(resource, mixed.get("LaunchTemplateSpecification"))
        others = [
            (present(entry, "LaunchTemplateSpecification") if entry else written, certain)
            for entry, written, certain in mappings(mixed.get("Overrides"))
        ]
        certain = any(certain for _, certain in others)
        if not certain or any(other is None for other, _ in others):
            yield base  # only overrides without a launch template of their own use it
        for other, _ in others:
            if other is not None:
                yield self._from_template(resource, other)

    def _spot_fleet(self, resource: Resource) -> Iterator[Compute]:
        data = _inner(resource.properties, "SpotFleetRequestConfigData") or {}
        for entry, written, certain in mappings(data.get("LaunchSpecifications")):
            if entry is None or not certain:
                launch = self._unknown(resource, decider(written, "launch specification"))
            else:
                launch = self._launch(resource, entry)
            yield self._compute(resource, launch)
        yield from self._by_templates(resource, data)

    def _by_templates(self, resource: Resource, data: dict[str, Any]) -> Iterator[Compute]:
        """The launches of a fleet, one for each launch template."""
        for entry, written, _ in mappings(data.get("LaunchTemplateConfigs")):
            launch = self._from_template(
                resource, entry.get("LaunchTemplateSpecification") if entry else written
            )
            overrides = [*mappings(entry.get("Overrides") if entry else None)]
            subnets = tuple(
                self._values.reference(resource.template, override["SubnetId"], SUBNET)
                for override, _, _ in overrides
                if override is not None and "SubnetId" in override
            )
            if len(subnets) < len(overrides):  # the others take the template's
                subnets += launch.subnets or (_DEFAULT_VPC,)
            yield self._compute(resource, launch._replace(subnets=subnets or launch.subnets))

    def _node_group(self, resource: Resource) -> Compute:
        """The nodes of EKS, to which it gives a profile of its own making for the role."""
        template, properties = resource.template, resource.properties
        written = present(properties, "LaunchTemplate")
        launch = _Launch(resource)
        if written is not None:
            launch = self._from_template(resource, written)
        launch = launch._replace(
            subnets=self._subnets(resource, properties.get("Subnets")),
            groups=launch.groups or (self._cluster(resource),),
        )
        role = Written(template, properties.get("NodeRole"))
        return self._compute(resource, launch)._replace(profile=None, maybe_profile=None, role=role)

    def _cluster(self, resource: Resource) -> Reference:
        """The security group that EKS makes for a cluster, by the cluster."""
        written = resource.properties.get("ClusterName")
        for type_ in CLUSTERS:
            found = self._resource(resource.template, written, type_)
            if found is not None:
                return found
        return Unknown(f"the security group of {decider(written, 'cluster')}")

    def _opaque(self) -> Iterator[Compute]:
        by_type = self._values.by_type
        for type_, (service, *path) in _OPAQUE.items():
            for resource in by_type[type_]:
                data = _inner(resource.properties, *path[:-1])
                if data is None or text(data.get("Type", "")).startswith("FARGATE"):
                    continue  # it has no instances
                found, _ = self._specified(resource, data.get("LaunchTemplate"))
                if found is not None:
                    self._used.add(found)
                yield self._hidden(resource, service, data.get(path[-1]))
        for type_ in _BEANSTALK:
            for resource in by_type[type_]:
                profile = None
                for entry, _, _ in mappings(resource.properties.get("OptionSettings")):
                    if entry and text(entry.get("OptionName")) == "IamInstanceProfile":
                        profile = entry.get("Value")
                yield self._hidden(resource, "AWS Elastic Beanstalk", profile)

    def _made_later(self) -> Iterator[Compute]:
        """What the loops of the templates launch instances by."""
        for template in self._values.assembly.templates:
            for name, entry in template.made_later.items():
                written = shown(entry)
                if any(type_ in written for type_ in _LAUNCHING):
                    loop = Resource(template, name, {})
                    yield self._hidden(loop, f"the loop {name!r}", None)

    def _hidden(self, resource: Resource, service: str, profile: object) -> Compute:
        doubt = Unknown(service)
        known = doubt if profile is None else Written(resource.template, profile)
        return Compute(resource, resource, known, doubt, opaque=service)

    def _by_others(self, launch: _Launch) -> _Launch:
        """What is known of a launch template without who launches from it."""
        if launch.profile is not None:
            return launch
        name = launch.origin.logical_id
        return launch._replace(profile=Unknown(f"who launches from the template {name!r}"))

    # How they launch -----------------------------------------------------------------------------

    def _from_template(self, resource: Resource, written: object) -> _Launch:
        """The launch settings of the launch template that `written`, of `resource`, names."""
        found, spec = self._specified(resource, written)
        if found is None:
            return self._unknown(resource, decider(written, "launch template"))
        self._used.add(found)
        launch = self._launch(found, found.properties.get("LaunchTemplateData"))
        version = self._values.assembly.value(resource.template, spec.get("Version"))
        newest = (ReturnValue(found, "LatestVersionNumber"),)
        if version == newest or spec.get("Version") == "$Latest":
            return launch
        doubt = self._unknown(found, _version(found, spec.get("Version"), version))
        maybe = launch.profile if isinstance(launch.profile, Written) else None
        return doubt._replace(maybe_profile=maybe)

    def _specified(
        self, resource: Resource, written: object
    ) -> tuple[Resource | None, dict[str, Any]]:
        """The launch template of the app that a specification names, and the specification."""
        spec, _, certain = next(mappings(written), _NOTHING)
        if spec is None or not certain:
            return None, {}
        names = ("LaunchTemplateId", "Id", "LaunchTemplateName", "Name")
        value = next((spec[name] for name in names if name in spec), None)
        return self._resource(resource.template, value, _TEMPLATE), spec

    def _resource(self, template: Template, value: object, type_: str) -> Resource | None:
        """The resource of a type that a value refers to, or names."""
        found = self._values.behind(template, value)
        if isinstance(found, Resource):
            return found if found.type == type_ else None
        named = [
            one
            for one in self._named.get((type_, found or ""), ())
            if one.template.stack.environment == template.stack.environment
        ]
        return named[0] if len(named) == 1 else None

    def _unknown(self, origin: Resource, decides: str) -> _Launch:
        """Launch settings of which nothing is known; `decides` is the reason."""
        doubt = Unknown(decides)
        return _Launch(origin, doubt, doubt, groups=(doubt,), public_address=doubt)

    def _launch(self, origin: Resource, written: object) -> _Launch:
        """Read launch settings, which instances and launch templates write in the same form."""
        data, entry, certain = next(mappings(written), _NOTHING)
        if data is None or not certain:
            decides = decider(entry if certain else written, "launch template data")
            return self._unknown(origin, decides)
        user_data = shown(data.get("UserData"))
        launch = _Launch(
            origin,
            self._profile(origin, data),
            _metadata_off(data),
            sets_proxy="proxy" in user_data.lower(),
            registers=_ACTIVATES.search(user_data) is not None,
        )
        interfaces = [*mappings(data.get("NetworkInterfaces"))]
        if interfaces:
            return self._by_interfaces(launch, interfaces)
        return launch._replace(
            subnets=self._subnets(origin, data.get("SubnetId")),
            groups=self._groups(origin, data, "SecurityGroupIds", "SecurityGroups"),
            public_address=_public(data),
        )

    def _by_interfaces(
        self, launch: _Launch, interfaces: list[tuple[dict[str, Any] | None, object, bool]]
    ) -> _Launch:
        """What the primary network interface says: the one of device index 0."""
        first = [
            entry
            for entry, _, certain in interfaces
            if entry is not None and certain and str(entry.get("DeviceIndex", "0")) == "0"
        ]
        if len(first) != 1:
            doubt = Unknown(f"the network interfaces of {launch.origin.logical_id!r}")
            return launch._replace(subnets=(doubt,), groups=(doubt,), public_address=doubt)
        (data,) = first
        elastic: Fact = False
        origin, given = launch.origin, _public(data)
        if given is None and len(interfaces) > 1:  # what is documented of it differs
            given = Unknown(f"what gives {launch.origin.logical_id!r} a public IPv4 address")
        if "NetworkInterfaceId" in data:
            value = data["NetworkInterfaceId"]
            made = self._values.behind(origin.template, value)
            if not isinstance(made, Resource) or made.type != "AWS::EC2::NetworkInterface":
                doubt = Unknown(decider(value, "network interface"))
                return launch._replace(subnets=(doubt,), groups=(doubt,), public_address=doubt)
            given = False  # what a subnet gives, it gives to what is made with the instance
            elastic = self._addresses.get(made, False)
            origin, data = made, made.properties
        return launch._replace(
            subnets=self._subnets(origin, data.get("SubnetId")),
            groups=self._groups(origin, data, "GroupSet", "Groups"),
            public_address=given,
            elastic_address=elastic,
            other_interfaces=len(interfaces) > 1,
        )

    def _subnets(self, origin: Resource, written: object) -> tuple[Reference, ...]:
        return self._values.references(origin.template, written, SUBNET)

    def _groups(self, origin: Resource, data: dict[str, Any], *names: str) -> tuple[Reference, ...]:
        found: list[Reference] = []
        for name in names:
            for entry, written, certain in mappings(data.get(name)):
                value = entry["GroupId"] if entry and "GroupId" in entry else written
                group = self._values.reference(origin.template, value, GROUP)
                found.append(group if certain else Unknown(decider(data[name], "security group")))
        return tuple(found)

    def _profile(self, origin: Resource, data: dict[str, Any]) -> Written | Unknown | None:
        value = present(data, "IamInstanceProfile")
        if isinstance(value, dict) and ("Arn" in value or "Name" in value):
            value = value.get("Arn", value.get("Name"))
        if value is None or value == {}:
            return None
        if isinstance(value, dict) and "Fn::If" in value:
            return Unknown(decider(value, "instance profile"))
        return Written(origin.template, value)

    # Addresses -----------------------------------------------------------------------------------

    def _elastic_addresses(self) -> dict[Hashable, Fact]:
        """The instances and network interfaces that get an Elastic IP address."""
        found: dict[Hashable, Fact] = {}
        for type_ in ("AWS::EC2::EIP", "AWS::EC2::EIPAssociation"):
            for resource in self._values.by_type[type_]:
                owner = self._owner(resource)
                if isinstance(owner, Resource):
                    found[owner] = self._values.exists(resource)
        return found

    def _floating_address(self) -> Unknown | None:
        """An Elastic IP address of the app that something may give to an instance as it runs."""
        bound: set[Resource] = set()
        for type_ in ("AWS::EC2::NatGateway", "AWS::ElasticLoadBalancingV2::LoadBalancer"):
            for resource in self._values.by_type[type_]:
                bound.update(resource.mentions)
        for resource in self._values.by_type["AWS::EC2::EIPAssociation"]:
            if not isinstance(self._owner(resource), Resource):
                return Unknown(f"what {resource.logical_id!r} gives its address to")
            bound.update(resource.mentions)
        for resource in self._values.by_type["AWS::EC2::EIP"]:
            if resource not in bound and not isinstance(self._owner(resource), Resource):
                return Unknown(f"what gets the Elastic IP address {resource.logical_id!r}")
        return None

    def _owner(self, resource: Resource) -> Resource | str | None:
        """The instance or the network interface that gets an Elastic IP address."""
        properties = resource.properties
        value = present(properties, "InstanceId") or present(properties, "NetworkInterfaceId")
        return self._values.behind(resource.template, value)

    # Places --------------------------------------------------------------------------------------

    def _compute(self, resource: Resource, launch: _Launch, *, placed: bool = True) -> Compute:
        customised = self._values.customised
        doubt = customised.get(resource) or customised.get(launch.origin)
        profile, off = launch.profile, launch.metadata_off or False
        credentials = doubt or (_REGISTERS if launch.registers else None)
        if credentials is not None:
            profile = credentials if profile is None else profile
            off = credentials if off is True else off
        return Compute(
            resource,
            launch.origin,
            profile,
            off,
            tuple(self._places(resource, launch, doubt)) if placed else (),
            maybe_profile=launch.maybe_profile,
        )

    def _places(
        self, resource: Resource, launch: _Launch, doubt: Unknown | None
    ) -> Iterable[Placement]:
        known = resource.conditions | launch.origin.conditions
        for subnet in launch.subnets or (_DEFAULT_VPC,):
            conditions: frozenset[Hashable] = known
            for other in (subnet, self._values.vpc_of(subnet), *launch.groups):
                if isinstance(other, Resource):
                    conditions |= other.conditions
            yield Placement(
                subnet,
                launch.groups,
                launch.public_address,
                launch.elastic_address or self._floating or False,
                conditions,
                other_interfaces=launch.other_interfaces
                or self._attached_anywhere
                or resource in self._attached,
                changed_by=doubt.decides if doubt else _PROXY if launch.sets_proxy else "",
            )


def _version(found: Resource, written: object, version: Value) -> str:
    """What decides on the version that is launched, if that is not the newest one.

    An update of the stack makes a new version, and the default one stays what it was.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-launchtemplate.html
    """
    if written in (None, "$Default") or version == (ReturnValue(found, "DefaultVersionNumber"),):
        return f"which version of the launch template {found.logical_id!r} is its default"
    return f"the version of the launch template {found.logical_id!r}"


def _public(data: dict[str, Any]) -> Fact | None:
    """Whether a public IPv4 address is given; None where that is not written."""
    return fact(data.get("AssociatePublicIpAddress"), "public address", default=None)


def _metadata_off(data: dict[str, Any]) -> Fact | None:
    """Whether the metadata endpoint is disabled; None where that is not written."""
    options = present(data, "MetadataOptions")
    if options is None:
        return None
    if not isinstance(options, dict) or is_function(options):
        return Unknown(decider(options, "metadata options"))
    value = present(options, "HttpEndpoint")
    if value is None:
        return None
    known = {"disabled": True, "enabled": False}.get(text(value))
    return Unknown(decider(value, "metadata endpoint")) if known is None else known


def _inner(properties: dict[str, Any], *names: str) -> dict[str, Any] | None:
    """The mapping under these names, None where there is none."""
    current: Any = properties
    for name in names:
        current = current.get(name) if isinstance(current, dict) else None
    return current if isinstance(current, dict) else None
