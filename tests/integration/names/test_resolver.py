"""Names resolve alike in Python and in SQL, for every name of the sandbox and with any invalid aliases."""

from __future__ import annotations

import random
from datetime import date

from services.aliases.unresolved import read_single_night
from services.core.tables import PREDICTIONS_TABLE
from services.gcp import query_catalog
from services.names.registry import read_registry
from services.names.resolver import Resolution, ResolutionMethod, resolve
from services.nights.player_stages import read_night
from tests.support.name_resolution import read_resolutions

EVERY_NAME_SQL = f"""
SELECT player_lookup AS n FROM nba_raw.odds_api_player_points_props
UNION DISTINCT SELECT player_lookup FROM nba_analytics.upcoming_player_game_context
UNION DISTINCT SELECT player_lookup FROM {PREDICTIONS_TABLE}
UNION DISTINCT SELECT player_lookup FROM nba_reference.nba_players_registry
UNION DISTINCT SELECT normalized_lookup FROM nba_reference.unresolved_player_names
UNION DISTINCT SELECT alias_lookup FROM nba_reference.player_aliases
UNION DISTINCT SELECT nba_canonical_lookup FROM nba_reference.player_aliases"""


def test_python_and_sql_resolve_every_name_of_the_sandbox_alike(clients):
    current_registry = read_registry(clients)
    names = sorted({row["n"] for row in clients.bigquery.query(EVERY_NAME_SQL).result()} | {"nobody", "jokic"})
    assert len(names) > 500
    resolutions = read_resolutions(clients, names)
    assert resolutions == {name: resolve(name, current_registry.lookups, current_registry.active) for name in names}
    assert {resolution.method for resolution in resolutions.values()} == set(ResolutionMethod)


def test_sql_resolves_exactly_through_one_alias_or_not_at_all(clients):
    assert read_resolutions(clients, ["herbjones", "herbertjones", "nobody"]) == {
        "herbertjones": Resolution(ResolutionMethod.EXACT, "herbertjones"),
        "herbjones": Resolution(ResolutionMethod.ALIAS, "herbertjones"),
        "nobody": Resolution(ResolutionMethod.UNRESOLVED, None),
    }


def test_all_queries_resolve_each_name_of_each_night_as_python_does(clients):
    current_registry, first, last = read_registry(clients), date(2025, 12, 16), date(2025, 12, 30)
    unresolved = {
        (row["game_date"], row["player_lookup"]): row["alias_canonical"]
        for row in query_catalog.run_query(clients, "aliases.unresolved", first_date=first, last_date=last).rows
    }
    for day in (date(2025, 12, 28), date(2025, 12, 29), last):
        people = read_night(clients, day).players
        context = {player.player_lookup for player in people if player.in_context}
        single_night = {
            row["player_lookup"]: row["alias_canonical"]
            for row in read_single_night(clients, day, lambda: current_registry).unresolved
        }
        for player in (player for player in people if player.has_odds):
            name = player.player_lookup
            resolution = resolve(name, context, current_registry.active)
            assert (
                ((day, name) in unresolved)
                is (name in single_night)
                is (resolution.method is not ResolutionMethod.EXACT)
            )
            canonical = resolution.lookup if resolution.method is ResolutionMethod.ALIAS else None
            assert (player.alias_canonical, unresolved.get((day, name)), single_night.get(name)) == (
                canonical,
                canonical,
                canonical,
            )


def test_python_and_sql_resolve_alike_with_any_invalid_aliases(fresh_clients):
    """Sixty random rows among few names: self-maps, chains, cycles, several canonicals, inactive twins, absent players."""
    created_at = "TIMESTAMP '2025-12-01'"
    rng, names = random.Random(11), [a + b for a in "abcdefgh" for b in "xyz"]
    rows = ", ".join(
        f"('{rng.choice(names)}', '{rng.choice(names)}', 'A', 'C', {rng.random() < 0.3}, 'test', {created_at}, {created_at})"
        for _ in range(60)
    )
    columns = "alias_lookup, nba_canonical_lookup, alias_display, nba_canonical_display, is_active, created_by, created_at, processed_at"
    people = ", ".join(f"('{name}_001', '{name}', '{name}', 'MIL', '2025-26')" for name in names[::3])
    registry = "universal_player_id, player_name, player_lookup, team_abbr, season"
    fresh_clients.bigquery.query(f"INSERT nba_reference.player_aliases ({columns}) VALUES {rows}").result()
    fresh_clients.bigquery.query(f"INSERT nba_reference.nba_players_registry ({registry}) VALUES {people}").result()
    current_registry = read_registry(fresh_clients)
    resolutions = read_resolutions(fresh_clients, names)
    assert resolutions == {name: resolve(name, current_registry.lookups, current_registry.active) for name in names}
    assert {resolution.method for resolution in resolutions.values()} == set(ResolutionMethod)
