"""One player on one game date: which stages the player reached, with numbers and times, and the event that dropped the player. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.batches.ids import read_batch_start
from services.batches.reader import Batch, Batches
from services.nights.line_counts import describe_lines
from services.nights.missing_players import MissingPlayer, classify_missing, list_missing_players
from services.nights.player_stages import STAGES, NightStatus, PlayerStatus, Stage


class StepState(StrEnum):
    """How far a player came at one stage."""

    REACHED = "reached"
    DROPPED = "dropped here"
    NOT_USED = "not used"
    NOT_REACHED = "not reached"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Step:
    """One stage. `log_line` is what the service or BigQuery said when it dropped the player."""

    stage: Stage
    state: StepState
    text: str
    number: str = ""
    at: datetime | None = None
    log_line: str = ""


@dataclass(frozen=True)
class PlayerStory:
    """A player's steps in order; `missing` says why there is no active row, None where there is one."""

    player: PlayerStatus
    steps: tuple[Step, ...]
    missing: MissingPlayer | None
    similar: int  # other missing players with the same reason


def find_players(night: NightStatus, player_lookup: str) -> tuple[PlayerStatus, ...]:
    """The players of that lookup key; two may share one."""
    return tuple(player for player in night.players if player.player_lookup == player_lookup)


def build_story(player: PlayerStatus, night: NightStatus, batches: Batches | None) -> PlayerStory:
    """What is known of each stage; the first that the player did not reach is where the player was dropped."""
    missing = classify_missing(player, night)
    steps = tuple(_steps(player, night, batches, missing))
    others = [m for m in list_missing_players(night) if m.player is not player]
    return PlayerStory(player, steps, missing, sum(missing is not None and m.reason is missing.reason for m in others))


def _steps(
    player: PlayerStatus, night: NightStatus, batches: Batches | None, missing: MissingPlayer | None
) -> Iterator[Step]:
    known = batches.batches if batches else ()
    batch = next((b for b in known if b.batch_id == player.batch_id), None)
    dropped_at = STAGES.index(missing.dropped_at) if missing else len(STAGES)
    for stage, step in (
        (Stage.WITH_ODDS, _odds(player, night)),
        (Stage.IN_CONTEXT, _context(player)),
        (Stage.REQUESTED, _requested(player, batch)),
        (Stage.GENERATED, _generated(player)),
        (Stage.STAGED, _staged(player)),
        (Stage.WRITTEN, _written(player)),
        (Stage.ACTIVE, _active(player)),
    ):
        index = STAGES.index(stage)
        is_drop = missing is not None and dropped_at in (index, index + 1 if stage is Stage.IN_CONTEXT else index)
        if is_drop and missing is not None:
            yield _drop(step, missing)
        elif index > dropped_at:
            yield Step(stage, StepState.NOT_REACHED, "Not reached")
        else:
            yield step


def _drop(step: Step, missing: MissingPlayer) -> Step:
    error = missing.player.write_error
    log_line = error.text if error is not None and step.stage is Stage.WRITTEN else missing.player.generation_error
    at = error.at if error is not None and step.stage is Stage.WRITTEN else step.at
    return Step(step.stage, StepState.DROPPED, missing.evidence, step.number, at, log_line)


def _state(value: bool | int | None) -> StepState:
    return StepState.UNKNOWN if value is None else StepState.REACHED if value else StepState.NOT_REACHED


def _odds(player: PlayerStatus, night: NightStatus) -> Step:
    if player.has_odds is None:
        return Step(Stage.WITH_ODDS, StepState.UNKNOWN, "Odds of this lookup key may be another player's")
    if not player.has_odds:
        return Step(Stage.WITH_ODDS, StepState.NOT_USED, "No odds: lines are estimated")
    lines = next((entry for entry in night.lines if entry.player_lookup == player.player_lookup), None)
    described = f"Lines {describe_lines(lines)}" if lines is not None and lines.is_compared else "In the odds feed"
    return Step(Stage.WITH_ODDS, StepState.REACHED, described)


def _context(player: PlayerStatus) -> Step:
    matchup = " vs ".join(filter(None, (player.team, player.opponent)))
    state = _state(player.in_context)
    eligibility = {True: "eligible", False: "ineligible", None: ""}[player.eligible]
    return Step(Stage.IN_CONTEXT, state, matchup or "No context row", eligibility)


def _requested(player: PlayerStatus, batch: Batch | None) -> Step:
    started_by = f", started by {batch.started_by}" if batch is not None and batch.started_by else ""
    text = f"{player.batch_id or 'No batch is named'}{started_by}"
    at = (batch.started if batch is not None else None) or read_batch_start(player.batch_id)
    if not player.requested:
        return Step(Stage.REQUESTED, _state(player.requested), "Not requested by any batch")
    number = f"1 of {batch.requested:,}" if batch is not None and batch.requested is not None else ""
    return Step(Stage.REQUESTED, StepState.REACHED, text, number, at)


def _generated(player: PlayerStatus) -> Step:
    return Step(
        Stage.GENERATED,
        _state(player.generated_rows),
        player.generation_error or "Rows by the model",
        _rows(player.generated_rows),
        player.generated_at,
    )


def _staged(player: PlayerStatus) -> Step:
    if player.staged_rows:
        text = player.staging_table or "In staging"
        return Step(Stage.STAGED, StepState.REACHED, text, _rows(player.staged_rows), player.staged_at)
    if player.staged_rows is None:
        return Step(Stage.STAGED, StepState.UNKNOWN, "Staging tables could not be read")
    return Step(Stage.STAGED, StepState.NOT_USED, "No staging table now: written directly, or merged and dropped")


def _written(player: PlayerStatus) -> Step:
    text = "In the predictions table" if player.written_rows else "No row in the predictions table"
    return Step(Stage.WRITTEN, _state(player.written_rows), text, _rows(player.written_rows))


def _active(player: PlayerStatus) -> Step:
    text = ", ".join(system for system, _ in player.keys) or "No active row"
    return Step(Stage.ACTIVE, _state(player.active_rows), text, _rows(player.active_rows))


def _rows(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,} rows"
