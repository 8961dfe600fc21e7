"""/predict bodies: plain and as Pub/Sub pushes; what cannot be read is refused with the reason."""

from __future__ import annotations

import base64
import json
from datetime import date
from typing import Any

import pytest

from services.core.errors import InvalidInput
from services.pipeline.worker.request_body import PredictBody

BATCH = "batch_2025-12-29_1767077100000"
BODY = {"game_date": "2025-12-29", "player_lookup": "herbjones", "game_id": "g1", "batch_id": BATCH}
UNIT: dict[str, Any] = {
    "game_date": "2025-12-29",
    "batch_id": BATCH,
    "players": [
        {"player_lookup": "herbjones", "game_id": "g1", "context": {"days_rest": None}, "unknown": 1},
        {"player_lookup": "lukadoncic", "game_id": "g2"},
    ],
}


def push(data: bytes) -> dict[str, object]:
    return {"message": {"data": base64.b64encode(data).decode(), "messageId": "1"}, "subscription": "s"}


@pytest.mark.parametrize(
    "payload", [BODY, BODY | {"context": None}, BODY | {"unknown": 1}, push(json.dumps(BODY).encode())]
)
def test_a_request_is_read_plain_and_inside_a_push(payload):
    body = PredictBody.parse(payload)
    (request,) = body.to_prediction_requests()
    assert (request.game_date, request.player_lookup, request.game_id) == (date(2025, 12, 29), "herbjones", "g1")
    assert (request.context, body.batch_id, body.player_lookups) == ({}, BATCH, ("herbjones",))


@pytest.mark.parametrize("payload", [UNIT, push(json.dumps(UNIT).encode())])
def test_a_unit_of_players_is_read_in_its_order(payload):
    body = PredictBody.parse(payload)
    assert body.player_lookups == ("herbjones", "lukadoncic")
    assert [(r.game_id, r.context) for r in body.to_prediction_requests()] == [("g1", {"days_rest": None}), ("g2", {})]


def test_the_context_arrives_as_it_was_sent():
    (request,) = PredictBody.parse(BODY | {"context": {"days_rest": None}}).to_prediction_requests()
    assert request.context == {"days_rest": None}


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
        UNIT | {"players": []},
        UNIT | {"players": "herbjones"},
        UNIT | {"players": [{"player_lookup": "herbjones"}]},
        UNIT | {"players": UNIT["players"] * 501},
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


@pytest.mark.parametrize(
    "batch_id",
    [
        "batch_2025-12-29_1",
        "nightly",
        f"{BATCH}\n",
        f"{BATCH}; DROP",
        "batch_2025-12-29_" + "1" * 100,
        "batch_2025-12-29_١٢٣٤٥٦",
        5,
    ],
)
def test_what_is_no_batch_id_is_refused(batch_id):
    with pytest.raises(InvalidInput, match="is not a batch id"):
        PredictBody.parse(BODY | {"batch_id": batch_id})


@pytest.mark.parametrize("batch_id", ["batch_2025-12-29_" + "1" * 83, "fallback_1767077100", "20251229_013000_123"])
def test_every_kind_of_batch_id_is_read(batch_id):
    assert PredictBody.parse(BODY | {"batch_id": batch_id}).batch_id == batch_id


def test_a_unit_of_another_date_than_its_batch_is_refused_because_its_rows_would_be_consolidated_with_it():
    with pytest.raises(InvalidInput) as refusal:
        PredictBody.parse(BODY | {"game_date": "2025-12-30"})
    assert refusal.value.message == f"The request cannot be read: batch_id {BATCH} is not a batch of 2025-12-30."


def test_a_player_named_twice_is_refused_because_two_outcomes_would_be_one():
    with pytest.raises(InvalidInput, match=r"read: players names a player twice\.$"):
        PredictBody.parse(UNIT | {"players": [UNIT["players"][0]] * 2})


@pytest.mark.parametrize("field", ["player_lookup", "game_id"])
@pytest.mark.parametrize("name", ["", " ", "a\x00b", "a\nb", "a\u202eb", "a" * 101])
def test_an_empty_long_or_unprintable_name_is_refused(field, name):
    with pytest.raises(InvalidInput, match=rf"{field}: it must be printable and have 1 to 100 letters"):
        PredictBody.parse(BODY | {field: name})


def test_names_in_any_alphabet_are_read():
    for name in ("dončić", "李", "a" * 100):
        assert PredictBody.parse(BODY | {"player_lookup": name}).player_lookups == (name,)
