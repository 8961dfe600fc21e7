"""The shift handoff in Markdown: what is wrong and open first, each line with a link to its source. What could not be read is unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from services.actions.log_reader import ActionLog
from services.alerts.alert_log import Alert, Alerts, AlertState
from services.alerts.rules import get_rule
from services.core.clock import format_eastern
from services.core.commands import curl_command, gcloud_command
from services.core.result import Health, Result
from services.core.settings import Settings
from services.core.text import escape_markdown, pluralize
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement, judge_night
from services.nights.balance import balance
from services.nights.coverage import CoverageHistory, NightCoverage
from services.policy.dml_limits import EMERGENCY_CAPACITY_FLAGS
from services.reports.events import recent_events
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


def render_markdown(inputs: HandoffInputs, settings: Settings) -> str:
    """The note as Markdown, what is open first. Pure: the same inputs give the same text."""
    links = _Links(settings.dashboard_url, inputs.facts.game_date)
    parts = [
        [
            f"# On-call handoff – {inputs.facts.game_date}",
            "",
            *_judgement_lines(inputs.facts, judge_night(inputs.facts, settings)),
            "",
            f"Generated {_format_time(inputs.facts.now)} from {inputs.source_count} · {links.to('Open in dashboard', '')}",
        ],
        ["## Coverage", *_key_numbers(inputs, links)],
        ["## Open alerts", *_open_alerts(inputs, links)],
        ["## Next steps", *_next_steps(inputs, links)],
        ["## Actions taken", *_actions(inputs, links)],
        ["## Timeline", *_events(inputs, links)],
        ["## Current settings", *_current_settings(inputs)],
        ["## Coverage by date", *_coverage_history(inputs)],
        ["## Commands", *_quick_commands(inputs, settings)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


@dataclass(frozen=True)
class _Links:
    """Links to the dashboard, where each line of the note has its source."""

    dashboard_url: str
    game_date: date

    def to(self, label: str, page: str, params: Mapping[str, str] | None = None) -> str:
        """A link to a page of this game date, as Markdown."""
        query = urlencode({"date": self.game_date.isoformat(), **(params or {})})
        return f"[{escape_markdown(label)}]({self.dashboard_url}/{page}?{query})"


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
        since_text = _format_time(problem.since)
        yield f"- Old or incomplete: {escape_markdown(problem.source)}, since {since_text}: {escape_markdown(problem.message)}"


def _unknown_note(result: Result[T]) -> list[str]:
    return [
        *([f"- **Unknown:** {escape_markdown(result.problem.message)}"] if result.problem else []),
        *([f"- **Old:** {escape_markdown(result.outdated.message)}"] if result.outdated else []),
    ]


def _key_numbers(inputs: HandoffInputs, links: _Links) -> Iterator[str]:
    yield from _unknown_note(inputs.facts.night)
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


def _open_alerts(inputs: HandoffInputs, links: _Links) -> Iterator[str]:
    yield from _unknown_note(inputs.alerts)
    if inputs.alerts.value is None:
        return
    if not inputs.alerts.value.open:
        yield "- None."
    for alert in inputs.alerts.value.open:
        state = alert.state(inputs.facts.now)
        holder = "not acknowledged" if state is AlertState.OPEN else f"{state} by {alert.last_state_change.actor}"
        yield (
            f"- **{alert.severity}**, {escape_markdown(holder)}, since {_format_time(alert.since)}:"
            f" {escape_markdown(alert.message)} · {_alert_link(alert, links)}"
        )


def _alert_link(alert: Alert, links: _Links) -> str:
    return links.to(alert.alert_id, "alerts", {"alert": alert.alert_id})


def _events(inputs: HandoffInputs, links: _Links) -> Iterator[str]:
    yield from _unknown_note(inputs.facts.batches)
    yield from _unknown_note(inputs.alerts)
    yield from _unknown_note(inputs.deploys)
    events = recent_events(
        inputs.alerts.value, None, inputs.facts.batches.value, inputs.deploys.value, inputs.start, inputs.facts.now
    )
    for event in reversed(events[:MAX_EVENTS]):
        actor_text = f" ({escape_markdown(event.actor)})" if event.actor else ""
        source = links.to(event.kind, event.page, event.params)
        yield f"- {_format_time(event.at)} · {source} · {escape_markdown(event.summary)}{actor_text}"
    if len(events) > MAX_EVENTS:
        yield f"- {len(events) - MAX_EVENTS:,} earlier events are not in this note · {links.to('Alerts', 'alerts')}"
    if not events:
        yield "- No events."


def _actions(inputs: HandoffInputs, links: _Links) -> Iterator[str]:
    """What was changed, newest last; what was done with an alert is in the timeline."""
    yield from _unknown_note(inputs.action_log)
    logged_actions = inputs.action_log.value.actions if inputs.action_log.value else ()
    actions = [
        action
        for action in logged_actions
        if inputs.start <= action.started_at < inputs.facts.now and not action.action_name.startswith("alerts.")
    ]
    if len(actions) > MAX_ACTIONS:
        yield f"- {len(actions) - MAX_ACTIONS:,} earlier actions · {links.to('Action log', 'action_log')}"
    for action in reversed(actions[:MAX_ACTIONS]):
        reason_text = f" Reason: {escape_markdown(action.reason)}." if action.reason else ""
        outcome_text = escape_markdown(action.message) if action.ended_at else "**no result recorded**"
        title = links.to(action.title, "action_log", {"action": action.action_id})
        action_text = f"{escape_markdown(action.actor)} · {title}: {escape_markdown(action.state)}"
        yield f"- {_format_time(action.started_at)} · {action_text}. {outcome_text}{reason_text}"
    if inputs.action_log.value is not None and not actions:
        yield "- No actions taken."


def _current_settings(inputs: HandoffInputs) -> Iterator[str]:
    yield from _unknown_note(inputs.capacities)
    if inputs.capacities.value is None:
        return
    yield from ("", "| Service | Capacity | Revision | Changed by |", "|---|---|---|---|")
    for service in inputs.capacities.value.services:
        capacity = service.capacity if service.capacity is not None else "no limit"
        capacity_text = f"{service.max_instances or 'no limit'} × {service.concurrency} = {capacity} ({service.state})"
        cells = (service.service, capacity_text, service.revision, service.changed_by)
        yield f"| {' | '.join(map(escape_markdown, cells))} |"


def _coverage_history(inputs: HandoffInputs) -> Iterator[str]:
    yield from _unknown_note(inputs.history)
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


def _next_steps(inputs: HandoffInputs, links: _Links) -> Iterator[str]:
    """Remedies of open alerts, actions without a result, and the next scheduled runs."""
    for alert in inputs.alerts.value.open if inputs.alerts.value else ():
        yield f"- {escape_markdown(alert.hint or get_rule(alert.rule).hint)} · {_alert_link(alert, links)}"
    for action in inputs.action_log.value.actions if inputs.action_log.value else ():
        if action.is_abandoned(inputs.facts.now):
            link = links.to(action.title, "action_log", {"action": action.action_id})
            yield f"- Verify the result of {link}: none is recorded."
    yield from _unknown_note(inputs.schedule)
    schedule = inputs.schedule.value
    if schedule is None:
        return
    for job in schedule.jobs:
        if job.name in schedule.expected:
            problem_text = f"; it {escape_markdown(job.problem)}" if job.problem else ""
            yield f"- Next run of {escape_markdown(job.name)}: {_format_time(job.next_at)}{problem_text} · {links.to('Schedule', 'alerts')}"
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


def _format_time(at: datetime | None) -> str:
    return format_eastern(at, "%-d %b %H:%M") if at else "unknown"
