"""`verify --instance-id --wait`: until the node is ready, or waiting can't help."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from session_manager_permissions._verify import waiting

from .causes import NEVER, Change, described_key, having, instance, refusing, without_profile
from .networks import BOTH_ENDPOINTS, OPEN, SHUT, acls, closed, entry, groups, nat
from .nodes import NODE, World, both, endpoint, group, nothing, refusal
from .running import Run, run

SAID: Final = "session-manager-permissions: "
INSTANCES: Final = "ec2:DescribeInstances"


class Clock:
    """A clock that advances only when the command sleeps, and changes the world as it does."""

    def __init__(self, world: World, changes: Mapping[float, Change]) -> None:
        self.now = 0.0
        self._world = world
        self._changes = {**changes}

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds
        for when in sorted(self._changes):
            if when <= self.now:
                self._changes.pop(when)(self._world)


Waits = Callable[..., tuple[Run, float]]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Return a function that waits for a node in a changing world, and returns how long."""

    def wait(
        world: World, seconds: str = "12", changes: Mapping[float, Change] | None = None
    ) -> tuple[Run, float]:
        clock = Clock(world, changes or {})
        monkeypatch.setattr(waiting, "time", clock)
        asked = ("--instance-id", NODE, "--wait", *filter(None, [seconds]), "--output", "json")
        return run(world, "verify", *asked), clock.now

    return wait


def connects(world: World) -> None:
    world.record = World().record
    world.has("ssm:get_connection_status", {"Status": "connected"})


def known_to_ec2(world: World) -> None:
    world.has("ec2:describe_instances", World._instances.__get__(world))  # noqa: SLF001 # its answer


KNOWN_AGAIN: Final = both(known_to_ec2, connects)
RUNS, PENDING, STOPPED = (instance(State={"Name": of}) for of in ("running", "pending", "stopped"))
UNKNOWN_TO_EC2: Final = both(NEVER, refusing(INSTANCES, "InvalidInstanceID.NotFound"))
UNREACHED: Final = EndpointConnectionError(endpoint_url="https://ec2.eu-west-1.amazonaws.com")


def refused(code: str) -> ClientError:
    return refusal("DescribeInstances", code)


def of_status(status: int) -> ClientError:
    """An error of AWS with this HTTP status."""
    found = refused("Unavailable")
    found.response["ResponseMetadata"] = {"HTTPStatusCode": status}
    return found


@pytest.mark.parametrize(("answer", "says"), [
    pytest.param(UNREACHED, "Could not connect to the endpoint URL", id="no connection"),
    pytest.param(of_status(400), f"{INSTANCES} failed: Unavailable", id="another error"),
    pytest.param(refused("AccessDenied"), INSTANCES, id="a denial"),
])  # fmt: skip
def test_what_time_does_not_mend_ends_it_now(answer: Exception, says: str, waits: Waits) -> None:
    found, spent = waits(World(having("ec2:describe_instances", answer)))

    assert (found.status, spent, found.out) == (2, 0, "")
    assert says in found.err


def with_endpoint(state: str) -> Change:
    """Leave the node an interface endpoint in this state as its only path to ssm."""
    return both(NEVER, closed(endpoint("ssm", State=state), BOTH_ENDPOINTS[1]))


def with_nat(state: str, **subnet: str) -> Change:
    """Leave the node a NAT gateway in this state as its only path to AWS."""
    return both(NEVER, nat(State=state, **subnet))


ARE_MADE: Final = both(NEVER, closed(*(one | {"State": "pending"} for one in BOTH_ENDPOINTS)))
KEPT_IN: Final = groups(group("sg-web", IpPermissionsEgress=[]), OPEN)
OUT_DENIED: Final = acls(entry(1, egress=True))
NOT_YET: Final = "is not ready after 0 of 12 s: connected"
STAYS: Final = "does not change that: "
CREATING: Final = both(World.uses, described_key(KeyState="Creating"))
NO_STATUS: Final = refusing("ssm:GetConnectionStatus")
THROTTLED: Final = "RequestLimitExceeded"


class Row(NamedTuple):
    """What is wrong, what changes when, the exit status, how long it takes, and what is said."""

    breaks: Change
    changes: dict[float, Change]
    status: int
    spent: float
    says: str


