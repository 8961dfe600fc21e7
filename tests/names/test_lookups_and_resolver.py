"""Names become lookups by two rules, and lead to one player, by the same way in Python and in SQL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.foundation import catalog
from services.names.book import read_book
from services.names.lookups import disagree, raw_lookup, shared_lookup, surname, without_suffix
from services.names.resolver import How, Resolution, resolve

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


def test_python_and_sql_give_the_same_answer_for_every_name_in_the_sandbox(cloud):
    book = read_book(cloud)
    odds = "SELECT DISTINCT player_lookup AS n FROM nba_raw.odds_api_player_points_props"
    lined = {row["n"] for row in cloud.bigquery.query(odds).result()}
    names = sorted({*lined, *book.lookups, *book.active, "nobody", "jokic"})
    told = {row["name"]: row for row in catalog.run(cloud, "aliases.resolved", names=names).rows}
    assert set(told) == set(names)
    for name in names:
        found = resolve(name, book.lookups, book.active)
        assert (told[name]["how"], told[name]["lookup"]) == (found.how, found.lookup), name
    assert {row["how"] for row in told.values()} == {"exact", "through an alias", "unresolved"}
