"""The customer's demo days as data in one sandbox, a night each: what differs from a healthy night, and what must be raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from services.sandbox.scenarios import reference, traces
from services.sandbox.scenarios.build import PREDICTIONS, left_at, night_of
from services.sandbox.scenarios.outcome import Outcome, outcomes
from services.sandbox.scenarios.slate import Slate, slates
from services.sandbox.seed import Seed

RUNS, ODDS = "nba_predictions.prediction_worker_runs", "nba_raw.odds_api_player_points_props"
Row = dict[str, Any]
Tables = dict[str, list[Row]]
Left = tuple[Tables, list[Row]]  # the tables and the log lines of one night


@dataclass(frozen=True)
class Day:
    """One night: its plan, what is changed of what it left, when it is looked at, and the incident that must follow."""

    about: str
    plan: dict[str, Any]
    expected: tuple[str, str] | None
    change: Callable[[Slate, Tables, list[Row]], Left] = lambda _, tables, lines: (tables, lines)
    look_after_min: float = 15


def _collapsed(_: Slate, tables: Tables, lines: list[Row]) -> Left:
    """Every line was written as the same line: of five rows one is left."""
    first: dict[tuple[str, str], Row] = {}
    for row in tables[PREDICTIONS]:
        first.setdefault((row["player_lookup"], row["system_id"]), row)
    return {**tables, PREDICTIONS: list(first.values())}, lines


def _two_never_answered(_: Slate, tables: Tables, lines: list[Row]) -> Left:
    asked = sorted(tables[RUNS], key=lambda row: row["player_lookup"])
    gone = {row["player_lookup"] for row in asked[:2]}
    kept = {name: [r for r in told if r.get("player_lookup") not in gone] for name, told in tables.items()}
    kept |= {name: told for name, told in tables.items() if name not in (RUNS, PREDICTIONS) and "_staging_" not in name}
    return {name: told for name, told in kept.items() if told}, lines


def _nothing_published(slate: Slate, tables: Tables, lines: list[Row]) -> Left:
    begun = [e for e in lines if "Starting prediction batch" in str(e.get("textPayload"))]
    return {name: told for name, told in tables.items() if name not in (RUNS, PREDICTIONS)}, begun


def _nobody_listens(slate: Slate, tables: Tables, lines: list[Row]) -> Left:
    sent = [e for e in lines if "prediction requests" in str(e.get("textPayload"))]
    without, begun = _nothing_published(slate, tables, lines)
    return without, begun + sent


def _twice(_: Slate, tables: Tables, lines: list[Row]) -> Left:
    again = [{**row, "prediction_id": f"{row['prediction_id'][:-1]}x"} for row in tables[PREDICTIONS][:112]]
    return {**tables, PREDICTIONS: [*tables[PREDICTIONS], *again]}, lines


def _misspelt(_: Slate, tables: Tables, lines: list[Row]) -> Left:
    names = sorted({row["player_lookup"] for row in tables[ODDS]})[:60]
    told = [
        {**row, "player_lookup": f"{row['player_lookup']}iv"} if row["player_lookup"] in names else row
        for row in tables[ODDS]
    ]
    return {**tables, ODDS: told}, lines


def _superseded(_: Slate, tables: Tables, lines: list[Row]) -> Left:
    kept = sorted({row["player_lookup"] for row in tables[PREDICTIONS]})[:11]
    told = [{**row, "is_active": row["player_lookup"] in kept} for row in tables[PREDICTIONS]]
    return {**tables, PREDICTIONS: told}, lines


STAGED = {"path": "staging", "run_at": "11:30"}
DAYS: dict[str, Day] = {
    "2025-12-16": Day("a deploy has reset the emergency width", {}, ("width", "width")),
    "2025-12-17": Day("published nothing, 7 min ago", {}, ("at_zero", "run"), _nothing_published, 7),
    "2025-12-18": Day(
        "the subscription is gone: all published, none completed",
        {"not_generated": []},
        ("stalled", "run"),
        _nobody_listens,
    ),
    "2025-12-19": Day("published nothing, and blocks", {}, ("stalled", "run"), _nothing_published),
    "2025-12-20": Day("healthy, direct writes", {}, None),
    "2025-12-21": Day("schema drift in mid-batch", {}, ("write_success", "writes")),
    "2025-12-22": Day("names never in context", {}, ("names", "names"), _misspelt),
    "2025-12-23": Day("healthy, staged and consolidated", {"merged_leftover_tables": 0}, None),
    "2025-12-24": Day("no games", {}, None),
    "2025-12-25": Day("superseded, then filtered", {"not_consolidated": 0}, ("coverage", "rows"), _superseded),
    "2025-12-26": Day("five lines collapse to one", {}, ("conservation", "rows"), _collapsed),
    "2025-12-27": Day("racing MERGEs, 112 keys twice", {}, ("duplicates", "rows"), _twice),
    "2025-12-29": Day("90 of 158 writes rejected", {}, ("dml_rejections", "writes")),
    "2025-12-30": Day(
        "stalled two short of the end, tables waiting",
        {**STAGED, "not_consolidated": 28},
        ("stalled", "run"),
        _two_never_answered,
    ),
}


def seed() -> Seed:
    """All of them in one fortnight; the night between that is not in the list is healthy."""
    tables: Tables = {}
    created: dict[str, str] = {}
    lines: list[Row] = []
    jobs: list[Row] = []
    for slate, fates in map(_planned, slates()):
        left: Tables = _Lists()
        for name, made in night_of(slate, fates).items():
            left[name] += made
        created |= left_at(slate, fates)
        day = DAYS.get(str(slate.game_date))
        changed, told = (day.change if day else Day("", {}, None).change)(
            slate, left, list(traces.log_entries(slate, fates))
        )
        for name, made in changed.items():
            tables.setdefault(name, []).extend(made)
        lines += told
        jobs += traces.jobs(slate, fates) if RUNS in changed else ()
    tables["nba_reference.player_aliases"] = list(reference.aliases())
    return Seed(tables, created, lines, jobs, reference.services(), reference.revisions())


class _Lists(dict[str, list[Row]]):
    def __missing__(self, name: str) -> list[Row]:
        self[name] = []
        return self[name]


def _planned(slate: Slate) -> tuple[Slate, tuple[Outcome, ...]]:
    day = DAYS.get(str(slate.game_date))
    planned = replace(slate, plan={**slate.plan, **(day.plan if day else {"not_generated": []})})
    return planned, outcomes(planned)


def looked_at(day: str) -> datetime:
    """When the watchdog looks: so long after the batch's end, or at noon where there is none."""
    slate, fates = _planned(next(s for s in slates() if str(s.game_date) == day))
    if slate.run_at is None:
        return datetime.fromisoformat(f"{day}T17:00:00+00:00")
    silent = DAYS[day].change in (_nothing_published, _nobody_listens)
    return (slate.started if silent else traces.ended(fates)) + timedelta(minutes=DAYS[day].look_after_min)


def night(day: str) -> date:
    return date.fromisoformat(day)
