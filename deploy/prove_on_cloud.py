"""What only the real cloud can show, shown once: job ids, copy-then-MERGE, etags, the service-level maximum, the delay of logs.

    .venv/bin/python -m deploy.prove_on_cloud --service prediction-on-call-worker           says what it would do
    .venv/bin/python -m deploy.prove_on_cloud --service prediction-on-call-worker --do      does it, and reports

It works in tables of its own (they expire within the hour) and on the one service that is named, which is left as it was found.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from google.api_core import exceptions as google
from google.cloud import bigquery, run_v2

from services.core.errors import OnCallError
from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.gcp.query_catalog import table_id

WAIT_S, LOOK_AGAIN_S = 300.0, 2.0
SCHEMA = [bigquery.SchemaField("game_date", "DATE"), bigquery.SchemaField("player", "STRING")]
NOTE = "on-call/proof"


@dataclass(frozen=True)
class Place:
    """Where the proofs are made: a dataset, a service, and a name nobody else has."""

    cloud: Cloud
    dataset: str
    service: str
    mark: str

    def table(self, name: str) -> str:
        return f"{self.cloud.settings.project}.{self.dataset}.{name}_{self.mark}"


@dataclass(frozen=True)
class Seen:
    """What one proof showed: whether it is as the desk relies on it, and what was seen."""

    ok: bool
    sentence: str


def job_ids_are_given_once(place: Place) -> Seen:
    """A second job with the same id is refused: two clicks, one effect."""
    job_id = f"on-call-proof-{place.mark}"
    place.cloud.bigquery.query("SELECT 1", job_id=job_id, job_retry=None).result(timeout=60)
    try:
        again = bigquery.QueryJob(job_id, "SELECT 2", place.cloud.bigquery)
        again._begin(retry=None)
    except google.Conflict as error:
        return Seen(True, f"refused with {error.code}: {_first_line(error)}")
    return Seen(False, "a second job was accepted under the same id")


def copies_then_one_merge_lose_nothing(place: Place) -> Seen:
    """Many staging tables, one copy job, one MERGE: as many rows as were staged, and none the second time."""
    warehouse = place.cloud.bigquery
    rows = [[{"game_date": "2026-01-01", "player": f"{part}-{n}"} for n in range(25)] for part in "ab"]
    sources = [_table(place, f"staging_{part}") for part in "ab"]
    for source, part in zip(sources, rows, strict=True):
        config = bigquery.LoadJobConfig(schema=SCHEMA, write_disposition="WRITE_APPEND")
        warehouse.load_table_from_json(part, source, job_config=config).result(timeout=120)
    batch, target = _table(place, "batch"), _table(place, "target", partitioned=True)
    warehouse.copy_table(sources, batch, job_config=bigquery.CopyJobConfig(write_disposition="WRITE_APPEND")).result(
        timeout=120
    )
    copied = warehouse.get_table(batch).num_rows
    first, second = _merge(place, batch, target), _merge(place, batch, target)
    seen = f"50 rows staged, {copied} copied, {first} merged, {second} merged the second time"
    return Seen((copied, first, second) == (50, 50, 0), seen)


def _table(place: Place, name: str, partitioned: bool = False) -> str:
    table = bigquery.Table(place.table(name), SCHEMA)
    if partitioned:
        table.time_partitioning = bigquery.TimePartitioning(field="game_date")
    table.expires = place.cloud.now() + timedelta(hours=1)
    place.cloud.bigquery.create_table(table)
    return place.table(name)


def _merge(place: Place, source: str, target: str) -> int:
    sql = (
        f"MERGE {table_id(target)} AS T USING {table_id(source)} AS S"  # noqa: S608 - both names are checked
        " ON T.game_date = S.game_date AND T.player = S.player AND T.game_date = DATE '2026-01-01'"
        " WHEN NOT MATCHED THEN INSERT (game_date, player) VALUES (game_date, player)"
    )
    job = place.cloud.bigquery.query(sql, job_retry=None)
    job.result(timeout=120)
    return int(job.num_dml_affected_rows or 0)


def a_stale_etag_is_refused(place: Place) -> Seen:
    """Somebody else's change in between is noticed: the second of two changes with one etag is refused."""
    before = _service(place)
    _change(place, before.etag, ["annotations"], note=place.mark)
    try:
        _change(place, before.etag, ["annotations"], note="stale")
    except google.GoogleAPICallError as error:
        return Seen(True, f"refused with {error.code} {type(error).__name__}: {_first_line(error)}")
    finally:
        _change(place, "", ["annotations"])
    return Seen(False, "a change with an old etag was accepted")


