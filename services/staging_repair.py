"""Staging repair: drop what is merged, drop an orphan knowingly, and bring back what was dropped while time travel reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud import bigquery

from services.actions.plan import Change, Friction, Guard, Plan
from services.actions.record import State, read_action
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.foundation import catalog
from services.foundation.clients import Cloud
from services.foundation.errors import BadInput, OnCallError
from services.foundation.google_reads import reading_from
from services.runs import LIVE, read_batches
from services.staging_proof import Proof, Proofs, describe, names_of, read_proofs
from services.staging_tables import DATASET, parse_name

MOST_AT_ONCE = 500  # tables one action may touch; more are cleared in several


def plan_drop_merged(cloud: Cloud, args: Facts) -> Plan:
    """Drop `tables`, each of them only on proof that every row of it is in the predictions table."""
    proofs = read_proofs(cloud, names_of(args.get("tables")))
    title = f"Drop {_tables(len(proofs.proofs))} ({_unmerged(proofs)})"
    guards = [_proven(proof) for proof in proofs.proofs]
    return _plan(cloud, "staging.drop_merged", title, proofs, guards)


def plan_drop_orphan(cloud: Cloud, args: Facts) -> Plan:
    """Drop the one table of `tables` knowing what it holds: its name has to be typed, and a reason given."""
    names = names_of(args.get("tables"))
    if len(names) != 1:
        raise BadInput("An orphan is dropped one at a time.", "Choose one table.")
    proofs = read_proofs(cloud, names)
    proof = proofs.proofs[0]
    title = f"Drop {names[0]} ({_unmerged(proofs)})"
    lost = (
        () if proof.merged else (f"This table {proof.sentence}. They will be nowhere else once the undo has run out.",)
    )
    guards = [Guard("table", proof.exists, f"{names[0]} is {'there' if proof.exists else 'not there any more'}.")]
    return _plan(cloud, "staging.drop_orphan", title, proofs, guards, typed=names[0], cautions=lost)


def _plan(
    cloud: Cloud,
    verb: str,
    title: str,
    proofs: Proofs,
    guards: list[Guard],
    typed: str = "",
    cautions: tuple[str, ...] = (),
) -> Plan:
    names = [proof.table for proof in proofs.proofs]
    hours = time_travel_h(cloud)
    return Plan(
        verb=verb,
        target=names[0] if len(names) == 1 else f"{len(names)} staging tables",
        title=title,
        args={"tables": names},
        observed={proof.table: _state(proof) for proof in proofs.proofs},
        changes=tuple(Change(proof.table, f"{_rows(proof)}; {proof.sentence}", "dropped") for proof in proofs.proofs),
        guards=(*guards, *_no_batch_runs(cloud, names), _not_too_many(names)),
        planned_at=cloud.now(),
        undo=f"Bring back, for {hours} hours: BigQuery keeps dropped tables that long.",
        cost=f"The proof billed {proofs.bytes_billed / 2**20:,.0f} MiB and is made once more before the drop; dropping is free.",
        friction=Friction.TYPED if typed else Friction.ONE_CLICK,
        typed=typed,
        cautions=cautions,
        commands=tuple(f"bq rm -f -t {cloud.settings.project}:{DATASET}.{name}" for name in names),
        sources=proofs.sources,
    )


def _state(proof: Proof) -> dict[str, Any]:
    """What the decision to drop a table hangs on."""
    return {
        "rows": proof.rows,
        "not in predictions": proof.absent,
        "differing": proof.differing,
        "content": str(proof.fingerprint),
        "there": proof.exists,
        "etag": proof.etag,
    }


def _proven(proof: Proof) -> Guard:
    ok = None if proof.exists and proof.trouble else proof.merged
    return Guard(proof.table, ok, f"{proof.table}: {proof.sentence}.")


def _no_batch_runs(cloud: Cloud, names: Iterable[str]) -> Iterator[Guard]:
    """A table of a batch that still runs is not left behind, whatever it holds."""
    by_date: dict[Any, set[str]] = {}
    for name in names:
        batch_id, _, game_date = parse_name(name)
        by_date.setdefault(game_date, set()).add(batch_id)
    for game_date, batch_ids in by_date.items():
        if game_date is None:
            continue
        try:
            live = {b.batch_id for b in read_batches(cloud, game_date).batches if b.state in LIVE} & batch_ids
        except OnCallError as error:
            yield Guard("no batch runs", None, f"Whether a batch of {game_date} runs is not known: {error.sentence}")
            continue
        says = f"{', '.join(sorted(live))} still runs." if live else f"No batch of {game_date} with these tables runs."
        yield Guard("no batch runs", not live, says)


def _not_too_many(names: list[str]) -> Guard:
    return Guard("size", len(names) <= MOST_AT_ONCE, f"{len(names)} of at most {MOST_AT_ONCE} tables in one action.")


def _drop(deed: Deed) -> Facts:
    """Drop table by table, each looked at once more; one that changed meanwhile is kept."""
    cloud, names, kept = deed.cloud, deed.plan.args["tables"], []
    deed.note(f"Dropping {_tables(len(names))}.", dropped_from_ms=_server_ms(cloud))
    for name in names:
        about = describe(cloud, [name])[name]
        if about is None or about.etag != deed.plan.observed[name]["etag"]:
            kept.append(name)
            continue
        with reading_from(f"BigQuery ({name})"):
            cloud.bigquery.delete_table(f"{DATASET}.{name}", not_found_ok=True, timeout=cloud.settings.query_timeout_s)
    return {"kept because they changed": kept} if kept else {}


def _verify_drop(cloud: Cloud, plan: Plan, found: Facts) -> Verdict:
    there = {name for name, about in describe(cloud, plan.args["tables"]).items() if about is not None}
    gone = len(plan.args["tables"]) - len(there)
    after = {"dropped": gone, "still there": sorted(there)}
    if not there:
        return Verdict(State.DONE, f"{_tables(gone)} dropped; none of them is listed any more.", after)
    changed = " They changed meanwhile." if found.get("kept because they changed") else ""
    return Verdict(State.FAILED, f"{gone} dropped, still there: {', '.join(sorted(there))}.{changed}", after)


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
        title=f"Bring back {_tables(len(back))}",
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
    after = {proof.table: _state(proof) for proof in read_proofs(cloud, names).proofs}
    same = [n for n in names if all(after[n][k] == before.get(n, {}).get(k) for k in ("rows", "content", "there"))]
    if len(same) == len(names):
        return Verdict(State.DONE, f"{_tables(len(same))} brought back, each row as it was.", after)
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


def _server_ms(cloud: Cloud) -> int:
    """An instant of BigQuery's own clock, after the proof and before the drop: our clock may run ahead of it."""
    job = cloud.bigquery.get_job(catalog.run(cloud, "actions.nothing").source.detail, timeout=20)
    return int(job.ended.timestamp() * 1000)


def _rows(proof: Proof) -> str:
    return "rows not known" if proof.rows is None else f"{proof.rows} rows"


def _tables(count: int) -> str:
    return f"{count} staging table{'' if count == 1 else 's'}"


def _unmerged(proofs: Proofs) -> str:
    unknown = sum(proof.unmerged is None for proof in proofs.proofs)
    if unknown:
        return f"{unknown} not proven"
    return f"{sum(proof.unmerged or 0 for proof in proofs.proofs)} unmerged rows"


DROP_MERGED = Verb("staging.drop_merged", "Drop merged tables", plan_drop_merged, _drop, _verify_drop)
DROP_ORPHAN = Verb("staging.drop_orphan", "Drop an orphan", plan_drop_orphan, _drop, _verify_drop)
UNDO_DROP = Verb("staging.undo_drop", "Bring back", plan_undo_drop, _bring_back, _verify_back)
