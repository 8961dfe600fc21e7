"""Missing players: who is not there, at which stage each was lost, on what evidence, and what repairs it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from services.core.clock import ET
from services.nights.player_stages import Night, PlayerNight, Stage


class Why(StrEnum):
    """Why a player is missing: the first stage it did not reach. See architecture.md §4."""

    NOT_IN_CONTEXT_ALIAS = "not in context, an alias would resolve it"
    NOT_IN_CONTEXT = "not in context, no alias"
    FILTERED_OUT = "filtered out"
    NEVER_REQUESTED = "never requested"
    NOT_GENERATED = "not generated"
    WRITE_REJECTED = "generated but rejected on write"
    NOT_CONSOLIDATED = "staged but not consolidated"
    INACTIVE = "written but inactive"
    NOT_RUN_YET = "not run yet"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class Missing:
    """One missing player: why, the stage where it was lost, the evidence in words, and what would repair it."""

    player: PlayerNight
    why: Why
    lost_at: Stage
    evidence: str
    repair: str
    expected: bool  # filtered out: missing on purpose, shown apart


@dataclass(frozen=True)
class Account:
    """The sum that must hold: expected = active + Σ classified + unexplained, over the eligible players."""

    expected: int
    active: int
    classified: tuple[tuple[Why, int], ...]
    unexplained: int

    @property
    def balanced(self) -> bool:
        return self.expected == self.active + sum(n for _, n in self.classified) + self.unexplained


WORST_FIRST = (
    Why.UNEXPLAINED,
    Why.WRITE_REJECTED,
    Why.NOT_CONSOLIDATED,
    Why.INACTIVE,
    Why.NEVER_REQUESTED,
    Why.NOT_GENERATED,
    Why.NOT_IN_CONTEXT_ALIAS,
    Why.NOT_IN_CONTEXT,
    Why.NOT_RUN_YET,
    Why.FILTERED_OUT,
)

_REPAIR = {
    Why.UNEXPLAINED: "Read the logs of this player before re-running",
    Why.WRITE_REJECTED: "Re-run this player through staging",
    Why.NOT_CONSOLIDATED: "Consolidate the batch",
    Why.INACTIVE: "Re-run this player; check what superseded the rows",
    Why.NEVER_REQUESTED: "Run this player",
    Why.NOT_GENERATED: "Mend the cause upstream, then run this player",
    Why.NOT_IN_CONTEXT_ALIAS: "Apply aliases to the odds",
    Why.NOT_IN_CONTEXT: "Add an alias, or confirm that the player is out",
    Why.NOT_RUN_YET: "Start the run",
    Why.FILTERED_OUT: "None: left out on purpose",
}

_LOST_AT = {
    Why.UNEXPLAINED: Stage.WRITTEN,
    Why.WRITE_REJECTED: Stage.WRITTEN,
    Why.NOT_CONSOLIDATED: Stage.WRITTEN,
    Why.INACTIVE: Stage.ACTIVE,
    Why.NEVER_REQUESTED: Stage.REQUESTED,
    Why.NOT_GENERATED: Stage.GENERATED,
    Why.NOT_IN_CONTEXT_ALIAS: Stage.IN_CONTEXT,
    Why.NOT_IN_CONTEXT: Stage.IN_CONTEXT,
    Why.NOT_RUN_YET: Stage.REQUESTED,
    Why.FILTERED_OUT: Stage.ELIGIBLE,
}


def why_missing(player: PlayerNight, night: Night) -> Missing | None:
    """The first stage a player did not reach, or None when it is active."""
    if player.active_rows:
        return None
    why, evidence = _reason(player, night)
    return Missing(player, why, _LOST_AT[why], evidence, _REPAIR[why], expected=why is Why.FILTERED_OUT)


def _reason(player: PlayerNight, night: Night) -> tuple[Why, str]:
    """First failing stage wins. "Not generated" and "generated but not written" never mix: the rows generated decide."""
    if not player.in_context:
        if player.alias_canonical:
            return (
                Why.NOT_IN_CONTEXT_ALIAS,
                f"Odds say {player.player_lookup}; the context has {player.alias_canonical}, and an active alias leads there",
            )
        return Why.NOT_IN_CONTEXT, f"Odds say {player.player_lookup}; no context row and no alias that leads to one"
    if player.eligible is False:
        return Why.FILTERED_OUT, player.not_eligible_reason
    if night.ran is False:
        return Why.NOT_RUN_YET, "No batch of this date has run"
    if player.requested is False:
        return Why.NEVER_REQUESTED, "No batch asked for this player"
    if player.generated_rows == 0:
        return Why.NOT_GENERATED, player.generation_error or "The worker's run row says 0 predictions"
    return _after_generation(player, night)


def _after_generation(player: PlayerNight, night: Night) -> tuple[Why, str]:
    rows = "an unknown number of" if player.generated_rows is None else player.generated_rows
    if player.written_rows:
        what = "superseded" if player.superseded else "inactive"
        return Why.INACTIVE, f"{player.written_rows} rows written, all {what}"
    if player.write_error is not None:
        at = player.write_error.at.astimezone(ET)
        return Why.WRITE_REJECTED, f"{rows} rows generated; {at:%H:%M:%S} ET: {player.write_error.text}"
    if player.staged_rows:
        return (
            Why.NOT_CONSOLIDATED,
            f"{player.staged_rows} rows in {player.staging_table or 'staging'}, none in the predictions table",
        )
    blind = [problem.source for problem in night.problems]
    if player.generated_rows is None or blind:
        return (
            Why.UNEXPLAINED,
            f"{rows} rows generated, none written; not readable: {', '.join(blind) or 'the worker runs'}",
        )
    return Why.UNEXPLAINED, f"{rows} rows generated, none written, and no log line or staging table tells why"


def missing(night: Night) -> tuple[Missing, ...]:
    """Every player of a night without an active row, worst first; those filtered out on purpose last."""
    found = [m for m in (why_missing(player, night) for player in night.players) if m is not None]
    return tuple(sorted(found, key=lambda m: (WORST_FIRST.index(m.why), m.player.team, m.player.player_lookup)))


def account(night: Night) -> Account:
    """The conservation sum of a night over its eligible players."""
    eligible = [p for p in night.players if p.eligible]
    found = Counter(m.why for m in (why_missing(player, night) for player in eligible) if m is not None)
    unexplained = found.pop(Why.UNEXPLAINED, 0)
    active = sum(bool(player.active_rows) for player in eligible)
    return Account(
        len(eligible), active, tuple(sorted(found.items(), key=lambda i: WORST_FIRST.index(i[0]))), unexplained
    )
