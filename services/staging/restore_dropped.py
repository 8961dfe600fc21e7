"""Bring back staging tables that were dropped, each row as it was, for as long as BigQuery's time travel reaches back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud import bigquery

from services.actions.log_reader import State, read_action
from services.actions.plan import Change, Guard, Plan
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.batches.ids import DATASET
from services.core.errors import BadInput
from services.core.text import many
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from
from services.staging.merge_proof import describe, read_proofs, state_of


def plan_undo_drop(cloud: Cloud, args: Facts) -> Plan:
    """Bring back the tables that the action `action_id` dropped, as they were the moment before."""
    dropped = read_action(cloud, str(args.get("action_id") or ""))
    if dropped is None or "dropped_from_ms" not in dropped.facts:
        raise BadInput("That action has dropped nothing that could be brought back.", "Open it in the action log.")
    names = list(dropped.plan.args["tables"])
    there = {name: about is not None for name, about in describe(cloud, names).items()}
    back = [name for name in names if not there[name]]
    left = undo_left(cloud, dropped.facts["dropped_from_ms"])
    return Plan(
        verb="staging.undo_drop",
        target=dropped.action_id,
        title=f"Bring back {many(len(back), 'staging table')}",
        args={"action_id": dropped.action_id},
        observed={"there now": [name for name in names if there[name]], "as of": dropped.facts["dropped_from_ms"]},
        changes=tuple(
            Change(name, "dropped", f"as it was, {dropped.plan.observed[name]['rows']} rows") for name in back
        ),
        guards=(
            Guard("something to bring back", bool(back), f"{len(back)} of {len(names)} tables are gone."),
            Guard("time travel reaches back", left > timedelta(0), f"{told_left(left)} to bring them back."),
        ),
        planned_at=cloud.now(),
        undo="They can be dropped again.",
        cost="One free copy job per table.",
        commands=tuple(
            f"bq cp {DATASET}.{name}@{dropped.facts['dropped_from_ms']} {cloud.settings.project}:{DATASET}.{name}"
            for name in back
        ),
    )


def _bring_back(deed: Deed) -> Facts:
    cloud, ms = deed.cloud, deed.plan.observed["as of"]
    for change in deed.plan.changes:
        config = bigquery.CopyJobConfig(write_disposition=bigquery.WriteDisposition.WRITE_EMPTY)
        with reading_from(f"BigQuery ({change.what})"):
            cloud.bigquery.copy_table(
                f"{cloud.settings.project}.{DATASET}.{change.what}@{ms}",
                f"{cloud.settings.project}.{DATASET}.{change.what}",
                job_config=config,
                job_id=f"on-call-undo-{deed.action_id}-{change.what}",
            ).result(timeout=cloud.settings.query_timeout_s)
    return {"brought back": [change.what for change in deed.plan.changes]}


def _verify_back(cloud: Cloud, plan: Plan, _found: Facts) -> Verdict:
    """Identical rows, by the fingerprint that was taken before the drop."""
    dropped = read_action(cloud, plan.args["action_id"])
    before: Mapping[str, Any] = dropped.plan.observed if dropped else {}
    names = [change.what for change in plan.changes]
    after = {proof.table: state_of(proof) for proof in read_proofs(cloud, names).proofs}
    same = [n for n in names if all(after[n][k] == before.get(n, {}).get(k) for k in ("rows", "content", "there"))]
    if len(same) == len(names):
        return Verdict(State.DONE, f"{many(len(same), 'staging table')} brought back, each row as it was.", after)
    other = ", ".join(name for name in names if name not in same)
    return Verdict(State.FAILED, f"{len(same)} of {len(names)} are as they were; not so: {other}.", after)


def time_travel_h(cloud: Cloud) -> int:
    """For how many hours this dataset can be read as it was."""
    with reading_from("BigQuery (dataset)"):
        return int(cloud.bigquery.get_dataset(DATASET, timeout=20).max_time_travel_hours or 168)


def undo_left(cloud: Cloud, dropped_from_ms: int) -> timedelta:
    """How long a drop of this instant can still be taken back."""
    ends = datetime.fromtimestamp(dropped_from_ms / 1000, UTC) + timedelta(hours=time_travel_h(cloud))
    return ends - cloud.now()


def told_left(left: timedelta) -> str:
    if left <= timedelta(0):
        return "The time"
    hours = int(left.total_seconds() // 3600)
    return (
        f"{hours // 24} d {hours % 24} h left"
        if hours >= 24
        else f"{hours} h {int(left.total_seconds() % 3600 // 60)} min left"
    )


UNDO_DROP = Verb("staging.undo_drop", "Bring back", plan_undo_drop, _bring_back, _verify_back)
