"""Finds one player under two identities: pairs that look like one person, with the evidence for and against it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from services.aliases.rejections import rejected_pairs
from services.names.normalization import strip_suffix, surnames
from services.names.registry import NameRegistry, RegistryRow


@dataclass(frozen=True)
class DuplicateCandidate:
    """Two registered identities that may be one. `keep` is the one with more games; each side's evidence in sentences."""

    keep: str
    merge: str
    evidence_for: tuple[str, ...]
    evidence_against: tuple[str, ...]

    @property
    def is_likely(self) -> bool:
        return bool(self.evidence_for) and not self.evidence_against


def find_duplicates(registry: NameRegistry) -> tuple[DuplicateCandidate, ...]:
    """Pairs of identities that may be one player, the likeliest first.

    Their names differ only in a suffix, an active alias joins them, or one shirt of a team and season is worn by one surname twice.
    A pair that a person has rejected is not among them.
    """
    rows: dict[str, list[RegistryRow]] = defaultdict(list)
    for row in registry.registered:
        if row.player_id:
            rows[row.player_id].append(row)
    candidates = [
        compare_identities(registry, rows[first_id], rows[second_id])
        for first_id, second_id in sorted(set(_candidate_pairs(registry, rows)))
    ]
    rejected = rejected_pairs(registry)
    candidates = [pair for pair in candidates if not {(pair.merge, pair.keep), (pair.keep, pair.merge)} & rejected]
    return tuple(sorted(candidates, key=lambda c: (len(c.evidence_against), -len(c.evidence_for), c.keep)))


def _candidate_pairs(registry: NameRegistry, rows: dict[str, list[RegistryRow]]) -> Iterator[tuple[str, str]]:
    ids_by_trait: dict[str, set[str]] = defaultdict(set)
    for player_id, player_rows in rows.items():
        for row in player_rows:
            ids_by_trait[strip_suffix(row.lookup)].add(player_id)
            if row.jersey is not None:
                for surname in surnames(row.name):
                    ids_by_trait[f"{surname} {row.team} {row.season} {row.jersey}"].add(player_id)
    for ids in ids_by_trait.values():
        yield from ((first_id, second_id) for first_id, second_id in combinations(sorted(ids), 2))
    for alias, canonicals in registry.active.items():
        for canonical in canonicals:
            for first_id in registry.player_ids(alias):
                yield from (
                    (min(first_id, second_id), max(first_id, second_id))
                    for second_id in registry.player_ids(canonical)
                    if first_id != second_id
                )


def compare_identities(
    registry: NameRegistry, first_rows: list[RegistryRow], second_rows: list[RegistryRow]
) -> DuplicateCandidate:
    """Two identities side by side, from their registry rows."""
    keep, merge = sorted(
        (first_rows, second_rows),
        key=lambda rows: (-_games_played(rows), -_alias_count(registry, rows), rows[0].lookup),
    )
    evidence_for, evidence_against = [], []
    shared = {(r.team, r.season) for r in first_rows} & {(r.team, r.season) for r in second_rows}
    seasons = {r.season for r in first_rows} & {r.season for r in second_rows}
    if shared:
        evidence_for += [f"both on {team} in {season}" for team, season in sorted(shared)]
    elif seasons:
        evidence_against += [f"on different teams in {season}" for season in sorted(seasons)]
    else:
        evidence_against.append("no season in common (could be father and son)")
    for attribute in ("jersey", "position"):
        first_values, second_values = (
            {getattr(r, attribute) for r in rows} - {None} for rows in (first_rows, second_rows)
        )
        if first_values and second_values:
            evidence = f"{attribute} {'/'.join(map(str, sorted(first_values)))} and {'/'.join(map(str, sorted(second_values)))}"
            (evidence_for if first_values & second_values else evidence_against).append(evidence)
    if registry.active.get(merge[0].lookup, frozenset()) & {r.lookup for r in keep}:
        evidence_for.append(f"the alias {merge[0].lookup} → {keep[0].lookup} is active")
    return DuplicateCandidate(
        str(keep[0].player_id), str(merge[0].player_id), tuple(evidence_for), tuple(evidence_against)
    )


def _games_played(rows: list[RegistryRow]) -> int:
    return sum(row.games or 0 for row in rows)


def _alias_count(registry: NameRegistry, rows: list[RegistryRow]) -> int:
    return sum(registry.alias_counts[lookup] for lookup in {row.lookup for row in rows})
