"""What is wrong with an alias before it is saved: errors stop it, warnings need a reason. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from services.names.book import Alias, Book
from services.names.lookups import shared_lookup, surname, without_suffix


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


def check(book: Book) -> tuple[Finding, ...]:
    """Everything the checks find about the active aliases of `book`, errors first."""
    by_surname = _surnames(book)
    found = [
        finding
        for alias in sorted(book.active)
        for canonical in sorted(book.active[alias])
        for finding in _findings(book, alias, canonical, by_surname)
    ]
    return tuple(sorted(dict.fromkeys(found), key=lambda f: (f.weight, f.alias, f.check)))


def made_worse(before: Book, after: Book) -> tuple[Finding, ...]:
    """What the checks find after a change and did not find before: an old fault stops no improvement elsewhere."""
    known = set(check(before))
    return tuple(finding for finding in check(after) if finding not in known)


def _findings(book: Book, alias: str, canonical: str, by_surname: dict[str, set[str]]) -> Iterator[Finding]:
    def error(name: str, sentence: str) -> Finding:
        return Finding(alias, Weight.ERROR, name, sentence)

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
    yield from _bare_surname(book, alias, by_surname)
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
        yield Finding(alias, Weight.WARNING, "twin", sentence)
    else:
        sentence = f"{alias} is the name of another registered player ({ids})."
        yield Finding(alias, Weight.ERROR, "another player's name", sentence)


def _bare_surname(book: Book, alias: str, by_surname: dict[str, set[str]]) -> Iterator[Finding]:
    bearers = by_surname.get(alias, set())
    if alias in book.lookups or not bearers:
        return
    if len(bearers) > 1:
        some = ", ".join(sorted(bearers)[:3])
        sentence = f"{alias} is a bare surname of {len(bearers)} players ({some}): it cannot mean one."
        yield Finding(alias, Weight.ERROR, "bare surname", sentence)
    else:
        sentence = f"{alias} is a bare surname; only one player has it now, the next one would be taken for him."
        yield Finding(alias, Weight.WARNING, "bare surname", sentence)


def _far_apart(book: Book, alias: str, canonical: str) -> Iterator[Finding]:
    """Names with nothing in common may be right (Bones is Nah'Shon), but a person should say why."""
    surnames = {surname(row.name) for row in book.by_lookup.get(canonical, ())} - {""}
    plain = without_suffix(alias)
    if surnames and not any(plain.endswith(name) or plain.startswith(name) for name in surnames):
        sentence = f"{alias} does not have the surname of {canonical}."
        yield Finding(alias, Weight.WARNING, "surname differs", sentence)


def _surnames(book: Book) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in book.registered:
        found.setdefault(surname(each.name), set()).add(each.lookup)
    return found


def _team_seasons(book: Book, lookup: str) -> set[tuple[str, str]]:
    return {(row.team, row.season) for row in book.by_lookup.get(lookup, ())}


def with_rows(book: Book, rows: Iterable[Alias]) -> Book:
    """The book as it would be with these rows in place of those of the same pair."""
    new = {row.pair: row for row in rows}
    return Book((*(row for row in book.aliases if row.pair not in new), *new.values()), book.registered, book.sources)
