"""The command `session-manager-permissions`: passes each subcommand to its package."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from ._readiness import command as of_check
from ._readiness.templates.loading import CannotRead
from ._verify import command, options
from ._verify.asking import CannotAsk
from ._verify.command import _parser as of_verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._verify.command import Subcommands


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: the arguments. Default: - those of the process.

    Returns:
        The exit status: `READY`, `NOT_READY` or `CANNOT_ASK`.
    """
    return command.main(argv, _add_check)


def parser() -> argparse.ArgumentParser:
    """Return the whole command line."""
    return of_verify(_add_check)


def _add_check(commands: Subcommands) -> None:
    check = commands.add_parser(
        "check",
        help="report the instances of templates that Session Manager can't reach, and why",
        description=of_check.DESCRIPTION,
        epilog=of_check.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    of_check.add_arguments(check)
    check.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    options.import_extras(of_check.EXTRAS[arguments.output], extra="check")
    try:
        result = of_check.answer(arguments)
    except CannotRead as error:
        raise CannotAsk(str(error)) from None
    command.print_text(partial(of_check.FORMS[arguments.output], result))
    return command.NOT_READY if result.not_ready else command.READY
