"""One night's incident as a Markdown file: cause, loss, times, repair, timeline and notes, every figure with its source. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from services.core.settings import Settings
from services.core.text import escape_markdown, format_duration, pluralize
from services.judgement.judge import judge_night
from services.nights.balance import balance
from services.reports.events import recent_events
from services.reports.handoff_note import HandoffInputs, cause_lines, list_actions, note_lines
from services.reports.incident_times import IncidentTimes, Moment, find_times
from services.reports.markdown import Links, format_time, unknown_note


def render_incident(inputs: HandoffInputs, settings: Settings) -> str:
    """The file. The same inputs give the same text."""
    facts, links = inputs.facts, Links(settings.dashboard_url, inputs.facts.game_date)
    judgement, times = judge_night(facts, settings), find_times(inputs)
    parts = [
        [
            f"# Incident of {facts.game_date}",
            "",
            f"**{judgement.health}**: {escape_markdown(judgement.headline)}",
            "",
            f"Generated {format_time(facts.now)} from {inputs.source_count} · {links.to('Open in dashboard', '')}",
        ],
        [
            "## Cause",
            *(tuple(cause_lines(inputs, settings, links)) or ("- Nothing is wrong now; the timeline has what was.",)),
        ],
        ["## Loss", *_loss(inputs, times)],
        ["## Times", "", "| | Time | After it began | Source |", "|---|---|---|---|", *_times(times)],
        ["## Repair", *_repair(inputs, links)],
        ["## Timeline", *_timeline(inputs)],
        ["## Notes", *note_lines(inputs, links)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _loss(inputs: HandoffInputs, times: IncidentTimes) -> Iterator[str]:
    yield from unknown_note(inputs.facts.night)
    night = inputs.facts.night.value
    if night is not None:
        totals = balance(night)
        yield (
            f"- {totals.expected - totals.active:,} of {pluralize(totals.expected, 'eligible player')} missing now"
            " (predictions table, context)"
        )
        for reason, count in totals.classified:
            yield f"- {pluralize(count, 'player')}: {escape_markdown(str(reason))} (worker log, batch log)"
        generated = "an unknown number" if night.generated_rows is None else f"{night.generated_rows:,}"
        yield f"- {night.active_rows:,} rows active of {generated} generated (predictions table, worker log)"
    writes = inputs.facts.writes.value
    rejected = "unknown" if writes is None or writes.rejected is None else f"{writes.rejected:,}"
    attempted = "unknown" if writes is None or writes.attempted is None else f"{writes.attempted:,}"
    yield f"- Writes rejected: {rejected} of {attempted} (job history)"
    yield f"- Player-minutes missing before the first tip-off: {_missing_text(times)}"


def _missing_text(times: IncidentTimes) -> str:
    missing = times.missing
    if missing.minutes is None:
        return f"**{missing.source}**"
    return f"**{missing.minutes:,}**, of {pluralize(missing.players, 'player')} without rows when it began ({missing.source})"


def _times(times: IncidentTimes) -> Iterator[str]:
    moments = (
        ("Began", times.began),
        ("Detected", times.detected),
        ("Acknowledged", times.acknowledged),
        ("Repaired", times.repaired),
    )
    for name, moment in moments:
        after = "" if moment is times.began else _after(times, moment)
        yield f"| {name} | {_at(moment)} | {after} | {escape_markdown(moment.source)} |"


def _at(moment: Moment) -> str:
    return format_time(moment.at) if moment.at is not None else "—"


def _after(times: IncidentTimes, moment: Moment) -> str:
    after = times.after_beginning(moment)
    return "—" if after is None else format_duration(after)


def _repair(inputs: HandoffInputs, links: Links) -> Iterator[str]:
    """What was done in the shift that changed the night's coverage, and what came of it."""
    yield from unknown_note(inputs.action_log)
    actions = [action for action in reversed(list_actions(inputs)) if action.coverage_before is not None]
    for action in actions:
        before, after = action.coverage_before, action.coverage_after
        change = f", {before.active} → {after.active} of {after.eligible} active" if before and after else ""
        title = links.to(action.title, "action_log", {"action": action.action_id})
        outcome = escape_markdown(f"{action.state.word}{change}, by {action.actor}")
        yield f"- {format_time(action.started_at)} · {title}: {outcome}"
    if inputs.action_log.value is not None and not actions:
        yield "- No action of the shift was about the coverage."


def _timeline(inputs: HandoffInputs) -> Iterator[str]:
    """Every batch, alert, deploy, action and note of the shift, the oldest first."""
    for reading in (inputs.facts.batches, inputs.alerts, inputs.deploys, inputs.action_log):
        yield from unknown_note(reading)
    events = recent_events(
        inputs.alerts.value,
        inputs.action_log.value,
        inputs.facts.batches.value,
        inputs.deploys.value,
        inputs.start,
        inputs.facts.now,
    )
    for event in reversed(events):
        actor = f" ({escape_markdown(event.actor)})" if event.actor else ""
        yield f"- {format_time(event.at)} · {event.kind} · {escape_markdown(event.summary)}{actor}"
    if not events:
        yield "- No events."
