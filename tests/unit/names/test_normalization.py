"""Names become lookups by two rules, which differ in known cases."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from services.names.normalization import (
    normalizations_differ,
    normalize_odds_name,
    normalize_registry_name,
    strip_suffix,
    surnames,
)

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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Robert Williams III", ("williams",)),
        ("Nah'Shon Hyland", ("hyland",)),
        ("Shai Gilgeous Alexander", ("gilgeousalexander", "alexander")),
        ("Shai Gilgeous-Alexander", ("gilgeousalexander",)),
        ("Luc Mbah a Moute", ("mbahamoute", "amoute", "moute")),
        ("Nene", ("nene",)),
        ("", ()),
    ],
)
def test_a_surname_may_have_several_words(name, expected):
    assert surnames(name) == expected


SHORT_NAMES = st.text("abcd", min_size=1, max_size=2)
