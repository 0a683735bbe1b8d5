"""List the instances and the hybrid nodes of a region, with Systems Manager's records."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._verify.asking import CannotAsk, read_in
from session_manager_permissions._verify.node import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from session_manager_permissions._verify.session import Session

_Described = dict[str, Any]

_NOT_ASKED: Final = "notconnected"
"""The connection of a node before AWS is asked about it."""
_PAGES: Final = {"ec2:DescribeInstances": 1000, "ssm:DescribeInstanceInformation": 50}
"""The largest page that each call can return."""
_FIELDS_OF_INSTANCE: Final = (
    *("IamInstanceProfile", "InstanceId", "InstanceLifecycle", "InstanceType", "MetadataOptions"),
    *("Operator", "Platform", "PrivateIpAddress", "PublicIpAddress", "RootDeviceType"),
    *("SecurityGroups", "State", "StateReason", "SubnetId", "VpcId"),
)
"""The fields of an instance that the checks read. The others would take most of the memory."""
_FIELDS_OF_INTERFACE: Final = ("Association", "Attachment", "Groups", "InterfaceType", "SubnetId")
_FIELDS_OF_RECORD: Final = (
    *("AgentVersion", "IamRole", "InstanceId", "LastPingDateTime", "Name", "PingStatus"),
    *("PlatformName", "PlatformType"),
)


def name_of(node: Node) -> str | None:
    """Return the tag `Name`; for a hybrid node, the name from its activation."""
    if node.instance is None:
        return node.recorded("Name")
    return next((tag.get("Value") for tag in node.instance["Tags"] if tag["Key"] == "Name"), None)


def role_source(node: Node) -> str | None:
    """Return the profile's ARN, or a hybrid node's role: nodes with the same one share a role."""
    return node.recorded("IamRole") if node.is_hybrid else node.profile_arn


def list_nodes(
    session: Session, who: str, tags: Mapping[str, str]
) -> tuple[list[Node], list[CannotAsk]]:
    """List the nodes of a region that have all the tags, without terminated instances.

    If a page can't be read, the nodes of the pages before it are listed.

    Args:
        session: asks AWS.
        who: the ARN of the identity of the credentials.
        tags: the values of the tags, by key.

    Returns:
        The nodes, and the errors because of which there may be more. AWS has not been asked yet
        whether the nodes are connected.
    """
    records: dict[str, _Described] = {}  # by id, as a node may be on two pages
    without_records = read_in("ssm", lambda: records.update(_records(session, [])))
    instances: dict[str, tuple[_Described, str]] = {}
    without_instances = read_in("ec2", lambda: instances.update(_instances(session, tags)))
    errors = [without_records, without_instances]
    hybrid = records
    if tags:  # a record does not contain the node's tags
        hybrid = {}
        filters = [{"Key": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
        errors.append(read_in("ssm", lambda: hybrid.update(_records(session, filters))))
    partition, account = (who.split(":")[part] for part in (1, 4))
    make = partial(Node, session=session, spare=session, partition=partition, connection=_NOT_ASKED)
    nodes = [
        make(id=name, account=owner, instance=one, record=records.get(name, without_records))
        for name, (one, owner) in instances.items()
    ]
    nodes += [
        make(id=name, account=account, instance=None, record=record)
        for name, record in hybrid.items()
        if name.startswith("mi-")
    ]
    return nodes, [error for error in errors if error]


def _instances(
    session: Session, tags: Mapping[str, str]
) -> Iterator[tuple[str, tuple[_Described, str]]]:
    """Yield the instances that have the tags, by their ids, each with its account."""
    filters = [{"Name": f"tag:{key}", "Values": [_plain(value)]} for key, value in tags.items()]
    for page in _pages(session, "ec2:DescribeInstances", filters):
        for entry in page["Reservations"]:
            for one in entry["Instances"]:
                if one["State"]["Name"] != "terminated":
                    yield one["InstanceId"], (_trimmed(one), entry["OwnerId"])


def _records(session: Session, filters: list[dict[str, Any]]) -> Iterator[tuple[str, _Described]]:
    for page in _pages(session, "ssm:DescribeInstanceInformation", filters):
        for one in page["InstanceInformationList"]:
            yield one["InstanceId"], _with_fields(_FIELDS_OF_RECORD, one)


def _pages(session: Session, call: str, filters: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    asked: dict[str, Any] = {"Filters": filters} if filters else {}
    return session.pages(call, PaginationConfig={"PageSize": _PAGES[call]}, **asked)


def _plain(value: str) -> str:
    """Escape the characters that EC2 would read as wildcards in the value of a filter."""
    return "".join(f"\\{one}" if one in "*?\\" else one for one in value)


def _trimmed(instance: _Described) -> _Described:
    """Return an instance with only the fields that the checks read."""
    interfaces = instance.get("NetworkInterfaces", ())
    return {
        **_with_fields(_FIELDS_OF_INSTANCE, instance),
        "NetworkInterfaces": [_with_fields(_FIELDS_OF_INTERFACE, one) for one in interfaces],
        "Tags": [
            tag if tag.get("Key") == "Name" else _tag_without_value(tag.get("Key"))
            for tag in instance.get("Tags", ())
        ],
    }


@cache  # as many instances have the same tags
def _tag_without_value(key: str | None) -> _Described:
    return {"Key": key}


def _with_fields(used: tuple[str, ...], found: _Described) -> _Described:
    return {name: value for name, value in found.items() if name in used}
