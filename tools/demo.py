"""`make demo`: Session Manager on instance profiles that exist, by the real CDK CLI.

The first half gives one profile the policy and takes it back. The second half audits an account,
and gives the policy to all profiles that lack it.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from instances import launch, lead_to_the_internet, systems_manager
from local_aws import allow, create_key, existing_profile, local_aws
from rich.console import Console
from rich.table import Table

from session_manager_permissions._needs import CHANNELS, REGISTRATION
from session_manager_permissions._verify.role import answer, capability

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local_aws import CliRun, ExistingProfile, LocalAws

    from session_manager_permissions._verify.answers import CapabilityAnswer

PROFILE = "web-server"
LACKING = ("api", "batch", "database")
FINE = "bastion"
FILE = "profiles.txt"

ON_A_REAL_ACCOUNT = """
On a real account, with its credentials and region in the environment:
[bold]  . .venv/bin/activate
  npx cdk deploy -c instance-profile=NAME -c key=KEY_ARN[/]
or -c role=NAME_OR_ARN, or -c instance-profiles=FILE; leave the key out if session data has none
of its own.
Unless another policy lets the role register its instances, add -c allow-registration=true: see
README.md."""
"""What to run next."""
ENDED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

console = Console(highlight=False, emoji=False, soft_wrap=True)


class Times(NamedTuple):
    """What the role may do at one time."""

    capabilities: list[CapabilityAnswer]
    """IAM's answers, by `session-manager-permissions verify`."""
    calls: dict[str, bool]
    """Whether a call, made with credentials of the role, was let through."""

    @property
    def outcome(self) -> tuple[list[bool], list[bool]]:
        """What IAM allows, in the order of the table, and which calls were let through."""
        return [found["allowed"] for found in self.capabilities], [*self.calls.values()]


def ask(profile: ExistingProfile, key: str, other_key: str) -> Times:
    """Ask IAM, and try what there is a call for on a local AWS."""
    keys = ("--key", key, "--key", other_key)
    run = profile.aws.verify("--instance-profile", profile.name, *keys, "--output", "json")
    if run.returncode not in {0, 1}:
        sys.exit(f"session-manager-permissions verify failed: {run.stderr}")
    calls = {
        "kms:Decrypt, the key": profile.can_decrypt(key),
        "kms:Decrypt, another key": profile.can_decrypt(other_key),
        "s3:GetEncryptionConfiguration": profile.can_see_log_encryption(),
        "s3:ListBucket, its team's": profile.can_list_bucket(),
    }
    return Times(json.loads(run.stdout)["capabilities"], calls)


def show(profile: ExistingProfile, **times: Times) -> None:
    """What may be done, each time that IAM was asked, and what else there is to see of it."""
    table = comparison_table(**{name: time.capabilities for name, time in times.items()})
    console.print(table, soft_wrap=False)
    *_, last = times.values()
    let_through = ", ".join(call for call, done in last.calls.items() if done)
    console.print(f"Calls of the role that are let through: {let_through}")
    policies = ", ".join(profile.inline_policies())
    console.print(f"Inline policies of the role: {policies}")


def comparison_table(**times: Sequence[CapabilityAnswer]) -> Table:
    """A table of what a role might do at several times, a column each: the same was asked then."""
    table = Table("capability", *times)
    for found in zip(*times.values(), strict=True):
        table.add_row(capability(found[0]), *(answer(one["verdict"]) for one in found))
    return table


def run(command: Callable[..., CliRun], *arguments: str, fails: bool = False, **more: str) -> None:
    """Run `cdk`, or the audit, and show what it says: it fails, or not, as expected."""
    name = {"cdk": "cdk", "audit": "session-manager-permissions audit"}[command.__name__]
    console.print(f"[bold]$ {name} {shlex.join(arguments)}[/]")
    done = command(*arguments, show=show_line, **more)
    if done.exit_code != fails:
        sys.exit(f"{name} {arguments[0]} failed")


def show_line(line: str) -> None:
    """Show a line that a command prints."""
    if line:
        console.print(f"  {line}", style="dim", markup=False)


