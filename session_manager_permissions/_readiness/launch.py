"""Reads how instances are launched: by what their own resource and its launch template say."""

from __future__ import annotations

import re
from functools import cached_property
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions._network.facts import Fact, Unknown, any_of

from .network.reading import PartOf, Reading
from .parts import GROUP, SUBNET, PartKind, Parts, decider, may_be_one_region
from .scripts import NO_SCRIPTS, Scripts, of_init, of_user_data
from .templates.functions import intrinsic, is_mapping, listed, mapping, mappings_in
from .templates.model import Resource, ReturnValue, Value

if TYPE_CHECKING:
    from session_manager_permissions._network.model import Reference

TEMPLATE: Final = "AWS::EC2::LaunchTemplate"
CONFIGURATION: Final = "AWS::AutoScaling::LaunchConfiguration"

_INSTANCE: Final = PartKind("instance", ("AWS::EC2::Instance",))
_INTERFACE: Final = PartKind("network interface", ("AWS::EC2::NetworkInterface",))
_GIVES_ADDRESS: Final = [
    PartOf(type_, by, to)
    for type_ in ("AWS::EC2::EIP", "AWS::EC2::EIPAssociation")
    for by, to in (("InstanceId", _INSTANCE), ("NetworkInterfaceId", _INTERFACE))
]
"""What gives an instance or a network interface an Elastic IP address."""
_PRIMARY: Final = ("PrivateIp", "PrimaryPrivateIpAddress")
"""The attributes that return the primary private address of an instance or an interface."""
_TAKES_ADDRESS: Final = re.compile("AllocationIds?$|^(ElasticIp|EIP)$|^EndpointId$")
"""The properties by which a resource takes an Elastic IP address, or gives it to an instance."""
_KEEPS_ADDRESS: Final = re.compile(
    "AWS::(EC2::(EIPAssociation|NatGateway)$|"
    "(ElasticLoadBalancingV2|GlobalAccelerator|MediaLive|Redshift|Transfer)::)"
)
"""The types that keep an Elastic IP address. A resource of another type may pass it on."""
_ASSOCIATES: Final = re.compile(rb"a(?<!disa)ssociate[-_]?address|r(?<!unr)egister-ec2address")
"""Matches the call that gives an Elastic IP address, in a script, in code or in a policy."""
_BY_CODE: Final = Unknown("whether code that calls AssociateAddress gives it an Elastic IP address")
_GROUPS: Final = ("SecurityGroupIds", "SecurityGroups", "GroupSet", "Groups")
"""The properties of an instance, and of a network interface, that name security groups."""
_REPLACED_WHOLE: Final = ("MetadataOptions", "NetworkInterfaces")
"""The properties that may replace those of a launch template as a whole, as AWS does not say."""
_FLEET_USER_DATA: Final = "LaunchTemplateSpecificationUserData"
"""The user data of an EC2 fleet, which replaces that of its launch template."""
_INDEXES: Final = ("DeviceIndex", "NetworkCardIndex")
_ATTACHMENT: Final = PartOf("AWS::EC2::NetworkInterfaceAttachment", "InstanceId", _INSTANCE)


class Written(NamedTuple):
    """A value, and the resource that has it."""

    owner: Resource
    value: object