ROWS: Final = {
    "EC2 does not know it yet": Row(UNKNOWN_TO_EC2,
        {3: known_to_ec2, 6: connects}, 0, 10, f"after 0 of 12 s, there is no instance {NODE}"),
    "an endpoint that is made": Row(with_endpoint("pending"), {3: connects}, 0, 5, NOT_YET),
    "a NAT gateway that is made": Row(with_nat("pending"), {3: connects}, 0, 5, NOT_YET),
    "a NAT gateway that is made where no way leads out": Row(
        with_nat("pending", SubnetId="subnet-private"), {3: connects}, 0, 5, NOT_YET),
    **{f"{name}, which waiting does not open": Row(both(*does), {}, 1, 0, f"{STAYS}path-ssm")
       for name, does in (
           ("endpoints that are made in a shut group", [ARE_MADE, SHUT]),
           ("endpoints that are made, and nothing let out", [ARE_MADE, KEPT_IN]),
           ("a NAT gateway that is made, and nothing let out", [with_nat("pending"), KEPT_IN]),
           ("a NAT gateway that is made behind an ACL", [with_nat("pending"), OUT_DENIED]))},
    "an endpoint that is deleted": Row(with_endpoint("deleting"), {}, 1, 0, f"{STAYS}path-ssm"),
    "a NAT gateway that has failed": Row(with_nat("failed"), {}, 1, 0, f"{STAYS}path-ssm"),
    "a key that is made": Row(CREATING, {3: described_key()}, 0, 5, "after 0 of 12 s: key-usable"),
    "later": Row(NEVER, {7: connects}, 0, 10, "is ready"),
    "at once": Row(nothing, {}, 0, 0, "is ready after 0 s"),
    "while it starts": Row(both(NEVER, PENDING), {3: RUNS, 6: connects}, 0, 10, "is ready"),
    "never": Row(NEVER, {}, 1, 12, "is not ready after 12 s: connected, registered"),
    "no profile": Row(both(NEVER, without_profile), {}, 1, 0, f"{STAYS}instance-profile"),
    "stopped": Row(both(NEVER, STOPPED), {}, 1, 0, f"{STAYS}instance-running"),
    "may not be asked": Row(NO_STATUS, {}, 1, 0, f"{STAYS}the credentials do not allow ssm:"),
    "throttled": Row(refusing("ssm:GetConnectionStatus", "ThrottlingException"),
        {4: connects}, 0, 5, "it is not known whether it is connected"),
    "throttled in the first round": Row(refusing(INSTANCES, THROTTLED),
        {3: KNOWN_AGAIN}, 0, 5, f"after 0 of 12 s, {INSTANCES} failed: {THROTTLED}"),
    **{f"{name} in a later round": Row(
           NEVER, {3: having("ec2:describe_instances", answer), 6: KNOWN_AGAIN}, 0, 10,
           f"after 5 of 12 s, {says}")
       for name, answer, says in (
           ("throttled", refused(THROTTLED), f"{INSTANCES} failed: {THROTTLED}"),
           ("busy", refused("Throttling"), f"{INSTANCES} failed: Throttling"),
           ("no connection", UNREACHED, "Could not connect to the endpoint URL"),
           ("an error of AWS", of_status(503), f"{INSTANCES} failed: Unavailable"),
       )},
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_it_waits_as_long_as_that_can_help(name: str, waits: Waits) -> None:
    breaks, changes, status, seconds, says = ROWS[name]

    found, spent = waits(World(breaks), changes=changes)

    assert (found.status, spent) == (status, seconds)
    assert found.json["ready"] is (status == 0)
    lines = found.err.splitlines()
    assert all(line.startswith((f"{SAID}{NODE} is ", f"{SAID}after ")) for line in lines)
    assert says in found.err
    assert len(lines) == -(-spent // 5) + 1


def test_by_default_it_waits_ten_minutes(waits: Waits) -> None:
    found, _ = waits(World(NEVER), "", {3: connects})

    assert found.status == 0
    assert f"{SAID}{NODE} is not ready after 0 of 600 s" in found.err


def test_each_round_asks_anew_and_the_last_alone_asks_why(waits: Waits) -> None:
    world = World(NEVER)

    waits(world, "10")

    assert world.calls.count("ec2:describe_route_tables") == 3
    assert world.calls.count("ec2:get_console_output") == 1


def test_an_instance_that_ec2_never_knows_is_no_answer(waits: Waits) -> None:
    found, spent = waits(World(UNKNOWN_TO_EC2))

    assert (found.status, spent, found.out) == (2, 12, "")
    assert found.err.splitlines()[-1].startswith(f"{SAID}there is no instance {NODE} in ")


def test_ctrl_c_ends_it(waits: Waits) -> None:
    def interrupt(_: World) -> None:
        raise KeyboardInterrupt

    found, _ = waits(World(NEVER), "", {1: interrupt})

    assert (found.status, found.out) == (2, "")
    assert found.err.endswith("interrupted before there was an answer\n")
