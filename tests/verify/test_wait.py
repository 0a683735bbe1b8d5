"""`verify --instance-id --wait`: until the node is ready, or waiting can't help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from botocore.exceptions import EndpointConnectionError

from session_manager_permissions._verify import waiting
from session_manager_permissions._verify.checks import CHECKS

from .nodes import NODE, World, both, endpoint, group, key, refusal, without_a_route
from .test_node_command import Run, run, world

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.exceptions import ClientError

__all__ = ["run", "world"]  # fixtures

SAID: Final = "session-manager-permissions: "
ANYWHERE: Final = [{"CidrIp": "0.0.0.0/0"}]


class Clock:
    """A clock that only sleeping moves on; the world changes with it."""

    def __init__(self, world_: World) -> None:
        self.now = 0.0
        self.world = world_
        self.changes: dict[float, Callable[[World], object]] = {}

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds
        for when in sorted(self.changes):
            if when <= self.now:
                self.changes.pop(when)(self.world)


@pytest.fixture
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:  # a fixture
    found = Clock(world)
    monkeypatch.setattr(waiting, "time", found)
    return found


def connects(world_: World) -> None:
    world_.record = World().record
    world_.has("ssm:get_connection_status", {"Status": "connected"})


def runs(world_: World) -> None:
    world_.instance["State"] = {"Name": "running"}


def pending(world_: World) -> None:
    world_.never_registered()
    world_.instance["State"] = {"Name": "pending"}


def unknown_to_ec2(world_: World) -> None:
    world_.never_registered()
    world_.refuses("ec2:DescribeInstances", "InvalidInstanceID.NotFound")


def known_to_ec2(world_: World) -> None:
    world_.has("ec2:describe_instances", World._instances.__get__(world_))  # noqa: SLF001 # its answer


def refusing(call: str, code: str) -> Callable[[World], object]:
    return lambda world_: world_.refuses(call, code)


def known_again(world_: World) -> None:
    known_to_ec2(world_)
    connects(world_)


UNREACHED: Final = EndpointConnectionError(endpoint_url="https://ec2.eu-west-1.amazonaws.com")


def of_status(status: int) -> ClientError:
    """An error that AWS answers with this status of HTTP."""
    found = refusal("DescribeInstances", "Unavailable")
    found.response["ResponseMetadata"] = {"HTTPStatusCode": status}
    return found


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (UNREACHED, "Could not connect to the endpoint URL"),
        (of_status(400), "ec2:DescribeInstances failed: Unavailable"),
        (refusal("DescribeInstances", "UnauthorizedOperation"), "ec2:DescribeInstances"),
    ],
    ids=["no connection in the first round", "another error", "a denial"],
)
def test_what_time_does_not_mend_ends_it_at_once(
    answer: Exception,
    says: str,
    clock: Clock,
    run: Callable[..., Run],  # a fixture
) -> None:
    clock.world.has("ec2:describe_instances", answer)

    found = run("--instance-id", NODE, "--wait", "12")

    assert (found.status, clock.now, found.out) == (2, 0, "")
    assert says in found.err


def with_endpoint(state: str) -> Callable[[World], object]:
    """Have no way to ssm but an endpoint in this state."""
    found = [endpoint("ssm", State=state), endpoint("ssmmessages")]
    opened = group("sg-endpoints", IpPermissions=[{"IpProtocol": "-1", "IpRanges": ANYWHERE}])
    return both(
        World.never_registered,
        without_a_route,
        lambda w: w.has("ec2:describe_vpc_endpoints", {"VpcEndpoints": found}),
        lambda w: w.answers["ec2:describe_security_groups"]["SecurityGroups"].append(opened),
    )


def with_nat(state: str, **subnet: str) -> Callable[[World], object]:
    """Have no way out but a NAT gateway in this state."""
    return both(
        World.never_registered,
        lambda w: w.answers["ec2:describe_nat_gateways"]["NatGateways"][0].update(
            State=state, **subnet
        ),
    )


@pytest.mark.parametrize(
    ("breaks", "changes", "status", "spent", "says"),
    [
        pytest.param(
            unknown_to_ec2,
            {3: known_to_ec2, 6: connects},
            0,
            10,
            f"after 0 of 12 s, there is no instance {NODE}",
            id="EC2 does not know it yet",
        ),
        *(
            pytest.param(
                breaks, {3: connects}, 0, 5, "is not ready after 0 of 12 s: connected", id=name
            )
            for name, breaks in {
                "an endpoint that is made": with_endpoint("pending"),
                "an endpoint that waits for its acceptance": with_endpoint("pendingAcceptance"),
                "a NAT gateway that is made": with_nat("pending"),
                "a NAT gateway that is made where no way leads out": with_nat(
                    "pending", SubnetId="subnet-private"
                ),
            }.items()
        ),
        *(
            pytest.param(breaks, {3: connects}, 1, 0, "does not change that: path-ssm", id=name)
            for name, breaks in {
                "an endpoint that is deleted": with_endpoint("deleting"),
                "a NAT gateway that has failed": with_nat("failed"),
            }.items()
        ),
        pytest.param(
            lambda w: (
                w.uses(),
                w.has("kms:describe_key", {"KeyMetadata": key(KeyState="Creating")}),
            ),
            {3: lambda w: w.has("kms:describe_key", {"KeyMetadata": key()})},
            0,
            5,
            "is not ready after 0 of 12 s: key-usable",
            id="a key that is made",
        ),
        pytest.param(World.never_registered, {7: connects}, 0, 10, "is ready", id="later"),
        pytest.param(lambda _: None, {}, 0, 0, "is ready after 0 s", id="at once"),
        pytest.param(pending, {3: runs, 6: connects}, 0, 10, "is ready", id="while it starts"),
        pytest.param(
            World.never_registered,
            {},
            1,
            12,
            "is not ready after 12 s: connected, registered",
            id="never",
        ),
        pytest.param(
            both(World.never_registered, lambda w: w.instance.pop("IamInstanceProfile")),
            {},
            1,
            0,
            "waiting does not change that: instance-profile",
            id="no profile",
        ),
        pytest.param(
            both(World.never_registered, lambda w: w.instance.update(State={"Name": "stopped"})),
            {},
            1,
            0,
            "waiting does not change that: instance-running",
            id="stopped",
        ),
        pytest.param(
            lambda w: w.refuses("ssm:GetConnectionStatus"),
            {},
            1,
            0,
            "connected, which the credentials may not ask",
            id="may not be asked",
        ),
        pytest.param(
            lambda w: w.refuses("ssm:GetConnectionStatus", "ThrottlingException"),
            {4: connects},
            0,
            5,
            "whether it is connected is not known",
            id="throttled",
        ),
        *(
            pytest.param(
                World.never_registered,
                {3: refusing("ec2:DescribeInstances", code), 6: known_again},
                0,
                10,
                f"after 5 of 12 s, ec2:DescribeInstances failed: {code}",
                id=f"{code} in a later round",
            )
            for code in ("RequestLimitExceeded", "Throttling")
        ),
        pytest.param(
            lambda w: w.refuses("ec2:DescribeInstances", "RequestLimitExceeded"),
            {3: known_again},
            0,
            5,
            "after 0 of 12 s, ec2:DescribeInstances failed: RequestLimitExceeded",
            id="throttled in the first round",
        ),
        pytest.param(
            World.never_registered,
            {3: lambda w: w.has("ec2:describe_instances", UNREACHED), 6: known_again},
            0,
            10,
            "after 5 of 12 s, Could not connect to the endpoint URL",
            id="no connection in a later round",
        ),
        pytest.param(
            World.never_registered,
            {3: lambda w: w.has("ec2:describe_instances", of_status(503)), 6: known_again},
            0,
            10,
            "after 5 of 12 s, ec2:DescribeInstances failed: Unavailable",
            id="an error of AWS in a later round",
        ),
    ],
)
def test_it_waits_as_long_as_that_can_help(  # noqa: PLR0917 # the columns of the table
    breaks: Callable[[World], object],
    changes: dict[float, Callable[[World], object]],
    status: int,
    spent: float,
    says: str,
    clock: Clock,
    run: Callable[..., Run],  # a fixture
) -> None:
    breaks(clock.world)
    clock.changes = changes

    found = run("--instance-id", NODE, "--wait", "12", "--output", "json")

    assert (found.status, clock.now) == (status, spent)
    assert found.json["ready"] is (status == 0)
    lines = found.err.splitlines()
    assert all(line.startswith((f"{SAID}{NODE} is ", f"{SAID}after ")) for line in lines)
    assert says in found.err
    assert len(lines) == -(-spent // 5) + 1


def test_by_default_it_waits_ten_minutes(
    clock: Clock,
    run: Callable[..., Run],  # a fixture
) -> None:
    clock.world.never_registered()

    assert run("--instance-id", NODE, "--wait").status == 1
    assert clock.now == 600


def test_each_round_asks_anew_and_the_last_alone_asks_why(
    clock: Clock,
    run: Callable[..., Run],  # a fixture
) -> None:
    clock.world.never_registered()

    run("--instance-id", NODE, "--wait", "10")

    assert clock.world.calls.count("ec2:describe_route_tables") == 3
    assert clock.world.calls.count("ec2:get_console_output") == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "1.5", "soon", "9999999"])
def test_what_is_no_time(seconds: str, run: Callable[..., Run]) -> None:  # a fixture
    found = run("--instance-id", NODE, f"--wait={seconds}")

    assert found.status == 2
    assert f"{seconds!r} is not a number of seconds" in found.err


def test_only_a_node_can_be_waited_for(run: Callable[..., Run]) -> None:  # a fixture
    found = run("--role", "web", "--wait")

    assert found.status == 2
    assert "--wait needs --instance-id" in found.err


def test_an_instance_that_ec2_never_knows_is_no_answer(
    clock: Clock,
    run: Callable[..., Run],  # a fixture
) -> None:
    unknown_to_ec2(clock.world)

    found = run("--instance-id", NODE, "--wait", "12")

    assert (found.status, clock.now, found.out) == (2, 12, "")
    assert found.err.splitlines()[-1].startswith(f"{SAID}there is no instance {NODE} in ")


def test_ctrl_c_ends_it(
    clock: Clock,
    run: Callable[..., Run],  # a fixture
) -> None:
    def interrupt(_: World) -> None:
        raise KeyboardInterrupt

    clock.world.never_registered()
    clock.changes = {1: interrupt}

    found = run("--instance-id", NODE, "--wait")

    assert (found.status, found.out) == (2, "")
    assert found.err.endswith("interrupted before there was an answer\n")


def test_waiting_mends_symptoms_alone() -> None:
    mended = {name for name, check in CHECKS.items() if check.is_symptom}

    assert mended == {"connected", "registered"}