class Launch(NamedTuple):
    """How instances are launched, as one resource says it; a default if the resource does not."""

    origin: Resource
    profile: Written | Unknown | None = None
    metadata_off: Fact | None = None
    subnets: tuple[Reference, ...] = ()
    groups: tuple[Reference, ...] = ()
    public_address: Fact | None = None
    elastic_address: Fact = False
    address: IPv4Network | None = None
    """The private address that is written, if one is."""
    other_interfaces: bool = False
    maybe_profile: Written | None = None
    """The profile that the instances may have, if that is not known."""
    scripts: Scripts = NO_SCRIPTS
    image: Written | None = None
    user_data: Written | None = None
    has: frozenset[str] = frozenset()
    """The properties of `_REPLACED_WHOLE` that the resource has."""
    uses: tuple[Resource, ...] = ()
    """The launch templates that it is launched from."""

    def over(self, base: Launch) -> Launch:
        """Combine two launches: what this one says overrides what `base` says."""
        whose = f"of {self.origin.logical_id!r} replace those of its launch template"
        if "MetadataOptions" in self.has and base.metadata_off is True:
            base = base._replace(metadata_off=Unknown(f"whether the metadata options {whose}"))
        if "NetworkInterfaces" in self.has & base.has:
            doubt = Unknown(f"whether the network interfaces {whose}")
            public = None if base.public_address is None else doubt
            subnets, groups = (several and (doubt,) for several in (base.subnets, base.groups))
            base = base._replace(subnets=subnets, groups=groups, public_address=public)
        defaults = self._field_defaults.items()
        said = dict(one for one in self._asdict().items() if one not in defaults)
        maybe = base.maybe_profile if self.profile is None else self.maybe_profile
        scripts = base.scripts if self.user_data is None else self.scripts
        return base._replace(**{"scripts": scripts, **said, "maybe_profile": maybe})


