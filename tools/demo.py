"""`make demo`: Session Manager on an instance profile that exists, by the real CDK CLI."""

from __future__ import annotations

import shlex
import signal
import sys
from typing import NamedTuple, NoReturn

from local_aws import ExistingProfile, LocalAws, create_key, existing_profile, local_aws
from rich.console import Console
from rich.table import Table

PROFILE = "web-server"
CHANNELS = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")

console = Console(highlight=False, emoji=False)


class Row(NamedTuple):
    """Something that a role may or may not do, and who answered."""

    action: str
    asked: str
    allowed: bool


def ask(profile: ExistingProfile, key: str, other_key: str) -> list[Row]:
    """What the role may do, by IAM's own answer: a call as the role where there is one to make."""
    simulated = [
        Row(f"ssmmessages:{action}", "simulator", profile.simulate(f"ssmmessages:{action}"))
        for action in CHANNELS
    ]
    return [
        *simulated,
        Row("s3:GetEncryptionConfiguration", "call", profile.can_see_log_encryption()),
        Row("kms:Decrypt, the key", "call", profile.can_decrypt(key)),
        Row("kms:Decrypt, another key", "call", profile.can_decrypt(other_key)),
        Row("s3:ListBucket, its team's", "call", profile.can_list_bucket()),
    ]


def show(profile: ExistingProfile, **answers: list[Row]) -> None:
    """A table of the actions, with a column for each time that IAM was asked."""
    table = Table("action", "asked by", *answers)
    for times in zip(*answers.values(), strict=True):
        words = ("[green]allowed[/]" if row.allowed else "[red]denied[/]" for row in times)
        table.add_row(times[0].action, times[0].asked, *words)
    console.print(table)
    policies = ", ".join(profile.inline_policies())
    console.print(f"Inline policies of the role: {policies}", soft_wrap=True)


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
        key, other_key = create_key(aws), create_key(aws)
        console.print(f"{profile.name} with {profile.role_arn}\n{key}", soft_wrap=True)
        made = profile.description()

        step(3, "What the role may do: calls with its own credentials, and what IAM simulates")
        before = ask(profile, key, other_key)
        show(profile, before=before)
        expect(
            "a role that may do nothing but its own team's work",
            holds=[row.allowed for row in before] == [False] * 7 + [True],
        )

        step(4, "Give it Session Manager")
        options = ("-c", f"instance-profile={PROFILE}", "-c", f"key={key}")
        cdk(aws, "deploy", *options)
        after = ask(profile, key, other_key)
        show(profile, before=before, after=after)
        expect(
            "all that Session Manager needs, and no other key",
            holds=[row.allowed for row in after] == [True] * 6 + [False, True],
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
