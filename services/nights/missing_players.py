"""Missing players: the stage that dropped each, the evidence, and what fixes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from services.core.clock import format_eastern
from services.core.text import pluralize
from services.nights.line_counts import PlayerLines, describe_lines
from services.nights.player_stages import NightStatus, PlayerStatus, Stage
from services.nights.row_counts import IncompletePlayer, RowCounts

KEPT_NIGHTS = 16  # readings of a night whose missing players are kept


class LossReason(StrEnum):
    """Why a player is missing: the first stage it did not reach. See docs/architecture.md."""

    NOT_IN_CONTEXT_ALIAS = "no context row, alias available"
    NOT_IN_CONTEXT = "no context row, no alias"
    FILTERED_OUT = "ineligible"
    SHARES_LOOKUP = "not requested, shares its lookup key"
    NEVER_REQUESTED = "not requested"
    NOT_GENERATED = "not generated"
    WRITE_REJECTED = "write rejected"
    NOT_CONSOLIDATED = "staged, not consolidated"
    INACTIVE = "written, not active"
    INCOMPLETE = "incomplete"
    LINE_MOVED = "line moved"
    LINE_KEPT = "line moved, a re-run would keep it"
    NOT_RUN_YET = "not run yet"
    UNEXPLAINED = "unexplained"

    @property
    def outcome(self) -> str:
        """The reason after a number, in a sum or a chart: 90 rejected."""
        return _OUTCOMES.get(self, self.value)


_OUTCOMES = {
    LossReason.WRITE_REJECTED: "rejected",
    LossReason.NOT_CONSOLIDATED: "not consolidated",
    LossReason.INACTIVE: "not active",
}


@dataclass(frozen=True)
class MissingPlayer:
    """One missing player: the reason, the stage that dropped it, the evidence in words, and what would fix it."""

    player: PlayerStatus
    reason: LossReason
    dropped_at: Stage
    evidence: str
    repair: str
    intentional: bool  # filtered out: missing on purpose, shown apart
    rows_missing: int | None = None  # of a player with active rows who is incomplete


REASONS_BY_SEVERITY = (
    LossReason.UNEXPLAINED,
    LossReason.WRITE_REJECTED,
    LossReason.NOT_CONSOLIDATED,
    LossReason.INACTIVE,
    LossReason.INCOMPLETE,
    LossReason.LINE_MOVED,
    LossReason.LINE_KEPT,
    LossReason.SHARES_LOOKUP,
    LossReason.NEVER_REQUESTED,
    LossReason.NOT_GENERATED,
    LossReason.NOT_IN_CONTEXT_ALIAS,
    LossReason.NOT_IN_CONTEXT,
    LossReason.NOT_RUN_YET,
    LossReason.FILTERED_OUT,
)

_REPAIR_BY_REASON = {
    LossReason.UNEXPLAINED: "Check this player's logs before re-running",
    LossReason.WRITE_REJECTED: "Re-run this player",
    LossReason.NOT_CONSOLIDATED: "Consolidate the batch",
    LossReason.INCOMPLETE: "Re-run this player",
    LossReason.LINE_MOVED: "Re-run this player",
    LossReason.LINE_KEPT: "None after tip-off; before it, refresh the line in the context, then re-run this player",
    LossReason.INACTIVE: "Re-run this player; check what superseded the rows",
    LossReason.SHARES_LOOKUP: "Give one of the two players another lookup key in the context",
    LossReason.NEVER_REQUESTED: "Run this player",
    LossReason.NOT_GENERATED: "Fix the upstream cause, then re-run this player",
    LossReason.NOT_IN_CONTEXT_ALIAS: "The odds processor does not apply aliases: re-run this player from the context name",
    LossReason.NOT_IN_CONTEXT: "Add an alias, or confirm that the player is out",
    LossReason.NOT_RUN_YET: "Start the run",
    LossReason.FILTERED_OUT: "None: ineligible",
}

_STAGE_BY_REASON = {
    LossReason.UNEXPLAINED: Stage.WRITTEN,
    LossReason.WRITE_REJECTED: Stage.WRITTEN,
    LossReason.NOT_CONSOLIDATED: Stage.WRITTEN,
    LossReason.INACTIVE: Stage.ACTIVE,
    LossReason.INCOMPLETE: Stage.ACTIVE,
    LossReason.LINE_MOVED: Stage.ACTIVE,
    LossReason.LINE_KEPT: Stage.ACTIVE,
    LossReason.SHARES_LOOKUP: Stage.REQUESTED,
    LossReason.NEVER_REQUESTED: Stage.REQUESTED,
    LossReason.NOT_GENERATED: Stage.GENERATED,
    LossReason.NOT_IN_CONTEXT_ALIAS: Stage.IN_CONTEXT,
    LossReason.NOT_IN_CONTEXT: Stage.IN_CONTEXT,
    LossReason.NOT_RUN_YET: Stage.REQUESTED,
    LossReason.FILTERED_OUT: Stage.ELIGIBLE,
}


def classify_missing(player: PlayerStatus, night: NightStatus) -> MissingPlayer | None:
    """The first stage a player did not reach, or None when it is active."""
    if player.active_rows:
        return None
    reason, evidence = _loss_reason(player, night)
    return MissingPlayer(
        player,
        reason,
        _STAGE_BY_REASON[reason],
        evidence,
        _REPAIR_BY_REASON[reason],
        intentional=reason is LossReason.FILTERED_OUT,
    )


def _loss_reason(player: PlayerStatus, night: NightStatus) -> tuple[LossReason, str]:
    """First failing stage wins. "Not generated" and "generated but not written" never mix: the rows generated decide."""
    if not player.in_context:
        if player.alias_canonical:
            return (
                LossReason.NOT_IN_CONTEXT_ALIAS,
                f"Odds feed uses {player.player_lookup}; context has {player.alias_canonical} (alias exists but is not applied)",
            )
        return (
            LossReason.NOT_IN_CONTEXT,
            f"Odds feed uses {player.player_lookup}; no context row and no alias",
        )
    if player.eligible is False:
        return LossReason.FILTERED_OUT, player.not_eligible_reason
    if player.shares_lookup_with and not player.written_rows:
        return LossReason.SHARES_LOOKUP, f"Not requested: shares its lookup key with {player.shares_lookup_with}"
    if night.was_run is False:
        return LossReason.NOT_RUN_YET, "No batch of this date has run"
    if player.requested is False:
        return LossReason.NEVER_REQUESTED, "Not requested by any batch"
    if player.generated_rows == 0:
        return LossReason.NOT_GENERATED, player.generation_error or "Worker reported 0 predictions"
    return _reason_after_generation(player, night)


def _reason_after_generation(player: PlayerStatus, night: NightStatus) -> tuple[LossReason, str]:
    rows = "unknown number of" if player.generated_rows is None else player.generated_rows
    if player.written_rows:
        state = "superseded" if player.superseded else "inactive"
        return LossReason.INACTIVE, f"{player.written_rows} rows written, all {state}"
    refused = ""
    if player.write_error is not None:
        refused = f"{format_eastern(player.write_error.at, '%H:%M:%S')} · {player.write_error.reason}"
    if player.staged_rows:
        staged = f"{player.staged_rows} rows in {player.staging_table or 'staging'}, none in the predictions table"
        return LossReason.NOT_CONSOLIDATED, f"{staged}; {refused}" if refused else staged
    if refused:
        return LossReason.WRITE_REJECTED, f"{refused} · {rows} rows generated"
    if unread_sources := [problem.source for problem in night.problems]:
        evidence = f"{rows} rows generated, none written; not readable: {', '.join(unread_sources)}"
    elif player.requested is None:
        evidence = "No run row, log line or staging table of this player: whether it was requested is unknown"
    elif player.generated_rows is None:
        evidence = "Requested, and no run row or log line shows how many rows were generated; none written"
    else:
        evidence = f"{rows} rows generated, none written; no matching log line or staging table"
    if night.unnamed_rejections:
        evidence += f"; the log has {pluralize(night.unnamed_rejections, 'rejected write')} without a name"
    return LossReason.UNEXPLAINED, evidence


@lru_cache(maxsize=KEPT_NIGHTS)  # a page asks for it ten times: its judgement, its chart, its buttons
def list_missing_players(night: NightStatus) -> tuple[MissingPlayer, ...]:
    """Every player of a night without an active row, worst first; those filtered out on purpose last."""
    missing_players = filter(None, (classify_missing(player, night) for player in night.players))

    def sort_key(missing: MissingPlayer) -> tuple[int, str, str]:
        return REASONS_BY_SEVERITY.index(missing.reason), missing.player.team, missing.player.player_lookup

    return tuple(sorted(missing_players, key=sort_key))


def list_incomplete_players(counts: RowCounts) -> tuple[MissingPlayer, ...]:
    """The players with active rows who lack some; they count as active, and their rows as missing."""
    reason = LossReason.INCOMPLETE
    return tuple(
        MissingPlayer(
            entry.player,
            reason,
            _STAGE_BY_REASON[reason],
            _describe_incomplete(entry),
            _REPAIR_BY_REASON[reason],
            intentional=False,
            rows_missing=entry.missing,
        )
        for entry in counts.incomplete
    )


def _describe_incomplete(entry: IncompletePlayer) -> str:
    absent = f"; none of {', '.join(entry.absent)}" if entry.absent else ""
    return f"{entry.rows:,} of {entry.rows + entry.missing:,} rows active{absent}"


def list_moved_players(night: NightStatus, now: datetime) -> tuple[MissingPlayer, ...]:
    """The players whose rows are for another line than the odds; they count as active."""
    players = {player.player_lookup: player for player in night.eligible_players if not player.shares_lookup_with}
    return tuple(_to_moved_player(players[lines.player_lookup], lines, now) for lines in night.lines if lines.has_moved)


def _to_moved_player(player: PlayerStatus, lines: PlayerLines, now: datetime) -> MissingPlayer:
    reason = LossReason.LINE_MOVED if lines.is_repairable_at(now) else LossReason.LINE_KEPT
    return MissingPlayer(
        player,
        reason,
        _STAGE_BY_REASON[reason],
        f"Predicted for {describe_lines(lines)}",
        _REPAIR_BY_REASON[reason],
        intentional=False,
    )