def expect(what: str, *, holds: bool) -> None:
    """End the demo where it does not hold."""
    if not holds:
        sys.exit(f"expected {what}")


def step(number: int, text: str) -> None:
    """Say what happens now."""
    console.print(f"\n[bold cyan]{number}/10[/] {text}")


def one_profile(aws: LocalAws) -> None:
    """Deploy the app to an account that has a profile and a key already, and take it back."""
    step(2, "Some other team makes an instance profile, its role and a KMS key")
    profile = existing_profile(aws, PROFILE)
    allow(profile, *REGISTRATION.actions)
    key, other_key = create_key(aws), create_key(aws)
    console.print(f"{profile.name} with {profile.role_arn}\n{key}")
    made = profile.description()

    step(3, "What the role may do: calls with its own credentials, and what IAM simulates")
    before = ask(profile, key, other_key)
    show(profile, before=before)
    expect(
        "a role that may register, and do its own team's work",
        holds=before.outcome == ([False, True, False, False], [False, False, False, True]),
    )

    step(4, "Give it Session Manager")
    options = ("-c", f"instance-profile={PROFILE}", "-c", f"key={key}")
    run(aws.cdk, "deploy", *options)
    after = ask(profile, key, other_key)
    show(profile, before=before, after=after)
    expect(
        "all that Session Manager needs, and no other key",
        holds=after.outcome == ([True, True, True, False], [True, False, True, True]),
    )

    step(5, "Take it back")
    run(aws.cdk, "destroy", "--force", *options)

    step(6, "The role and the profile are there as they were, the policy is gone")
    destroyed = ask(profile, key, other_key)
    show(profile, before=before, after=after, destroyed=destroyed)
    expect("the role as before", holds=destroyed == before)
    expect("the profile as it was made", holds=profile.description() == made)


def whole_account(aws: LocalAws) -> None:
    """Audit an account, and give the policy to all profiles that lack permissions."""
    step(7, "The account gets four instances, each with a profile of its own")
    profiles = [existing_profile(aws, name) for name in (*LACKING, FINE)]
    for profile in profiles[:-1]:
        allow(profile, *REGISTRATION.actions)
    allow(profiles[-1], *REGISTRATION.actions, *CHANNELS.actions)
    lead_to_the_internet(profiles[0])
    running = {launch(profile): profile for profile in profiles}
    console.print(", ".join(f"{name} ({profile.name})" for name, profile in running.items()))

    with systems_manager(running) as address:
        step(8, "Audit the account, and write the profiles that lack permissions to a file")
        run(aws.audit, "--profiles-file", FILE, systems_manager=address, fails=True)
        text = (aws.project / FILE).read_text(encoding="utf-8")
        console.print(f"{FILE}:\n{text.rstrip()}")
        expect("the three profiles that lack permissions", holds=text.split() == [*LACKING])

        step(9, "Give all of them Session Manager: one stack, one policy")
        run(aws.cdk, "deploy", "-c", f"instance-profiles={FILE}")

        step(10, "Audit the account again: here, agents connect at once; on AWS, in 30 minutes")
        run(aws.audit, "--profiles-file", "lacking.txt", systems_manager=address)
        text = (aws.project / "lacking.txt").read_text(encoding="utf-8")
        expect("no profile that lacks permissions", holds=text == "")


def stop(number: int, _frame: object) -> NoReturn:
    """Unwind, so that everything started is stopped; once is enough."""
    for ignored in ENDED_BY:
        signal.signal(ignored, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> None:
    """Run the demo; whatever ends it, the local AWS and its files are gone then."""
    for number in ENDED_BY:
        signal.signal(number, stop)
    # The CLI's check of the templates takes longer than all else, and finds nothing in these.
    os.environ.setdefault("CDK_VALIDATION", "false")
    step(1, "Start a local AWS, with IAM enforced")
    try:
        with local_aws() as aws:
            console.print(f"MiniStack on {aws.endpoint}, process {aws.pid}")
            one_profile(aws)
            whole_account(aws)
    except RuntimeError as error:  # the local AWS did not start
        sys.exit(str(error))
    console.print(ON_A_REAL_ACCOUNT)


if __name__ == "__main__":
    main()
