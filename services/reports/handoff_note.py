"""The shift handoff in Markdown: cause, loss and what is open first, what was done folded below them, each line with a link to its source.

What could not be read is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from services.actions.log_reader import Action, ActionLog
from services.alerts.alert_log import Alert, Alerts, AlertState
from services.alerts.rules import get_rule
from services.core.commands import curl_command, gcloud_command
from services.core.result import Health, Result
from services.core.settings import Settings
from services.core.text import escape_markdown, pluralize
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement, judge_night
from services.nights.balance import balance
from services.nights.coverage import CoverageHistory, NightCoverage
from services.notes.note import ADD_NOTE_NAME, About, list_notes
from services.policy.dml_limits import EMERGENCY_CAPACITY_FLAGS
from services.reports.event import Event
from services.reports.events import recent_events
from services.reports.incident import build_incident
from services.reports.markdown import Links, format_time, unknown_note
from services.scaling.capacity import ServiceCapacities
from services.scaling.deploys import DeployHistory
from services.telemetry.scheduler import Schedule

T = TypeVar("T")
MAX_EVENTS, MAX_ACTIONS, MAX_DAYS = 60, 15, 7  # the newest ones are in the note


@dataclass(frozen=True)
class HandoffInputs:
    """What the note is written from: each part is known or unknown on its own."""

    facts: NightFacts
    start: datetime
    capacities: Result[ServiceCapacities]
    deploys: Result[DeployHistory]
    history: Result[CoverageHistory]
    alerts: Result[Alerts]
    action_log: Result[ActionLog]
    schedule: Result[Schedule]
    notes: Result[ActionLog]  # the actions among which those are that wrote a note about the night

    @property
    def readings(self) -> tuple[Result[Any], ...]:
        """Every reading that the note is made from."""
        facts = self.facts
        of_night = (facts.night, facts.batches, facts.writes, facts.usual, facts.record)
        platform = (self.capacities, self.deploys, self.history, self.alerts, self.action_log, self.schedule)
        return (*of_night, *platform)

    @property
    def source_count(self) -> str:
        """How many of the readings could be read, in words."""
        return f"{sum(reading.ok for reading in self.readings)} of {len(self.readings)} sources"


@dataclass(frozen=True)
class Section:
    """One part of the note: its heading and its lines. `folded`: it is opened by who wants to know."""

    heading: str
    lines: tuple[str, ...]
    folded: bool = False

    def to_markdown(self) -> str:
        """The section under its heading; a folded one as the element that Markdown's readers fold."""
        if not self.folded:
            return "\n".join((f"## {self.heading}", *self.lines))
        return "\n".join((f"<details><summary>{self.heading}</summary>", "", *self.lines, "", "</details>"))


def render_markdown(inputs: HandoffInputs, settings: Settings) -> str:
    """The note as Markdown. Pure: the same inputs give the same text."""
    return join_note(render_head(inputs, settings), build_sections(inputs, settings))


def join_note(head: str, sections: Iterable[Section]) -> str:
    """The whole note of its head and its sections."""
    return "\n\n".join((head, *(section.to_markdown() for section in sections))) + "\n"


def render_head(inputs: HandoffInputs, settings: Settings) -> str:
    """The title and what every page says of the night, as Markdown."""
    links = Links(settings.dashboard_url, inputs.facts.game_date)
    lines = [
        f"# On-call handoff – {inputs.facts.game_date}",
        "",
        *_judgement_lines(inputs.facts, judge_night(inputs.facts, settings)),
        "",
        f"Generated {format_time(inputs.facts.now)} from {inputs.source_count} · {links.to('Open in dashboard', '')}",
    ]
    return "\n".join(lines)


def build_sections(inputs: HandoffInputs, settings: Settings) -> tuple[Section, ...]:
    """The parts of the note below its head: cause and loss, what is open, notes, then what was done and how all stands."""
    links = Links(settings.dashboard_url, inputs.facts.game_date)
    actions, events = list_actions(inputs), _list_events(inputs)
    return (
        Section("Cause and loss", (*cause_lines(inputs, settings, links), *_key_numbers(inputs, links))),
        Section("Open alerts", tuple(_open_alerts(inputs, links))),
        Section("Next steps", tuple(_next_steps(inputs, links))),
        Section("Notes", tuple(note_lines(inputs, links))),
        Section(f"Actions taken: {_count_text(inputs.action_log, actions)}", tuple(_actions(inputs, links)), True),
        Section(f"Timeline: {pluralize(len(events), 'event')}", tuple(_events(inputs, links)), True),
        Section("Current settings", tuple(_current_settings(inputs))),
        Section("Coverage by date", tuple(_coverage_history(inputs))),
        Section("Commands", tuple(_quick_commands(inputs, settings))),
    )


def _count_text(reading: Result[Any], found: Sequence[object]) -> str:
    return "unknown" if reading.value is None else f"{len(found):,}"


