"""Lines: whether players are predicted for the newest odds, and before their game. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.core.result import Health
from services.core.text import pluralize
from services.judgement.facts import NightFacts
from services.judgement.statement import Repair, Statement, Subject, not_recorded, unknown
from services.nights.line_counts import PlayerLines, describe_lines
from services.nights.player_stages import NightStatus
from services.nights.rows import COLUMNS_TO_COMPARE_LINES, LINE_OF_ROW, TIME_OF_ROW

MAX_NAMES = 3  # in one sentence
_PAGE = "missing_players"


def judge_lines(facts: NightFacts) -> Statement:
    """Players whose rows are around another line than the newest before tip-off, and rows made after it: a warning each."""
    night = facts.night.value
    if night is None:
        return unknown(Subject.LINES, _PAGE, facts.night)
    compared = [player for player in night.lines if player.is_compared]
    moved = [player for player in compared if player.has_moved]
    late = [player for player in night.lines if player.late_rows]
    if not compared and not late:
        return not_recorded(Subject.LINES, _describe_uncompared(night), _PAGE).based_on(facts.night)
    parts = [*_describe_moved(moved, len(compared), facts), *_describe_late(late)]
    untimed = "; when rows were made is not recorded" if TIME_OF_ROW in night.absent_columns else ""
    repairable = not facts.is_running and any(player.is_repairable_at(facts.now) for player in moved)
    statement = Statement(
        Subject.LINES,
        Health.WARNING if parts else Health.OK,
        ("; ".join(parts) or f"all {len(compared)} players with odds are predicted for their newest line") + untimed,
        _PAGE,
        len(compared) - len(moved),
        len(compared),
        repair=Repair.RERUN_PLAYERS if repairable else None,
    )
    return statement.based_on(facts.night)


def _describe_uncompared(night: NightStatus) -> str:
    absent = sorted(night.absent_columns & COLUMNS_TO_COMPARE_LINES)
    if absent:
        return f"the {'predictions' if absent[0] == LINE_OF_ROW else 'odds'} have no column {absent[0].name}"
    return "no player has both active rows and odds with a line" if night.active_rows else "no active row yet"


def _describe_moved(moved: Sequence[PlayerLines], compared: int, facts: NightFacts) -> list[str]:
    if not moved:
        return []
    names = _name([f"{p.player_lookup} {describe_lines(p)}" for p in moved])
    verb = "is" if compared == 1 else "are"
    text = f"{len(moved)} of {pluralize(compared, 'player')} {verb} predicted for another line than the newest odds ({names})"
    in_time = [p for p in moved if p.tip_off is None or facts.now < p.tip_off]
    unrepairable = sum(not p.is_repairable_at(facts.now) for p in in_time)
    return [text, f"the context has the old line of {unrepairable} of them"] if unrepairable else [text]


def _describe_late(late: Sequence[PlayerLines]) -> list[str]:
    if not late:
        return []
    rows, players = sum(player.late_rows for player in late), pluralize(len(late), "player")
    return [f"{pluralize(rows, 'row')} of {players} made after tip-off ({_name([p.player_lookup for p in late])})"]


def _name(names: Sequence[str]) -> str:
    shown = "; ".join(names[:MAX_NAMES])
    return shown if len(names) <= MAX_NAMES else f"{shown} and {len(names) - MAX_NAMES} more"
