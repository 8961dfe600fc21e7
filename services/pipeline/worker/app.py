"""The worker: POST /predict makes a unit's predictions and stages them; "staged" means verified in staging, nothing less.

Run as `python -m services.pipeline.worker`; PORT sets the port.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from requests import RequestException
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.auth.request_guard import RequestGuard
from services.batches.ids import work_unit_id
from services.core.errors import InvalidInput, OnCallError
from services.gcp.clients import Clients
from services.gcp.retry import RetryPolicy, is_transient
from services.pipeline.row_encoding import PredictionRow, SchemaMismatch
from services.pipeline.warehouse import BigQueryWarehouse, JobFailed, StagingNotVerified
from services.pipeline.worker.predictor import BaselinePredictor, PredictionNotPossible, PredictionRequest, Predictor
from services.pipeline.worker.request_body import PredictBody
from services.pipeline.worker.staging_writer import EncodedRow, StagingWriter
from services.policy.concurrency_config import SelfHealingConfig

logger = logging.getLogger("predictions.worker.worker")


# What goes wrong at the warehouse or on the way to it; anything else is an error of this program.
_WRITE_ERRORS = (OnCallError, GoogleAPIError, GoogleAuthError, RequestException, ConnectionError, TimeoutError)


@dataclass(frozen=True)
class PlayerAnswer:
    """One player of a unit: `outcome` is staged, not generated, write rejected or internal error; staged in `table` by `job_id`."""

    player_lookup: str
    outcome: str
    reason: str = ""
    message: str = ""
    produced_rows: int = 0
    staged_rows: int = 0
    table: str = ""
    job_id: str = ""


class Worker:
    """The worker of one process: a predictor and a staging writer."""

    def __init__(self, clients: Clients, predictor: Predictor, writer: StagingWriter) -> None:
        self._clients, self._predictor, self._writer = clients, predictor, writer

    def predict(self, payload: object) -> tuple[int, dict[str, Any]]:
        """(HTTP status, response body): one answer per player of the unit, with its table.

        200 each is staged or not generated · 400 bad request · 422 a write was rejected · 500 the unit may be delivered again.
        """
        try:
            body = PredictBody.parse(payload)
        except InvalidInput as error:
            return 400, {"error": error.message}
        try:
            return self._answer(body)
        except Exception as error:
            logger.exception("INTERNAL ERROR for %s (batch=%s)", ", ".join(body.player_lookups), body.batch_id)
            reason, message = type(error).__name__, str(error)
            answers = [PlayerAnswer(name, "internal error", reason, message) for name in body.player_lookups]
            return _respond(answers, may_be_retried=True)

    def _answer(self, body: PredictBody) -> tuple[int, dict[str, Any]]:
        generated: dict[str, Sequence[PredictionRow]] = {}
        answers = []
        for request in body.to_prediction_requests():
            try:
                generated[request.player_lookup] = self._generate(request, body.batch_id)
            except PredictionNotPossible as reason:
                answers.append(PlayerAnswer(request.player_lookup, "not generated", str(reason)))
        if not generated:
            return _respond(answers)
        return self._stage(body, generated, answers)

    def _generate(self, request: PredictionRequest, batch_id: str) -> Sequence[PredictionRow]:
        """The rows of one player; raises PredictionNotPossible with the cause, whatever the predictor did."""
        player_lookup = request.player_lookup
        try:
            rows = list(self._predictor.predict(request, self._clients.now()))
            if not rows:
                raise PredictionNotPossible("no_rows: the predictor made no rows")
            if any((r["player_lookup"], str(r["game_date"])) != (player_lookup, str(request.game_date)) for r in rows):
                raise PredictionNotPossible("foreign_rows: the predictor made rows of another player or date")
        except Exception as error:
            is_expected = isinstance(error, PredictionNotPossible)
            reason = str(error) if is_expected else f"predictor_error: {type(error).__name__}: {error}"
            logger.warning(
                "PERMANENT failure for %s on %s - acknowledging. Reason: %s (batch=%s)",
                player_lookup,
                request.game_date,
                reason,
                batch_id,
                exc_info=not is_expected,
            )
            raise PredictionNotPossible(reason) from error
        logger.info("Successfully generated %d predictions for %s (batch=%s)", len(rows), player_lookup, batch_id)
        return rows

    def _stage(
        self, body: PredictBody, generated: Mapping[str, Sequence[PredictionRow]], answers: list[PlayerAnswer]
    ) -> tuple[int, dict[str, Any]]:
        """Stage the players whose rows fit the table, together; `answers` are those of the other players."""
        try:
            encoded = self._encode(body.batch_id, generated, answers)
        except _WRITE_ERRORS as error:
            answered = {answer.player_lookup for answer in answers}
            pending = {name: rows for name, rows in generated.items() if name not in answered}
            answers += _reject_all(body.batch_id, pending, error)
            return _respond(answers, may_be_retried=is_transient(error))
        if not encoded:
            return _respond(answers)
        staged, may_be_retried = self._load(body.batch_id, body.player_lookups, encoded)
        return _respond([*answers, *staged], may_be_retried)

    def _load(
        self, batch_id: str, players: Sequence[str], encoded: Mapping[str, Sequence[EncodedRow]]
    ) -> tuple[list[PlayerAnswer], bool]:
        """Load the rows into the table of `players`: an answer for each, and whether the unit may be delivered again.

        BigQuery loads all rows of a job or none, so a job that it refuses for its content is repeated player by player.
        """
        started_at, unit = time.monotonic(), work_unit_id(*players)
        try:
            result = self._writer.stage(batch_id, unit, [row for rows in encoded.values() for row in rows])
        except _WRITE_ERRORS as error:
            if isinstance(error, JobFailed) and len(encoded) > 1 and not is_transient(error):
                loads = [self._load(batch_id, (name,), {name: rows}) for name, rows in encoded.items()]
                return [answer for answers, _ in loads for answer in answers], any(again for _, again in loads)
            again = is_transient(error) or isinstance(error, StagingNotVerified)
            return _reject_all(batch_id, encoded, error), again
        logger.info(
            "Staging write complete: %d rows to %s in %dms (batch=%s, worker=%s)",
            result.verified_rows,
            result.table,
            1000 * (time.monotonic() - started_at),
            batch_id,
            unit,
        )
        counts = ((name, len(rows)) for name, rows in encoded.items())
        return [PlayerAnswer(name, "staged", "", "", n, n, result.table, result.job_id) for name, n in counts], False

    def _encode(
        self, batch_id: str, generated: Mapping[str, Sequence[PredictionRow]], answers: list[PlayerAnswer]
    ) -> dict[str, Sequence[EncodedRow]]:
        """The rows of each player whose rows fit the table; answers for the others."""
        encoded = {}
        for name, rows in generated.items():
            try:
                encoded[name] = self._writer.encode(rows)
            except SchemaMismatch as error:
                logger.critical("SCHEMA MISMATCH: %s (player=%s, batch=%s)", error, name, batch_id)
                answers.append(_reject(name, "schema", error, rows))
        return encoded


def _reject(player_lookup: str, reason: str, error: Exception, rows: Sequence[object]) -> PlayerAnswer:
    return PlayerAnswer(player_lookup, "write rejected", reason, str(error), len(rows))


def _reject_all(batch_id: str, rows_by_player: Mapping[str, Sequence[object]], error: Exception) -> list[PlayerAnswer]:
    for name in rows_by_player:
        logger.error("STAGING WRITE FAILED for %s: %s (batch=%s)", name, error, batch_id)
    return [_reject(name, type(error).__name__, error, rows) for name, rows in rows_by_player.items()]


def _respond(answers: Sequence[PlayerAnswer], may_be_retried: bool = False) -> tuple[int, dict[str, Any]]:
    rejected = any(answer.outcome == "write rejected" for answer in answers)
    body = {"players": [asdict(answer) for answer in answers]}
    return 500 if may_be_retried else 422 if rejected else 200, body


def create_app(worker: Worker, local: bool = True) -> Starlette:
    """The worker's routes; with `local` they answer to this machine's host names only."""

    async def predict(request: Request) -> Response:
        try:
            body = await request.json()
        except (ValueError, RecursionError):  # the second: nested too deep
            return JSONResponse({"error": "The body is not JSON."}, 400)
        status, payload = await run_in_threadpool(worker.predict, body)
        return JSONResponse(payload, status)

    async def health(_: Request) -> Response:
        return JSONResponse({"service": "prediction-worker", "status": "healthy"})

    routes = [Route("/predict", predict, methods=["POST"])]
    routes += [Route(path, health) for path in ("/", "/health", "/ready")]
    return Starlette(routes=routes, middleware=[Middleware(RequestGuard, local=local)])


def build_worker(clients: Clients) -> Worker:
    healing = SelfHealingConfig.from_env()
    retries = healing.dml_max_retries if healing.dml_backoff_enabled else 0
    return Worker(clients, BaselinePredictor(), StagingWriter(BigQueryWarehouse(clients), RetryPolicy(retries=retries)))
