"""What happened between the request and the active row: the sums, the writes, the staging tables, the batch. Pure."""

from __future__ import annotations

from services.batches.conservation import conservation_sums
from services.batches.ledger import BatchRecord
from services.batches.reader import Batch
from services.batches.state import BatchState
from services.core.result import Health
from services.core.text import pluralize
from services.judgement.facts import NightFacts
from services.judgement.statement import Repair, Statement, Subject, not_recorded, unknown
from services.nights.missing_players import LossReason, balance, list_missing_players
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.telemetry.dml_jobs import DmlReport


def judge_conservation(facts: NightFacts) -> Statement:
    """Whether the newest batch's sums hold, and no eligible player is unexplained."""
    page, night, record = "runs", facts.night.value, facts.record.value
    if night is None:
        return unknown(Subject.CONSERVATION, page, facts.night)
    if unexplained := balance(night).unexplained:
        text = f"{pluralize(unexplained, 'player')} unexplained"
        statement = Statement(Subject.CONSERVATION, Health.UNKNOWN, text, page, unexplained, balance(night).expected)
        return statement.based_on(facts.night, problems=night.problems)
    if not facts.record.ok:
        return unknown(Subject.CONSERVATION, page, facts.record)
    if record is None:
        return not_recorded(Subject.CONSERVATION, "the sums of a batch are not recorded", page)
    return _judge_sums(record).based_on(facts.night, facts.record)


def _judge_sums(record: BatchRecord) -> Statement:
    sums = conservation_sums(record)
    wrong, open_sums = [s for s in sums if s.holds is False], [s for s in sums if s.holds is None]
    if wrong:
        first = wrong[0]
        parts = " + ".join("unknown" if part is None else f"{part:,}" for part in first.parts)
        text = f"{record.batch_id}: {first.total:,} {first.total_name}, but {first.parts_name} = {parts}"
        return Statement(Subject.CONSERVATION, Health.CRITICAL, text, "runs", len(sums) - len(wrong), len(sums))
    if open_sums:
        text = f"{pluralize(len(open_sums), 'sum')} of {len(sums)} not known yet"
        return Statement(Subject.CONSERVATION, Health.UNKNOWN, text, "runs", len(sums) - len(open_sums), len(sums))
    text = f"all {len(sums)} sums of {record.batch_id} hold"
    return Statement(Subject.CONSERVATION, Health.OK, text, "runs", len(sums), len(sums))


def judge_writes(facts: NightFacts) -> Statement:
    """Rejected writes of this night's runs."""
    report = facts.writes.value
    if report is None:
        return unknown(Subject.WRITES, "dml_errors", facts.writes)
    statement = Statement(
        Subject.WRITES, report.health, describe_writes(report), "dml_errors", report.rejected, report.attempted
    )
    return statement.based_on(facts.writes, problems=report.problems)


def describe_writes(report: DmlReport) -> str:
    """e.g. "90 of 158 writes rejected (57.0 %), at most 22 of 22 at once"."""
    if report.attempted is None or report.rejected is None:
        if report.rejected_at_least:
            return f"at least {report.rejected_at_least} writes rejected; how many of how many is unknown"
        return "unknown: the job history could not be read" + (" in full" if report.problems else "")
    if report.attempted == 0:
        return "no DML against the predictions table this night"
    share_text = f" ({report.rejected_pct:.1f} %)" if report.rejected else ""
    peak = report.peak_outstanding
    peak_text = f", at most {peak} of {MAX_OUTSTANDING_DML} at once" if peak is not None else ""
    return f"{report.rejected} of {report.attempted} writes rejected{share_text}{peak_text}"


def judge_staging(facts: NightFacts) -> Statement:
    """Players of this night whose rows are in staging tables only."""
    night = facts.night.value
    if night is None:
        return unknown(Subject.STAGING, "staging_tables", facts.night)
    waiting = [m for m in list_missing_players(night) if m.reason is LossReason.NOT_CONSOLIDATED]
    unread = [problem for problem in night.problems if problem.source == "staging tables"]
    statement = Statement(
        Subject.STAGING, Health.OK, "no row of this night waits in staging", "staging_tables", 0, len(night.players)
    )
    if waiting:
        text = f"{pluralize(len(waiting), 'player')} with rows in staging that are not in the predictions table"
        health = Health.UNKNOWN if facts.is_running else Health.CRITICAL
        repair = None if facts.is_running else Repair.CONSOLIDATE
        statement = Statement(
            Subject.STAGING, health, text, "staging_tables", len(waiting), len(night.players), repair=repair
        )
    return statement.based_on(facts.night, problems=unread)


def judge_batch(facts: NightFacts) -> Statement:
    """The newest batch: in progress, ended with proof, or stopped on the way."""
    if facts.batches.value is None:
        return unknown(Subject.BATCH, "runs", facts.batches)
    batch, night = facts.newest_batch, facts.night.value
    if batch is None:
        if night is not None and night.games == 0:
            return Statement(Subject.BATCH, Health.NONE_EXPECTED, "no games, no batch", "runs").based_on(facts.batches)
        statement = Statement(Subject.BATCH, Health.UNKNOWN, "no batch of this date is recorded", "runs")
        return statement.based_on(facts.batches)
    health, text = _describe_batch(batch, facts)
    resumable = health is Health.CRITICAL and batch.record_source == "ledger" and batch.state is BatchState.STALLED
    statement = Statement(Subject.BATCH, health, text, "runs", repair=Repair.RESUME if resumable else None)
    return statement.based_on(facts.batches)


def _describe_batch(batch: Batch, facts: NightFacts) -> tuple[Health, str]:
    text = f"{batch.batch_id}: {batch.state}"
    silent = batch.record_source == "logs" and batch.state is BatchState.STALLED  # no line says how it ended
    if batch.state is not BatchState.UNVERIFIED_SUCCESS and not silent:
        return batch.health, text
    if facts.night.value is None:
        return batch.health, f"{text}, unproven"
    totals = balance(facts.night.value)
    requested = totals.expected if batch.requested is None else batch.requested
    if totals.active and totals.active >= requested:
        return Health.OK, f"{text}, and {totals.active} players are active"
    if silent:
        return batch.health, text
    generated = "an unknown number" if batch.generated is None else batch.generated
    return Health.CRITICAL, f"{text} for {generated} of {requested}, but {totals.active} are active"
