"""`make demo`: Session Manager on an instance profile that exists, by the real CDK CLI."""

from __future__ import annotations

import shlex
import signal
import sys
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from local_aws import (
    REGION,
    ExistingProfile,
    LocalAws,
    allow_registration,
    create_key,
    existing_profile,
    local_aws,
)
from rich.console import Console
from rich.table import Table

from session_manager_permissions._verify.command import answer, capability
from session_manager_permissions._verify.simulator import (
    LiveKey,
    Uses,
    Verdict,
    find_role,
    questions,
    role_of_profile,
)
from session_manager_permissions._verify.simulator import ask as simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

PROFILE = "web-server"

console = Console(highlight=False, emoji=False)


class Times(NamedTuple):
    """What the role may do at one time."""

    verdicts: list[Verdict]
    """IAM's answers, as `session-manager-permissions verify` asks for them."""
    calls: dict[str, bool]
    """Whether a call, made with credentials of the role, was let through."""

    @property
    def allowed(self) -> list[bool]:
        """In the order of the table."""
        return [verdict.allowed for verdict in self.verdicts]


def ask(profile: ExistingProfile, key: str, other_key: str) -> Times:
    """Ask IAM, and try what there is a call for on a local AWS."""
    iam = profile.aws.client("iam")
    role = find_role(iam, role_of_profile(iam, profile.name))
    uses = Uses(keys=(LiveKey(key, key), LiveKey(other_key, other_key)))
    verdicts = simulate(iam, role, questions(role, uses, REGION), REGION)
    calls = {
        "kms:Decrypt, the key": profile.can_decrypt(key),
        "kms:Decrypt, another key": profile.can_decrypt(other_key),
        "s3:GetEncryptionConfiguration": profile.can_see_log_encryption(),
        "s3:ListBucket, its team's": profile.can_list_bucket(),
    }
    return Times(verdicts, calls)


def show(profile: ExistingProfile, **times: Times) -> None:
    """What may be done, each time that IAM was asked, and what else there is to see of it."""
    console.print(comparison_table(**{name: time.verdicts for name, time in times.items()}))
    *_, last = times.values()
    let_through = ", ".join(call for call, done in last.calls.items() if done)
    console.print(f"Calls of the role that are let through: {let_through}", soft_wrap=True)
    policies = ", ".join(profile.inline_policies())
    console.print(f"Inline policies of the role: {policies}", soft_wrap=True)


def comparison_table(**times: Sequence[Verdict]) -> Table:
    """A table of what a role might do at several times, a column each: the same was asked then."""
    table = Table("capability", *times)
    for verdicts in zip(*times.values(), strict=True):
        table.add_row(capability(verdicts[0]), *(answer(verdict) for verdict in verdicts))
    return table


def cdk(aws: LocalAws, *arguments: str) -> None:
    """Run the CLI and show what it says."""
    console.print(f"[bold]$ {shlex.join(['cdk', *arguments])}[/]", soft_wrap=True)

    def show_line(line: str) -> None:
        if line:
            console.print(f"  {line}", style="dim", markup=False, soft_wrap=True)

    run = aws.cdk(*arguments, show=show_line)
    if run.exit_code != 0:
        sys.exit(f"cdk {arguments[0]} failed")


def expect(what: str, *, holds: bool) -> None:
    """End the demo where it does not hold."""
    if not holds:
        sys.exit(f"expected {what}")


def step(number: int, text: str) -> None:
    """Say what happens now."""
    console.print(f"\n[bold cyan]{number}/6[/] {text}")


def demo() -> None:
    """Deploy the app to an account that has a profile and a key already, and take it back."""
    step(1, "Start a local AWS, with IAM enforced")
    with local_aws() as aws:
        console.print(f"MiniStack on {aws.endpoint}, process {aws.pid}")

        step(2, "Some other team makes an instance profile, its role and a KMS key")
        profile = existing_profile(aws, PROFILE)
        allow_registration(profile)
        key, other_key = create_key(aws), create_key(aws)
        console.print(f"{profile.name} with {profile.role_arn}\n{key}", soft_wrap=True)
        made = profile.description()

        step(3, "What the role may do: calls with its own credentials, and what IAM simulates")
        before = ask(profile, key, other_key)
        show(profile, before=before)
        expect(
            "a role that may register, and do its own team's work",
            holds=before.allowed == [False, True, False, False]
            and [*before.calls.values()] == [False, False, False, True],
        )

        step(4, "Give it Session Manager")
        options = ("-c", f"instance-profile={PROFILE}", "-c", f"key={key}")
        cdk(aws, "deploy", *options)
        after = ask(profile, key, other_key)
        show(profile, before=before, after=after)
        expect(
            "all that Session Manager needs, and no other key",
            holds=after.allowed == [True, True, True, False]
            and [*after.calls.values()] == [True, False, True, True],
        )

        step(5, "Take it back")
        cdk(aws, "destroy", "--force", *options)

        step(6, "The role and the profile are there as they were, the policy is gone")
        destroyed = ask(profile, key, other_key)
        show(profile, before=before, after=after, destroyed=destroyed)
        expect("the role as before", holds=destroyed == before)
        expect("the profile as it was made", holds=profile.description() == made)


def on_a_real_account() -> None:
    """What to run next."""
    console.print(
        "\nOn a real account, with its credentials and region in the environment:\n"
        "[bold]  . .venv/bin/activate\n"
        "  npx cdk deploy -c instance-profile=NAME -c key=KEY_ARN[/]\n"
        "or -c role=NAME_OR_ARN; leave the key out where session data has none of its own. The "
        "agent must also be able\nto register with Systems Manager, which the policy leaves to "
        "those that the role has: see README.md.",
        soft_wrap=True,
    )


def stop(number: int, _frame: object) -> NoReturn:
    """Unwind, so that everything started is stopped; once is enough."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> None:
    """Run the demo; whatever ends it, the local AWS and its files are gone then."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        demo()
    except RuntimeError as error:  # the local AWS did not start
        sys.exit(str(error))
    on_a_real_account()


if __name__ == "__main__":
    main()
