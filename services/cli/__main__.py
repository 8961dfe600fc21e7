"""`python -m services.cli`, or `.venv/bin/oncall` once `make oncall` has written it: the on-call commands, errors as one sentence."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence

import click

from services.actions.log_writer import ActionNotRecorded
from services.cli.commands import cli
from services.cli.report import INTERRUPTED_CODE, TROUBLE_CODE, UNKNOWN_CODE, USAGE_CODE
from services.cli.terminal import Terminal
from services.core.errors import InvalidInput, OnCallError, SettingsError, SourceUnavailable
from services.core.text import to_printable


def run(arguments: Sequence[str], terminal: Terminal | None = None) -> int:
    """Carry out one command line; its exit code. No OnCallError leaves it: its sentence and hint go to standard error."""
    terminal = terminal or Terminal()
    terminal.arguments = tuple(arguments)
    try:
        code = cli.main(list(arguments), prog_name="oncall", standalone_mode=False, obj=terminal)
        return int(code or 0)
    except click.ClickException as error:
        error.show()
        return USAGE_CODE
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return INTERRUPTED_CODE
    except OnCallError as error:
        click.echo(to_printable(str(error)), err=True)
        if "--json" in arguments:
            click.echo(json.dumps({"error": error.message, "hint": error.hint}))
        return _exit_code(error)


def _exit_code(error: OnCallError) -> int:
    """2 for what was typed or set wrongly, 3 where the answer is unknown, 1 for what was refused or failed."""
    if isinstance(error, InvalidInput | SettingsError):
        return USAGE_CODE
    return UNKNOWN_CODE if isinstance(error, SourceUnavailable | ActionNotRecorded) else TROUBLE_CODE


def main() -> None:
    """The entry point of the command. What libraries log is no part of an answer: only their errors are shown."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
