"""What is wrong with an alias before it is saved: errors stop it, warnings need a reason. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from services.names.normalization import shared_lookup, surname, without_suffix
from services.names.registry import Alias, Book


class Weight(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing a check found about one alias, in a sentence."""

    alias: str
    weight: Weight
    check: str
    sentence: str
    canonical: str = ""

    @property
    def key(self) -> str:
        """The same fault is the same, though its sentence may count others beside it."""
        return f"{self.check}: {self.alias} → {self.canonical}"


def check(book: Book) -> tuple[Finding, ...]:
    """Everything the checks find about the active aliases of `book`, errors first."""
    return _told_once(_every(book))


def made_worse(before: Book, after: Book) -> tuple[Finding, ...]:
    """What the checks find after a change and did not find before: an old fault stops no improvement elsewhere."""
    known = faults(before)
    return _told_once(finding for finding in _every(after) if finding.key not in known)


def faults(book: Book) -> frozenset[str]:
    """The keys of everything the checks find, each canonical name of an alias by itself."""
    return frozenset(finding.key for finding in _every(book))


def _every(book: Book) -> Iterator[Finding]:
    by_surname = _surnames(book)
    for alias, canonicals in book.active.items():
        for canonical in sorted(canonicals):
            yield from _findings(book, alias, canonical, by_surname)
    yield from _pairs_without_alias(book)


def _told_once(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first; a sentence that says the same of two canonical names once."""
    once: dict[tuple[Weight, str], Finding] = {}
    for finding in found:
        once.setdefault((finding.weight, finding.sentence), finding)
    return tuple(sorted(once.values(), key=lambda f: (f.weight, f.alias, f.check)))


def _findings(book: Book, alias: str, canonical: str, by_surname: dict[str, set[str]]) -> Iterator[Finding]:
    def error(name: str, sentence: str) -> Finding:
        return Finding(alias, Weight.ERROR, name, sentence, canonical)

    for name in (alias, canonical):
        if not name or shared_lookup(name) != name:
            yield error("not a lookup", f"“{name}” is no lookup: write it as {shared_lookup(name) or 'letters'}.")
    if alias == canonical:
        yield error("self-map", f"{alias} leads to itself.")
        return
    if canonical not in book.lookups:
        yield error("canonical absent", f"{canonical} is not in the registry, so {alias} would lead nowhere.")
    if alias in book.active.get(canonical, ()):
        yield error("both directions", f"{alias} leads to {canonical} and {canonical} back to {alias}: keep one.")
    elif canonical in book.active:
        onward = ", ".join(sorted(book.active[canonical]))
        yield error("chain", f"{canonical} is an alias itself ({onward}); only one hop is followed.")
    if len(book.active[alias]) > 1:
        yield error("two canonicals", f"{alias} leads to {' and to '.join(sorted(book.active[alias]))}: keep one.")
    yield from _other_player(book, alias, canonical)
    yield from _bare_surname(book, alias, canonical, by_surname)
    yield from _far_apart(book, alias, canonical)


def _other_player(book: Book, alias: str, canonical: str) -> Iterator[Finding]:
    """An alias that is a registered name shadows that player; one identity written twice is only untidy."""
    if alias not in book.lookups or canonical not in book.lookups or book.ids(alias) & book.ids(canonical):
        return
    ids = f"{'/'.join(sorted(book.ids(alias)))} and {'/'.join(sorted(book.ids(canonical)))}"
    if without_suffix(alias) == without_suffix(canonical) and _team_seasons(book, alias) & _team_seasons(
        book, canonical
    ):
        sentence = f"{alias} and {canonical} are registered as two players ({ids}) on one team: consolidate them too."
        yield Finding(alias, Weight.WARNING, "twin", sentence, canonical)
    else:
        sentence = f"{alias} is the name of another registered player ({ids})."
        yield Finding(alias, Weight.ERROR, "another player's name", sentence, canonical)


def _bare_surname(book: Book, alias: str, canonical: str, by_surname: dict[str, set[str]]) -> Iterator[Finding]:
    bearers = by_surname.get(alias, set())
    if alias in book.lookups or not bearers:
        return
    if len(bearers) > 1:
        some = ", ".join(sorted(bearers)[:3])
        sentence = f"{alias} is a bare surname of {len(bearers)} players ({some}): it cannot mean one."
        yield Finding(alias, Weight.ERROR, "bare surname", sentence, canonical)
    else:
        sentence = f"{alias} is a bare surname; only one player has it now, the next one would be taken for him."
        yield Finding(alias, Weight.WARNING, "bare surname", sentence, canonical)


def _far_apart(book: Book, alias: str, canonical: str) -> Iterator[Finding]:
    """Names with nothing in common may be right (Bones is Nah'Shon), but a person should say why."""
    surnames = {surname(row.name) for row in book.by_lookup.get(canonical, ())} - {""}
    plain = without_suffix(alias)
    if surnames and not any(plain.endswith(name) or plain.startswith(name) for name in surnames):
        sentence = f"{alias} does not have the surname of {canonical}."
        yield Finding(alias, Weight.WARNING, "surname differs", sentence, canonical)


def _pairs_without_alias(book: Book) -> Iterator[Finding]:
    """Two registered names that differ only in a suffix, on one team in one season, which no active alias joins."""
    alike: dict[str, set[str]] = {}
    for lookup in book.lookups:
        alike.setdefault(without_suffix(lookup), set()).add(lookup)
    for names in alike.values():
        for one, two in combinations(sorted(names, key=lambda name: (len(name), name)), 2):
            joined = two in book.active.get(one, ()) or one in book.active.get(two, ())
            if not joined and _team_seasons(book, one) & _team_seasons(book, two):
                sentence = f"{two} and {one} differ only in the suffix and are on one team, and no alias joins them."
                yield Finding(two, Weight.WARNING, "suffix pair without alias", sentence, one)


def _surnames(book: Book) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in book.registered:
        found.setdefault(surname(each.name), set()).add(each.lookup)
    return found


def _team_seasons(book: Book, lookup: str) -> set[tuple[str, str]]:
    return {(row.team, row.season) for row in book.by_lookup.get(lookup, ())}


def switched_off(before: Book, added: Iterable[tuple[str, str]]) -> tuple[Finding, ...]:
    """Additions of an alias that somebody has switched off before, to this canonical name or to another."""
    return tuple(
        Finding(
            alias,
            Weight.WARNING,
            "inactive duplicate",
            f"{alias} → {row.canonical} was switched off before{f', {row.processed_at:%-d %b %Y}' if row.processed_at else ''}.",
            row.canonical,
        )
        for alias in dict.fromkeys(alias for alias, _ in added)
        for row in before.aliases
        if row.alias == alias and not row.active
    )


def with_rows(book: Book, rows: Iterable[Alias]) -> Book:
    """The book as it would be with these rows in place of those of the same pair."""
    new = {row.pair: row for row in rows}
    return Book((*(row for row in book.aliases if row.pair not in new), *new.values()), book.registered, book.sources)
