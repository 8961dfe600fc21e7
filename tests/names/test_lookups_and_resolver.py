"""Names become lookups by two rules, and lead to one player, by the same way in Python and in SQL."""

from __future__ import annotations

import random
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aliases.unresolved import read_names, read_single_night
from services.gcp import query_catalog
from services.names.normalization import (
    normalizations_differ,
    normalize_odds_name,
    normalize_registry_name,
    strip_suffix,
    surname,
)
from services.names.registry import read_registry
from services.names.resolver import Resolution, ResolutionMethod, read_resolutions, resolve
from services.nights.player_stages import read_night

SAME_UNDER_BOTH_RULES = {
    "T.J. McConnell": "tjmcconnell",
    "Nikola Jokić": "nikolajokic",
    "Kristaps Porziņģis": "kristapsporzingis",
    "Dāvis Bertāns": "davisbertans",
    "Shai Gilgeous-Alexander": "shaigilgeousalexander",
    "De’Aaron Fox": "deaaronfox",
    "De'Aaron Fox": "deaaronfox",
    "Jimmy Butler III": "jimmybutleriii",
    "Tim Hardaway Jr.": "timhardawayjr",
    "Søren Łuka": "srenuka",
}


@pytest.mark.parametrize(("name", "lookup"), SAME_UNDER_BOTH_RULES.items())
def test_both_rules_normalize_ordinary_names_alike(name, lookup):
    assert (normalize_odds_name(name), normalize_registry_name(name), normalizations_differ(name)) == (
        lookup,
        lookup,
        False,
    )


@pytest.mark.parametrize(
    ("name", "raw", "shared"),
    [("Tim Hardaway Junior", "timhardawayjunior", "timhardawayjr"), ("Ömer Aşık", "omerask", "omerasik")],
)
def test_the_rules_differ_in_the_known_cases(name, raw, shared):
    assert (normalize_odds_name(name), normalize_registry_name(name), normalizations_differ(name)) == (
        raw,
        shared,
        True,
    )


@pytest.mark.parametrize("nothing", ["", None])
def test_an_empty_name_is_none_for_the_odds_and_empty_for_the_registry(nothing):
    assert (normalize_odds_name(nothing), normalize_registry_name(nothing), normalizations_differ(nothing)) == (
        None,
        "",
        False,
    )


def test_a_suffix_is_stripped_only_for_comparison():
    assert strip_suffix("garytrentjr") == "garytrent"
    assert strip_suffix("robertwilliamsiii") == "robertwilliams"
    assert (surname("Robert Williams III"), surname("Nah'Shon Hyland")) == ("williams", "hyland")


SHORT_NAMES = st.text("abcd", min_size=1, max_size=2)


@given(SHORT_NAMES, st.sets(SHORT_NAMES), st.dictionaries(SHORT_NAMES, st.sets(SHORT_NAMES, min_size=1, max_size=2)))
def test_a_name_resolves_to_a_known_player_in_one_hop_or_not_at_all(name, known, aliases):
    resolution = resolve(name, known, aliases)
    assert resolution.lookup is None or resolution.lookup in known
    if resolution.method is ResolutionMethod.ALIAS:
        assert resolution.lookup in aliases[name]
        assert name not in known


def test_chains_cycles_self_maps_and_double_canonicals_do_not_resolve():
    aliases = {"a": {"b"}, "b": {"a"}, "c": {"c"}, "d": {"x", "y"}, "e": {"a"}}
    for name in aliases:
        assert resolve(name, {"x", "y"}, aliases) == Resolution(ResolutionMethod.UNRESOLVED, None)


EVERY_NAME_SQL = """
SELECT player_lookup AS n FROM nba_raw.odds_api_player_points_props
UNION DISTINCT SELECT player_lookup FROM nba_analytics.upcoming_player_game_context
UNION DISTINCT SELECT player_lookup FROM nba_predictions.player_prop_predictions
UNION DISTINCT SELECT player_lookup FROM nba_reference.nba_players_registry
UNION DISTINCT SELECT normalized_lookup FROM nba_reference.unresolved_player_names
UNION DISTINCT SELECT alias_lookup FROM nba_reference.player_aliases
UNION DISTINCT SELECT nba_canonical_lookup FROM nba_reference.player_aliases"""


def test_python_and_sql_resolve_every_name_of_the_sandbox_alike(clients):
    book = read_registry(clients)
    names = sorted({row["n"] for row in clients.bigquery.query(EVERY_NAME_SQL).result()} | {"nobody", "jokic"})
    assert len(names) > 500
    resolutions = read_resolutions(clients, names)
    assert resolutions == {name: resolve(name, book.lookups, book.active) for name in names}
    assert {resolution.method for resolution in resolutions.values()} == set(ResolutionMethod)


def test_all_queries_resolve_each_name_of_each_night_as_python_does(clients):
    book, first, last = read_registry(clients), date(2025, 12, 16), date(2025, 12, 30)
    unresolved = {
        (row["game_date"], row["player_lookup"]): row["alias_canonical"]
        for row in query_catalog.run_query(clients, "aliases.unresolved", first_date=first, last_date=last).rows
    }
    for day in (date(2025, 12, 28), date(2025, 12, 29), last):
        people = read_night(clients, day).players
        context = {player.player_lookup for player in people if player.in_context}
        single_night = {
            row["player_lookup"]: row["alias_canonical"] for row in read_single_night(clients, day, book).unresolved
        }
        for player in (player for player in people if player.has_odds):
            name = player.player_lookup
            resolution = resolve(name, context, book.active)
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
    book = read_registry(fresh_clients)
    resolutions = read_resolutions(fresh_clients, names)
    assert resolutions == {name: resolve(name, book.lookups, book.active) for name in names}
    assert {resolution.method for resolution in resolutions.values()} == set(ResolutionMethod)


def test_a_single_night_matches_the_range_query(clients):
    night, several = date(2025, 12, 29), date(2025, 12, 28)
    single, ranged = read_names(clients, night, night), read_names(clients, several, night)
    assert single.resolution_counts.by_date[night] == ranged.resolution_counts.by_date[night]
    assert {u.lookup for u in single.unresolved} == {u.lookup for u in ranged.unresolved if night in u.dates}
    assert all(
        u.status_by_date[night] == v.status_by_date[night]
        for u in single.unresolved
        for v in ranged.unresolved
        if u.lookup == v.lookup and night in u.status_by_date and u.likely_lookup == v.likely_lookup
    )
    assert sum(source.bytes_billed for source in single.sources) == 0
