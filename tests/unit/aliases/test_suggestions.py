"""Suggestions: the likeliest registered players of an unresolved name, and what stays ambiguous."""

from __future__ import annotations

import random

import pytest

from services.aliases.rejections import rejection_note
from services.aliases.suggestions import Suggestion, UnresolvedName, suggest
from services.names.normalization import normalize_registry_name
from services.names.registry import Alias, NameRegistry
from tests.support.registry_factories import make_registry, make_registry_row
from tests.tools.benchmarks import name_suggestions


def test_the_right_player_is_the_first_suggestion_for_every_listed_alias():
    """`python -m tests.tools.benchmarks.name_suggestions` prints the figures."""
    registry = name_suggestions.build_registry()
    assert len(registry.lookups) > 5_000
    with_team_ranks = name_suggestions.rank_suggestions(registry, with_teams=True)
    without_team_ranks = name_suggestions.rank_suggestions(registry, with_teams=False)
    assert (with_team_ranks.count_first(), with_team_ranks.wrong_prefills) == (len(name_suggestions.LISTED_ALIASES), ())
    assert (
        without_team_ranks.count_first(),
        without_team_ranks.count_top_three(),
        without_team_ranks.wrong_prefills,
    ) == (20, len(name_suggestions.LISTED_ALIASES), ())


def test_two_equally_likely_players_are_left_to_a_person():
    rows = (
        make_registry_row("jalenwilliams", "Jalen Williams", "OKC"),
        make_registry_row("jaylenwilliams", "Jaylen Williams", "OKC"),
        make_registry_row("garytrent", "Gary Trent", "MIL", player_id="garytrent_001"),
        make_registry_row("garytrentjr", "Gary Trent Jr.", "MIL", player_id="garytrent_001"),
    )
    unresolved = [
        UnresolvedName("jawilliams", "Ja Williams", frozenset({"OKC"})),
        UnresolvedName("garytrentsr", "Gary Trent Sr."),
    ]
    suggestions = suggest(
        [*unresolved, UnresolvedName("jal", "Jal Williams", frozenset({"OKC"}))], NameRegistry((), rows)
    )
    assert not any(proposal.is_likely for proposal in suggestions["jawilliams"])
    assert [proposal.is_likely for proposal in suggestions["garytrentsr"]] == [True, True], "two names of one player"


def test_a_shared_surname_is_never_a_likely_suggestion():
    suggestions = suggest([UnresolvedName("curry", "Curry", frozenset({"MIL"}))], make_registry())["curry"]
    assert {proposal.lookup for proposal in suggestions} >= {"stephencurry", "sethcurry"}
    assert not any(proposal.is_likely for proposal in suggestions)


def test_a_name_like_no_player_gets_no_suggestion():
    assert suggest([UnresolvedName("qqqqqqqq", "Qqqq Qqqq")], make_registry())["qqqqqqqq"] == ()


def test_five_thousand_players_and_five_hundred_names_are_ranked():
    rng = random.Random(7)
    random_name = lambda: "".join(rng.choices("abcdefghilmnoprstu", k=6)).capitalize()  # noqa: E731
    people = [f"{random_name()} {random_name()}" for _ in range(5_000)]
    registry = NameRegistry((), tuple(make_registry_row(p.lower().replace(" ", ""), p) for p in people))
    unresolved = [
        UnresolvedName(p.lower().replace(" ", "") + "jr", p + " Jr.", frozenset({"MIL"})) for p in people[:500]
    ]
    suggestions = suggest(unresolved, registry)
    assert all(
        suggestions[unresolved_name.lookup][0].lookup == unresolved_name.lookup.removesuffix("jr")
        for unresolved_name in unresolved
    )


SHORT_FORM = "nickname ({} ~ {}), same surname"
MIL, ELSEWHERE = frozenset({"MIL"}), frozenset({"BOS"})


@pytest.mark.parametrize(
    ("lookup", "name", "person", "score", "reason"),
    [
        ("garytrentjr", "Gary Trent Jr.", ("garytrent", "Gary Trent"), 85, "suffix differs"),
        ("gary.trent", "Gary Trent", ("garytrent", "Gary Trent"), 85, "same normalized name"),
        ("trentgary", "Trent Gary", ("garytrent", "Gary Trent"), 80, "same words in another order"),
        ("nen", "Nene", ("nenehilario", "Nene"), 80, "same word"),
        ("herbjones", "Herb Jones", ("herbertjones", "Herbert Jones"), 75, SHORT_FORM.format("herb", "herbert")),
        ("herbertjones", "Herbert Jones", ("herbjones", "Herb Jones"), 75, SHORT_FORM.format("herbert", "herb")),
        ("gwilliams", "G Williams", ("grantwilliams", "Grant Williams"), 60, "same surname and initial"),
        ("xywilliams", "Xy Williams", ("grantwilliams", "Grant Williams"), 50, "same surname, first name differs"),
        ("trent", "Trent", ("garytrent", "Gary Trent"), 50, "surname only"),
        ("nikolajokik", "Nikolaj Okik", ("nikolajokic", "Nikola Jokic"), 67, "96% similar spelling"),
    ],
)  # fmt: skip
def test_each_evidence_has_its_score_which_the_team_raises_or_lowers(lookup, name, person, score, reason):
    registry = NameRegistry((), tuple(make_registry_row(person[0], person[1], team) for team in ("MIL", "ATL")))

    def best(teams: frozenset[str]) -> Suggestion:
        (found,) = suggest([UnresolvedName(lookup, name, teams)], registry)[lookup]
        return found

    assert best(frozenset()) == Suggestion(person[0], person[1], score, reason)
    most = 79 if "spelling" in reason else 99
    in_game = Suggestion(person[0], person[1], min(score + 15, most), f"{reason}; team ATL/MIL in that game")
    assert best(MIL) == in_game
    assert best(ELSEWHERE) == Suggestion(person[0], person[1], score - 25, f"{reason}; team ATL/MIL not in that game")


