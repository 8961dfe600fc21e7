"""The state in which a consolidation leaves its batch, whoever ran it: consolidated, or with players who gave no answer.

A batch may be consolidated several times, as it is resumed: its record holds the sums of all of them, and in its details those of
each player whose rows are merged, so that a resume neither asks for them again nor counts them twice.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from services.batches import ids
from services.batches.ledger import (
    NOT_ASKED,
    UNANSWERED_OUTCOMES,
    BatchRecord,
    Ledger,
    PlayerOutcome,
    StateAlreadyRecorded,
    count_outcomes,
)
from services.batches.state import RESUMABLE_STATES, BatchState
from services.core.result import sum_or_unknown

logger = logging.getLogger(__name__)
ADDED_SUMS = ("staged_rows", "distinct_keys", "collapsed_rows", "inserted", "updated", "unchanged", "deactivated")


def with_production(record: BatchRecord, outcomes: Iterable[PlayerOutcome]) -> BatchRecord:
    """`record` with what the workers produced and staged, by their answers; None: one of the numbers is not known."""
    outcomes = tuple(outcomes)
    staged = [outcome for outcome in outcomes if outcome.staged]
    unstaged_rows = sum(outcome.produced_rows or 0 for outcome in outcomes if not outcome.staged)
    rejected_rows = sum(outcome.produced_rows or 0 for outcome in outcomes if outcome.outcome == "write rejected")
    return replace(
        record,
        generated=sum(outcome.staged or bool(outcome.produced_rows) for outcome in outcomes),
        produced_rows=sum_or_unknown((unstaged_rows, *(outcome.produced_rows for outcome in staged))),
        staged_rows=sum_or_unknown(outcome.staged_rows for outcome in staged),
        staged_tables=len({outcome.staging_table or outcome.unit for outcome in staged}),
        details={**record.details, "rejected_rows": rejected_rows},
    )


def close(
    entry: BatchRecord, outcomes: Mapping[str, PlayerOutcome], sums: Mapping[str, int], facts: Mapping[str, Any]
) -> BatchRecord:
    """`entry` after a consolidation with these sums, by which every staged player's rows are merged. Pure.

    `facts` are fields of a BatchRecord that this consolidation alone determines.
    """
    earlier = entry.details.get("consolidated") or {}
    totals = {name: earlier.get(name, 0) + sums.get(name, 0) for name in ADDED_SUMS}
    staged = {player for player, outcome in outcomes.items() if outcome.staged}
    merged = sorted(staged | set(earlier.get("players", ())))
    state, reason = _ending(entry, outcomes, bool(merged))
    counts = count_outcomes(outcomes.values())
    if state is BatchState.STOPPED:
        counts[NOT_ASKED] = sum(player not in outcomes for player in entry.players)
    produced = with_production(entry, outcomes.values())
    details = {
        **produced.details,
        "outcomes": counts,
        "consolidated": {**totals, "players": merged},
    }
    return replace(produced, state=state, reason=reason, **{**totals, **facts, "details": details})


def _ending(entry: BatchRecord, outcomes: Mapping[str, PlayerOutcome], merged: bool) -> tuple[BatchState, str]:
    """The state and its reason: a player without an answer leaves the batch open, to be resumed."""
    players = entry.players or tuple(outcomes)
    unanswered = sum(p not in outcomes or outcomes[p].outcome in UNANSWERED_OUTCOMES for p in players)
    rejected = sum(outcome.outcome == "write rejected" for outcome in outcomes.values())
    done = "consolidated staged rows" if merged else "nothing was staged"
    if unanswered and entry.state is BatchState.STOPPED:
        not_asked = sum(player not in outcomes for player in players)
        return BatchState.STOPPED, f"{done}; {not_asked} of {len(players)} players were not requested"
    if unanswered:
        return BatchState.STALLED, f"{done}; {unanswered} of {len(players)} players gave no answer"
    if rejected and not merged:
        return BatchState.STALLED, f"{done}; the writes of {rejected} of {len(players)} players were rejected"
    if rejected:
        return (
            BatchState.CONSOLIDATED,
            f"the writes of {rejected} of {len(players)} players were rejected: run them again",
        )
    return BatchState.CONSOLIDATED, "" if merged else done


def record_consolidated(
    ledger: Ledger, batch_id: str, game_date: date, holder: str, sums: Mapping[str, int], players: Collection[str]
) -> BatchRecord | None:
    """After a consolidation by another than the batch's own run: correct the state that the ledger has of the batch.

    `sums` are fields of a BatchRecord; `players` those whose staged rows were merged. None when there is nothing to correct: the
    ledger has no such batch, it is not in a state that could be resumed, or another process has just recorded its next state.
    """
    entry = ledger.latest(batch_id, game_date)
    if entry is None or entry.state not in RESUMABLE_STATES:
        return None
    outcomes = ledger.player_outcomes(batch_id, game_date)
    unrecorded = {
        player: PlayerOutcome(player, ids.work_unit_id(player), "staged", reason="consolidated by another process")
        for player in entry.players
        if player in players and not (player in outcomes and outcomes[player].staged)
    }
    ledger.append_outcomes(batch_id, game_date, tuple(unrecorded.values()))
    outcomes |= unrecorded
    closed = replace(close(entry, outcomes, sums, {}), sequence=entry.sequence + 1, holder=holder)
    try:
        ledger.append_state(closed)
    except StateAlreadyRecorded as error:
        logger.warning("The state of %s was not corrected: %s", batch_id, error)
        return None
    return closed
