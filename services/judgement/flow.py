"""What happened between the request and the active row: the sums, the writes, the staging tables, the batch. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from services.batches.conservation import conservation_sums
from services.batches.ledger import BatchRecord
from services.batches.reader import Batch
from services.batches.state import IN_PROGRESS_STATES, BatchState
from services.core.result import Health, Result
from services.core.settings import Settings
from services.core.text import pluralize
from services.judgement.facts import NightFacts
from services.judgement.statement import Repair, Statement, Subject, format_time, unknown, while_running
from services.nights.balance import balance
from services.nights.missing_players import LossReason, MissingPlayer, list_missing_players
from services.nights.player_stages import NightStatus
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.telemetry.dml_jobs import DmlReport

_RUNS = "runs"


def judge_conservation(facts: NightFacts, settings: Settings) -> Statement:
    """Whether the players' sums hold from stage to stage, and the rows' sums of the newest batch."""
    night, record = facts.night.value, facts.record.value
    if night is None:
        return unknown(Subject.CONSERVATION, _RUNS, facts.night)
    of_players = _judge_players(night, settings.collapsed_max_pct).based_on(facts.night)
    if of_players.health is not Health.OK:
        return of_players
    if not facts.record.ok:
        return unknown(Subject.CONSERVATION, _RUNS, facts.record)
    if record is None:
        return replace(of_players, text=f"{of_players.text}; row counts are not recorded")
    return _judge_record(record, settings.collapsed_max_pct).based_on(facts.night, facts.record)


def _judge_players(night: NightStatus, collapsed_max_pct: float) -> Statement:
    totals = balance(night)
    statement = Statement(Subject.CONSERVATION, Health.OK, "player counts add up", _RUNS)
    if night.was_run is False:
        return replace(statement, health=Health.NONE_EXPECTED, text="not run yet")
    if wrong := [str(player_sum) for player_sum in totals.sums if not player_sum.holds]:
        return replace(statement, health=Health.CRITICAL, text=f"player counts don't add up: {wrong[0]}")
    if totals.unexplained:
        text = f"{pluralize(totals.unexplained, 'player')} unexplained"
        statement = replace(statement, health=Health.UNKNOWN, text=text, part=totals.unexplained, whole=totals.expected)
        return statement.based_on(problems=night.problems)
    active = [player for player in night.players if player.active_rows and player.generated_rows]
    generated, written = sum(p.generated_rows or 0 for p in active), sum(p.written_rows or 0 for p in active)
    if _percentage(generated - written, generated) > collapsed_max_pct:
        text = f"{generated:,} rows generated for the {len(active)} active players, {written:,} written"
        return replace(statement, health=Health.CRITICAL, text=text, part=written, whole=generated)
    return statement


def _judge_record(record: BatchRecord, collapsed_max_pct: float) -> Statement:
    """The sums of a batch. Those of players are not recorded by earlier versions, which left them out."""
    sums = [entry for entry in conservation_sums(record) if record.outcome_counts is not None or not entry.of_players]
    wrong, open_sums = [s for s in sums if s.holds is False], [s for s in sums if s.holds is None]
    statement = Statement(
        Subject.CONSERVATION, Health.OK, "", _RUNS, len(sums) - len(wrong) - len(open_sums), len(sums)
    )
    if wrong and record.state not in IN_PROGRESS_STATES:
        parts = " + ".join(f"{part:,}" for part in wrong[0].parts)  # a sum with an unknown part is open, not wrong
        text = f"{wrong[0].total:,} {wrong[0].total_name}, but {wrong[0].parts_name} = {parts}"
        return replace(statement, health=Health.CRITICAL, text=f"{record.batch_id}: {text}")
    if _percentage(record.collapsed_rows, record.staged_rows) > collapsed_max_pct:
        text = f"{record.batch_id}: {record.collapsed_rows:,} of {record.staged_rows:,} staged rows share a key"
        return replace(statement, health=Health.CRITICAL, text=text)
    if wrong or open_sums:
        text = f"{record.batch_id}: {len(wrong) + len(open_sums)} of {pluralize(len(sums), 'check')} not known yet"
        return replace(statement, health=Health.UNKNOWN, text=text)
    return replace(statement, text=f"all {len(sums)} counts of {record.batch_id} add up")


def _percentage(part: int | None, whole: int | None) -> float:
    return 100 * part / whole if part and whole else 0.0


def judge_writes(facts: NightFacts, settings: Settings) -> Statement:
    """Rejected writes of this night's runs; those whose players are all active since are history."""
    report, lost = facts.writes.value, find_lost_writes(facts.night.value, settings) if facts.night.value else None
    if report is None and lost is None:
        return unknown(Subject.WRITES, "dml_errors", facts.writes)
    if report is None:
        statement = Statement(Subject.WRITES, Health.CRITICAL, str(lost), "dml_errors")
        return statement.based_on(facts.writes, facts.night)
    health, text = report.health, describe_writes(report)
    readings: list[Result[Any]] = [facts.writes]
    if lost is not None:
        health, text = Health.CRITICAL, f"{text}; {lost}"
        readings.append(facts.night)
    elif report.rejected_at_least and (repaired := _describe_repair(report, facts)) is not None:
        health, text = repaired[0], f"{text}; {repaired[1]}"
        readings += [facts.night, facts.batches]
    statement = Statement(Subject.WRITES, health, text, "dml_errors", report.rejected, report.attempted)
    return statement.based_on(*readings, problems=report.problems)


@dataclass(frozen=True)
class LostWrites:
    """Players whose rows were generated and rejected, beyond what WRITE_SUCCESS_PCT leaves."""

    players: tuple[MissingPlayer, ...]
    generated: int

    def __str__(self) -> str:
        return f"{len(self.players)} of {self.generated} generated players have rejected writes"


