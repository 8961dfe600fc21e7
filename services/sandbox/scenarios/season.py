"""A whole season before the fortnight of December: the size at which the desk must still be quick.

One ordinary night is made as every night is; DuckDB then repeats it, a day earlier each time. Sums hold at any `Season`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from nba_api.stats.static import players

from services.sandbox.scenarios import reference, traces
from services.sandbox.scenarios.build import PREDICTIONS, build, night_of
from services.sandbox.scenarios.outcome import outcomes
from services.sandbox.scenarios.rosters import lookup_of
from services.sandbox.scenarios.slate import Slate, slate_of
from services.sandbox.seed import Seed
from services.sandbox.server import Sandbox, plant

Row = dict[str, Any]
FORTNIGHT = 15  # the dates of december.yaml
PATTERN = date(2025, 12, 15)  # the last night before them: all others are this one again
PLAN = {"games": 11, "in_context": 350, "eligible": 185, "lined": 200, "path": "staging", "run_at": "11:30"}
ROWS_EACH = 50  # ten systems × five lines
LEFT_EVERY = 14  # nights apart that left their staging tables behind
UNMERGED_OF = 20  # of such a night, one player in so many has rows in staging only
RERUNS = 6  # batches of the one night that was run again and again: more tables than one query may name
NOISE = 480  # lines a night that are about nothing


@dataclass(frozen=True)
class Season:
    """How much of everything; the defaults are a season."""

    dates: int = 170
    staging_tables: int = 2_000
    log_lines: int = 100_000
    aliases: int = 5_000

    @property
    def nights(self) -> int:
        """How many nights are the pattern again, the pattern included."""
        return self.dates - FORTNIGHT

    @property
    def left(self) -> tuple[int, ...]:
        """How many days before the pattern those nights lie that left tables behind."""
        return tuple(range(1, self.nights, LEFT_EVERY))


@dataclass(frozen=True)
class Leftover:
    """One staging table: what it is called, whose rows it holds, and whether they are in the predictions table too."""

    name: str
    game_date: date
    player: str
    created: datetime
    merged: bool


def plant_season(sandbox: Sandbox, season: Season | None = None) -> None:
    """The fortnight, and the season before it."""
    season = season or Season()
    plant(sandbox, seed(season))
    left = list(leftovers(season))
    sandbox.emulator.run([*repeat(sandbox.world.project, season.nights)])
    place = f'"{sandbox.world.project}__nba_predictions"."player_prop_predictions"'
    sandbox.emulator.make_tables(
        sandbox.world.project,
        "nba_predictions",
        like="player_prop_predictions",
        made={
            one.name: (
                f"SELECT * FROM {place} WHERE game_date = DATE '{one.game_date}' AND player_lookup = '{one.player}'",
                one.created,
            )
            for one in left
        },
        rows_each=ROWS_EACH,
    )
    lost = sorted({(one.game_date, one.player) for one in left if not one.merged})
    listed = ", ".join(f"(DATE '{day}', '{who}')" for day, who in lost)
    sandbox.emulator.run([f"DELETE FROM {place} WHERE (game_date, player_lookup) IN ({listed})"] if lost else [])
    for table in (PREDICTIONS, *REPEATED):
        sandbox.world.warehouse.tables.forget(table)


def seed(season: Season) -> Seed:
    """The fortnight's seed with the pattern night in it, the reference tables at size, and every night's log lines."""
    december, pattern = build(), pattern_night(0)
    tables = {name: list(found) for name, found in december.tables.items()}
    for name, found in night_of(pattern, outcomes(pattern)).items():
        tables.setdefault(name, []).extend(found)
    tables["nba_reference.nba_players_registry"] += registry(season.aliases)
    tables["nba_reference.player_aliases"] += aliases(season.aliases)
    entries = list(december.log_entries)
    entries += islice(log_lines(season), max(0, season.log_lines - len(entries)))
    return replace(december, tables=tables, log_entries=entries)


def pattern_night(days_before: int) -> Slate:
    """The pattern, moved to an earlier date."""
    slate, day = slate_of(PATTERN, PLAN), PATTERN - timedelta(days=days_before)
    return replace(slate, game_date=day)


def log_lines(season: Season) -> Iterator[Row]:
    """What the services said of each night, newest night first, and what they say all day long."""
    for days in range(season.nights):
        slate = pattern_night(days)
        yield from traces.log_entries(slate, outcomes(slate))
        for i in range(NOISE):
            at = slate.started + timedelta(seconds=7 * i)
            yield from traces.line(traces.WORKER, at, "features", "INFO", f"Loaded 33 features in {i % 90} ms ({i})")


def everybody(count: int) -> list[str]:
    """Names for the reference tables: all who ever played, and again with a number when they are not enough."""
    known = [player["full_name"] for player in players.get_inactive_players()]
    return [known[i % len(known)] + (f" {i // len(known) + 1}" if i >= len(known) else "") for i in range(count)]


def registry(count: int) -> Iterator[Row]:
    seen: set[str] = set()
    for name in everybody(count):
        lookup = lookup_of(name)
        if lookup not in seen:
            seen.add(lookup)
            yield reference.registered(lookup, name, "FA", "G", 0)


def aliases(count: int) -> Iterator[Row]:
    """Each of them as one feed spells them: the last name first."""
    for name in everybody(count):
        first, _, last = name.partition(" ")
        yield reference.alias(
            lookup_of(f"{last} {first} alias"), f"{last} {first}", lookup_of(name), name, "source_variation"
        )


def leftovers(season: Season) -> Iterator[Leftover]:
    """Staging tables that were never cleaned up, as many as the fortnight's do not make up."""
    already = sum("._staging_" in name for name in build().tables)
    return islice(_leftovers(season), max(0, season.staging_tables - already))


