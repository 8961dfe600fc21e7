"""Verifies what only the real cloud can show: job ids, copy-then-MERGE, pruning, etags, permissions, delays.

    .venv/bin/python -m deploy.verify_cloud_assumptions --service prediction-on-call-worker    prints what it would do
    .venv/bin/python -m deploy.verify_cloud_assumptions --service prediction-on-call-worker --do   does it, and reports

It works in tables of its own, which expire within the hour, and on the one service that is named, which it leaves as it was.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice

from google.api_core import exceptions as google
from google.cloud import bigquery, run_v2

from services.core.clock import to_rfc3339
from services.core.errors import OnCallError
from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.gcp.query_catalog import quote_table_id
from services.scaling.capacity import is_settled
from services.scaling.service_update import wait_until_settled
from services.scaling.traffic import read_traffic, short_name
from services.telemetry.log_pages import read_entries
from services.telemetry.scheduler import ATTEMPT_FINISHED

LOG_TIMEOUT_S, STREAMING_TIMEOUT_S, POLL_INTERVAL_S = 300.0, 300.0, 2.0
OTHER_DATE_ROWS = 20_000
SCHEMA = [bigquery.SchemaField("game_date", "DATE"), bigquery.SchemaField("player", "STRING")]
ANNOTATION = "on-call/proof"
PINNED = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION


@dataclass(frozen=True)
class Target:
    """Where the checks run: a dataset, a service, and a suffix that makes names unique."""

    clients: Clients
    dataset: str
    service: str
    suffix: str

    def table_path(self, name: str) -> str:
        """The table's full name in the target, with this run's suffix."""
        return f"{self.clients.settings.project}.{self.dataset}.{name}_{self.suffix}"


@dataclass(frozen=True)
class Observation:
    """What one check showed: whether the cloud does what this project relies on, and what was observed."""

    ok: bool
    message: str


def check_job_id_uniqueness(target: Target) -> Observation:
    """A second job with the same id is refused: two clicks, one effect."""
    job_id = f"on-call-proof-{target.suffix}"
    target.clients.bigquery.query("SELECT 1", job_id=job_id, job_retry=None).result(timeout=60)
    try:
        duplicate = bigquery.QueryJob(job_id, "SELECT 2", target.clients.bigquery)
        duplicate._begin(retry=None)
    except google.Conflict as error:
        return Observation(True, f"refused with {error.code}: {_get_first_line(error)}")
    return Observation(False, "a second job was accepted under the same id")


def check_copy_then_merge(target: Target) -> Observation:
    """Many staging tables, one copy job, one MERGE: as many rows as were staged, and none the second time."""
    client = target.clients.bigquery
    rows = [[{"game_date": "2026-01-01", "player": f"{part}-{n}"} for n in range(25)] for part in "ab"]
    sources = [_create_table(target, f"staging_{part}") for part in "ab"]
    for source, part in zip(sources, rows, strict=True):
        config = bigquery.LoadJobConfig(schema=SCHEMA, write_disposition="WRITE_APPEND")
        client.load_table_from_json(part, source, job_config=config).result(timeout=120)
    batch_table, target_table = _create_table(target, "batch"), _create_table(target, "target", partitioned=True)
    client.copy_table(sources, batch_table, job_config=bigquery.CopyJobConfig(write_disposition="WRITE_APPEND")).result(
        timeout=120
    )
    copied_rows = client.get_table(batch_table).num_rows
    first_merged, second_merged = _merge(target, batch_table, target_table), _merge(target, batch_table, target_table)
    message = f"50 rows staged, {copied_rows} copied, {first_merged} merged, {second_merged} merged the second time"
    return Observation((copied_rows, first_merged, second_merged) == (50, 50, 0), message)


def _create_table(target: Target, name: str, partitioned: bool = False) -> str:
    table = bigquery.Table(target.table_path(name), SCHEMA)
    if partitioned:
        table.time_partitioning = bigquery.TimePartitioning(field="game_date")
    table.expires = target.clients.now() + timedelta(hours=1)
    target.clients.bigquery.create_table(table)
    return target.table_path(name)


def _merge_sql(source_table: str, target_table: str) -> str:
    return (
        f"MERGE {quote_table_id(target_table)} AS T"  # noqa: S608 - both names are checked
        f" USING (SELECT * FROM {quote_table_id(source_table)} WHERE game_date = DATE '2026-01-01') AS S"
        " ON T.game_date = S.game_date AND T.player = S.player AND T.game_date = DATE '2026-01-01'"
        " WHEN MATCHED AND T.game_date = DATE '2026-01-01' AND T.player <> S.player THEN UPDATE SET player = S.player"
        " WHEN NOT MATCHED THEN INSERT (game_date, player) VALUES (game_date, player)"
    )


def _merge(target: Target, source_table: str, target_table: str) -> int:
    job = target.clients.bigquery.query(_merge_sql(source_table, target_table), job_retry=None)
    job.result(timeout=120)
    return int(job.num_dml_affected_rows or 0)


def check_merge_pruning(target: Target) -> Observation:
    """A MERGE that names the game date reads the rows of that date and not the whole table."""
    client, rows = target.clients.bigquery, [{"game_date": "2026-01-01", "player": "a"}]
    other_date_rows = [{"game_date": "2026-01-02", "player": f"player {n:05}"} for n in range(OTHER_DATE_ROWS)]
    source_table, target_table = _create_table(target, "one_row"), _create_table(target, "two_dates", partitioned=True)
    config = bigquery.LoadJobConfig(schema=SCHEMA, write_disposition="WRITE_APPEND")
    for table, content in ((source_table, rows), (target_table, rows + other_date_rows)):
        client.load_table_from_json(content, table, job_config=config).result(timeout=120)
    table_bytes = client.get_table(target_table).num_bytes
    job = client.query(_merge_sql(source_table, target_table), job_retry=None)
    job.result(timeout=120)
    read_bytes = int(job.total_bytes_processed or 0)
    return Observation(
        0 < read_bytes < table_bytes / 10, f"{read_bytes:,} bytes read, the table has {table_bytes:,} on two dates"
    )


def check_job_of_another_account(target: Target) -> Observation:
    """The acting account reads a job that another one started: the lease of a game date is a chain of such jobs."""
    settings = target.clients.settings
    if not settings.acting_account:
        return Observation(False, "ACTING_ACCOUNT is not set: the account to read it with")
    job = target.clients.bigquery.query("SELECT 1", job_retry=None)
    job.result(timeout=60)
    connect(settings, as_operator=True).bigquery.get_job(job.job_id, location=job.location, timeout=30)
    return Observation(True, f"{settings.acting_account} read {job.job_id}")


def check_streamed_rows_in_lists(target: Target) -> Observation:
    """How long until tabledata.list shows a streamed row; nothing here relies on it being soon."""
    client, table = target.clients.bigquery, _create_table(target, "streamed")
    errors = client.insert_rows_json(table, [{"game_date": "2026-01-01", "player": "x"}])
    if errors:
        return Observation(False, f"the row was refused: {errors[0]}")
    started_at = time.monotonic()
    while time.monotonic() - started_at < STREAMING_TIMEOUT_S:
        if list(client.list_rows(table, max_results=1)):
            return Observation(True, f"listed {time.monotonic() - started_at:.1f} s after insertAll")
        time.sleep(POLL_INTERVAL_S)
    return Observation(True, f"not listed within {STREAMING_TIMEOUT_S:g} s")


def check_stale_etag(target: Target) -> Observation:
    """A concurrent change is noticed: the second of two changes with one etag is refused."""
    before = _get_service(target)
    _update_service(target, before.etag, ["annotations"], annotation=target.suffix)
    try:
        _update_service(target, before.etag, ["annotations"], annotation="stale")
    except google.GoogleAPICallError as error:
        return Observation(True, f"refused with {error.code} {type(error).__name__}: {_get_first_line(error)}")
    finally:
        _update_service(target, "", ["annotations"])
    return Observation(False, "a change with an old etag was accepted")


def check_service_max_instances(target: Target) -> Observation:
    """The emergency's first step takes effect at once: a service-level maximum needs no roll-out."""
    before = _get_service(target)
    previous_max = before.scaling.max_instance_count
    started_at = time.monotonic()
    try:
        after = _update_service(
            target, before.etag, ["scaling.max_instance_count"], max_instances=(previous_max or 20) + 1
        )
        elapsed_s = time.monotonic() - started_at
        same_revision = after.latest_created_revision == before.latest_created_revision
        message = f"{previous_max or 'not set'} → {after.scaling.max_instance_count} in {elapsed_s:.1f} s"
    finally:
        _update_service(target, "", ["scaling.max_instance_count"], max_instances=previous_max)
    return Observation(same_revision, f"{message}, {'no new revision' if same_revision else 'a new revision was made'}")


