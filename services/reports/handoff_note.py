"""The handoff note: the shift in Markdown, from records only. What could not be read is written as unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.actions.log_reader import Log
from services.alerts.alert_log import Alerts
from services.alerts.rules import rule_of
from services.batches.reader import Batches
from services.core.clock import ET
from services.core.result import Health, Reading
from services.core.settings import Settings
from services.nights.coverage import DayCoverage, History
from services.nights.missing_players import account
from services.nights.player_stages import Night
from services.reports.event_list import timeline
from services.scaling.service_widths import Widths
from services.telemetry.scheduler import Schedule


@dataclass(frozen=True)
class Shift:
    """What the note is written from: every part known or not on its own."""

    game_date: date
    start: datetime
    now: datetime
    night: Reading[Night]
    batches: Reading[Batches]
    widths: Reading[Widths]
    history: Reading[History]
    alerts: Reading[Alerts]
    log: Reading[Log]
    schedule: Reading[Schedule]


def write(shift: Shift, settings: Settings) -> str:
    """The note. Pure: the same records give the same words."""
    parts = [
        [
            f"# Handoff, night of {shift.game_date}",
            "",
            f"Written {_time(shift.now)} by Prediction On-Call from its records.",
        ],
        ["## Key numbers", *_numbers(shift)],
        ["## Open alerts", *_alerts(shift)],
        ["## What happened", *_happened(shift)],
        ["## What was done, and by whom", *_done(shift)],
        ["## Current settings", *_settings(shift)],
        ["## Data state", *_data(shift)],
        ["## Next steps", *_next(shift)],
        ["## Quick commands", *_commands(shift, settings)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _unknown(reading: Reading[Any]) -> list[str]:
    return [f"- **Unknown:** {reading.problem.sentence}"] if reading.problem else []


def _numbers(shift: Shift) -> Iterator[str]:
    yield from _unknown(shift.night)
    night = shift.night.value
    if night is None:
        return
    if night.games == 0:
        yield "- No games on this date."
        return
    sums, context = account(night), sum(bool(p.in_context) for p in night.players)
    share = f" ({100 * sums.active / sums.expected:.1f} %)" if sums.expected else ""
    yield f"- **{sums.active} of {sums.expected}** eligible players are active{share}; {context} are in context."
    yield f"- {night.active_rows:,} active rows of {_count(night.generated_rows)} generated; {night.games} games."
    for why, count in sums.classified:
        yield f"- {count} missing: {why}."
    if sums.unexplained:
        yield f"- **{sums.unexplained} missing without an explanation.**"
    yield from (f"- Not readable: {problem.source}, since {_time(problem.since)}." for problem in night.problems)


def _alerts(shift: Shift) -> Iterator[str]:
    yield from _unknown(shift.alerts)
    if shift.alerts.value is None:
        return
    if not shift.alerts.value.open:
        yield "- None."
    for alert in shift.alerts.value.open:
        yield f"- **{alert.severity}**, {alert.state(shift.now)} since {_time(alert.since)}: {_line(alert.sentence)}"


def _happened(shift: Shift) -> Iterator[str]:
    for reading in (shift.batches, shift.alerts):
        yield from _unknown(reading)
    moments = timeline(shift.alerts.value, None, shift.batches.value, shift.widths.value, shift.start, shift.now)
    for moment in reversed(moments[:60]):
        yield f"- {_time(moment.when)} · {moment.kind} · {_line(moment.what)}" + (
            f" ({moment.who})" if moment.who else ""
        )
    if not moments:
        yield "- Nothing is recorded."


def _done(shift: Shift) -> Iterator[str]:
    yield from _unknown(shift.log)
    done = [a for a in (shift.log.value.actions if shift.log.value else ()) if shift.start <= a.begun < shift.now]
    for action in reversed(done):
        why = f" Reason: {_line(action.reason)}." if action.reason else ""
        came = _line(action.sentence) if action.ended else "**no outcome is recorded**"
        yield f"- {_time(action.begun)} · {action.actor} · {_line(action.title)}: {action.state}. {came}{why}"
    if shift.log.value is not None and not done:
        yield "- Nothing was done from this desk."


def _settings(shift: Shift) -> Iterator[str]:
    yield from _unknown(shift.widths)
    if shift.widths.value is None:
        return
    yield from ("", "| Service | Width | Revision | Changed by |", "|---|---|---|---|")
    for each in shift.widths.value.services:
        product = each.product if each.product is not None else "no limit"
        wide = f"{each.max_instances or 'no maximum'} × {each.request_concurrency} = {product} ({each.width})"
        yield f"| {each.service} | {wide} | {each.revision} | {each.changed_by} |"


def _data(shift: Shift) -> Iterator[str]:
    yield from _unknown(shift.history)
    if shift.history.value is None:
        return
    yield from ("", "| Game date | Games | In context | Eligible | Active | Coverage |", "|---|---|---|---|---|---|")
    for day in [day for day in shift.history.value.days if day.game_date <= shift.game_date][-7:]:
        yield f"| {day.game_date} | {day.games} | {day.in_context} | {day.eligible} | {day.active} | {_coverage(day)} |"


def _coverage(day: DayCoverage) -> str:
    share = day.pct_of(day.eligible)
    if day.health is Health.NONE_EXPECTED:
        return "no games"
    return "not run yet" if day.health is Health.UNKNOWN or share is None else f"{share:.1f} % ({day.health})"


def _next(shift: Shift) -> Iterator[str]:
    """What open alerts call for, what nobody has finished, and the next scheduled runs."""
    for alert in shift.alerts.value.open if shift.alerts.value else ():
        yield f"- {rule_of(alert.rule).remedy} ({alert.alert_id})"
    for action in shift.log.value.actions if shift.log.value else ():
        if action.quiet(shift.now):
            yield f"- Check and finish “{_line(action.title)}”: no outcome is recorded."
    yield from _unknown(shift.schedule)
    expected = shift.schedule.value.expected if shift.schedule.value else ()
    for job in shift.schedule.value.jobs if shift.schedule.value else ():
        if job.name in expected:
            yield f"- {job.name} runs next at {_time(job.next_at)}{f'; it {job.trouble}' if job.trouble else ''}."
    yield from (
        f"- {name} is not in Cloud Scheduler."
        for name in (shift.schedule.value.missing if shift.schedule.value else ())
    )


def _commands(shift: Shift, settings: Settings) -> Iterator[str]:
    region, worker = settings.region, settings.worker_service
    yield "```bash"
    yield f"gcloud run services describe {worker} --region={region}"
    yield f"gcloud run services update {worker} --max-instances=4 --concurrency=3 --region={region}   # emergency"
    yield f"gcloud scheduler jobs list --location={region} | grep prediction"
    body = f'{{"game_date": "{shift.game_date}", "force": true}}'
    yield f"curl -X POST $COORDINATOR_URL/start -H 'Content-Type: application/json' -d '{body}'"
    yield "```"
    yield f"[This night on the desk]({settings.dashboard_url}/overview?date={shift.game_date})"


def _line(text: str) -> str:
    """Words from a record, in one line that starts no Markdown of its own."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _count(value: int | None) -> str:
    return "an unknown number of rows" if value is None else f"{value:,}"


def _time(at: datetime | None) -> str:
    if at is None:
        return "an unknown time"
    there = at.astimezone(ET)
    return f"{there.day} {there:%b %H:%M} ET"
