"""Reports from records: alerts, the action log, log lines, and the handoff note that is written from all of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from services.actions.log_reader import Action, read_action, read_action_log
from services.alerts.actions import read_alert
from services.alerts.alert_log import Alert, EventType, read_alerts
from services.alerts.facts import fetch
from services.alerts.rules import get_rule
from services.batches.reader import run_window
from services.cli.night_reports import read_facts
from services.cli.report import Report, Row, Table
from services.core.clock import format_eastern
from services.core.errors import InvalidInput
from services.core.result import Health, worst
from services.core.settings import Settings
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.judgement.judge import judge_night
from services.nights.coverage import read_history
from services.nights.night_writes import read_night_lines
from services.notes.note import list_notes, notes_of_night, notes_window
from services.reports.handoff_note import MAX_DAYS, HandoffInputs, render_markdown
from services.reports.incident_file import render_incident
from services.scaling.capacity import read_service_capacities
from services.scaling.deploys import read_deploy_history
from services.telemetry.log_reader import ERROR_SEVERITIES, PRESETS, LogLines, Preset
from services.telemetry.log_search import LogSearch, read_search
from services.telemetry.scheduler import read_schedule

MAX_ACTION_DAYS = 90


def alerts_report(clients: Clients, include_ended: bool) -> Report:
    """The open alerts, the worst first, and on request those that ended in the last fortnight."""
    alerts, now = read_alerts(clients), clients.now()
    ended = [alert for alert in alerts.alerts if alert.ended and not alert.is_test] if include_ended else []
    ended.sort(key=lambda alert: alert.opened_at, reverse=True)
    rows = tuple(
        {
            "alert": alert.alert_id,
            "severity": alert.severity,
            "state": str(alert.state(now)),
            "since": alert.since,
            "night": alert.game_date or "",
            "message": alert.message,
            "fix": alert.hint or get_rule(alert.rule).hint,
        }
        for alert in (*alerts.open, *ended)
    )
    health = worst(alert.severity for alert in alerts.open) if alerts.open else Health.OK
    headline = f"{pluralize(len(alerts.open), 'open alert')}" if alerts.open else "No open alert"
    table = Table("alerts", rows, "No alert is open.")
    return Report("Alerts", health, headline, (), (table,), (), (alerts.source,))


def alert_report(clients: Clients, alert_id: str) -> Report:
    """One alert: its state, the rules that fire for its cause, and everything that happened to it."""
    alert, now = read_alert(clients, alert_id), clients.now()
    rules = tuple(
        {"rule": r["rule"], "health": r["health"], "statement": r["sentence"], "command": r.get("command", "")}
        for r in alert.rule_results
    )
    state = alert.state(now)
    return Report(
        f"Alert {alert_id}, {state}",
        alert.severity if not alert.ended else Health.OK,
        alert.message,
        (f"Fix: {alert.hint or get_rule(alert.rule).hint}",),
        (Table("rules", rules, "No rule is recorded."), Table("events", tuple(_event_rows(alert)), "")),
        facts={"state": str(state), "since": alert.since, "game_date": alert.game_date},
    )


def _event_rows(alert: Alert) -> list[Row]:
    return [
        {
            "at": event.recorded_at,
            "event": EventType.label(event.event),
            "by": event.actor,
            "message": event.message,
            "reason": event.reason,
        }
        for event in alert.events
    ]


def actions_report(clients: Clients, days: int) -> Report:
    """What was done in the last days, by whom and why, and what came of it; the newest first."""
    if not 1 <= days <= MAX_ACTION_DAYS:
        raise InvalidInput(f"{days} days cannot be read at once.", f"Ask for 1 to {MAX_ACTION_DAYS}.")
    now = clients.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    log = read_action_log(clients, midnight - timedelta(days=days), midnight + timedelta(days=1))
    unfinished = [action for action in log.actions if action.is_abandoned(now)]
    count_text = f"{pluralize(len(log.actions), 'action')} in {pluralize(days, 'day')}"
    headline = f"{len(unfinished)} of {count_text} without an outcome" if unfinished else count_text
    health = Health.UNKNOWN if unfinished else Health.OK
    details = tuple(f"No outcome: {a.title}. `oncall finish {a.action_id}` reads it again." for a in unfinished)
    table = Table("actions", tuple(map(action_row, log.actions)), "Nothing was done.")
    return Report("Actions", health, headline, details, (table,), (), (log.source,))


def action_row(action: Action) -> Row:
    """One action as a row."""
    before, after = action.coverage_before, action.coverage_after
    return {
        "began": action.started_at,
        "action": action.title,
        "state": action.state.word,
        "outcome": action.message if action.ended_at else "no outcome is recorded",
        "coverage": f"{before.active} → {after.active} of {after.eligible}" if before and after else "",
        "by": action.actor,
        "role": action.role,
        "reason": action.reason,
        "id": action.action_id,
    }


def notes_report(clients: Clients, game_date: date) -> Report:
    """What was written about a night, its batches, players and alerts; the newest first."""
    log = read_action_log(clients, *notes_window(game_date, clients.now()))
    notes = notes_of_night(list_notes(log.actions), game_date)
    rows = tuple(
        {"written": note.at, "by": note.by, "about": note.label, "note": note.text, "action": note.action_id}
        for note in notes
    )
    table = Table("notes", rows, "No note was written about this night.")
    headline = pluralize(len(notes), "note") if notes else "No note"
    return Report(f"Notes, night of {game_date}", Health.OK, headline, (), (table,), (), (log.source,))


def action_report(clients: Clients, action_id: str) -> Report:
    """One action: its record, its steps and its plan."""
    action = read_action(clients, action_id)
    if action is None:
        raise InvalidInput(f"The action log has no action {action_id[:80]!r}.", "List them with `oncall actions`.")
    steps = tuple({"at": at, "step": text} for at, text in action.steps)
    changes = tuple({"change": c.what, "before": c.before, "after": c.after} for c in action.plan.changes)
    return Report(
        f"Action {action_id}: {action.title}",
        Health.OK if action.ended_at else Health.UNKNOWN,
        f"{action.state.word}: {action.message if action.ended_at else 'no outcome is recorded'}",
        (),
        (
            Table("action", (action_row(action),), ""),
            Table("steps", steps, "No step is recorded."),
            Table("changes", changes, "Nothing would change."),
        ),
        facts={"facts": dict(action.facts)},
    )


def find_preset(name: str) -> Preset:
    """The search of that name, in any case, or of the one name that begins so; raises InvalidInput naming them all."""
    matches = [preset for preset in PRESETS if preset.name.lower().startswith(name.strip().lower())]
    exact = [preset for preset in matches if preset.name.lower() == name.strip().lower()]
    if len(found := exact or matches) != 1:
        names = "; ".join(preset.name for preset in PRESETS)
        raise InvalidInput(f"{name[:80]!r} is not one search of the log.", f"Searches: {names}.")
    return found[0]


def logs_report(clients: Clients, game_date: date, search: str, text: str = "") -> Report:
    """The lines of a night's runs that a search finds, each once; none is no proof that all is well."""
    preset = find_preset(search)
    reading = read_night_lines(clients, game_date, preset.condition)
    title = f"Log, {preset.name}, night of {game_date}"
    return _lines_report(title, preset.description, reading, text, preset.command(clients, game_date))