class LaunchReader:
    """Reads launch settings in the world that is judged."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._reading = Reading(parts)

    def from_template(self, resource: Resource, written: object) -> Launch:
        """The launch settings of the launch template that `written`, of `resource`, names."""
        spec = written if is_mapping(written) else {}
        names = ("LaunchTemplateId", "Id", "LaunchTemplateName", "Name")
        value = next((spec[name] for name in names if name in spec), None)
        found = self.parts.assembly.resource(TEMPLATE, resource.template, value)
        if found is None:
            return self.unknown(resource, decider(written, "launch template"))
        launch = self.read(found, found.properties.get("LaunchTemplateData"))
        if _FLEET_USER_DATA in spec:
            its = self.read(resource, {"UserData": spec[_FLEET_USER_DATA]})
            launch = launch._replace(scripts=its.scripts, user_data=its.user_data)
        given = spec.get("Version")
        version = resource.template.value(given)
        if version not in ((ReturnValue(found, "LatestVersionNumber"),), ("$Latest",)):
            maybe = launch.profile if isinstance(launch.profile, Written) else None
            launch = self.unknown(found, _version(found, given, version), maybe)
        return launch._replace(uses=(found,))

    def unknown(self, origin: Resource, decides: str, maybe: Written | None = None) -> Launch:
        """Launch settings of which nothing is known, but perhaps which profile there may be.

        Args:
            origin: the resource that has them.
            decides: the reason why they are not known.
            maybe: the profile that the instances may have.
        """
        doubt = Unknown(decides)
        found = Launch(origin, doubt, doubt, groups=(doubt,), public_address=doubt)
        return found._replace(maybe_profile=maybe)

    def read(self, origin: Resource, data: object) -> Launch:
        """Read launch settings, which instances and launch templates write in the same form."""
        if data is None:
            data = {}
        if not is_mapping(data):
            decides = decider(data, "launch template data")
            # What a macro is given, too, may name a profile.
            given = mapping(origin.written.get("LaunchTemplateData", origin.written))
            return self.unknown(origin, decides, self._profile(origin, given))
        launch = Launch(
            origin,
            self._profile(origin, data),
            self._metadata_off(origin, data),
            has=frozenset(one for one in _REPLACED_WHOLE if one in data),
            scripts=of_user_data(self.parts, origin, data.get("UserData")).and_(of_init(origin)),
            image=self._written(origin, data.get("ImageId")),
            user_data=self._written(origin, data.get("UserData")),
        )
        if interfaces := listed(data.get("NetworkInterfaces")):
            return self._by_interfaces(launch, interfaces)
        launch = self._placed(launch, origin, data)
        if "InstanceId" not in data:
            return launch
        # A launch configuration takes from an instance all but its public address.
        # https://docs.aws.amazon.com/autoscaling/ec2/userguide/create-lc-with-instanceID.html
        copied = self.unknown(origin, f"the instance that {origin.logical_id!r} is made from")
        return launch.over(copied._replace(public_address=None))

    def _by_interfaces(self, launch: Launch, interfaces: list[object]) -> Launch:
        """What the primary network interface says: device 0 of network card 0.

        An interface that is made before the instance gets a public address, too, if its subnet
        assigns one.
        https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html
        """
        origin, parts = launch.origin, self.parts
        first = [
            entry
            for entry in interfaces
            if is_mapping(entry)
            and {parts.text(origin, entry.get(name, "0")) for name in _INDEXES} == {"0"}
        ]
        if len(first) != 1:
            doubt = Unknown(f"the network interfaces of {origin.logical_id!r}")
            return launch._replace(subnets=(doubt,), groups=(doubt,), public_address=doubt)
        (data,) = first
        elastic: Fact = False
        changed: Unknown | None = None
        given = self._public(origin, data)
        if given is None and len(interfaces) > 1:  # AWS's pages contradict each other about this
            given = Unknown(f"whether {origin.logical_id!r} gets a public IPv4 address")
        if "NetworkInterfaceId" in data:
            value = data["NetworkInterfaceId"]
            made = parts.behind(origin, value)
            if not isinstance(made, Resource) or made.type != "AWS::EC2::NetworkInterface":
                doubt = Unknown(decider(value, "network interface"))
                return launch._replace(subnets=(doubt,), groups=(doubt,), public_address=doubt)
            changed = parts.changed(made)
            elastic = self.has_elastic_address(made) or changed or False
            origin, data = made, made.properties
        placed = self._placed(launch, origin, data)
        return placed._replace(
            groups=placed.groups if changed is None else (*placed.groups, changed),
            public_address=given,
            elastic_address=elastic,
            other_interfaces=len(interfaces) > 1,
        )

    def _placed(self, launch: Launch, owner: Resource, data: dict[str, Any]) -> Launch:
        """Return a launch with what an instance or a network interface says of its place."""
        written = (value for name in _GROUPS for value in listed(data.get(name)))
        named = (one.get("GroupId", one) if is_mapping(one) else one for one in written)
        return launch._replace(
            subnets=self.subnets(owner, data.get("SubnetId")),
            groups=tuple(self.parts.reference(owner, one, GROUP) for one in named),
            public_address=self._public(owner, data),
            address=self._address(owner, data),
        )

    def subnets(self, origin: Resource, written: object) -> tuple[Reference, ...]:
        """The subnets that a property names. An entry may have several, separated by commas."""
        found = self.parts.references(origin, written, SUBNET)
        if not any(isinstance(one, Unknown) for one in found):
            return found
        several = (self.parts.split(origin, entry, SUBNET) for entry in listed(written))
        return tuple(one for each in several for one in each)

    def _profile(self, origin: Resource, data: dict[str, Any]) -> Written | None:
        value = data.get("IamInstanceProfile")
        if isinstance(value, dict) and not intrinsic(value)[0]:
            value = value.get("Arn", value.get("Name"))
        return self._written(origin, value)

    @staticmethod
    def _written(origin: Resource, value: object) -> Written | None:
        return None if value is None else Written(origin, value)

    def _address(self, origin: Resource, data: dict[str, Any]) -> IPv4Network | None:
        """The private IPv4 address that is written, if it is known."""
        written = data.get("PrivateIpAddress")
        found = written and self.parts.cidr(origin, written)
        return found if isinstance(found, IPv4Network) else None

    def _public(self, origin: Resource, data: dict[str, Any]) -> Fact | None:
        """Whether a public IPv4 address is given; None where that is not written."""
        value = data.get("AssociatePublicIpAddress")
        return self.parts.fact(origin, value, "public address", default=None)

    def _metadata_off(self, origin: Resource, data: dict[str, Any]) -> Fact | None:
        """Whether the metadata endpoint is disabled; None where that is not written."""
        options = data.get("MetadataOptions")
        if options is not None and not is_mapping(options):
            return Unknown(decider(options, "metadata options"))
        value, words = mapping(options).get("HttpEndpoint"), ("disabled", "enabled")
        return self.parts.fact(origin, value, "metadata endpoint", default=None, words=words)

    # Addresses and interfaces --------------------------------------------------------------------

    def has_elastic_address(self, owner: Resource) -> Fact:
        """Whether an instance or a network interface gets an Elastic IP address.

        The agent uses the primary private address. An Elastic IP address that is associated with
        another private address does not help the agent.
        """
        kinds = [one for one in _GIVES_ADDRESS if self.parts.by_type[one.type]]
        given = [one for kind in kinds for one in self._reading.of(owner, kind)]
        return given != [] and any_of(self._is_of_primary(one, owner) for one in given)

    def _is_of_primary(self, association: Resource, owner: Resource) -> Fact:
        written = association.properties.get("PrivateIpAddress")
        own = owner.template.value(owner.properties.get("PrivateIpAddress"))
        primary = [own, *((ReturnValue(owner, name),) for name in _PRIMARY)]
        if written is None or association.template.value(written) in primary:
            return True
        return Unknown(f"which private address {association.logical_id!r} is associated with")

    def floating_address(self, resource: Resource) -> Unknown | None:
        """An Elastic IP address that something may give to a resource's running instances."""
        there = resource.template.stack

        def find() -> Unknown | None:
            for one in self._floating:
                beside = may_be_one_region(one.template.stack, there)
                if beside and one.exists and not isinstance(self._owner(one), Resource):
                    name = one.logical_id
                    return Unknown(f"what the Elastic IP address of {name!r} is associated with")
            return _BY_CODE if self.parts.mention(_ASSOCIATES) else None

        return self.parts.worlds.once(("floating address", there), find)

    @cached_property
    def _floating(self) -> list[Resource]:
        """The Elastic IP addresses that nothing keeps, and the associations of addresses."""
        addresses = [one for one in self.parts.by_type["AWS::EC2::EIP"] if one not in self._held]
        return [*self.parts.by_type["AWS::EC2::EIPAssociation"], *addresses]

    @cached_property
    def _held(self) -> set[Resource]:
        """The addresses that other resources, such as NAT gateways, keep for themselves."""
        return {
            address
            for resource in self.parts.of_types([*filter(_KEEPS_ADDRESS.match, self.parts.by_type)])
            for one in mappings_in(resource.written)
            for name in dict.keys(one)
            if _TAKES_ADDRESS.search(name)
            for address in self.parts.refers_to(resource, dict.get(one, name))
        }

    def _owner(self, resource: Resource) -> Resource | str | None:
        """The instance or the network interface that gets an Elastic IP address."""
        properties = resource.properties
        value = properties.get("InstanceId") or properties.get("NetworkInterfaceId")
        return self.parts.behind(resource, value)

    def may_have_more_interfaces(self, resource: Resource) -> bool:
        """Whether a network interface may be attached to an instance by a resource of its own."""
        reading = self._reading
        return bool(reading.unseen(resource, _ATTACHMENT) or reading.of(resource, _ATTACHMENT))


def _version(found: Resource, written: object, version: Value) -> str:
    """Name the fact that decides which version is launched, if it is not the newest one.

    An update of the stack creates a new version, and does not change the default version.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-launchtemplate.html
    """
    if written in (None, "$Default") or version == (ReturnValue(found, "DefaultVersionNumber"),):
        return f"which version of the launch template {found.logical_id!r} is its default"
    return f"the version of the launch template {found.logical_id!r}"
