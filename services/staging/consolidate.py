"""Consolidate a leftover batch now: its staging tables into the predictions table by one MERGE, under the date's lease."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import date

from services.actions.log_reader import State
from services.actions.plan import Change, Guard, Plan, Share
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.batches.ids import DATASET, STAGING, date_of, is_unit_table
from services.batches.reader import read_batches
from services.batches.state import LIVE
from services.core.errors import BadInput
from services.core.text import many
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from
from services.nights.player_stages import read_night
from services.pipeline.consolidator import Consolidator
from services.pipeline.warehouse import BigQueryDoor
from services.staging.merge_proof import Proof, read_proofs, state_of


def plan_consolidate(cloud: Cloud, args: Facts) -> Plan:
    """Merge what the staging tables of `batch_id` hold; raises BadInput when there is no such table."""
    batch_id = str(args.get("batch_id") or "")
    try:
        game_date = date_of(batch_id)
    except ValueError:
        raise BadInput(f"{batch_id!r} is not a batch.", "Choose one on the staging page.") from None
    names = tables_of(cloud, batch_id)
    if not names:
        raise BadInput(
            f"{batch_id} has no staging table, so there is nothing to consolidate.", "Look at the list anew."
        )
    found = read_proofs(cloud, names)
    proofs = found.proofs
    rows, absent, differing = (
        sum(n or 0 for n in column) for column in zip(*((p.rows, p.absent, p.differing) for p in proofs), strict=True)
    )
    return Plan(
        verb="staging.consolidate",
        target=batch_id,
        title=f"Consolidate {batch_id}: {rows:,} rows of {many(len(names), 'staging table')}",
        args={"batch_id": batch_id},
        observed={proof.table: state_of(proof) for proof in proofs},
        changes=(
            Change("rows added", "", f"{absent:,} whose key is not in the predictions table"),
            Change("rows updated", "", f"{differing:,} whose key is there with other values"),
            Change("rows unchanged", "", f"{rows - absent - differing:,}"),
            Change("staging tables", f"{len(names)}", "dropped, after each row is proven to be in the table"),
        ),
        guards=tuple(_guards(cloud, batch_id, game_date, proofs)),
        planned_at=cloud.now(),
        undo="Not by a button. The predictions table can be read as it was for a week.",
        cost=f"One MERGE; the plan billed {found.bytes_billed / 2**20:,.0f} MiB.",
        commands=(
            f"curl -X POST $COORDINATOR_URL/resume -H 'Content-Type: application/json' -d '{{\"batch_id\": \"{batch_id}\"}}'",
        ),
        coverage=_share(cloud, game_date),
        sources=found.sources,
    )


def tables_of(cloud: Cloud, batch_id: str) -> list[str]:
    """The names of a batch's staging tables that are there now."""
    with reading_from("BigQuery tables.list"):
        listed = [item.table_id for item in cloud.bigquery.list_tables(DATASET, page_size=1000, timeout=20)]
    return sorted(name for name in listed if name.startswith(STAGING) and is_unit_table(name, batch_id))


def _guards(cloud: Cloud, batch_id: str, game_date: date, proofs: tuple[Proof, ...]) -> Iterator[Guard]:
    unread = [proof for proof in proofs if proof.trouble]
    yield Guard(
        "tables readable",
        None if unread else True,
        unread[0].sentence if unread else f"All {len(proofs)} tables can be read.",
    )
    live = next((b for b in read_batches(cloud, game_date).batches if b.state in LIVE), None)
    yield Guard(
        "no batch runs", live is None, f"{live.batch_id} is {live.state}." if live else f"No batch of {game_date} runs."
    )
    holds = any(proof.rows for proof in proofs)
    yield Guard(
        "rows", holds, f"The tables of {batch_id} hold {'rows' if holds else 'no rows: there is nothing to merge'}."
    )


def _consolidate(deed: Deed) -> Facts:
    holder = f"desk-{socket.gethostname()}-{os.getpid()}"
    batch_id = deed.plan.args["batch_id"]
    with reading_from("BigQuery"):
        done = Consolidator(BigQueryDoor(deed.cloud), holder).consolidate(batch_id, date_of(batch_id))
    return {
        "staged rows": done.staged_rows,
        "inserted": done.inserted,
        "updated": done.updated,
        "unchanged": done.unchanged,
        "deactivated": done.deactivated,
        "merge job": done.merge_job_id,
    }


def _verify(cloud: Cloud, plan: Plan, found: Facts) -> Verdict:
    """Done when no table is left; what is left is told with what it holds."""
    share = _share(cloud, date_of(plan.target))
    left = tables_of(cloud, plan.target)
    coverage = f"{share.active} of {share.eligible} eligible players are active" if share else "nobody is eligible"
    if not left:
        sums = (
            f"{found['inserted']} rows added, {found['updated']} updated, {found['unchanged']} unchanged; "
            if "inserted" in found
            else ""
        )
        return Verdict(State.DONE, f"{sums}no staging table of the batch is left; {coverage}.", {"left": []}, share)
    proofs = read_proofs(cloud, left).proofs
    held = [proof for proof in proofs if not proof.merged]
    if not held:
        return Verdict(
            State.DONE,
            f"Every row is in the predictions table; {many(len(left), 'staging table')} can be dropped; {coverage}.",
            {"left": left},
            share,
        )
    return Verdict(
        State.FAILED,
        f"{many(len(held), 'staging table')} still hold rows of their own, the first {held[0].sentence}; {coverage}.",
        {"left": left},
        share,
    )


def _share(cloud: Cloud, game_date: date) -> Share | None:
    eligible = [player for player in read_night(cloud, game_date).players if player.eligible]
    return Share(sum(bool(p.active_rows) for p in eligible), len(eligible)) if eligible else None


CONSOLIDATE = Verb("staging.consolidate", "Consolidate now", plan_consolidate, _consolidate, _verify)
