"""Prints a report: aligned text for a person, JSON for a program. What it repeats of others never acts on the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from services.cli.report import Report, Table, format_cell
from services.core.clock import format_eastern
from services.core.result import Health
from services.core.text import pluralize, to_printable

PIPED_WIDTH = 200  # columns where nobody's terminal says how many it has
_STYLE_BY_HEALTH = {
    Health.OK: "green",
    Health.NONE_EXPECTED: "dim",
    Health.WARNING: "yellow",
    Health.CRITICAL: "bold red",
    Health.UNKNOWN: "magenta",
}


def print_report(report: Report, as_json: bool, out: TextIO | None = None) -> None:
    """Print a report to `out`, standard output by default."""
    out = out or sys.stdout
    if as_json:
        out.write(json.dumps(report.to_json(), indent=2) + "\n")  # in ASCII: exact, and safe for a terminal
        return
    if report.document:
        out.write("\n".join(map(to_printable, report.document.splitlines())) + "\n")
        return
    console = _open_console(out)
    label = report.label or str(report.health).upper()
    console.print(Text(f"{label}  ", _STYLE_BY_HEALTH[report.health]), Text(to_printable(report.headline)), sep="")
    for line in (report.title, *report.details):
        console.print(Text(to_printable(line), "dim" if line == report.title else ""))
    for table in report.tables:
        _print_table(console, table)
    for line in _footer(report):
        console.print(Text(line, "dim"))


def _open_console(out: TextIO) -> Console:
    """A console that takes no text for markup; colours only on a terminal, and not with NO_COLOR."""
    width = None if out.isatty() else PIPED_WIDTH
    return Console(file=out, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def _print_table(console: Console, table: Table) -> None:
    console.print()
    if not table.rows:
        console.print(Text(table.empty))
        return
    grid = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column, value in table.rows[0].items():
        is_count = isinstance(value, int | float) and not isinstance(value, bool)
        grid.add_column(Text(column), justify="right" if is_count else "left", overflow="fold")
    for row in table.rows:
        grid.add_row(*(_cell(column, value) for column, value in row.items()))
    console.print(grid)


def _cell(column: str, value: object) -> Text:
    style = _STYLE_BY_HEALTH[value] if isinstance(value, Health) else "magenta" if value is None else ""
    return Text(to_printable(format_cell(column, value)), style)


def _footer(report: Report) -> Iterator[str]:
    """What is unknown, old or partial, then when and from how many sources all was read."""
    if report.tables and (report.problems or report.sources):
        yield ""
    for problem in report.problems:
        text = f"{problem.source}, since {format_eastern(problem.since)}: {problem.message} {problem.hint}".rstrip()
        yield to_printable(f"Unknown, old or partial: {text}")
    if report.sources:
        billed = sum(source.bytes_billed for source in report.sources) / 2**20
        oldest = min(source.read_at for source in report.sources)
        yield f"Read {format_eastern(oldest, '%H:%M:%S')} from {pluralize(len(report.sources), 'source')}; {billed:,.0f} MiB billed."