def _leftovers(season: Season) -> Iterator[Leftover]:
    for days in season.left:
        slate = pattern_night(days)
        for again in range(RERUNS if days == season.left[0] else 1):
            batch = replace(slate, plan={**PLAN, "batch_id": f"{slate.batch_id[:-1]}{again}"})
            for i, outcome in enumerate(outcomes(slate)):
                who = outcome.entry.player.lookup
                name = traces.staging_name(batch, who).partition(".")[2]
                yield Leftover(name, slate.game_date, who, outcome.asked_at, merged=bool(i % UNMERGED_OF))


REPEATED: Mapping[str, str] = {
    "nba_analytics.upcoming_player_game_context": (
        "game_date - n AS game_date, strftime(game_date - n, '%Y%m%d') || substr(game_id, 9) AS game_id,"
        " created_at - to_days(n) AS created_at, processed_at - to_days(n) AS processed_at"
    ),
    "nba_raw.odds_api_player_points_props": (
        "game_date - n AS game_date, strftime(game_date - n, '%Y%m%d') || substr(game_id, 9) AS game_id,"
        " game_start_time - to_days(n) AS game_start_time, snapshot_timestamp - to_days(n) AS snapshot_timestamp,"
        " processed_at - to_days(n) AS processed_at"
    ),
    "nba_predictions.prediction_worker_runs": (
        "game_date - n AS game_date, strftime(game_date - n, '%Y%m%d') || substr(game_id, 9) AS game_id,"
        " request_id || '-' || n AS request_id, run_date - to_days(n) AS run_date, created_at - to_days(n) AS created_at,"
        " 'batch_' || (game_date - n) || '_' || (split_part(batch_id, '_', 3)::BIGINT - 86400 * n) AS batch_id"
    ),
    PREDICTIONS: (
        "game_date - n AS game_date, strftime(game_date - n, '%Y%m%d') || substr(game_id, 9) AS game_id,"
        " prediction_id || '-' || n AS prediction_id, created_at - to_days(n) AS created_at"
    ),
}


def repeat(project: str, nights: int) -> Iterator[str]:
    """Five more systems for every night, then the pattern on every earlier date."""
    place = {name: f'"{project}__{name.replace(".", chr(34) + "." + chr(34))}"' for name in REPEATED}
    yield (
        f"INSERT INTO {place[PREDICTIONS]} SELECT * REPLACE (prediction_id || '-b' AS prediction_id,"
        f" system_id || '_b' AS system_id) FROM {place[PREDICTIONS]}"
    )
    yield (
        f"UPDATE {place['nba_predictions.prediction_worker_runs']} SET predictions_generated = 2 * predictions_generated"
    )
    for name, columns in REPEATED.items():
        yield (
            f"INSERT INTO {place[name]} SELECT t.* REPLACE ({columns}) FROM {place[name]} t,"
            f" (SELECT range::INTEGER AS n FROM range(1, {nights})) WHERE game_date = DATE '{PATTERN}'"
        )


def named(name: str) -> Any:
    """What plants a scenario, by the name that SCENARIO gives; exits with a sentence for any other."""
    planted = {"december": lambda sandbox: plant(sandbox, build()), "season": plant_season}
    if name not in planted:
        raise SystemExit(f"SCENARIO={name!r} is not known: {' or '.join(planted)}.")
    return planted[name]
