"""`oncall logs` and `oncall count`: a filter of one's own over the log, once or followed, and counts of the customer's tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

import click

from services.cli import count_report, record_reports
from services.cli.options import DATE, INSTANT, SPAN, date_option, json_option
from services.cli.rendering import print_report
from services.cli.terminal import Terminal
from services.core.clock import format_eastern, night_window
from services.core.errors import InvalidInput, SourceUnavailable
from services.core.freshness import TAIL_TTL_S
from services.core.text import to_printable
from services.explore.look import DEFAULT_DAYS, make_look
from services.explore.subjects import PREDICTION_ROWS, SUBJECTS, SUBJECTS_BY_NAME
from services.gcp.clients import Clients
from services.telemetry import log_search
from services.telemetry.log_reader import PRESETS, LogLine
from services.telemetry.log_search import SOURCES, SOURCES_BY_NAME, LogSearch, LogSource

SEARCHES = "; ".join(preset.name for preset in PRESETS)
Times = tuple[timedelta | None, datetime | None, datetime | None]  # since, from, to


@click.command("logs")
@click.argument("search", required=False)
@click.option("--find", "text", default="", metavar="TEXT", help="Only lines with this text.")
@click.option("--filter", "own", default="", metavar="FILTER", help="A filter in Cloud Logging's query language.")
@click.option(
    "--source", type=click.Choice([source.name for source in SOURCES], case_sensitive=False), help="Whose log."
)
@click.option("--service", default="", metavar="NAME", help="Only this service, function, job, topic or subscription.")
@click.option("--since", type=SPAN, metavar="2h", help="The last minutes, hours or days: 30m, 2h, 7d.")
@click.option("--from", "start", type=INSTANT, metavar="TIME", help="Start (ET), as 2025-12-29T14:00.")
@click.option("--to", "end", type=INSTANT, metavar="TIME", help="End (ET), excluded; default: now.")
@click.option("--follow", is_flag=True, help="Print the newest lines, and further ones as they come, until Ctrl-C.")
@date_option
@json_option
@click.pass_obj
def logs(
    terminal: Terminal,
    search: str | None,
    text: str,
    own: str,
    source: str | None,
    service: str,
    since: timedelta | None,
    start: datetime | None,
    end: datetime | None,
    follow: bool,
    game_date: date | None,
    as_json: bool,
) -> int:
    """What the services logged this night."""
    times = (since, start, end)
    if not (own or source or service or follow or any(times)):
        night = terminal.game_date(game_date)
        report = record_reports.logs_report(
            terminal.reading, night, PRESETS[0].name if search is None else search, text
        )
        print_report(report, as_json)
        return report.exit_code
    filter_text = _combine(terminal.reading, search, own, service)
    chosen = SOURCES_BY_NAME[source] if source else SOURCES[0]
    if follow:
        if any(times) or game_date or as_json:
            raise InvalidInput("--follow goes with no time and no --json: it shows what comes.", "Leave them out.")
        for line in follow_lines(terminal.reading, filter_text, chosen):
            if text.lower() in line.message.lower():
                click.echo(format_line(line))
        return 0
    window = _window(terminal, times, game_date)
    report = record_reports.search_report(terminal.reading, LogSearch(filter_text, chosen, *window), text)
    print_report(report, as_json)
    return report.exit_code


logs.help = f"""What the services logged this night, or what a filter finds at any time.

SEARCH, or how it begins: {SEARCHES}. --filter, --source, --service and a time search beyond the night's runs; all of them
together must match.
"""


def _combine(clients: Clients, search: str | None, own: str, service: str) -> str:
    """The filter of all that was asked for; raises InvalidInput."""
    settings, filter_text = clients.settings, ""
    names = {"worker": settings.worker_service, "coordinator": settings.coordinator_service}
    named = record_reports.find_preset(search).condition.format(**names) if search is not None else ""
    for clause in (named, log_search.strip_comments(own), log_search.of_service(service) if service else ""):
        if clause:
            filter_text = log_search.add_clause(filter_text, f"({clause})")
    return filter_text


def _window(terminal: Terminal, times: Times, game_date: date | None) -> tuple[datetime, datetime]:
    """The time that is searched, the night's without one; raises InvalidInput for two of them."""
    since, start, end = times
    if sum((since is not None, start is not None, game_date is not None)) > 1 or (end is not None and start is None):
        raise InvalidInput("Which time is meant is not clear.", "Give --since, or --from with --to, or --date.")
    now = terminal.reading.now()
    if since is not None:
        return now - since, now
    return (start, end or now) if start is not None else night_window(terminal.game_date(game_date))


def follow_lines(
    clients: Clients, text: str, source: LogSource, wait: Callable[[float], object] = time.sleep
) -> Iterator[LogLine]:
    """The newest lines and then each further one, without end; a log that cannot be read for a while is said on stderr.

    Raises InvalidInput for a filter that cannot be used.
    """
    shown: set[tuple[datetime, str]] = set()
    while True:
        try:
            lines = log_search.read_tail(clients, text, source).lines
        except SourceUnavailable as error:
            click.echo(to_printable(str(error)), err=True)
            lines = ()
        for line in lines:
            if (line.at, line.insert_id) not in shown:
                shown.add((line.at, line.insert_id))
                yield line
        wait(TAIL_TTL_S + 1)


def format_line(line: LogLine) -> str:
    """One line for a terminal: when, how severe, whose, what."""
    at = format_eastern(line.at, "%-d %b %H:%M:%S")
    return to_printable(f"{at}  {line.severity:8}  {line.service}  {line.message}")


@click.command("count")
@click.argument("subject", type=click.Choice(list(SUBJECTS_BY_NAME)), default=PREDICTION_ROWS.name)
@click.option("--by", default="date,system", show_default=True, metavar="NAMES", help="What to count by, with commas.")
@click.option("--from", "first", type=DATE, metavar="DATE", help="First game date; default: a week before the last.")
@click.option("--to", "last", type=DATE, metavar="DATE", help="Last game date; default: tonight.")
@click.option("--player", default="", metavar="NAME", help="Only this player.")
@click.option("--system", default="", metavar="NAME", help="Only this system.")
@click.option("--batch", default="", metavar="ID", help="Only this batch.")
@click.option("--active", default="", metavar="yes|no", help="Only active rows, or only others.")
@click.option("--cost", "cost_only", is_flag=True, help="Only what it would read; free.")
@json_option
@click.pass_obj
def count(
    terminal: Terminal,
    /,
    subject: str,
    by: str,
    first: date | None,
    last: date | None,
    as_json: bool,
    cost_only: bool,
    **filters: str,
) -> int:
    """Rows, players, lines and duplicates over a range of dates."""
    last = last or max(first or date.min, terminal.game_date(None))
    first = first or last - timedelta(days=DEFAULT_DAYS - 1)
    names = tuple(dict.fromkeys(filter(None, by.replace(" ", "").split(","))))
    look = make_look(SUBJECTS_BY_NAME[subject], names, first, last, **filters)
    report = count_report.count_report(terminal.reading, look, cost_only)
    print_report(report, as_json)
    return report.exit_code


count.help = (
    "Count rows, players, lines and duplicates over a range of dates, within the bytes that one query may read.\n\n"
    + "".join(f"\b\n{subject.name}: by {', '.join(subject.dimensions)}\n" for subject in SUBJECTS)
)
