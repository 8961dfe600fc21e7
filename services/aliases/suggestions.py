"""Whom an unresolved name probably means: the likeliest registered players, each with the reason. Never applied by themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rapidfuzz import process
from rapidfuzz.distance import JaroWinkler

from services.names.normalization import shared_lookup, surname, without_suffix, words_of
from services.names.registry import Book, Registered

MOST = 3
SPELLING_FROM = 0.90  # Jaro-Winkler; below it, names of different players meet too often
LIKELY_FROM = 80
CLEAR_BY = 5  # a second player nearer than this leaves it open which one is meant
_SAME_TEAM = 15


@dataclass(frozen=True)
class Name:
    """An unresolved name: its lookup, as it was written, and the teams of the games it was offered for."""

    lookup: str
    name: str
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Proposal:
    """One registered player it may mean. `score` 0–100 ranks; `reason` says why, with what is uncertain about it."""

    lookup: str
    name: str
    score: int
    reason: str

    @property
    def likely(self) -> bool:
        return self.score >= LIKELY_FROM


def propose(names: Sequence[Name], book: Book) -> Mapping[str, tuple[Proposal, ...]]:
    """For each name its likeliest players, best first; at most three, and none where nothing speaks for any."""
    index = _Index(book)
    spelled = _similar(names, index)
    return {one.lookup: _ranked(one, index, spelled.get(one.lookup, {})) for one in names}


class _Index:
    """Registered players by what makes names meet."""

    def __init__(self, book: Book) -> None:
        self.rows: dict[str, list[Registered]] = defaultdict(list)
        self.plain: dict[str, set[str]] = defaultdict(set)
        self.surname: dict[str, set[str]] = defaultdict(set)
        self.words: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for each in book.registered:
            self.rows[each.lookup].append(each)
            self.plain[without_suffix(each.lookup)].add(each.lookup)
            self.surname[surname(each.name)].add(each.lookup)
            self.words[tuple(sorted(words_of(each.name)))].add(each.lookup)
        self.lookups = sorted(self.rows)

    def on(self, lookup: str, teams: frozenset[str]) -> bool:
        return any(row.team in teams for row in self.rows[lookup])


def _similar(names: Sequence[Name], index: _Index) -> dict[str, dict[str, float]]:
    """Every registered lookup that is spelled much like a name. All pairs at once, in C."""
    if not names or not index.lookups:
        return {}
    asked = [without_suffix(one.lookup) for one in names]
    plain = [without_suffix(lookup) for lookup in index.lookups]
    scores = process.cdist(asked, plain, scorer=JaroWinkler.similarity, score_cutoff=SPELLING_FROM)
    found: dict[str, dict[str, float]] = {}
    for one, row in zip(names, scores, strict=True):
        found[one.lookup] = {index.lookups[i]: float(row[i]) for i in row.nonzero()[0]}
    return found


def _ranked(one: Name, index: _Index, spelled: Mapping[str, float]) -> tuple[Proposal, ...]:
    best: dict[str, tuple[int, str]] = {}
    for lookup, score, reason in _reasons(one, index, spelled):
        if lookup != one.lookup and score > best.get(lookup, (0, ""))[0]:
            best[lookup] = (score, reason)
    made = [_proposal(one, index, lookup, *found) for lookup, found in best.items()]
    return _open_between(sorted(made, key=lambda p: (-p.score, p.lookup))[:MOST], index)


def _open_between(ranked: list[Proposal], index: _Index) -> tuple[Proposal, ...]:
    """Where two different players are as likely, none of them is: a person has to choose."""
    near = [p for p in ranked if p.likely and ranked[0].score - p.score < CLEAR_BY]
    if len({frozenset(row.player_id for row in index.rows[p.lookup]) for p in near}) < 2:
        return tuple(ranked)
    names = {p.lookup for p in near}
    return tuple(
        replace(p, score=LIKELY_FROM - 1, reason=f"{p.reason}; as likely as {', '.join(sorted(names - {p.lookup}))}")
        if p.lookup in names
        else replace(p, score=min(p.score, LIKELY_FROM - 2))
        for p in ranked
    )


def _reasons(one: Name, index: _Index, spelled: Mapping[str, float]) -> Iterable[tuple[str, int, str]]:
    """(lookup, score without the team, why)."""
    words = words_of(one.name)
    plain = without_suffix(one.lookup)
    for lookup in index.plain[plain]:
        yield lookup, 85, "differs only in the suffix"
    for lookup in index.plain[without_suffix(shared_lookup(one.name))]:
        yield lookup, 85, "the same name by the registry's rule"
    for lookup in index.words[tuple(sorted(words))]:
        yield lookup, 80, "the same words in another order" if len(words) > 1 else "the same word"
    if len(words) == 1:
        yield from _bare(plain, index)
    for lookup in index.surname[words[-1]] if len(words) > 1 else ():
        yield _same_surname(lookup, words, index)
    for lookup, likeness in spelled.items():
        yield lookup, round(70 * likeness), f"spelled alike ({100 * likeness:.0f} %)"


def _bare(plain: str, index: _Index) -> Iterable[tuple[str, int, str]]:
    bearers = index.surname[plain]
    for lookup in bearers:
        shared = f"a bare surname that {len(bearers)} players share" if len(bearers) > 1 else "a bare surname"
        yield lookup, 30 if len(bearers) > 1 else 50, shared


def _same_surname(lookup: str, words: tuple[str, ...], index: _Index) -> tuple[str, int, str]:
    first = words[0]
    for row in index.rows[lookup]:
        theirs = words_of(row.name)[0]
        if len(first) > 1 and len(theirs) > 1 and (first.startswith(theirs) or theirs.startswith(first)):
            return lookup, 75, f"the same surname, and {first} is short for {theirs} or the other way round"
        if len(first) <= 2 and theirs.startswith(first[:1]):
            return lookup, 60, "the same surname and initial"
    return lookup, 50, "the same surname, another first name"


def _proposal(one: Name, index: _Index, lookup: str, score: int, reason: str) -> Proposal:
    if not one.teams:
        return Proposal(lookup, index.rows[lookup][0].name, score, reason)
    teams = "/".join(sorted({row.team for row in index.rows[lookup]}))
    if index.on(lookup, one.teams):
        return Proposal(
            lookup, index.rows[lookup][0].name, min(score + _SAME_TEAM, 99), f"{reason}; plays for {teams} in that game"
        )
    return Proposal(
        lookup, index.rows[lookup][0].name, max(score - 25, 1), f"{reason}, but plays for {teams}, not in that game"
    )
