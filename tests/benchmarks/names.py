"""`python -m tests.benchmarks.names`: rank of the right player among the proposals, and how the names grow with the registry.

The crowd is real: everybody in nba_api's static list, five thousand players, with the customer's own spelling of each listed name.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nba_api.stats.static import players, teams
from rapidfuzz.distance import JaroWinkler

from services.aliases.identities.duplicates import find_twins
from services.aliases.suggestions import Name, Proposal, propose
from services.aliases.validation import check, made_worse, with_rows
from services.names.normalization import shared_lookup
from services.names.registry import Alias, Book, Registered

NOBODY = 999

# As the odds write the name, as the registry writes the player: the rows of the customer's table that lead the right way.
LISTED = (
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
    """Per listed alias the rank of the right player; NOBODY where he is not among the proposals."""

    by_name: dict[str, int]
    filled_in_wrong: tuple[str, ...]  # a wrong player who would stand in the form as likely

    def first(self) -> int:
        return sum(rank == 1 for rank in self.by_name.values())

    def among_three(self) -> int:
        return sum(rank <= 3 for rank in self.by_name.values())


def crowd() -> Book:
    """Everybody who ever played, dealt to thirty teams, with the listed players as the registry writes them and not as the odds do."""
    rng = random.Random("names")
    abbreviations = sorted(team["abbreviation"] for team in teams.get_teams())
    odds = {shared_lookup(name) for name, _ in LISTED}
    names = {shared_lookup(p["full_name"]): p["full_name"] for p in players.get_players()}
    names |= {shared_lookup(name): name for _, name in LISTED}
    rows = [
        Registered(f"{lookup}_001", name, lookup, rng.choice(abbreviations), "2025-26", jersey=None)
        for lookup, name in sorted(names.items())
        if lookup and lookup not in odds
    ]
    return Book((), tuple(rows))


def ranks(book: Book, with_teams: bool) -> Ranks:
    """The listed names against the crowd: told the two teams of the game, or told nothing."""
    rng, right = random.Random("games"), {shared_lookup(name): shared_lookup(player) for name, player in LISTED}
    everywhere = sorted({row.team for row in book.registered})
    asked = []
    for name, _ in LISTED:
        own = book.by_lookup[right[shared_lookup(name)]][0].team
        game = frozenset({own, rng.choice(everywhere)}) if with_teams else frozenset()
        asked.append(Name(shared_lookup(name), name, game))
    found = propose(asked, book)
    wrong = [n for n, player in right.items() if found[n] and found[n][0].likely and found[n][0].lookup != player]
    return Ranks({name: _rank(found[name], player) for name, player in right.items()}, tuple(wrong))


def _rank(found: Sequence[Proposal], right: str) -> int:
    return next((i for i, proposal in enumerate(found, 1) if proposal.lookup == right), NOBODY)


def unresolved(book: Book, count: int) -> list[Name]:
    """So many names as odds might misspell them: a letter changed, a suffix added."""
    rng = random.Random("unresolved")
    made = []
    for i, row in enumerate(rng.sample(book.registered, count)):
        name = f"{row.name} Jr." if i % 2 else row.name.replace("e", "a", 1) + "s"
        made.append(Name(shared_lookup(name), name, frozenset({row.team})))
    return made


def pair_by_pair(names: Sequence[Name], book: Book) -> dict[str, str]:
    """The simple way: every name against every player, one comparison at a time."""
    return {
        one.lookup: max(book.registered, key=lambda row: JaroWinkler.similarity(one.lookup, row.lookup)).lookup
        for one in names
    }


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def with_aliases(book: Book, count: int) -> Book:
    return Book(tuple(Alias(f"{row.lookup}x", row.lookup, True) for row in book.registered[:count]), book.registered)


def main() -> None:
    book = crowd()
    print(f"\nRank of the right player, {len(LISTED)} listed aliases among {len(book.lookups):,} registered players\n")
    for label, told in (("told the teams of the game", True), ("told no team", False)):
        found = ranks(book, told)
        rest = {name: rank if rank != NOBODY else "not proposed" for name, rank in found.by_name.items() if rank != 1}
        print(f"  {label:28} first {found.first()}/{len(LISTED)}, among three {found.among_three()}/{len(LISTED)}, "
              f"wrong one filled in {len(found.filled_in_wrong)}  {rest or ''}")  # fmt: skip
    small, names = Book((), book.registered[::10]), unresolved(book, 500)
    few = [one for one in names if one.lookup][:50]
    aliased, small_aliased = with_aliases(book, 1_200), with_aliases(small, 120)
    ours, simple = timed(lambda: propose(names, book)), timed(lambda: pair_by_pair(few, book)) * 10
    one = [Alias("herbjonesx", book.registered[0].lookup, True)]
    print(f"\n500 names among {len(book.registered):,} players\n")
    print(
        f"  proposals                    {ours:6.2f} s; pair by pair takes {simple / ours:.1f} × that, for spelling alone"
    )
    for label, work, base in (
        ("one edit checked", lambda b: made_worse(b, with_rows(b, one)), (aliased, small_aliased)),
        ("all aliases checked", check, (aliased, small_aliased)),
        ("twins found", find_twins, (aliased, small_aliased)),
    ):
        large, little = (min(timed(lambda b=b, w=work: w(b)) for _ in range(3)) for b in base)  # type: ignore[misc]
        print(f"  {label:28} {large:6.2f} s; ten times the names take {large / little:.1f} × as long")
    print()


if __name__ == "__main__":
    main()
