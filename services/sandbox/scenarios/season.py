"""The season scenario: a whole season before the december scenario, the size at which the dashboard must still be fast.

One ordinary night is generated like any other; DuckDB then repeats it, a day earlier each time. Totals hold at any `Season`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from nba_api.stats.static import players

from services.core.tables import PREDICTIONS_DATASET, PREDICTIONS_TABLE, PREDICTIONS_TABLE_NAME
from services.sandbox.scenarios import log_and_job_history, reference
from services.sandbox.scenarios.december import build_seed, night_rows
from services.sandbox.scenarios.player_outcomes import simulate_outcomes
from services.sandbox.scenarios.rosters import normalize_lookup
from services.sandbox.scenarios.slate import Slate, build_slate
from services.sandbox.seed import Seed
from services.sandbox.server import Sandbox, load_seed

Row = dict[str, Any]
DECEMBER_DATES = 15  # the dates of december.yaml
TEMPLATE_DATE = date(2025, 12, 15)  # the last night before them; all earlier nights repeat it
TEMPLATE_PLAN = {"games": 11, "in_context": 350, "eligible": 185, "lined": 200, "path": "staging", "run_at": "11:30"}
ROWS_PER_TABLE = 50  # ten systems × five lines
LEFTOVER_INTERVAL_NIGHTS = 14  # every so many nights one left its staging tables behind
UNMERGED_ONE_IN = 20  # on such a night, one player in so many has rows in staging only
RERUN_BATCHES = 6  # batches of one night that was re-run: more tables than one query may name
NOISE_LINES_PER_NIGHT = 480  # unrelated log lines per night


@dataclass(frozen=True)
class Season:
    """The size of the scenario; the defaults are a full season."""

    dates: int = 170
    staging_tables: int = 2_000
    log_lines: int = 100_000
    aliases: int = 5_000

    @property
    def nights(self) -> int:
        """How many nights repeat the template night, itself included."""
        return self.dates - DECEMBER_DATES

    @property
    def leftover_days(self) -> tuple[int, ...]:
        """How many days before the template night the nights with leftover tables are."""
        return tuple(range(1, self.nights, LEFTOVER_INTERVAL_NIGHTS))


@dataclass(frozen=True)
class LeftoverTable:
    """One leftover staging table: its name, whose rows it holds, and whether the predictions table has them too."""

    name: str
    game_date: date
    player: str
    created: datetime
    merged: bool


def load_season(sandbox: Sandbox, season: Season | None = None) -> None:
    """Load the december scenario and the season before it."""
    season = season or Season()
    load_seed(sandbox, build_season_seed(season))
    leftover = list(leftover_tables(season))
    sandbox.emulator.run_statements([*repeat_statements(sandbox.state.project, season.nights)])
    predictions = f'"{sandbox.state.project}__{PREDICTIONS_DATASET}"."{PREDICTIONS_TABLE_NAME}"'
    sandbox.emulator.make_tables(
        sandbox.state.project,
        PREDICTIONS_DATASET,
        template_name=PREDICTIONS_TABLE_NAME,
        definitions={
            staging.name: (
                f"SELECT * FROM {predictions} WHERE game_date = DATE '{staging.game_date}' AND player_lookup = '{staging.player}'",
                staging.created,
            )
            for staging in leftover
        },
        rows_per_table=ROWS_PER_TABLE,
    )
    unmerged = sorted({(staging.game_date, staging.player) for staging in leftover if not staging.merged})
    key_list = ", ".join(f"(DATE '{day}', '{player}')" for day, player in unmerged)
    sandbox.emulator.run_statements(
        [f"DELETE FROM {predictions} WHERE (game_date, player_lookup) IN ({key_list})"] if unmerged else []
    )
    for table in (PREDICTIONS_TABLE, *SHIFTED_COLUMNS):
        sandbox.state.bigquery.tables.invalidate(table)


def build_season_seed(season: Season) -> Seed:
    """The december seed plus the template night, full-size reference tables, and every night's log lines."""
    december, template = build_seed(), template_slate(0)
    tables = {name: list(table_rows) for name, table_rows in december.tables.items()}
    for name, table_rows in night_rows(template, simulate_outcomes(template)).items():
        tables.setdefault(name, []).extend(table_rows)
    tables["nba_reference.nba_players_registry"] += registry_rows(season.aliases)
    tables["nba_reference.player_aliases"] += alias_rows(season.aliases)
    entries = list(december.log_entries)
    entries += islice(log_entries(season), max(0, season.log_lines - len(entries)))
    return replace(december, tables=tables, log_entries=entries)


