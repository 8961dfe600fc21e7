"""A player's way through the pipeline: each stage with its time and number, the one that dropped the player with its log line."""

from __future__ import annotations

from html import escape

from app.charts.html_parts import head_html, icon, section_html
from app.components import widgets
from app.state import session
from services.core.clock import format_eastern
from services.core.result import Health
from services.core.text import to_printable
from services.nights.player_stages import PlayerStatus, Stage
from services.reports.player_story import PlayerStory, Step, StepState

_ICONS = {
    StepState.REACHED: ("check_circle", "grn"),
    StepState.DROPPED: ("error", "red"),
    StepState.NOT_USED: ("remove", "mute"),
    StepState.NOT_REACHED: ("radio_button_unchecked", "mute"),
    StepState.UNKNOWN: ("help", "vio"),
}


def display_name(player: PlayerStatus) -> str:
    """The name, or the lookup key where there is none."""
    return player.player_name or player.player_lookup


def tone(story: PlayerStory, health: Health) -> tuple[str, str, str]:
    """Icon, class and word of the player's state; `health` is that of the reading."""
    if health is Health.UNKNOWN:
        return "help", "vio", "Unknown"
    if story.missing is None:
        return "check_circle", "grn", "Active"
    return ("remove", "mute", "Ineligible") if story.missing.intentional else ("error", "red", "Missing")


def head(story: PlayerStory, health: Health) -> str:
    """The player's state, what dropped the player, and the facts, as HTML."""
    player, missing = story.player, story.missing
    title = f"{display_name(player)} has {'no ' if missing else ''}active predictions"
    others = f" · {story.similar:,} other players for the same reason" if story.similar else ""
    sentence = (
        f"{missing.reason.value[0].upper()}{missing.reason.value[1:]}{others}"
        if missing
        else "Nothing dropped this player."
    )
    rows = "unknown" if player.active_rows is None else f"{player.active_rows:,}"
    facts = [
        ("Game", " vs ".join(filter(None, (player.team, player.opponent))) or "unknown"),
        ("Dropped at", str(missing.dropped_at).capitalize() if missing else "—"),
        ("Active rows", rows if player.generated_rows is None else f"{rows} of {player.generated_rows:,}"),
        ("Lookup key", player.player_lookup),
        ("Suggested fix", missing.repair if missing else "None needed"),
    ]
    items = "".join(f"<div><dt>{name}</dt><dd>{escape(to_printable(text))}</dd></div>" for name, text in facts)
    return section_html(f'{head_html(title, sentence, tone(story, health))}<dl class="head-facts">{items}</dl>')


def steps_html(story: PlayerStory) -> str:
    """The stages in order, as a list."""
    return f'<ol class="steps" aria-label="Through the pipeline">{"".join(map(_step_html, story.steps))}</ol>'


def _step_html(step: Step) -> str:
    icon_name, css_class = _ICONS[step.state]
    at = f"{format_eastern(step.at, '%H:%M:%S')}" if step.at is not None else "–"
    text = escape(to_printable(step.text))
    if step.stage is Stage.REQUESTED and step.number and "batch_" in step.text:
        batch_id = step.text.partition(",")[0]
        href = escape(widgets.page_href("runs", {**session.link_params(), "batch": batch_id}))
        text = text.replace(escape(batch_id), f'<a href="{href}">{escape(batch_id)}</a>', 1)
    log = f"<pre>{escape(to_printable(step.log_line))}</pre>" if step.log_line else ""
    return (
        f'<li class="{css_class if step.state is StepState.DROPPED else ""}">{icon(icon_name, css_class, str(step.state))}'
        f"<b>{str(step.stage).capitalize()}</b><time>{at}</time><span>{text}{log}</span><em>{escape(step.number)}</em></li>"
    )
