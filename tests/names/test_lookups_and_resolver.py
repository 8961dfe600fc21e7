"""Names become lookups by two rules, and lead to one player, by the same way in Python and in SQL."""

from __future__ import annotations

import random
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aliases.unresolved import read_names, read_of_one
from services.gcp import query_catalog as catalog
from services.names.normalization import disagree, raw_lookup, shared_lookup, surname, without_suffix
from services.names.registry import read_book
from services.names.resolver import How, Resolution, read_resolutions, resolve
from services.nights.player_stages import read_night

SAME = {
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


@pytest.mark.parametrize(("name", "lookup"), SAME.items())
def test_both_rules_make_the_same_lookup_of_ordinary_names(name, lookup):
    assert (raw_lookup(name), shared_lookup(name), disagree(name)) == (lookup, lookup, False)


@pytest.mark.parametrize(
    ("name", "raw", "shared"),
    [("Tim Hardaway Junior", "timhardawayjunior", "timhardawayjr"), ("Ömer Aşık", "omerask", "omerasik")],
)
def test_the_rules_disagree_where_they_are_known_to(name, raw, shared):
    assert (raw_lookup(name), shared_lookup(name), disagree(name)) == (raw, shared, True)


@pytest.mark.parametrize("nothing", ["", None])
def test_nothing_is_none_for_the_odds_and_empty_for_the_registry(nothing):
    assert (raw_lookup(nothing), shared_lookup(nothing), disagree(nothing)) == (None, "", False)


def test_a_suffix_is_set_aside_only_for_comparing():
    assert without_suffix("garytrentjr") == "garytrent"
    assert without_suffix("robertwilliamsiii") == "robertwilliams"
    assert (surname("Robert Williams III"), surname("Nah'Shon Hyland")) == ("williams", "hyland")


NAMES = st.text("abcd", min_size=1, max_size=2)


@given(NAMES, st.sets(NAMES), st.dictionaries(NAMES, st.sets(NAMES, min_size=1, max_size=2)))
def test_a_name_leads_to_a_known_player_in_one_hop_or_nowhere(name, known, aliases):
    found = resolve(name, known, aliases)
    assert found.lookup is None or found.lookup in known
    if found.how is How.ALIAS:
        assert found.lookup in aliases[name]
        assert name not in known


def test_a_chain_a_cycle_a_self_map_and_two_canonicals_lead_nowhere():
    aliases = {"a": {"b"}, "b": {"a"}, "c": {"c"}, "d": {"x", "y"}, "e": {"a"}}
    for name in aliases:
        assert resolve(name, {"x", "y"}, aliases) == Resolution(How.UNRESOLVED, None)


EVERY_NAME = """
SELECT player_lookup AS n FROM nba_raw.odds_api_player_points_props
UNION DISTINCT SELECT player_lookup FROM nba_analytics.upcoming_player_game_context
UNION DISTINCT SELECT player_lookup FROM nba_predictions.player_prop_predictions
UNION DISTINCT SELECT player_lookup FROM nba_reference.nba_players_registry
UNION DISTINCT SELECT normalized_lookup FROM nba_reference.unresolved_player_names
UNION DISTINCT SELECT alias_lookup FROM nba_reference.player_aliases
UNION DISTINCT SELECT nba_canonical_lookup FROM nba_reference.player_aliases"""


def test_python_and_sql_give_the_same_answer_for_every_name_in_the_sandbox(cloud):
    book = read_book(cloud)
    names = sorted({row["n"] for row in cloud.bigquery.query(EVERY_NAME).result()} | {"nobody", "jokic"})
    assert len(names) > 500
    told = read_resolutions(cloud, names)
    assert told == {name: resolve(name, book.lookups, book.active) for name in names}
    assert {found.how for found in told.values()} == set(How)


def test_the_missing_players_the_names_and_the_pipeline_lead_each_name_of_each_night_as_python_does(cloud):
    book, first, last = read_book(cloud), date(2025, 12, 16), date(2025, 12, 30)
    unresolved = {
        (row["game_date"], row["player_lookup"]): row["alias_canonical"]
        for row in catalog.run(cloud, "aliases.unresolved", first_date=first, last_date=last).rows
    }
    for day in (date(2025, 12, 28), date(2025, 12, 29), last):
        people = read_night(cloud, day).players
        context = {each.player_lookup for each in people if each.in_context}
        of_one = {row["player_lookup"]: row["alias_canonical"] for row in read_of_one(cloud, day, book).unresolved}
        for each in (each for each in people if each.lined):
            name = each.player_lookup
            found = resolve(name, context, book.active)
            assert ((day, name) in unresolved) is (name in of_one) is (found.how is not How.EXACT)
            led = found.lookup if found.how is How.ALIAS else None
            assert (each.alias_canonical, unresolved.get((day, name)), of_one.get(name)) == (led, led, led)


def test_python_and_sql_give_the_same_answer_whatever_is_wrong_with_the_aliases(fresh_cloud):
    """Sixty random rows among few names: self-maps, chains, cycles, several canonicals, inactive twins, absent players."""
    at = "TIMESTAMP '2025-12-01'"
    rng, few = random.Random(11), [a + b for a in "abcdefgh" for b in "xyz"]
    rows = ", ".join(
        f"('{rng.choice(few)}', '{rng.choice(few)}', 'A', 'C', {rng.random() < 0.3}, 'test', {at}, {at})"
        for _ in range(60)
    )
    columns = "alias_lookup, nba_canonical_lookup, alias_display, nba_canonical_display, is_active, created_by, created_at, processed_at"
    people = ", ".join(f"('{name}_001', '{name}', '{name}', 'MIL', '2025-26')" for name in few[::3])
    registry = "universal_player_id, player_name, player_lookup, team_abbr, season"
    fresh_cloud.bigquery.query(f"INSERT nba_reference.player_aliases ({columns}) VALUES {rows}").result()
    fresh_cloud.bigquery.query(f"INSERT nba_reference.nba_players_registry ({registry}) VALUES {people}").result()
    book = read_book(fresh_cloud)
    told = read_resolutions(fresh_cloud, few)
    assert told == {name: resolve(name, book.lookups, book.active) for name in few}
    assert {found.how for found in told.values()} == set(How)


def test_one_night_read_from_its_lists_says_what_the_warehouse_counts(cloud):
    night, several = date(2025, 12, 29), date(2025, 12, 28)
    one, two = read_names(cloud, night, night), read_names(cloud, several, night)
    assert one.effects.by_date[night] == two.effects.by_date[night]
    assert {u.lookup for u in one.unresolved} == {u.lookup for u in two.unresolved if night in u.dates}
    assert all(
        u.standings[night] == v.standings[night]
        for u in one.unresolved
        for v in two.unresolved
        if u.lookup == v.lookup and night in u.standings and u.likely == v.likely
    )
    assert sum(source.bytes_billed for source in one.sources) == 0
