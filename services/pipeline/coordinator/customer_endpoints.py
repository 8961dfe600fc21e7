"""The other endpoints that the customer's schedulers and operators call: answered as documented, and nothing is deleted.

What this coordinator does not do is refused with the sentence that says what does it here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from services.batches.reader import Batch, read_batches
from services.batches.staging_listing import list_staging_tables, read_original_created
from services.batches.state import IN_PROGRESS_STATES, BatchState
from services.core.clock import eastern_day
from services.core.errors import InvalidInput, OnCallError
from services.gcp import query_catalog
from services.gcp.clients import Clients

ApiResponse = tuple[int, dict[str, Any]]  # HTTP status and JSON body
_WATCHED_STATES = {*IN_PROGRESS_STATES, BatchState.STALLED}

NOT_SUPPORTED = {  # path → what to use instead
    "/reset": 'A batch is not reset here: POST /resume {"batch_id": …} continues it, /start with "force": true runs again.',
    "/regenerate-with-supersede": 'POST /start {"game_date": …, "force": true} runs a date again; the newest row wins.',
    "/regenerate-pubsub": 'POST /start {"game_date": …, "force": true} runs a date again; nothing was regenerated.',
    "/check-lines": 'Lines are read at each run: POST /start {"game_date": …, "force": true}.',
    "/line-update": 'Lines are read at each run: POST /start {"game_date": …, "force": true, "players": […]}.',
    "/morning-summary": "The dashboard's handoff note has this summary; the watchdog reports to Slack what is wrong.",
    "/check-signal": "This coordinator computes no betting signal; the dashboard's coverage page has the figures.",
    "/instances": "Every instance reads the same ledger; GET /status?batch_id= asks for a batch.",
    "/instances/cleanup": "There is nothing to clean up: every instance reads the same ledger.",
}


def _parse_day(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # their schedulers may send more


BodyT = TypeVar("BodyT", bound=_Body)


class _StalledBody(_Body):
    batch_id: str | None = None


class _StagingBody(_Body):
    max_age_hours: float = Field(default=24, ge=0)


class _DuplicatesBody(_Body):
    game_date: Annotated[Literal["TODAY", "YESTERDAY"] | date, BeforeValidator(_parse_day)] = "TODAY"


class _CompletionMessage(_Body):
    data: str


class _Completion(_Body):
    message: _CompletionMessage


def deep_health(clients: Clients, _: object) -> ApiResponse:
    """Whether the ledger and the predictions' dataset can be read now; 503 with the reason otherwise."""
    checks: dict[str, Callable[[], object]] = {
        "ledger": lambda: query_catalog.run_query(
            clients, "batches.states_by_date", game_date=eastern_day(clients.now())
        ),
        "staging tables": lambda: list_staging_tables(clients),
    }
    results = {name: _try_check(check) for name, check in checks.items()}
    healthy = all(text == "ok" for text in results.values())
    return 200 if healthy else 503, {"status": "healthy" if healthy else "unhealthy", "checks": results}


def _try_check(check: Callable[[], object]) -> str:
    try:
        check()
    except OnCallError as error:
        return str(error)
    return "ok"


def check_stalled(clients: Clients, body: object) -> ApiResponse:
    """The batches in progress of yesterday, today and tomorrow, or one by its id; none is completed here."""
    batch_id = _parse(_StalledBody, body).batch_id
    today = eastern_day(clients.now())
    batches = [b for n in (-1, 0, 1) for b in read_batches(clients, today + timedelta(days=n)).batches]
    watched = [b for b in batches if (b.batch_id == batch_id if batch_id else b.state in _WATCHED_STATES)]
    return 200, {
        "status": "checked",
        "batches_checked": len(watched),
        "batches_completed": 0,
        "results": list(map(_to_stall_result, watched)),
        "message": "A stalled batch is not completed here: POST /resume requests the rest of it.",
    }


def _to_stall_result(batch: Batch) -> dict[str, Any]:
    stalled = batch.state is BatchState.STALLED
    return {
        "batch_id": batch.batch_id,
        "was_stalled": stalled,
        "progress": {"expected": batch.requested, "completed": batch.generated, "state": batch.state.value},
        "action": "POST /resume" if stalled else "none",
    }


def cleanup_staging(clients: Clients, body: object) -> ApiResponse:
    """How many staging tables are older than `max_age_hours`; none is dropped, whatever `dry_run` says."""
    age = timedelta(hours=_parse(_StagingBody, body).max_age_hours)
    created = [read_original_created(table) for table in list_staging_tables(clients)]
    old = [at for at in created if at is not None and clients.now() - at > age]
    return 200, {
        "tables_found": len(old),
        "tables_deleted": 0,
        "tables_skipped": len(old),
        "errors": [],
        "message": "No table is dropped by age: the dashboard's staging page drops those proven to be merged.",
    }


def cleanup_duplicates(clients: Clients, body: object) -> ApiResponse:
    """How many keys of a date have several active rows; none is deactivated here."""
    wanted, today = _parse(_DuplicatesBody, body).game_date, eastern_day(clients.now())
    game_date = wanted if isinstance(wanted, date) else today - timedelta(days=wanted == "YESTERDAY")
    result = query_catalog.run_query(clients, "alerts.duplicate_keys", first_date=game_date, last_date=game_date)
    count = sum(row["duplicate_keys"] for row in result.rows)
    return 200, {
        "game_date": str(game_date),
        "duplicates_found": count,
        "duplicates_deactivated": 0,
        "message": "Duplicates are not deactivated here: the dashboard removes them (Alerts, Remove duplicates); the newest row stays.",
    }


def complete(_: Clients, body: object) -> ApiResponse:
    """A worker's completion message: acknowledged, so that Pub/Sub does not repeat it, and not needed."""
    _parse(_Completion, body)
    return 200, {
        "status": "ignored",
        "message": "Workers answer this coordinator directly; a completion message changes nothing.",
    }


def _parse(model: type[BodyT], body: object) -> BodyT:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if isinstance(part, str)) or "The body"
        raise InvalidInput(f"{field}: {first['msg']}.", "Nothing was changed.") from None