def the_service_maximum_needs_no_new_revision(place: Place) -> Seen:
    """The emergency's first step is at once: a service-level maximum takes effect without a roll-out."""
    before = _service(place)
    known = before.scaling.max_instance_count
    began = time.monotonic()
    try:
        after = _change(place, before.etag, ["scaling.max_instance_count"], maximum=(known or 20) + 1)
        took = time.monotonic() - began
        same = after.latest_created_revision == before.latest_created_revision
        told = f"{known or 'not set'} → {after.scaling.max_instance_count} in {took:.1f} s"
    finally:
        _change(place, "", ["scaling.max_instance_count"], maximum=known)
    return Seen(same, f"{told}, {'no new revision' if same else 'a new revision was made'}")


def _service(place: Place) -> run_v2.Service:
    return place.cloud.run.get_service(name=place.cloud.service_name(place.service), timeout=30)


def _change(place: Place, etag: str, masks: list[str], note: str = "", maximum: int | None = None) -> run_v2.Service:
    service = _service(place)
    service.etag = etag or service.etag
    service.annotations = {
        **{k: v for k, v in service.annotations.items() if k != NOTE},
        **({NOTE: note} if note else {}),
    }
    if maximum is not None:
        service.scaling.max_instance_count = maximum
    request = run_v2.UpdateServiceRequest(service=service, update_mask={"paths": masks})
    return place.cloud.run.update_service(request=request, timeout=60).result(timeout=120)


def a_log_line_can_be_read_soon(place: Place) -> Seen:
    """How long a line is on its way: the watchdog cannot be quicker than this."""
    logger = place.cloud.logging.logger("on-call-proof")
    began = time.monotonic()
    logger.log_text(f"on-call proof {place.mark}", severity="INFO")
    since = place.cloud.now() - timedelta(minutes=5)
    told = f'"{place.mark}" AND timestamp>="{since:%Y-%m-%dT%H:%M:%SZ}"'
    while time.monotonic() - began < WAIT_S:
        if list(islice(place.cloud.logging.list_entries(filter_=told, page_size=1), 1)):
            return Seen(True, f"readable {time.monotonic() - began:.1f} s after it was written")
        time.sleep(LOOK_AGAIN_S)
    return Seen(False, f"not readable within {WAIT_S:g} s")


Proof = Callable[[Place], Seen]
PROOFS: tuple[Proof, ...] = (
    job_ids_are_given_once,
    copies_then_one_merge_lose_nothing,
    a_stale_etag_is_refused,
    the_service_maximum_needs_no_new_revision,
    a_log_line_can_be_read_soon,
)


def report(place: Place) -> Iterator[tuple[bool, str]]:
    """Every proof made; one that fails for a reason of its own is told and the next is made."""
    for proof in PROOFS:
        name = proof.__name__.replace("_", " ")
        try:
            seen = proof(place)
        except (google.GoogleAPIError, OnCallError) as error:
            seen = Seen(False, f"could not be shown: {_first_line(error)}")
        yield seen.ok, f"{'as relied on' if seen.ok else 'NOT AS RELIED ON'}  {name}: {seen.sentence}"


def would_do(place: Place) -> list[str]:
    project = place.cloud.settings.project
    return [
        f"# in project {project}, dataset {place.dataset} (made where it is missing), service {place.service}:",
        *(f"{proof.__name__.replace('_', ' ')}: {(proof.__doc__ or '').strip()}" for proof in PROOFS),
        "# Nothing was done. Run it with --do. Afterwards:",
        f"bq rm -r -f --dataset {project}:{place.dataset}",
    ]


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "message", "") or error).splitlines()[0][:200]


def main(told: list[str] | None = None) -> int:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--service", required=True, help="a Cloud Run service that may be touched: not the live worker")
    asked.add_argument("--dataset", default="on_call_proof", help="where the tables are made")
    asked.add_argument("--do", action="store_true", help="do it; without it, only say what would be done")
    args = asked.parse_args(told)
    cloud = connect(Settings.from_env())
    if args.service in (cloud.settings.worker_service, cloud.settings.coordinator_service):
        print(
            f"{args.service} is what the desk watches: name a service of your own, such as prediction-on-call-worker."
        )
        return 2
    place = Place(cloud, args.dataset, args.service, uuid.uuid4().hex[:12])
    if not args.do:
        print("\n".join(would_do(place)))
        return 0
    cloud.bigquery.create_dataset(args.dataset, exists_ok=True)
    results = list(report(place))
    print("\n".join(line for _, line in results))
    return 0 if all(ok for ok, _ in results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OnCallError as error:
        sys.exit(str(error))
