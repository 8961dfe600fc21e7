"""Validates aliases before they are saved: errors stop an edit, warnings need a reason. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from services.aliases.rejections import read_rejection
from services.names.normalization import normalize_registry_name, strip_suffix, surnames
from services.names.registry import Alias, NameRegistry


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Violation:
    """One problem of one alias, in a sentence."""

    alias: str
    severity: Severity
    check: str
    message: str
    canonical: str = ""

    @property
    def key(self) -> str:
        """Identifies the problem across registries: its sentence may count other names and so differ."""
        return f"{self.check}: {self.alias} → {self.canonical}"


def find_violations(registry: NameRegistry) -> tuple[Violation, ...]:
    """Every problem of the registry's active aliases, errors first."""
    return _deduplicate(_all_violations(registry))


def new_violations(before: NameRegistry, after: NameRegistry) -> tuple[Violation, ...]:
    """The problems after a change that were not there before: an old problem stops no improvement elsewhere."""
    known_keys = violation_keys(before)
    return _deduplicate(violation for violation in _all_violations(after) if violation.key not in known_keys)


def violation_keys(registry: NameRegistry) -> frozenset[str]:
    """The keys of every problem, one per alias and canonical name."""
    return frozenset(violation.key for violation in _all_violations(registry))


def _all_violations(registry: NameRegistry) -> Iterator[Violation]:
    by_surname = _lookups_by_surname(registry)
    for alias, canonicals in registry.active.items():
        for canonical in sorted(canonicals):
            yield from _check_alias(registry, alias, canonical, by_surname)
    yield from _suffix_pairs_without_alias(registry)