def _get_service(target: Target) -> run_v2.Service:
    return target.clients.run.get_service(name=target.clients.service_name(target.service), timeout=30)


def _update_service(
    target: Target, etag: str, update_paths: list[str], annotation: str = "", max_instances: int | None = None
) -> run_v2.Service:
    service = _get_service(target)
    service.etag = etag or service.etag
    service.annotations = {
        **{k: v for k, v in service.annotations.items() if k != ANNOTATION},
        **({ANNOTATION: annotation} if annotation else {}),
    }
    if max_instances is not None:
        service.scaling.max_instance_count = max_instances
    return _send_update(target, service, update_paths)


def _send_update(target: Target, service: run_v2.Service, update_paths: list[str]) -> run_v2.Service:
    """The service once it is carried out, by the service itself: operations.get may be refused."""
    request = run_v2.UpdateServiceRequest(service=service, update_mask={"paths": update_paths})
    accepted = target.clients.run.update_service(request=request, timeout=60).metadata
    wait_until_settled(target.clients, target.service, accepted.generation)
    return _get_service(target)


def check_operation_is_readable(target: Target) -> Observation:
    """A change is followed by the service's own generation; operations.get, of the location, is not needed and only reported."""
    service = _get_service(target)
    request = run_v2.UpdateServiceRequest(service=service, update_mask={"paths": ["annotations"]})
    operation = target.clients.run.update_service(request=request, timeout=60)
    wait_until_settled(target.clients, target.service, operation.metadata.generation)
    settled = is_settled(_get_service(target), operation.metadata.generation)
    try:
        operation.done()
    except google.Forbidden as error:
        return Observation(settled, f"settled: {settled}; operations.get is refused: {_get_first_line(error)}")
    return Observation(settled, f"settled: {settled}; operations.get is allowed")


