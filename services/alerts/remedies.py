"""The remedy of a rule that fired, where its own cannot be done now. Pure."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from services.alerts.facts import Snapshot
from services.alerts.findings import RuleResult
from services.alerts.rule import RERUN_COMMAND
from services.batches.ids import parse_staging_table_name
from services.batches.state import RESUMABLE_STATES
from services.policy.dml_limits import EMERGENCY_CAPACITY, EMERGENCY_CAPACITY_TEXT
from services.scaling.capacity import WorkerCapacity

MAX_NAMED_BATCHES = 3
_RESUMING_RULES = ("stalled", "unanswered", "consolidation")


def with_possible_remedy(result: RuleResult, snapshot: Snapshot) -> RuleResult:
    """The result with a hint and a command that can be carried out in the present state."""
    remedy = _other_remedy(result, snapshot) if result.firing else None
    if remedy is None:
        return result
    hint, command = remedy
    return replace(result, rule=replace(result.rule, hint=hint, command=command))


def _other_remedy(result: RuleResult, snapshot: Snapshot) -> tuple[str, str] | None:
    """(hint, command) in place of the rule's own; None where that can be done."""
    if result.rule.name == "dml_rejections" and _at_emergency_limit(snapshot.worker.value):
        return (
            f"Workers are already at {EMERGENCY_CAPACITY_TEXT}. Re-run the missing players.",
            RERUN_COMMAND,
        )
    if result.rule.name == "width" and _at_emergency_limit(snapshot.worker.value):
        return "Restore the worker capacity, or set the intended one.", ""
    if result.rule.name == "staging_orphans":
        return _name_batches(snapshot), ""
    if result.rule.name not in _RESUMING_RULES or _can_be_resumed(result, snapshot):
        return None
    if result.rule.name == "consolidation":
        return "Consolidate the batch.", ""
    return (
        "Consolidate its staged rows, then re-run the missing players: this batch cannot be resumed.",
        RERUN_COMMAND,
    )


def _name_batches(snapshot: Snapshot) -> str:
    """What to do with staging tables that are left behind, by the batches they are of."""
    batch_ids = sorted({parse_staging_table_name(table.name)[0] for table in snapshot.idle_staging_tables})
    more = f" and {len(batch_ids) - MAX_NAMED_BATCHES} more" if len(batch_ids) > MAX_NAMED_BATCHES else ""
    names = f"{', '.join(batch_ids[:MAX_NAMED_BATCHES])}{more}"
    return f"Consolidate the rows that are only in staging, then drop the consolidated tables: {names}."


def _at_emergency_limit(worker: WorkerCapacity | None) -> bool:
    return (
        worker is not None and worker.actual.capacity is not None and worker.actual.capacity <= prod(EMERGENCY_CAPACITY)
    )


def _can_be_resumed(result: RuleResult, snapshot: Snapshot) -> bool:
    night = next((night for night in snapshot.nights if night.game_date == result.game_date), None)
    batch = night.newest_batch if night is not None else None
    return batch is not None and batch.record_source == "ledger" and batch.state in RESUMABLE_STATES