def template_slate(days_before: int) -> Slate:
    """The template night, moved to an earlier date."""
    slate, day = build_slate(TEMPLATE_DATE, TEMPLATE_PLAN), TEMPLATE_DATE - timedelta(days=days_before)
    return replace(slate, game_date=day)


def log_entries(season: Season) -> Iterator[Row]:
    """The services' log lines of each night, newest night first, and unrelated lines."""
    for days_before in range(season.nights):
        slate = template_slate(days_before)
        yield from log_and_job_history.log_entries(slate, simulate_outcomes(slate))
        for i in range(NOISE_LINES_PER_NIGHT):
            at = slate.started_at + timedelta(seconds=7 * i)
            yield from log_and_job_history.text_entries(
                log_and_job_history.WORKER, at, "features", "INFO", f"Loaded 33 features in {i % 90} ms ({i})"
            )


def generate_names(count: int) -> list[str]:
    """Names for the reference tables: all former players, repeated with a number when there are too few."""
    full_names = [player["full_name"] for player in players.get_inactive_players()]
    return [
        full_names[i % len(full_names)] + (f" {i // len(full_names) + 1}" if i >= len(full_names) else "")
        for i in range(count)
    ]


def registry_rows(count: int) -> Iterator[Row]:
    lookups: set[str] = set()
    for name in generate_names(count):
        lookup = normalize_lookup(name)
        if lookup not in lookups:
            lookups.add(lookup)
            yield reference.registry_row(lookup, name, "FA", "G", 0)


def alias_rows(count: int) -> Iterator[Row]:
    """An alias for each of these names with the last name first, as one feed spells them."""
    for name in generate_names(count):
        first, _, last = name.partition(" ")
        yield reference.alias_row(
            normalize_lookup(f"{last} {first} alias"),
            f"{last} {first}",
            normalize_lookup(name),
            name,
            "source_variation",
        )


def leftover_tables(season: Season) -> Iterator[LeftoverTable]:
    """Staging tables that were never cleaned up: the requested number minus those of the december scenario."""
    existing_count = sum("._staging_" in name for name in build_seed().tables)
    return islice(_generate_leftovers(season), max(0, season.staging_tables - existing_count))


def _generate_leftovers(season: Season) -> Iterator[LeftoverTable]:
    for days_before in season.leftover_days:
        slate = template_slate(days_before)
        for rerun in range(RERUN_BATCHES if days_before == season.leftover_days[0] else 1):
            batch = replace(slate, plan={**TEMPLATE_PLAN, "batch_id": f"{slate.batch_id[:-1]}{rerun}"})
            for i, outcome in enumerate(simulate_outcomes(slate)):
                lookup = outcome.entry.player.lookup
                name = log_and_job_history.staging_table_name(batch, lookup).partition(".")[2]
                yield LeftoverTable(
                    name, slate.game_date, lookup, outcome.requested_at, merged=bool(i % UNMERGED_ONE_IN)
                )


SHIFTED_COLUMNS: Mapping[str, str] = {
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
    PREDICTIONS_TABLE: (
        "game_date - n AS game_date, strftime(game_date - n, '%Y%m%d') || substr(game_id, 9) AS game_id,"
        " prediction_id || '-' || n AS prediction_id, created_at - to_days(n) AS created_at"
    ),
}


def repeat_statements(project: str, nights: int) -> Iterator[str]:
    """SQL that adds five more systems to every night, then repeats the template night on every earlier date."""
    physical_names = {name: f'"{project}__{name.replace(".", chr(34) + "." + chr(34))}"' for name in SHIFTED_COLUMNS}
    yield (
        f"INSERT INTO {physical_names[PREDICTIONS_TABLE]} SELECT * REPLACE (prediction_id || '-b' AS prediction_id,"
        f" system_id || '_b' AS system_id) FROM {physical_names[PREDICTIONS_TABLE]}"
    )
    yield (
        f"UPDATE {physical_names['nba_predictions.prediction_worker_runs']} SET predictions_generated = 2 * predictions_generated"
    )
    for name, columns in SHIFTED_COLUMNS.items():
        yield (
            f"INSERT INTO {physical_names[name]} SELECT t.* REPLACE ({columns}) FROM {physical_names[name]} t,"
            f" (SELECT range::INTEGER AS n FROM range(1, {nights})) WHERE game_date = DATE '{TEMPLATE_DATE}'"
        )