def check_pinned_traffic(target: Target) -> Observation:
    """A new revision gets none of a pinned traffic."""
    before = _get_service(target)
    old_revision = short_name(before.latest_ready_revision)
    pinned = run_v2.TrafficTarget(type_=PINNED, revision=old_revision, percent=100)
    try:
        service = _send_update(target, run_v2.Service(name=before.name, traffic=[pinned]), ["traffic"])
        service.template.max_instance_request_concurrency += 1
        service.template.revision = ""
        after = _send_update(target, service, ["template.max_instance_request_concurrency", "template.revision"])
    finally:
        _send_update(target, run_v2.Service(name=before.name, traffic=before.traffic), ["traffic"])
        _send_update(target, run_v2.Service(name=before.name, template=before.template), ["template"])
    new_revision, serving = short_name(after.latest_ready_revision), read_traffic(after)
    text = f"{new_revision} was made and {serving} serves"
    return Observation(new_revision != old_revision and serving.revisions == (old_revision,), text)


def check_revision_by_acting_account(target: Target) -> Observation:
    """The acting account, with roles on the service alone and artifactregistry.reader, reads revisions and makes one."""
    settings, before = target.clients.settings, _get_service(target)
    if not settings.acting_account:
        return Observation(False, "ACTING_ACCOUNT is not set: the account to make it with")
    acting = replace(target, clients=connect(settings, as_operator=True))
    revision_count = len(list(acting.clients.revisions.list_revisions(parent=before.name, timeout=30)))
    service = run_v2.Service(name=before.name, template=before.template)
    service.template.max_instance_request_concurrency += 1
    service.template.revision = ""
    try:
        after = _send_update(acting, service, ["template.max_instance_request_concurrency", "template.revision"])
    finally:
        _send_update(target, run_v2.Service(name=before.name, template=before.template), ["template"])
    new_revision = short_name(after.latest_ready_revision)
    return Observation(
        new_revision != short_name(before.latest_ready_revision),
        f"{settings.acting_account} read {revision_count} revisions and made {new_revision}",
    )