def find_lost_writes(night: NightStatus, settings: Settings) -> LostWrites | None:
    """None where enough of the generated players were written."""
    generated = sum(bool(player.generated_rows) for player in night.eligible_players)
    rejected = tuple(m for m in list_missing_players(night) if m.reason is LossReason.WRITE_REJECTED)
    succeeded = not generated or 100 * (1 - len(rejected) / generated) >= settings.write_success_pct
    return None if succeeded else LostWrites(rejected, generated)


def _describe_repair(report: DmlReport, facts: NightFacts) -> tuple[Health, str] | None:
    """What is so since the last rejection; None while rows of a player may still be missing because of it."""
    night, batch = facts.night.value, facts.newest_batch
    if night is None or facts.is_running:
        return None
    lost = {LossReason.WRITE_REJECTED, LossReason.UNEXPLAINED}
    if any(m.reason in lost and m.player.eligible for m in list_missing_players(night)):
        return None
    rejected_at = report.last_rejected_at
    if batch is not None and batch.started is not None and rejected_at is not None and rejected_at < batch.started:
        return Health.OK, f"repaired at {format_time(batch.ended or batch.started)}"
    return Health.WARNING, "no player is missing because of them"


def describe_writes(report: DmlReport) -> str:
    """e.g. "90 of 158 writes rejected (57.0%); peak 22 concurrent, limit 22"."""
    if report.attempted is None or report.rejected is None:
        if report.rejected_at_least:
            return f"at least {report.rejected_at_least} writes rejected; the totals are unknown"
        return "unknown: the job history could not be read" + (" in full" if report.problems else "")
    if report.attempted == 0:
        return "no writes to the predictions table"
    share_text = f" ({report.rejected_pct:.1f}%)" if report.rejected else ""
    peak = report.peak_outstanding
    peak_text = f"; peak {peak} concurrent, limit {MAX_OUTSTANDING_DML}" if peak is not None else ""
    return f"{report.rejected} of {report.attempted} writes rejected{share_text}{peak_text}"


def judge_staging(facts: NightFacts, settings: Settings) -> Statement:
    """Players of this night whose rows are in staging tables only; until the deadline a running batch may still consolidate them."""
    night = facts.night.value
    if night is None:
        return unknown(Subject.STAGING, "staging_tables", facts.night)
    waiting = [m for m in list_missing_players(night) if m.reason is LossReason.NOT_CONSOLIDATED]
    unread = [problem for problem in night.problems if problem.source == "staging tables"]
    statement = Statement(
        Subject.STAGING, Health.OK, "no unmerged rows of this date in staging", "staging_tables", 0, len(night.players)
    )
    if waiting:
        text = f"{pluralize(len(waiting), 'player')} with unmerged rows in staging"
        health = Health.UNKNOWN if facts.may_complete(settings) else Health.CRITICAL
        text = f"{while_running(facts.now)}; {text}" if facts.is_running else text
        repair = None if facts.is_running else Repair.CONSOLIDATE
        statement = Statement(
            Subject.STAGING, health, text, "staging_tables", len(waiting), len(night.players), repair=repair
        )
    return statement.based_on(facts.night, problems=unread)


def judge_batch(facts: NightFacts) -> Statement:
    """The newest batch: in progress, ended with proof, or stopped on the way."""
    batches, night = facts.batches.value, facts.night.value
    if batches is None:
        return unknown(Subject.BATCH, _RUNS, facts.batches)
    batch, readings = batches.newest, list[Result[Any]]([facts.batches])
    if batch is None:
        no_games = night is not None and not night.games
        health = Health.NONE_EXPECTED if no_games else Health.UNKNOWN
        text = "no games, no batch" if no_games else "no batch recorded for this date"
        statement = Statement(Subject.BATCH, health, text, _RUNS)
        return statement.based_on(facts.batches, problems=batches.problems)
    health, text = batch.health, f"{batch.batch_id}: {batch.state}"
    if batch.state is BatchState.UNVERIFIED_SUCCESS or health is Health.CRITICAL:  # the players show what is so
        health, text, readings = *_check_claim(batch, night), [facts.batches, facts.night]
    resumable = health is Health.CRITICAL and batch.record_source == "ledger" and batch.state is BatchState.STALLED
    statement = Statement(Subject.BATCH, health, text, _RUNS, repair=Repair.RESUME if resumable else None)
    return statement.based_on(*readings, problems=batches.problems)


def _check_claim(batch: Batch, night: NightStatus | None) -> tuple[Health, str]:
    """A success without its players is none; a failure with all of them is a mismatch of our record, or silence of another's log."""
    text = f"{batch.batch_id}: {batch.state}"
    if night is None:
        return batch.health, f"{text}, unverified"
    totals = balance(night)
    success = batch.state is BatchState.UNVERIFIED_SUCCESS
    generated = batch.requested if batch.generated is None else batch.generated
    claimed = totals.expected if generated is None else generated
    if totals.active and totals.active in (totals.expected, claimed if success else totals.expected):
        mismatch = not success and batch.record_source == "ledger"
        return Health.WARNING if mismatch else Health.OK, f"{text}, and {totals.active} players are active"
    if not success:
        return batch.health, text
    if totals.active < claimed:
        requested = "unknown" if batch.requested is None else batch.requested
        return Health.CRITICAL, f"{text} {claimed}/{requested}, but only {totals.active} players are active"
    return Health.WARNING, f"{text}, unverified: {totals.active} of {totals.expected} are active"
