"""The worker: POST /predict makes one player's predictions and stages them; 200 means "verified in staging", nothing less.

Run as `python -m services.pipeline.worker`; PORT sets the port.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

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
from services.pipeline.warehouse import BigQueryWarehouse
from services.pipeline.worker.predictor import BaselinePredictor, PredictionNotPossible, Predictor
from services.pipeline.worker.request_body import PredictBody
from services.pipeline.worker.staging_writer import StagingWriter
from services.policy.concurrency_config import SelfHealingConfig

logger = logging.getLogger("predictions.worker.worker")


class Worker:
    """The worker of one process: a predictor and a staging writer."""

    def __init__(self, clients: Clients, predictor: Predictor, writer: StagingWriter) -> None:
        self._clients, self._predictor, self._writer = clients, predictor, writer

    def predict(self, payload: object) -> tuple[int, dict[str, Any]]:
        """(HTTP status, response body). 200 staged · 204 not possible, do not retry · 400 bad request · 422 rejected · 500 retry."""
        try:
            body = PredictBody.parse(payload)
        except InvalidInput as error:
            return 400, {"error": error.message}
        request = body.to_prediction_request()
        player_lookup = request.player_lookup
        try:
            rows = self._predictor.predict(request, self._clients.now())
        except PredictionNotPossible as reason:
            logger.warning(
                "PERMANENT failure for %s on %s - acknowledging. Reason: %s", player_lookup, request.game_date, reason
            )
            return 204, {"outcome": "not generated", "reason": str(reason)}
        logger.info("Successfully generated %d predictions for %s", len(rows), player_lookup)
        return self._stage(body.batch_id, player_lookup, rows)

    def _stage(self, batch_id: str, player_lookup: str, rows: Sequence[PredictionRow]) -> tuple[int, dict[str, Any]]:
        started_at = time.monotonic()
        unit = work_unit_id(player_lookup)
        try:
            result = self._writer.write(batch_id, unit, rows)
        except SchemaMismatch as error:
            logger.critical("SCHEMA MISMATCH: %s", error)
            return 422, _rejection("schema", error, rows)
        except Exception as error:  # whatever it was, the rows are not verified, and the answer must say so
            logger.error("STAGING WRITE FAILED for %s: %s (batch=%s)", player_lookup, error, batch_id)
            may_be_retried = is_transient(error) or isinstance(error, OnCallError)
            return 500 if may_be_retried else 422, _rejection(type(error).__name__, error, rows)
        logger.info(
            "Staging write complete: %d rows to %s in %dms (batch=%s, worker=%s)",
            result.verified_rows,
            result.table,
            1000 * (time.monotonic() - started_at),
            batch_id,
            unit,
        )
        return 200, {"outcome": "staged", "player_lookup": player_lookup, **asdict(result)}


def _rejection(reason: str, error: Exception, rows: Sequence[PredictionRow]) -> dict[str, Any]:
    return {"outcome": "write rejected", "reason": reason, "message": str(error), "produced_rows": len(rows)}


def create_app(worker: Worker, local: bool = True) -> Starlette:
    """The worker's routes; with `local` they answer to this machine's host names only."""

    async def predict(request: Request) -> Response:
        try:
            body = await request.json()
        except ValueError:
            return JSONResponse({"error": "The body is not JSON."}, 400)
        status, payload = await run_in_threadpool(worker.predict, body)
        if status == 204:
            return Response(status_code=204, headers={"x-reason": payload["reason"][:200]})
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