def check_log_latency(target: Target) -> Observation:
    """How long until a log line can be read: the watchdog cannot be quicker than this."""
    logger = target.clients.logging.logger("on-call-proof")
    started_at = time.monotonic()
    logger.log_text(f"on-call proof {target.suffix}", severity="INFO")
    since = target.clients.now() - timedelta(minutes=5)
    filter_text = f'"{target.suffix}" AND timestamp>="{since:%Y-%m-%dT%H:%M:%SZ}"'
    while time.monotonic() - started_at < LOG_TIMEOUT_S:
        if list(islice(target.clients.logging.list_entries(filter_=filter_text, page_size=1), 1)):
            return Observation(True, f"readable {time.monotonic() - started_at:.1f} s after it was written")
        time.sleep(POLL_INTERVAL_S)
    return Observation(False, f"not readable within {LOG_TIMEOUT_S:g} s")


def check_scheduler_execution_log(target: Target) -> Observation:
    """The end of a scheduled job's attempt is in the log with its status: "Run now" is proved by it."""
    since = target.clients.now() - timedelta(days=7)
    search = f'jsonPayload."@type"="{ATTEMPT_FINISHED}" AND timestamp>="{to_rfc3339(since)}"'
    entries, _ = read_entries(target.clients, search, 1, "timestamp desc")
    for entry in entries:
        status = entry.payload.get("status") if isinstance(entry.payload, Mapping) else None
        job, http_status = (entry.resource.labels or {}).get("job_id"), entry.request.get("status")
        return Observation(bool(status and job), f"{job} ended with {status}, HTTP {http_status}")
    return Observation(False, "no scheduled job has ended an attempt within 7 days")


Check = Callable[[Target], Observation]
CHECKS: tuple[Check, ...] = (
    check_job_id_uniqueness,
    check_copy_then_merge,
    check_merge_pruning,
    check_job_of_another_account,
    check_streamed_rows_in_lists,
    check_stale_etag,
    check_service_max_instances,
    check_operation_is_readable,
    check_pinned_traffic,
    check_revision_by_acting_account,
    check_log_latency,
    check_scheduler_execution_log,
)


def run_checks(target: Target) -> Iterator[tuple[bool, str]]:
    """Runs every check: (ok, line of the report); a check that fails for another reason is reported, and the next one runs."""
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        try:
            observation = check(target)
        except (google.GoogleAPIError, OnCallError) as error:
            observation = Observation(False, f"could not be shown: {_get_first_line(error)}")
        yield (
            observation.ok,
            f"{'as relied on' if observation.ok else 'NOT AS RELIED ON'}  {name}: {observation.message}",
        )


def describe_plan(project: str, dataset: str, service: str) -> list[str]:
    """What a run would create and delete, for a dry run."""
    return [
        f"# in project {project}, dataset {dataset} (made where it is missing), service {service}:",
        *(f"{check.__name__.replace('_', ' ')}: {(check.__doc__ or '').strip()}" for check in CHECKS),
        "# Nothing was done. Run it with --do. Afterwards:",
        f"bq rm -r -f --dataset {project}:{dataset}",
    ]


def _get_first_line(error: BaseException) -> str:
    return str(getattr(error, "message", "") or error).splitlines()[0][:200]


def main(argv: list[str] | None = None) -> int:
    """Run the checks, or print what they would do; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--service", required=True, help="a Cloud Run service that may be touched: not the live worker")
    parser.add_argument("--dataset", default="on_call_proof", help="where the tables are made")
    parser.add_argument("--do", action="store_true", help="do it; without it, only say what would be done")
    args = parser.parse_args(argv)
    settings = Settings.from_env()
    if args.service in (settings.worker_service, settings.coordinator_service):
        print(
            f"{args.service} is what the dashboard watches: name a service of your own, such as prediction-on-call-worker."
        )
        return 2
    if not args.do:
        print("\n".join(describe_plan(settings.project, args.dataset, args.service)))
        return 0
    clients = connect(settings)
    target = Target(clients, args.dataset, args.service, uuid.uuid4().hex[:12])
    clients.bigquery.create_dataset(args.dataset, exists_ok=True)
    results = list(run_checks(target))
    print("\n".join(line for _, line in results))
    return 0 if all(ok for ok, _ in results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OnCallError as error:
        sys.exit(str(error))
