"""Rows: whether each expected (player, game, system, line) has exactly one active row, and which system lacks most. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from services.core.result import Health, worst
from services.core.settings import Settings
from services.core.text import pluralize
from services.judgement.facts import NightFacts
from services.judgement.statement import Repair, Statement, Subject, not_recorded, unknown, while_running
from services.nights.row_counts import RowCounts, SystemCount, count_rows
from services.nights.rows import LINE_OF_ROW

_PAGE = "coverage"


def judge_rows(facts: NightFacts, settings: Settings) -> Statement:
    """Rows of the active players: missing, and doubled; while a batch runs, until the deadline, what is missing may still come."""
    night = facts.night.value
    if night is None:
        return unknown(Subject.ROWS, _PAGE, facts.night)
    if night.was_run is False:
        reason = "not run yet" if night.games else "no games"
        statement = Statement(Subject.ROWS, Health.NONE_EXPECTED, f"{reason}, no rows expected", _PAGE)
        return statement.based_on(facts.night)
    counts = count_rows(night, facts.usual.value, settings)
    keys = "duplicate keys are not recorded" if LINE_OF_ROW in night.absent_columns else "no duplicate keys"
    if not counts.keys:
        statement = Statement(Subject.ROWS, Health.NONE_EXPECTED, "no active players, no rows expected", _PAGE)
        return statement.based_on(facts.night)
    if not counts.is_expected_known and not counts.doubled and facts.usual.ok:
        text = f"{counts.keys:,} active rows, {keys}; how many are expected is not recorded"
        return not_recorded(Subject.ROWS, text, _PAGE).based_on(facts.night, facts.usual)
    missing = _judge_missing(counts, settings) if counts.missing else Health.OK
    if facts.may_complete(settings) and counts.missing:
        missing = Health.UNKNOWN
    statement = Statement(
        Subject.ROWS,
        worst((missing, Health.CRITICAL if counts.doubled else Health.OK)),
        "; ".join(_list_findings(counts, facts, keys)),
        _PAGE,
        counts.keys - counts.doubled,
        counts.expected,
        repair=_repair(counts, facts.is_running),
    )
    return statement.based_on(facts.night, facts.usual, problems=night.problems)


def _judge_missing(counts: RowCounts, settings: Settings) -> Health:
    """By the thresholds of each short system and of all rows together; critical where a system is absent."""
    parts = [(system.system_id, system.found.keys, system.found.keys + system.missing) for system in counts.systems]
    if any(system.is_absent for system in counts.systems):
        return Health.CRITICAL
    healths = [
        _classify(100 * found / expected, settings.rows_pct(system)) for system, found, expected in parts if found
    ]
    total = _classify(100 * counts.keys / counts.expected, (settings.rows_warning_pct, settings.rows_critical_pct))
    return worst((*healths, total))


def _classify(pct: float, thresholds: tuple[float, float]) -> Health:
    warning_pct, critical_pct = thresholds
    return Health.CRITICAL if pct < critical_pct else Health.WARNING if pct < warning_pct else Health.OK


def _list_findings(counts: RowCounts, facts: NightFacts, keys: str) -> Iterator[str]:
    if facts.is_running and counts.missing:
        yield while_running(facts.now)
    if counts.short_systems:
        first, *others = counts.short_systems
        more = f", and {pluralize(len(others), 'more system')} short" if others else ""
        yield _describe_short(first) + more
    if counts.missing:
        players = f" ({pluralize(len(counts.incomplete), 'player')} incomplete)" if counts.incomplete else ""
        yield f"{counts.missing:,} of {counts.expected:,} rows missing{players}"
    if counts.doubled:
        yield pluralize(counts.doubled, "duplicate key")
    if not counts.missing and not counts.doubled:
        yield f"all {counts.keys:,} expected rows of the active players are there, {keys}"


def _describe_short(system: SystemCount) -> str:
    """e.g. "xgboost_v1: 0 of 114 players", or in rows where each player has some."""
    found = system.found
    if system.players_expected and found.players < system.players_expected:
        return f"{system.system_id}: {found.players:,} of {system.players_expected:,} players"
    return f"{system.system_id}: {found.keys:,} of {found.keys + system.missing:,} rows"


def _repair(counts: RowCounts, is_running: bool) -> Repair | None:
    if is_running:
        return None
    return Repair.RERUN_PLAYERS if counts.missing else Repair.REMOVE_DUPLICATES if counts.doubled else None
