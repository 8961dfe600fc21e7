"""/predict bodies: plain and as Pub/Sub pushes; what cannot be read is refused with the reason."""

from __future__ import annotations

import base64
import json
from datetime import date

import pytest

from services.core.errors import InvalidInput
from services.pipeline.worker.request_body import PredictBody

BODY = {"game_date": "2025-12-29", "player_lookup": "herbjones", "game_id": "g1", "batch_id": "batch_2025-12-29_1"}


def push(data: bytes) -> dict[str, object]:
    return {"message": {"data": base64.b64encode(data).decode(), "messageId": "1"}, "subscription": "s"}


@pytest.mark.parametrize(
    "payload", [BODY, BODY | {"context": None}, BODY | {"unknown": 1}, push(json.dumps(BODY).encode())]
)
def test_a_request_is_read_plain_and_inside_a_push(payload):
    body = PredictBody.parse(payload)
    request = body.to_prediction_request()
    assert (request.game_date, request.player_lookup, request.game_id) == (date(2025, 12, 29), "herbjones", "g1")
    assert (request.context, body.batch_id) == ({}, "batch_2025-12-29_1")


def test_the_context_arrives_as_it_was_sent():
    assert PredictBody.parse(BODY | {"context": {"days_rest": None}}).context == {"days_rest": None}


@pytest.mark.parametrize(
    "payload",
    [
        {},
        [],
        5,
        {k: v for k, v in BODY.items() if k != "game_id"},
        BODY | {"game_date": "29 December"},
        BODY | {"game_date": 20251229},
        BODY | {"player_lookup": 5},
        BODY | {"context": [1]},
        {"message": {}},
        {"message": "text"},
        push(b"not JSON"),
        push(b"[]"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(payload):
    with pytest.raises(InvalidInput, match=r"^The request cannot be read: .+\.$"):
        PredictBody.parse(payload)


@pytest.mark.parametrize("batch", [{}, {"batch_id": ""}, {"batch_id": None}])
def test_a_request_without_a_batch_is_refused_because_its_rows_would_be_lost(batch):
    with pytest.raises(InvalidInput) as refusal:
        PredictBody.parse({k: v for k, v in BODY.items() if k != "batch_id"} | batch)
    assert str(refusal.value) == (
        "The request cannot be read: batch_id is missing, and rows without a batch would never be consolidated."
    )
