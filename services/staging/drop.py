"""Staging repair: drop what is proven to be merged, or an orphan knowing what it holds; either can be brought back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from services.actions.log_reader import State
from services.actions.plan import Change, Friction, Guard, Plan
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.batches.ids import DATASET, parse_name
from services.batches.reader import read_batches
from services.batches.state import LIVE
from services.core.errors import BadInput, OnCallError
from services.core.text import many
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from
from services.staging.merge_proof import Proof, Proofs, describe, names_of, read_proofs, state_of
from services.staging.restore_dropped import time_travel_h

MOST_AT_ONCE = 500  # tables one action may touch; more are cleared in several


def plan_drop_merged(cloud: Cloud, args: Facts) -> Plan:
    """Drop `tables`, each of them only on proof that every row of it is in the predictions table."""
    proofs = read_proofs(cloud, names_of(args.get("tables")))
    title = f"Drop {many(len(proofs.proofs), 'staging table')} ({_unmerged(proofs)})"
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
        target=names[0] if len(names) == 1 else many(len(names), "staging table"),
        title=title,
        args={"tables": names},
        observed={proof.table: state_of(proof) for proof in proofs.proofs},
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
    deed.note(f"Dropping {many(len(names), 'staging table')}.", dropped_from_ms=_server_ms(cloud))
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
        return Verdict(State.DONE, f"{many(gone, 'staging table')} dropped; none of them is listed any more.", after)
    changed = " They changed meanwhile." if found.get("kept because they changed") else ""
    return Verdict(State.FAILED, f"{gone} dropped, still there: {', '.join(sorted(there))}.{changed}", after)


def _server_ms(cloud: Cloud) -> int:
    """An instant of BigQuery's own clock, after the proof and before the drop: our clock may run ahead of it."""
    job = cloud.bigquery.get_job(catalog.run(cloud, "actions.nothing").source.detail, timeout=20)
    return int(job.ended.timestamp() * 1000)


def _rows(proof: Proof) -> str:
    return "rows not known" if proof.rows is None else f"{proof.rows} rows"


def _unmerged(proofs: Proofs) -> str:
    unknown = sum(proof.unmerged is None for proof in proofs.proofs)
    if unknown:
        return f"{unknown} not proven"
    return f"{sum(proof.unmerged or 0 for proof in proofs.proofs)} unmerged rows"


DROP_MERGED = Verb("staging.drop_merged", "Drop merged tables", plan_drop_merged, _drop, _verify_drop)
DROP_ORPHAN = Verb("staging.drop_orphan", "Drop an orphan", plan_drop_orphan, _drop, _verify_drop)
