"""Lines: whether players are predicted for the newest odds, and before their game. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.core.result import Health
from services.core.text import pluralize
from services.judgement.facts import NightFacts
from services.judgement.statement import Repair, Statement, Subject, not_recorded, unknown
from services.nights.line_counts import PlayerLines, describe_lines
from services.nights.player_stages import NightStatus
from services.nights.rows import COLUMNS_TO_COMPARE_LINES, LINE_OF_ROW, TIME_OF_CHANGE, TIME_OF_ROW

MAX_NAMES = 3  # in one sentence
_PAGE = "missing_players"
_TIMES = ((TIME_OF_ROW, "made"), (TIME_OF_CHANGE, "changed"))


def judge_lines(facts: NightFacts) -> Statement:
    """Players whose rows are around another line than the newest before tip-off, and rows made after it: a warning each."""
    night = facts.night.value
    if night is None:
        return unknown(Subject.LINES, _PAGE, facts.night)
    compared = [player for player in night.lines if player.is_compared]
    moved = [player for player in compared if player.has_moved]
    late = list(_describe_late(night.lines))
    if not compared and not late:
        return not_recorded(Subject.LINES, _describe_uncompared(night), _PAGE).based_on(facts.night)
    parts = [*_describe_moved(moved, len(compared), facts), *late]
    untimed = "".join(
        f"; when rows were {verb} is not recorded" for column, verb in _TIMES if column in night.absent_columns
    )
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


def _describe_late(lines: Sequence[PlayerLines]) -> Iterator[str]:
    for verb, counts in (
        ("made", {player.player_lookup: player.late_rows for player in lines if player.late_rows}),
        ("changed", {player.player_lookup: player.changed_rows for player in lines if player.changed_rows}),
    ):
        if counts:
            rows, players = pluralize(sum(counts.values()), "row"), pluralize(len(counts), "player")
            yield f"{rows} of {players} {verb} after tip-off ({_name(list(counts))})"


def _name(names: Sequence[str]) -> str:
    shown = "; ".join(names[:MAX_NAMES])
    return shown if len(names) <= MAX_NAMES else f"{shown} and {len(names) - MAX_NAMES} more"