@pytest.mark.parametrize(
    ("name", "other", "team"), [("Nikola Jović", "Nikola Jokić", "MIA"), ("Jalen Johnson", "Jaylen Johnson", "ATL")]
)
def test_a_team_never_lifts_a_match_by_spelling_alone_to_a_likely_one(name, other, team):
    lookup, other_lookup = normalize_registry_name(name), normalize_registry_name(other)
    registry = NameRegistry((), (make_registry_row(other_lookup, other, team),))
    (found,) = suggest([UnresolvedName(lookup, name, frozenset({team}))], registry)[lookup]
    assert (found.lookup, found.score, found.is_likely) == (other_lookup, 79, False)


@pytest.mark.parametrize(
    ("name", "registered", "reason"),
    [
        ("S Gilgeous Alexander", "Shai Gilgeous-Alexander", "same surname and initial"),
        ("Shai Gilgeous-Alexander", "S. Gilgeous Alexander", "same surname and initial"),
        ("Alex Van Exel", "Alexander Van Exel", "nickname (alex ~ alexander), same surname"),
        ("Luc Richard Mbah a Moute", "Luc Mbah a Moute", "nickname (luc ~ luc), same surname"),
        ("Van Exel", "Nick Van Exel", "surname only"),
    ],
)
def test_a_surname_of_several_words_is_one(name, registered, reason):
    lookup = normalize_registry_name(name)
    registry = NameRegistry((), (make_registry_row(normalize_registry_name(registered), registered, "MIL"),))
    (found,) = suggest([UnresolvedName(lookup, name)], registry)[lookup]
    assert found.reason == reason


def test_a_match_that_was_rejected_is_not_suggested_and_the_next_one_is():
    rows = (make_registry_row("alexandresarr", "Alexandre Sarr"), make_registry_row("oliviersarr", "Olivier Sarr"))
    rejected = Alias("alexsarr", "alexandresarr", False, notes=rejection_note("act1", "another Sarr"))
    names = [UnresolvedName("alexsarr", "Alex Sarr")]
    assert suggest(names, NameRegistry((), rows))["alexsarr"][0].lookup == "alexandresarr"
    assert [s.lookup for s in suggest(names, NameRegistry((rejected,), rows))["alexsarr"]] == ["oliviersarr"]


def test_a_bare_surname_of_several_players_ranks_below_that_of_one():
    rows = (make_registry_row("sethcurry", "Seth Curry"), make_registry_row("stephencurry", "Stephen Curry"))
    found = suggest([UnresolvedName("curry", "Curry")], NameRegistry((), rows))["curry"]
    assert [(s.lookup, s.score, s.reason) for s in found] == [
        ("sethcurry", 30, "surname only, 2 candidates"),
        ("stephencurry", 30, "surname only, 2 candidates"),
    ]


def test_three_suggestions_at_most_the_best_first_and_never_the_name_itself():
    names = ("Al Jones", "Bo Jones", "Cy Jones", "Herbert Jones", "Herb Jones")
    rows = tuple(make_registry_row(name.lower().replace(" ", ""), name) for name in names)
    found = suggest([UnresolvedName("herbjones", "Herb Jones")], NameRegistry((), rows))["herbjones"]
    assert [(s.lookup, s.score) for s in found] == [("herbertjones", 75), ("aljones", 50), ("bojones", 50)]


def test_of_two_likely_players_none_is_and_the_rest_ranks_below_them():
    rows = tuple(
        make_registry_row(lookup, name, "MIL")
        for lookup, name in (("jalenwilliams", "Jalen Williams"), ("jawwilliams", "Jaw Williams"), ("jwilliams", "J Williams"))
    )  # fmt: skip
    found = suggest([UnresolvedName("jawilliams", "Ja Williams", MIL)], NameRegistry((), rows))["jawilliams"]
    assert [(s.lookup, s.score, s.is_likely) for s in found[:2]] == [
        ("jalenwilliams", 79, False),
        ("jawwilliams", 79, False),
    ]
    assert found[0].reason.endswith("; as likely as jawwilliams")
    assert all(s.score <= 78 for s in found[2:])


def test_without_names_or_players_there_is_nothing_to_compare():
    assert suggest([], make_registry()) == {}
    assert suggest([UnresolvedName("herbjones", "Herb Jones")], NameRegistry((), ())) == {"herbjones": ()}
    assert not Suggestion("a", "A", 79, "").is_likely
    assert Suggestion("a", "A", 80, "").is_likely
