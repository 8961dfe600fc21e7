"""The pipeline funnel as HTML: the eligible players and how many of them reach each stage, and apart from it what they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

import streamlit as st

from app.charts.html_parts import icon, percent
from app.components import widgets
from app.state import session
from services.nights.coverage import Funnel
from services.nights.missing_players import LossReason, MissingPlayer
from services.nights.player_stages import STAGES, Stage

FUNNEL_STAGES = STAGES[STAGES.index(Stage.ELIGIBLE) :]
STAGE_HELP = (
    "**In context**: the player has a row in the context table of this date. **Eligible**: in context, enough minutes,"
    " not out or doubtful, production-ready. **Requested**: a batch asked for the player. **Generated**: the model made rows."
    " **Staged**: the rows are in a staging table. **Consolidated** or **written**: they are in the predictions table; one MERGE"
    " moves staged rows there. **Active**: at least one of them is a current prediction."
)
_FAILED_COLORS = {LossReason.NOT_RUN_YET: "mute", LossReason.UNEXPLAINED: "vio"}  # the others are red
_OUTSIDE_CONTEXT = (LossReason.NOT_IN_CONTEXT, LossReason.NOT_IN_CONTEXT_ALIAS)


def render(funnel: Funnel, missing: Sequence[MissingPlayer]) -> None:
    """The funnel and its inputs."""
    with st.container(key="funnel"):
        st.html(f"{to_html(funnel, missing)}{inputs_html(funnel, missing)}")


def to_html(funnel: Funnel, missing: Iterable[MissingPlayer]) -> str:
    """A row for each stage from the eligible players on; what a stage drops is hatched and leads to these players."""
    drops: dict[Stage, Counter[LossReason]] = {}
    for entry in missing:
        if entry.player.eligible:
            drops.setdefault(entry.dropped_at, Counter())[entry.reason] += 1
    rows = "".join(_stage_html(funnel, stage, drops.get(stage, Counter())) for stage in FUNNEL_STAGES)
    return f'<ol class="stages-of-players" aria-label="Players per stage">{rows}</ol>'


def _stage_html(funnel: Funnel, stage: Stage, drops: Counter[LossReason]) -> str:
    count, note, whole = funnel.players[stage], funnel.notes.get(stage, ""), funnel.players[Stage.ELIGIBLE]
    bars = _bar_html("data", count or 0, whole) + "".join(
        _bar_html(f"dropped {_FAILED_COLORS.get(reason, 'red')}", number, whole) for reason, number in drops.items()
    )
    texts = [_drop_html(reason, number) for reason, number in drops.most_common()]
    if count is None or note:
        said = note or "unknown"
        texts.insert(0, f'<span class="mute">{escape(said[0].upper() + said[1:])}</span>')
    if not texts and count and (rows := funnel.rows.get(stage)) is not None:
        texts.append(f'<span class="mute">{rows:,} rows</span>')
    number_text = "–" if count is None else f"{count:,}"
    return (
        f'<li><span class="n">{str(stage).capitalize()}</span><span class="bx" aria-hidden="true">{bars}</span>'
        f'<b class="q">{number_text}</b><span class="w">{" ".join(texts)}</span></li>'
    )


def _bar_html(css_class: str, count: int, whole: int | None) -> str:
    return f'<i class="{css_class}" style="width:{percent(count / whole)}"></i>' if count and whole else ""


def _drop_html(reason: LossReason, number: int) -> str:
    """−90 rejected, as a link to these players."""
    href = escape(widgets.page_href("missing_players", {**session.link_params(), "missing_kind": str(reason)}))
    text = escape(f"−{number:,} {reason.outcome}")
    return f'<a class="{_FAILED_COLORS.get(reason, "red")}" href="{href}"><b>{text}</b>{icon("chevron_right", "s")}</a>'


def inputs_html(funnel: Funnel, missing: Iterable[MissingPlayer]) -> str:
    """What the eligible players come from, each with its own unit and the share of it that is active."""
    active, eligible = funnel.players[Stage.ACTIVE], funnel.players[Stage.ELIGIBLE] or 0
    in_context, names = funnel.players[Stage.IN_CONTEXT] or 0, funnel.players[Stage.WITH_ODDS] or 0
    unmatched = sum(entry.reason in _OUTSIDE_CONTEXT for entry in missing)
    href = escape(widgets.page_href("player_names"))
    unmatched_html = (
        f'<a class="amb" href="{href}"><b>{unmatched:,} unmatched</b>{icon("chevron_right", "s")}</a>'
        if unmatched
        else "0 unmatched"
    )
    return (
        '<div class="inputs">'
        + _input_html("Context", f"{in_context:,} players", eligible, in_context, "quiet", active,
                      f"{eligible:,} eligible · {in_context - eligible:,} ineligible")
        + _input_html("Odds feed", f"{names:,} names", names - unmatched, names, "amb", active,
                      f"{names - unmatched:,} matched · {unmatched_html}")
        + "</div>"
    )  # fmt: skip


def _input_html(
    name: str, size: str, part: int, whole: int, rest_class: str, active: int | None, text_html: str
) -> str:
    share = f" · {100 * active / whole:.1f}% active" if whole and active is not None else ""
    bars = _bar_html("data", part, whole) + _bar_html(rest_class, whole - part, whole)
    return (
        f'<div><div class="h"><b>{name}</b><span>{size}{share}</span></div>'
        f'<div class="m" aria-hidden="true">{bars}</div><small>{text_html}</small></div>'
    )
