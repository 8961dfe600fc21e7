"""Suggestions: the likeliest registered players of an unresolved name, and what stays ambiguous."""

from __future__ import annotations

import random

from services.aliases.suggestions import UnresolvedName, suggest
from services.names.registry import NameRegistry
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
