"""`python -m tests.tools.benchmarks.name_suggestions`: rank of the right player among the suggestions, and time by registry size.

The players are real: all of nba_api's static list, five thousand, with the customer's own spelling of each listed name.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nba_api.stats.static import players, teams
from rapidfuzz.distance import JaroWinkler

from services.aliases.identities.duplicates import find_duplicates
from services.aliases.suggestions import Suggestion, UnresolvedName, suggest
from services.aliases.validation import find_violations, new_violations, with_aliases
from services.names.normalization import normalize_registry_name
from services.names.registry import Alias, NameRegistry, RegistryRow

UNRANKED = 999

# As the odds write the name, as the registry writes the player: the rows of the customer's table that lead the right way.
LISTED_ALIASES = (
    ("Herb Jones", "Herbert Jones"),
    ("Gary Trent Jr.", "Gary Trent"),
    ("Jabari Smith Jr.", "Jabari Smith"),
    ("Jaime Jaquez Jr.", "Jaime Jaquez"),
    ("Michael Porter Jr.", "Michael Porter"),
    ("Trey Murphy III", "Trey Murphy"),
    ("Marvin Bagley III", "Marvin Bagley"),
    ("Kevin Porter Jr.", "Kevin Porter"),
    ("Tim Hardaway Jr.", "Tim Hardaway"),
    ("Wendell Carter Jr.", "Wendell Carter"),
    ("Nicolas Claxton", "Nic Claxton"),
    ("Alex Sarr", "Alexandre Sarr"),
    ("Bones Hyland", "Nah'Shon Hyland"),
    ("Robert Williams", "Robert Williams III"),
    ("Derrick Walton", "Derrick Walton Jr."),
    ("Marcus Morris", "Marcus Morris Sr."),
    ("GG Jackson II", "GG Jackson"),
    ("Isaiah Stewart II", "Isaiah Stewart"),
    ("Carlton Carrington", "Bub Carrington"),
    ("Craig Porter", "Craig Porter Jr."),
    ("Trey Jemison", "Trey Jemison III"),
)


@dataclass(frozen=True)
class Ranks:
    """Per listed alias the rank of the right player; UNRANKED where he is not among the suggestions."""

    by_name: dict[str, int]
    wrong_prefills: tuple[str, ...]  # a wrong player who would stand in the form as likely

    def count_first(self) -> int:
        return sum(rank == 1 for rank in self.by_name.values())

    def count_top_three(self) -> int:
        return sum(rank <= 3 for rank in self.by_name.values())


def build_registry() -> NameRegistry:
    """Every player of the list, dealt to thirty teams, with the listed players as the registry writes them and not as the odds do."""
    rng = random.Random("names")
    abbreviations = sorted(team["abbreviation"] for team in teams.get_teams())
    odds = {normalize_registry_name(name) for name, _ in LISTED_ALIASES}
    names = {normalize_registry_name(p["full_name"]): p["full_name"] for p in players.get_players()}
    names |= {normalize_registry_name(name): name for _, name in LISTED_ALIASES}
    rows = [
        RegistryRow(f"{lookup}_001", name, lookup, rng.choice(abbreviations), "2025-26", jersey=None)
        for lookup, name in sorted(names.items())
        if lookup and lookup not in odds
    ]
    return NameRegistry((), tuple(rows))


def rank_suggestions(registry: NameRegistry, with_teams: bool) -> Ranks:
    """The listed names among all registered players, with the two teams of the game or without."""
    rng = random.Random("games")
    canonical_by_name = {
        normalize_registry_name(name): normalize_registry_name(player) for name, player in LISTED_ALIASES
    }
    all_teams = sorted({row.team for row in registry.registered})
    names = []
    for name, _ in LISTED_ALIASES:
        own_team = registry.by_lookup[canonical_by_name[normalize_registry_name(name)]][0].team
        game = frozenset({own_team, rng.choice(all_teams)}) if with_teams else frozenset()
        names.append(UnresolvedName(normalize_registry_name(name), name, game))
    suggestions = suggest(names, registry)
    wrong_names = [
        n
        for n, player in canonical_by_name.items()
        if suggestions[n] and suggestions[n][0].is_likely and suggestions[n][0].lookup != player
    ]
    return Ranks(
        {name: _rank(suggestions[name], player) for name, player in canonical_by_name.items()}, tuple(wrong_names)
    )


def _rank(suggestions: Sequence[Suggestion], canonical: str) -> int:
    return next((i for i, proposal in enumerate(suggestions, 1) if proposal.lookup == canonical), UNRANKED)


def make_unresolved_names(registry: NameRegistry, count: int) -> list[UnresolvedName]:
    """As many names as `count`, as odds might misspell them: a letter changed, a suffix added."""
    rng = random.Random("unresolved")
    names = []
    for i, row in enumerate(rng.sample(registry.registered, count)):
        name = f"{row.name} Jr." if i % 2 else row.name.replace("e", "a", 1) + "s"
        names.append(UnresolvedName(normalize_registry_name(name), name, frozenset({row.team})))
    return names


def match_pairwise(names: Sequence[UnresolvedName], registry: NameRegistry) -> dict[str, str]:
    """The simple way: every name against every player, one comparison at a time."""
    return {
        unresolved_name.lookup: max(
            registry.registered, key=lambda row: JaroWinkler.similarity(unresolved_name.lookup, row.lookup)
        ).lookup
        for unresolved_name in names
    }


def time_call(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def add_aliases(registry: NameRegistry, count: int) -> NameRegistry:
    return NameRegistry(
        tuple(Alias(f"{row.lookup}x", row.lookup, True) for row in registry.registered[:count]), registry.registered
    )


def main() -> None:
    registry = build_registry()
    print(
        f"\nRank of the right player, {len(LISTED_ALIASES)} listed aliases among {len(registry.lookups):,} registered players\n"
    )
    for label, with_teams in (("with the teams of the game", True), ("without teams", False)):
        ranked = rank_suggestions(registry, with_teams)
        not_first = {
            name: rank if rank != UNRANKED else "not proposed" for name, rank in ranked.by_name.items() if rank != 1
        }
        total = len(LISTED_ALIASES)
        print(
            f"  {label:28} first {ranked.count_first()}/{total}, among three {ranked.count_top_three()}/{total}, "
            f"wrong one filled in {len(ranked.wrong_prefills)}  {not_first or ''}"
        )
    small = NameRegistry((), registry.registered[::10])
    names = make_unresolved_names(registry, 500)
    sample = [name for name in names if name.lookup][:50]
    aliased, small_aliased = add_aliases(registry, 1_200), add_aliases(small, 120)
    suggest_s = time_call(lambda: suggest(names, registry))
    pairwise_s = time_call(lambda: match_pairwise(sample, registry)) * 10
    single_alias = [Alias("herbjonesx", registry.registered[0].lookup, True)]
    print(f"\n500 names among {len(registry.registered):,} players\n")
    print(
        f"  proposals                    {suggest_s:6.2f} s; pair by pair takes {pairwise_s / suggest_s:.1f} × that, for spelling alone"
    )
    for label, work, base in (
        ("one edit checked", lambda b: new_violations(b, with_aliases(b, single_alias)), (aliased, small_aliased)),
        ("all aliases checked", find_violations, (aliased, small_aliased)),
        ("twins found", find_duplicates, (aliased, small_aliased)),
    ):
        large_s, small_s = (min(time_call(lambda b=b, w=work: w(b)) for _ in range(3)) for b in base)  # type: ignore[misc]
        print(f"  {label:28} {large_s:6.2f} s; ten times the names take {large_s / small_s:.1f} × as long")
    print()


if __name__ == "__main__":
    main()