def search_report(clients: Clients, search: LogSearch, text: str = "") -> Report:
    """The newest lines that a filter of one's own finds; raises InvalidInput for one that cannot be used."""
    reading = read_search(clients, search)
    times = f"{format_eastern(search.start, '%-d %b %H:%M')} – {format_eastern(search.end, '%-d %b %H:%M')}"
    title = f"Log of {search.source.name}, {times}"
    return _lines_report(title, search.text, reading, text, search.command(clients.settings))


def _lines_report(title: str, description: str, reading: LogLines, text: str, command: str) -> Report:
    lines = [line for line in reading.lines if text.lower() in line.message.lower()]
    errors = sum(line.severity in ERROR_SEVERITIES for line in lines)
    rows = tuple(
        {
            "at": line.at,
            "severity": line.severity,
            "times": line.repeats,
            "message": line.message,
            "service": line.service,
            "revision": line.revision,
        }
        for line in lines
    )
    health = Health.WARNING if errors else Health.UNKNOWN if not lines or reading.truncated else Health.OK
    headline = f"{pluralize(len(lines), 'line')}, {pluralize(errors, 'error')}" if lines else "No line was found"
    problems = (reading.problem,) if reading.problem is not None else ()
    table = Table("lines", rows, "No line was found: that proves nothing by itself.")
    details = (description,) if description else ()
    return Report(title, health, headline, details, (table,), problems, (reading.source,), facts={"command": command})


def handoff_report(clients: Clients, game_date: date) -> Report:
    """The handoff note of a night, in Markdown."""
    return _document("Handoff", read_handoff_inputs(clients, game_date), clients, render_markdown)


def incident_report(clients: Clients, game_date: date) -> Report:
    """The incident of a night, in Markdown: cause, loss, times, repair, timeline and notes."""
    return _document("Incident", read_handoff_inputs(clients, game_date), clients, render_incident)


def _document(
    name: str, inputs: HandoffInputs, clients: Clients, render: Callable[[HandoffInputs, Settings], str]
) -> Report:
    judgement = judge_night(inputs.facts, clients.settings)
    return Report(
        f"{name}, night of {inputs.facts.game_date}",
        judgement.health,
        judgement.headline,
        document=render(inputs, clients.settings),
        sources=judgement.sources,
    )


def read_handoff_inputs(clients: Clients, game_date: date) -> HandoffInputs:
    """Everything that the handoff note and the incident are written from, read concurrently."""
    now, first = clients.now(), game_date - timedelta(days=MAX_DAYS - 1)
    with concurrent_reads() as pool:
        facts_read = pool.submit(read_facts, clients, game_date)
        capacities = pool.submit(fetch, clients, "Cloud Run", lambda: read_service_capacities(clients))
        deploys = pool.submit(fetch, clients, "Cloud Run, the revisions", lambda: read_deploy_history(clients))
        history = pool.submit(fetch, clients, "The coverage history", lambda: read_history(clients, first, game_date))
        alerts = pool.submit(fetch, clients, "The alerts", lambda: read_alerts(clients))
        schedule = pool.submit(fetch, clients, "Cloud Scheduler", lambda: read_schedule(clients))
        window = notes_window(game_date, now)
        notes = pool.submit(fetch, clients, "The notes", lambda: read_action_log(clients, *window))
        facts = facts_read.result()
        start = run_window(game_date, facts.batches.value)[0]
        actions = pool.submit(
            fetch, clients, "The action log", lambda: read_action_log(clients, start, now + timedelta(minutes=1))
        )
    return HandoffInputs(
        facts=facts,
        start=start,
        capacities=capacities.result(),
        deploys=deploys.result(),
        history=history.result(),
        alerts=alerts.result(),
        action_log=actions.result(),
        schedule=schedule.result(),
        notes=notes.result(),
    )