def _judgement_lines(facts: NightFacts, judgement: NightJudgement) -> Iterator[str]:
    """What every page says of the game date: its health and headline, what is not proven, and why that may be so."""
    yield f"**{judgement.health}**: {escape_markdown(judgement.headline)}"
    statements = [statement for statement in judgement.statements if not statement.is_proven]
    unproven = [statement for statement in statements if statement.sentence != judgement.headline]
    of_night = facts.night.value.problems if facts.night.value is not None else ()
    of_statements = (problem for statement in judgement.statements for problem in statement.problems)
    problems = dict.fromkeys((*facts.outdated, *of_statements, *of_night))
    if unproven or problems:
        yield ""
    for statement in unproven:
        yield f"- {escape_markdown(statement.subject)}, {statement.state}: {escape_markdown(statement.sentence)}"
    for problem in problems:
        since_text = format_time(problem.since)
        yield f"- Old or incomplete: {escape_markdown(problem.source)}, since {since_text}: {escape_markdown(problem.message)}"


def cause_lines(inputs: HandoffInputs, settings: Settings, links: Links) -> Iterator[str]:
    """Why the night is not in order, since when; nothing for one that is."""
    judgement = judge_night(inputs.facts, settings)
    if judgement.health in (Health.OK, Health.NONE_EXPECTED):
        return
    incident = build_incident(inputs.facts, judgement, inputs.alerts, inputs.schedule)
    since = judgement.lead.since or (incident.alert.since if incident.alert else None)
    source = links.to(str(judgement.lead.subject), judgement.lead.page)
    yield f"- **Cause**: {escape_markdown(incident.cause or 'unknown')}, since {format_time(since)} · {source}"


def note_lines(inputs: HandoffInputs, links: Links) -> Iterator[str]:
    """What was written about the night, its batches, players and alerts, or in the shift about no single night; oldest first."""
    yield from unknown_note(inputs.notes)
    if inputs.notes.value is None:
        return
    game_date, now = inputs.facts.game_date, inputs.facts.now
    notes = [
        note
        for note in list_notes(inputs.notes.value.actions)
        if note.game_date == game_date or (note.game_date is None and inputs.start <= note.at <= now)
    ]
    for note in reversed(notes):
        about = "" if note.about is About.NIGHT else f", {note.label}"
        link = links.to(f"{note.by}{about}", "action_log", {"action": note.action_id})
        yield f"- {format_time(note.at)} · {link}: {escape_markdown(note.text)}"
    if not notes:
        yield "- None."


def _key_numbers(inputs: HandoffInputs, links: Links) -> Iterator[str]:
    yield from unknown_note(inputs.facts.night)
    night = inputs.facts.night.value
    if night is None:
        return
    if night.games == 0:
        yield "- No games on this date."
        return
    totals, in_context = balance(night), sum(bool(p.in_context) for p in night.players)
    share_text = f" ({100 * totals.active / totals.expected:.1f}%)" if totals.expected else ""
    yield (
        f"- **{totals.active} of {totals.expected}** eligible players are active{share_text}; {in_context} are in context"
        f" · {links.to('Coverage', 'coverage')}"
    )
    for reason, count in totals.classified:
        yield f"- **{pluralize(count, 'player')} missing**: {escape_markdown(reason)} · {links.to('Missing players', 'missing_players')}"
    if totals.unexplained:
        yield f"- **{pluralize(totals.unexplained, 'player')} missing**: unexplained · {links.to('Missing players', 'missing_players')}"
    yield f"- {night.active_rows:,} active rows of {_format_count(night.generated_rows)} generated; {night.games} games"


def _open_alerts(inputs: HandoffInputs, links: Links) -> Iterator[str]:
    yield from unknown_note(inputs.alerts)
    if inputs.alerts.value is None:
        return
    if not inputs.alerts.value.open:
        yield "- None."
    for alert in inputs.alerts.value.open:
        state = alert.state(inputs.facts.now)
        holder = "not acknowledged" if state is AlertState.OPEN else f"{state} by {alert.last_state_change.actor}"
        yield (
            f"- **{alert.severity}**, {escape_markdown(holder)}, since {format_time(alert.since)}:"
            f" {escape_markdown(alert.message)} · {_alert_link(alert, links)}"
        )


def _alert_link(alert: Alert, links: Links) -> str:
    return links.to(alert.alert_id, "alerts", {"alert": alert.alert_id})


def _list_events(inputs: HandoffInputs) -> tuple[Event, ...]:
    return recent_events(
        inputs.alerts.value, None, inputs.facts.batches.value, inputs.deploys.value, inputs.start, inputs.facts.now
    )


def _events(inputs: HandoffInputs, links: Links) -> Iterator[str]:
    yield from unknown_note(inputs.facts.batches)
    yield from unknown_note(inputs.alerts)
    yield from unknown_note(inputs.deploys)
    events = _list_events(inputs)
    for event in reversed(events[:MAX_EVENTS]):
        actor_text = f" ({escape_markdown(event.actor)})" if event.actor else ""
        source = links.to(event.kind, event.page, event.params)
        yield f"- {format_time(event.at)} · {source} · {escape_markdown(event.summary)}{actor_text}"
    if len(events) > MAX_EVENTS:
        yield f"- {len(events) - MAX_EVENTS:,} earlier events are not in this note · {links.to('Alerts', 'alerts')}"
    if not events:
        yield "- No events."


