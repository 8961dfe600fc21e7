"""The worker: POST /predict makes one player's predictions and stages them; 200 means "verified in staging", nothing less.

Run as `python -m services.pipeline.worker`; PORT says where.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.batches.ids import unit
from services.core.errors import OnCallError
from services.gcp.clients import Cloud
from services.gcp.retry import Policy, may_pass
from services.pipeline.row_encoding import SchemaMismatch
from services.pipeline.warehouse import BigQueryDoor
from services.pipeline.worker.predictor import BaselinePredictor, NotGenerated, Predictor, Request
from services.pipeline.worker.staging_writer import StagingWriter
from services.policy.concurrency_config import SelfHealingConfig

log_line = logging.getLogger("predictions.worker.worker")


class Worker:
    """One process's worker: a predictor and a writer."""

    def __init__(self, cloud: Cloud, predictor: Predictor, writer: StagingWriter) -> None:
        self._cloud, self._predictor, self._writer = cloud, predictor, writer

    def predict(self, told: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """(HTTP status, answer). 200 staged · 204 cannot be done, do not ask again · 400 bad request · 500 ask again."""
        try:
            request, batch = _read(told)
        except (KeyError, TypeError, ValueError) as wrong:
            return 400, {"error": f"The request cannot be read: {wrong}."}
        who = request.player_lookup
        try:
            rows = self._predictor.predict(request, self._cloud.now())
        except NotGenerated as reason:
            log_line.warning(
                "PERMANENT failure for %s on %s - acknowledging. Reason: %s", who, request.game_date, reason
            )
            return 204, {"outcome": "not generated", "reason": str(reason)}
        log_line.info("Successfully generated %d predictions for %s", len(rows), who)
        return self._stage(batch, who, rows)

    def _stage(self, batch: str, who: str, rows: Any) -> tuple[int, dict[str, Any]]:
        began = time.monotonic()
        try:
            done = self._writer.write(batch, unit(who), rows)
        except SchemaMismatch as error:
            log_line.critical("SCHEMA MISMATCH: %s", error)
            return 422, {
                "outcome": "write rejected",
                "reason": "schema",
                "message": str(error),
                "produced_rows": len(rows),
            }
        except Exception as error:  # whatever it was, the rows are not verified, and that is what must be answered
            log_line.error("STAGING WRITE FAILED for %s: %s (batch=%s)", who, error, batch)
            answer = {"outcome": "write rejected", "reason": type(error).__name__, "message": str(error)}
            return 500 if may_pass(error) or isinstance(error, OnCallError) else 422, {
                **answer,
                "produced_rows": len(rows),
            }
        log_line.info(
            "Staging write complete: %d rows to %s in %dms (batch=%s, worker=%s)",
            done.verified_rows,
            done.table,
            1000 * (time.monotonic() - began),
            batch,
            unit(who),
        )
        return 200, {"outcome": "staged", "player_lookup": who, **asdict(done)}


def _read(told: Mapping[str, Any]) -> tuple[Request, str]:
    """The request itself, or the one inside a Pub/Sub push."""
    if "message" in told:
        told = json.loads(base64.b64decode(told["message"]["data"]))
    request = Request(
        date.fromisoformat(told["game_date"]), told["player_lookup"], told["game_id"], told.get("context") or {}
    )
    if not told.get("batch_id"):
        raise ValueError("batch_id is missing, and rows without a batch would never be consolidated")
    return request, str(told["batch_id"])


def application(worker: Worker) -> Starlette:
    """The worker's HTTP face."""

    async def predict(request: HttpRequest) -> Response:
        try:
            told = await request.json()
        except ValueError:
            return JSONResponse({"error": "The body is not JSON."}, 400)
        status, answer = await run_in_threadpool(worker.predict, told)
        return (
            Response(status_code=204, headers={"x-reason": answer["reason"][:200]})
            if status == 204
            else JSONResponse(answer, status)
        )

    async def alive(_: HttpRequest) -> Response:
        return JSONResponse({"service": "prediction-worker", "status": "healthy"})

    routes = [Route("/predict", predict, methods=["POST"])]
    return Starlette(routes=[*routes, *(Route(path, alive) for path in ("/", "/health", "/ready"))])


def build(cloud: Cloud) -> Worker:
    healing = SelfHealingConfig.from_env()
    retries = healing.dml_max_retries if healing.dml_backoff_enabled else 0
    return Worker(cloud, BaselinePredictor(), StagingWriter(BigQueryDoor(cloud), Policy(retries=retries)))
