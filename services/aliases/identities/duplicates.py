"""One player under two identities: pairs that look like one person, with what speaks for and against it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from services.names.normalization import surname, without_suffix
from services.names.registry import Book, Registered


@dataclass(frozen=True)
class Twins:
    """Two registered identities that may be one. `keep` is the one with more games; each side's evidence in sentences."""

    keep: str
    merge: str
    speaks_for: tuple[str, ...]
    speaks_against: tuple[str, ...]

    @property
    def likely(self) -> bool:
        return bool(self.speaks_for) and not self.speaks_against


def find_twins(book: Book) -> tuple[Twins, ...]:
    """Pairs of identities that may be one player, the likeliest first.

    Their names differ only in a suffix, an active alias joins them, or one shirt of a team and season is worn by one surname twice.
    """
    rows: dict[str, list[Registered]] = defaultdict(list)
    for each in book.registered:
        if each.player_id:
            rows[each.player_id].append(each)
    found = [compare(book, rows[one], rows[two]) for one, two in sorted(set(_pairs(book, rows)))]
    return tuple(sorted(found, key=lambda twins: (len(twins.speaks_against), -len(twins.speaks_for), twins.keep)))


def _pairs(book: Book, rows: dict[str, list[Registered]]) -> Iterator[tuple[str, str]]:
    alike: dict[str, set[str]] = defaultdict(set)
    for player_id, theirs in rows.items():
        for each in theirs:
            alike[without_suffix(each.lookup)].add(player_id)
            if each.jersey is not None:
                alike[f"{surname(each.name)} {each.team} {each.season} {each.jersey}"].add(player_id)
    for ids in alike.values():
        yield from ((one, two) for one, two in combinations(sorted(ids), 2))
    for alias, canonicals in book.active.items():
        for canonical in canonicals:
            for one in book.ids(alias):
                yield from ((min(one, two), max(one, two)) for two in book.ids(canonical) if one != two)


def compare(book: Book, one: list[Registered], two: list[Registered]) -> Twins:
    """Two identities side by side, from their registry rows."""
    keep, merge = sorted((one, two), key=lambda rows: (-_games(rows), -_as_canonical(book, rows), rows[0].lookup))
    speaks_for, speaks_against = [], []
    shared = {(r.team, r.season) for r in one} & {(r.team, r.season) for r in two}
    seasons = {r.season for r in one} & {r.season for r in two}
    if shared:
        speaks_for += [f"both are on {team} in {season}" for team, season in sorted(shared)]
    elif seasons:
        speaks_against += [f"in {season} they are on different teams" for season in sorted(seasons)]
    else:
        speaks_against.append("they have no season in common, as a father and his son")
    for what in ("jersey", "position"):
        a, b = ({getattr(r, what) for r in rows} - {None} for rows in (one, two))
        if a and b:
            told = f"{what} {'/'.join(map(str, sorted(a)))} and {'/'.join(map(str, sorted(b)))}"
            (speaks_for if a & b else speaks_against).append(told)
    if book.active.get(merge[0].lookup, frozenset()) & {r.lookup for r in keep}:
        speaks_for.append(f"the alias {merge[0].lookup} → {keep[0].lookup} is active")
    return Twins(str(keep[0].player_id), str(merge[0].player_id), tuple(speaks_for), tuple(speaks_against))


def _games(rows: list[Registered]) -> int:
    return sum(row.games or 0 for row in rows)


def _as_canonical(book: Book, rows: list[Registered]) -> int:
    return sum(book.aliases_to[lookup] for lookup in {row.lookup for row in rows})