def _deduplicate(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """Errors first; a sentence that is the same for two canonical names only once."""
    unique: dict[tuple[Severity, str], Violation] = {}
    for violation in violations:
        unique.setdefault((violation.severity, violation.message), violation)
    return tuple(sorted(unique.values(), key=lambda violation: (violation.severity, violation.alias, violation.check)))


def _check_alias(
    registry: NameRegistry, alias: str, canonical: str, by_surname: dict[str, set[str]]
) -> Iterator[Violation]:
    def error(name: str, message: str) -> Violation:
        return Violation(alias, Severity.ERROR, name, message, canonical)

    for name in (alias, canonical):
        if not name or normalize_registry_name(name) != name:
            yield error(
                "not a lookup", f"“{name}” isn't a valid lookup key; use {normalize_registry_name(name) or 'letters'}."
            )
    if alias == canonical:
        yield error("self-map", f"{alias}: alias and canonical name are identical.")
        return
    if canonical not in registry.lookups:
        yield error("canonical absent", f"Canonical {canonical} is not in the player registry.")
    if alias in registry.active.get(canonical, ()):
        yield error("both directions", f"Circular alias {' ↔ '.join(sorted((alias, canonical)))}: keep one direction.")
    elif canonical in registry.active:
        onward = ", ".join(sorted(registry.active[canonical]))
        yield error("chain", f"{canonical} is itself an alias of {onward}; chained aliases aren't resolved.")
    if len(registry.active[alias]) > 1:
        yield error("two canonicals", f"{alias} maps to both {' and '.join(sorted(registry.active[alias]))}: keep one.")
    yield from _shadows_other_player(registry, alias, canonical)
    yield from _bare_surname_alias(registry, alias, canonical, by_surname)
    yield from _surname_differs(registry, alias, canonical)


def _shadows_other_player(registry: NameRegistry, alias: str, canonical: str) -> Iterator[Violation]:
    """An alias that is a registered name shadows that player; two spellings of one identity are harmless."""
    if (
        alias not in registry.lookups
        or canonical not in registry.lookups
        or registry.player_ids(alias) & registry.player_ids(canonical)
    ):
        return
    ids = f"{'/'.join(sorted(registry.player_ids(alias)))} and {'/'.join(sorted(registry.player_ids(canonical)))}"
    if strip_suffix(alias) == strip_suffix(canonical) and _team_seasons(registry, alias) & _team_seasons(
        registry, canonical
    ):
        message = f"{alias} and {canonical} are registered twice on the same team ({ids}): merge them too."
        yield Violation(alias, Severity.WARNING, "twin", message, canonical)
    else:
        message = f"{alias} belongs to another registered player ({ids})."
        yield Violation(alias, Severity.ERROR, "another player's name", message, canonical)


def _bare_surname_alias(
    registry: NameRegistry, alias: str, canonical: str, by_surname: dict[str, set[str]]
) -> Iterator[Violation]:
    bearers = by_surname.get(alias, set())
    if alias in registry.lookups or not bearers:
        return
    if len(bearers) > 1:
        examples = ", ".join(sorted(bearers)[:3])
        message = f"{alias} is only a surname, of {len(bearers)} players ({examples}): ambiguous."
        yield Violation(alias, Severity.ERROR, "bare surname", message, canonical)
    else:
        message = f"{alias} is only a surname: ambiguous if another player with it joins."
        yield Violation(alias, Severity.WARNING, "bare surname", message, canonical)


def _surname_differs(registry: NameRegistry, alias: str, canonical: str) -> Iterator[Violation]:
    """Names with nothing in common may be right (Bones is Nah'Shon), but a person should give a reason."""
    names = {name for row in registry.by_lookup.get(canonical, ()) for name in surnames(row.name)}
    base_lookup = strip_suffix(alias)
    if names and not any(base_lookup.endswith(name) or base_lookup.startswith(name) for name in names):
        message = f"{alias}: surname differs from {canonical}."
        yield Violation(alias, Severity.WARNING, "surname differs", message, canonical)


def _suffix_pairs_without_alias(registry: NameRegistry) -> Iterator[Violation]:
    """Two registered names that differ only in a suffix, on one team in one season, which no active alias joins."""
    lookups_by_base: dict[str, set[str]] = {}
    for lookup in registry.lookups:
        lookups_by_base.setdefault(strip_suffix(lookup), set()).add(lookup)
    for names in lookups_by_base.values():
        for shorter, longer in combinations(sorted(names, key=lambda name: (len(name), name)), 2):
            joined = longer in registry.active.get(shorter, ()) or shorter in registry.active.get(longer, ())
            if not joined and _team_seasons(registry, shorter) & _team_seasons(registry, longer):
                message = (
                    f"{longer} and {shorter} differ only in the suffix, on one team, without an alias between them."
                )
                yield Violation(longer, Severity.WARNING, "suffix pair without alias", message, shorter)


def _lookups_by_surname(registry: NameRegistry) -> dict[str, set[str]]:
    by_surname: dict[str, set[str]] = {}
    for row in registry.registered:
        for surname in surnames(row.name):
            by_surname.setdefault(surname, set()).add(row.lookup)
    return by_surname


def _team_seasons(registry: NameRegistry, lookup: str) -> set[tuple[str, str]]:
    return {(row.team, row.season) for row in registry.by_lookup.get(lookup, ())}


def previously_deactivated(before: NameRegistry, added: Iterable[tuple[str, str]]) -> tuple[Violation, ...]:
    """A warning for each addition of an alias that was deactivated before, to this canonical name or to another.

    A rejected match is one only where it is the match that is added.
    """
    pairs = tuple(added)
    return tuple(
        Violation(alias, Severity.WARNING, "inactive duplicate", _describe_inactive(row), row.canonical)
        for alias in dict.fromkeys(alias for alias, _ in pairs)
        for row in before.aliases
        if row.alias == alias and not row.active and (read_rejection(row) is None or row.pair in pairs)
    )


def _describe_inactive(row: Alias) -> str:
    date_text = f" on {row.processed_at:%-d %b %Y}" if row.processed_at else ""
    rejection = read_rejection(row)
    if rejection is None:
        return f"{row.alias} → {row.canonical} was deactivated{date_text}."
    return f"{row.alias} → {row.canonical} was rejected by {rejection.rejected_by}{date_text}: {rejection.reason}"


def with_aliases(registry: NameRegistry, rows: Iterable[Alias]) -> NameRegistry:
    """The registry as it would be with these rows in place of those of the same pair."""
    new_rows = {row.pair: row for row in rows}
    return NameRegistry(
        (*(row for row in registry.aliases if row.pair not in new_rows), *new_rows.values()),
        registry.registered,
        registry.sources,
    )
