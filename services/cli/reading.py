"""How a command that only reads becomes one: it builds a report, prints it, and ends with the report's exit code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import wraps

import click

from services.cli.options import date_option, json_option
from services.cli.rendering import print_report
from services.cli.report import Report
from services.cli.terminal import Terminal

ReportCommand = Callable[..., Report]


def reading_of(group: click.Group, name: str, *, dated: bool = False) -> Callable[[ReportCommand], click.Command]:
    """A command of `group` that prints the report its function returns; `dated` ones get the night, tonight by default."""

    def decorate(build: ReportCommand) -> click.Command:
        @wraps(build)
        def run(terminal: Terminal, /, as_json: bool, game_date: date | None = None, **params: object) -> int:
            if dated:
                params["game_date"] = terminal.game_date(game_date)
            report = build(terminal, **params)
            print_report(report, as_json)
            return report.exit_code

        callback = json_option(click.pass_obj(run))
        return group.command(name)(date_option(callback) if dated else callback)

    return decorate