def list_actions(inputs: HandoffInputs) -> list[Action]:
    """What was changed in the shift, the newest first; what was done with an alert is in the timeline, notes are by themselves."""
    logged_actions = inputs.action_log.value.actions if inputs.action_log.value else ()
    return [
        action
        for action in logged_actions
        if inputs.start <= action.started_at < inputs.facts.now
        and not action.action_name.startswith(("alerts.", ADD_NOTE_NAME))
    ]


def _actions(inputs: HandoffInputs, links: Links) -> Iterator[str]:
    """What was changed, newest last."""
    yield from unknown_note(inputs.action_log)
    actions = list_actions(inputs)
    if len(actions) > MAX_ACTIONS:
        yield f"- {len(actions) - MAX_ACTIONS:,} earlier actions · {links.to('Action log', 'action_log')}"
    for action in reversed(actions[:MAX_ACTIONS]):
        reason_text = f" Reason: {escape_markdown(action.reason)}." if action.reason else ""
        outcome_text = escape_markdown(action.message) if action.ended_at else "**no result recorded**"
        title = links.to(action.title, "action_log", {"action": action.action_id})
        action_text = f"{escape_markdown(action.actor)} · {title}: {escape_markdown(action.state)}"
        yield f"- {format_time(action.started_at)} · {action_text}. {outcome_text}{reason_text}"
    if inputs.action_log.value is not None and not actions:
        yield "- No actions taken."


def _current_settings(inputs: HandoffInputs) -> Iterator[str]:
    yield from unknown_note(inputs.capacities)
    if inputs.capacities.value is None:
        return
    yield from ("", "| Service | Capacity | Revision | Changed by |", "|---|---|---|---|")
    for service in inputs.capacities.value.services:
        capacity = service.capacity if service.capacity is not None else "no limit"
        capacity_text = f"{service.max_instances or 'no limit'} × {service.concurrency} = {capacity} ({service.state})"
        cells = (service.service, capacity_text, service.revision, service.changed_by)
        yield f"| {' | '.join(map(escape_markdown, cells))} |"


def _coverage_history(inputs: HandoffInputs) -> Iterator[str]:
    yield from unknown_note(inputs.history)
    if inputs.history.value is None:
        return
    yield from ("", "| Game date | Games | In context | Eligible | Active | Coverage |", "|---|---|---|---|---|---|")
    days = [day for day in inputs.history.value.days if day.game_date <= inputs.facts.game_date]
    for day in days[-MAX_DAYS:]:
        yield f"| {day.game_date} | {day.games} | {day.in_context} | {day.eligible} | {day.active} | {_format_coverage(day)} |"


def _format_coverage(day: NightCoverage) -> str:
    share = day.active_pct(day.eligible)
    if day.health is Health.NONE_EXPECTED:
        return "no games"
    return day.state if day.health is Health.UNKNOWN or share is None else f"{share:.1f}% ({day.health})"


def _next_steps(inputs: HandoffInputs, links: Links) -> Iterator[str]:
    """Remedies of open alerts, actions without a result, and the next scheduled runs."""
    for alert in inputs.alerts.value.open if inputs.alerts.value else ():
        yield f"- {escape_markdown(alert.hint or get_rule(alert.rule).hint)} · {_alert_link(alert, links)}"
    for action in inputs.action_log.value.actions if inputs.action_log.value else ():
        if action.is_abandoned(inputs.facts.now):
            link = links.to(action.title, "action_log", {"action": action.action_id})
            yield f"- Verify the result of {link}: none is recorded."
    yield from unknown_note(inputs.schedule)
    schedule = inputs.schedule.value
    if schedule is None:
        return
    for job in schedule.jobs:
        if job.name in schedule.expected:
            problem_text = f"; it {escape_markdown(job.problem)}" if job.problem else ""
            yield f"- Next run of {escape_markdown(job.name)}: {format_time(job.next_at)}{problem_text} · {links.to('Schedule', 'alerts')}"
    for name in schedule.missing:
        yield f"- {escape_markdown(name)} is missing from Cloud Scheduler · {links.to('Schedule', 'alerts')}"


def _quick_commands(inputs: HandoffInputs, settings: Settings) -> Iterator[str]:
    worker = settings.worker_service
    yield "```bash"
    yield gcloud_command(settings, f"run services describe {worker}")
    yield f"{gcloud_command(settings, f'run services update {worker} {EMERGENCY_CAPACITY_FLAGS}')}   # emergency"
    yield f"{gcloud_command(settings, 'scheduler jobs list', 'location')} | grep prediction"
    yield curl_command(settings, "/start", {"game_date": str(inputs.facts.game_date), "force": True})
    yield "```"


def _format_count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
