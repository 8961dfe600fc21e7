"""Suggests whom an unresolved name means: the likeliest registered players, each with a reason. Never applied automatically."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rapidfuzz import process
from rapidfuzz.distance import JaroWinkler

from services.aliases.rejections import rejected_pairs
from services.names.normalization import name_tokens, normalize_registry_name, strip_suffix, surnames
from services.names.registry import NameRegistry, RegistryRow

MAX_SUGGESTIONS = 3
MIN_SPELLING_SIMILARITY = 0.90  # Jaro-Winkler; below it, names of different players match too often
MIN_LIKELY_SCORE = 80
AMBIGUITY_MARGIN = 5  # points; a second player closer than this makes it ambiguous which one is meant
_SPELLING_SCORE = 70  # of two names that are spelled alike throughout
_SAME_TEAM_BONUS, _OTHER_TEAM_PENALTY = 15, 25


@dataclass(frozen=True)
class UnresolvedName:
    """An unresolved name: its lookup, as it was written, and the teams of the games it was offered for."""

    lookup: str
    name: str
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Suggestion:
    """One registered player it may mean. `score` 0–100 ranks; `reason` says why, and what makes it uncertain."""

    lookup: str
    name: str
    score: int
    reason: str

    @property
    def is_likely(self) -> bool:
        return self.score >= MIN_LIKELY_SCORE


def suggest(names: Sequence[UnresolvedName], registry: NameRegistry) -> Mapping[str, tuple[Suggestion, ...]]:
    """For each name its likeliest players, best first: at most MAX_SUGGESTIONS, none where no evidence supports any.

    A pair that a person has rejected is not suggested.
    """
    index = _RegistryIndex(registry)
    similar_lookups = _find_similar(names, index)
    return {name.lookup: _rank(name, index, similar_lookups.get(name.lookup, {})) for name in names}


class _RegistryIndex:
    """Registered players by what names may match on: base lookup, surname, tokens."""

    def __init__(self, registry: NameRegistry) -> None:
        self.rows_by_lookup: dict[str, list[RegistryRow]] = defaultdict(list)
        self.lookups_by_base: dict[str, set[str]] = defaultdict(set)
        self.lookups_by_surname: dict[str, set[str]] = defaultdict(set)
        self.lookups_by_tokens: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for row in registry.registered:
            self.rows_by_lookup[row.lookup].append(row)
            self.lookups_by_base[strip_suffix(row.lookup)].add(row.lookup)
            for surname in surnames(row.name):
                self.lookups_by_surname[surname].add(row.lookup)
            self.lookups_by_tokens[tuple(sorted(name_tokens(row.name)))].add(row.lookup)
        self.lookups = sorted(self.rows_by_lookup)
        self.rejected = rejected_pairs(registry)

    def plays_for(self, lookup: str, teams: frozenset[str]) -> bool:
        """Whether a registered player is on one of these teams."""
        return any(row.team in teams for row in self.rows_by_lookup[lookup])


def _find_similar(names: Sequence[UnresolvedName], index: _RegistryIndex) -> dict[str, dict[str, float]]:
    """Every registered lookup that is spelled much like a name. One call compares all pairs, in C."""
    if not names or not index.lookups:
        return {}
    query_bases = [strip_suffix(unresolved.lookup) for unresolved in names]
    registry_bases = [strip_suffix(lookup) for lookup in index.lookups]
    scores = process.cdist(
        query_bases, registry_bases, scorer=JaroWinkler.similarity, score_cutoff=MIN_SPELLING_SIMILARITY
    )
    similar_lookups: dict[str, dict[str, float]] = {}
    for unresolved, row in zip(names, scores, strict=True):
        similar_lookups[unresolved.lookup] = {index.lookups[i]: float(row[i]) for i in row.nonzero()[0]}
    return similar_lookups


def _rank(
    unresolved: UnresolvedName, index: _RegistryIndex, similar_lookups: Mapping[str, float]
) -> tuple[Suggestion, ...]:
    best: dict[str, tuple[int, str]] = {}
    for lookup, score, reason in _candidates(unresolved, index, similar_lookups):
        is_excluded = lookup == unresolved.lookup or (unresolved.lookup, lookup) in index.rejected
        if not is_excluded and score > best.get(lookup, (0, ""))[0]:
            best[lookup] = (score, reason)
    suggestions = [
        _to_suggestion(unresolved, index, lookup, *score_and_reason) for lookup, score_and_reason in best.items()
    ]
    return _demote_ambiguous(sorted(suggestions, key=lambda s: (-s.score, s.lookup))[:MAX_SUGGESTIONS], index)


def _demote_ambiguous(ranked: list[Suggestion], index: _RegistryIndex) -> tuple[Suggestion, ...]:
    """Where two different players are as likely, none of them is: a person has to choose."""
    contenders = [s for s in ranked if s.is_likely and ranked[0].score - s.score < AMBIGUITY_MARGIN]
    if len({frozenset(row.player_id for row in index.rows_by_lookup[s.lookup]) for s in contenders}) < 2:
        return tuple(ranked)
    names = {s.lookup for s in contenders}
    demoted = []
    for suggestion in ranked:
        if suggestion.lookup in names:
            others = ", ".join(sorted(names - {suggestion.lookup}))
            reason = f"{suggestion.reason}; as likely as {others}"
            demoted.append(replace(suggestion, score=MIN_LIKELY_SCORE - 1, reason=reason))
        else:
            demoted.append(replace(suggestion, score=min(suggestion.score, MIN_LIKELY_SCORE - 2)))
    return tuple(demoted)


def _candidates(
    unresolved: UnresolvedName, index: _RegistryIndex, similar_lookups: Mapping[str, float]
) -> Iterable[tuple[str, int, str]]:
    """(lookup, score without the team, why)."""
    tokens = name_tokens(unresolved.name)
    base_lookup = strip_suffix(unresolved.lookup)
    for lookup in index.lookups_by_base[base_lookup]:
        yield lookup, 85, "suffix differs"
    for lookup in index.lookups_by_base[strip_suffix(normalize_registry_name(unresolved.name))]:
        yield lookup, 85, "same normalized name"
    for lookup in index.lookups_by_tokens[tuple(sorted(tokens))]:
        yield lookup, 80, "same words in another order" if len(tokens) > 1 else "same word"
    yield from _bare_surname("".join(tokens), index)
    for surname in surnames(unresolved.name) if len(tokens) > 1 else ():
        for lookup in index.lookups_by_surname[surname]:
            yield _same_surname(lookup, surname, tokens, index)
    for lookup, similarity in similar_lookups.items():
        yield lookup, round(_SPELLING_SCORE * similarity), f"{100 * similarity:.0f}% similar spelling"


def _bare_surname(base_lookup: str, index: _RegistryIndex) -> Iterable[tuple[str, int, str]]:
    bearers = index.lookups_by_surname[base_lookup]
    for lookup in bearers:
        reason = f"surname only, {len(bearers)} candidates" if len(bearers) > 1 else "surname only"
        yield lookup, 30 if len(bearers) > 1 else 50, reason


def _same_surname(lookup: str, surname: str, tokens: tuple[str, ...], index: _RegistryIndex) -> tuple[str, int, str]:
    first_name = tokens[0]
    for row in index.rows_by_lookup[lookup]:
        if surname not in surnames(row.name):  # another spelling of the same player has it
            continue
        registered_first_name = name_tokens(row.name)[0]
        shorter, longer = sorted((first_name, registered_first_name), key=len)
        if len(shorter) > 1 and longer.startswith(shorter):
            return lookup, 75, f"nickname ({first_name} ~ {registered_first_name}), same surname"
        if len(shorter) <= 2 and longer.startswith(shorter[:1]):
            return lookup, 60, "same surname and initial"
    return lookup, 50, "same surname, first name differs"


def _to_suggestion(
    unresolved: UnresolvedName, index: _RegistryIndex, lookup: str, score: int, reason: str
) -> Suggestion:
    rows = index.rows_by_lookup[lookup]
    name, teams = rows[0].name, "/".join(sorted({row.team for row in rows}))
    if not unresolved.teams:
        return Suggestion(lookup, name, score, reason)
    if index.plays_for(lookup, unresolved.teams):
        # Spelling alone finds other people of the same team: Nikola Jović and Nikola Jokić, Jalen and Jaylen Johnson.
        most = 99 if score > _SPELLING_SCORE else MIN_LIKELY_SCORE - 1
        score_with_team = min(score + _SAME_TEAM_BONUS, most)
        return Suggestion(lookup, name, score_with_team, f"{reason}; team {teams} in that game")
    score_off_team = max(score - _OTHER_TEAM_PENALTY, 1)
    return Suggestion(lookup, name, score_off_team, f"{reason}; team {teams} not in that game")
