"""/start, /resume and /stop bodies: every accepted form, and for every other the sentence that refuses it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from services.core.errors import InvalidInput
from services.pipeline.coordinator.request_bodies import IGNORED_FIELDS, BatchRequest, StartRequest
from services.policy.eligibility import MIN_AVERAGE_MINUTES

TODAY, TOMORROW = date(2025, 12, 30), date(2025, 12, 31)


def test_an_empty_body_runs_everybody_of_today_at_the_policys_minutes():
    request = StartRequest.parse({}, TODAY)
    assert (request.game_date, request.players, request.force) == (TODAY, [], False)
    assert (request.min_minutes, request.requester) == (MIN_AVERAGE_MINUTES, "scheduler or curl")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [("TODAY", TODAY), ("tomorrow", TOMORROW), ("2025-12-29", date(2025, 12, 29)), ("20251229", date(2025, 12, 29))],
)
def test_a_game_date_is_a_date_or_a_keyword(sent, expected):
    assert StartRequest.parse({"game_date": sent}, TODAY).game_date == expected


def test_the_customers_other_fields_are_accepted_whatever_they_hold():
    body = {key: [None] for key in IGNORED_FIELDS} | {"correlation_id": 7, "parent_processor": {"name": "phase4"}}
    assert StartRequest.parse(body, TODAY).requester == "{'name': 'phase4'}"


@pytest.mark.parametrize(
    ("body", "requester"),
    [
        ({"started_by": "ann", "parent_processor": "p"}, "ann"),
        ({"started_by": "", "parent_processor": "p"}, "p"),
        ({"started_by": 5}, "5"),
        ({"started_by": "x" * 300}, "x" * 200),
    ],
)
def test_the_requester_is_the_first_that_is_named_in_200_characters(body, requester):
    assert StartRequest.parse(body, TODAY).requester == requester


@pytest.mark.parametrize(("sent", "expected"), [(0, 0.0), (48, 48.0), (12.5, 12.5)])
def test_minutes_are_any_number_from_0_to_48(sent, expected):
    assert StartRequest.parse({"min_minutes": sent}, TODAY).min_minutes == expected


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ([], "The body must be a JSON object."),
        (None, "The body must be a JSON object."),
        ("TODAY", "The body must be a JSON object."),
        ({"b": 1, "a": 2, "force": "yes"}, "Unknown fields: a, b. Nothing was started."),
        ({"nonsense": 1}, "Unknown field: nonsense. Nothing was started."),
        ({"players": "herbjones"}, "players must be a list of player_lookup. Nothing was started."),
        ({"players": None}, "players must be a list of player_lookup. Nothing was started."),
        ({"players": [1], "force": 2}, "players must be a list of player_lookup. Nothing was started."),
        (
            {"players": []},
            "players is empty, and an empty list never means everybody. Leave it out to run the whole date.",
        ),
        ({"force": "yes"}, "force must be true or false."),
        ({"force": None}, "force must be true or false."),
        ({"force": 1}, "force must be true or false."),
        *(
            ({"min_minutes": sent}, "min_minutes must be a number from 0 to 48.")
            for sent in (True, "15", None, -0.1, 48.1, float("nan"))
        ),
        (
            {"game_date": "29 December"},
            "game_date '29 December' is no date. Write it as 2025-12-29, TODAY or TOMORROW.",
        ),
        ({"game_date": None}, "game_date None is no date. Write it as 2025-12-29, TODAY or TOMORROW."),
        ({"game_date": 1767000000}, "game_date 1767000000 is no date. Write it as 2025-12-29, TODAY or TOMORROW."),
    ],
)
def test_anything_else_is_refused_with_one_sentence(body, sentence):
    with pytest.raises(InvalidInput) as refusal:
        StartRequest.parse(body, TODAY)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("name", ["", "  ", "lebron\njames", "lebron\x00", "x" * 101])
def test_a_name_that_no_player_can_have_is_refused_on_receipt(name):
    with pytest.raises(InvalidInput) as refusal:
        StartRequest.parse({"players": ["herbjones", name]}, TODAY)
    assert str(refusal.value) == f"{name[:100]!r} in players is not a player_lookup. Nothing was started."


def test_a_name_of_100_characters_may_be_a_players():
    assert StartRequest.parse({"players": ["x" * 100]}, TODAY).players == ["x" * 100]


def test_a_resume_or_a_stop_names_one_batch_and_nothing_else():
    longest = "batch_2025-12-29_" + "1" * 83
    for batch_id in ("batch_2025-12-29_1767077100000", "fallback_1767075605200", longest):
        assert BatchRequest.parse({"batch_id": batch_id}).batch_id == batch_id
    invalid_bodies: list[Any] = [{}, [], None, {"batch_id": 5}, {"batch_id": "b", "force": True}]
    for body in invalid_bodies:
        with pytest.raises(InvalidInput) as refusal:
            BatchRequest.parse(body)
        assert str(refusal.value) == 'Send {"batch_id": "batch_…"} and nothing else.'


@pytest.mark.parametrize(
    "batch_id",
    ["", "b", "batch_2025-12-29_1767077100000\n", "batch_2025-12-29_17670771٠٠", "batch_2025-12-29_" + "1" * 84],
)
def test_a_text_that_is_no_batch_id_is_refused_on_receipt(batch_id):
    with pytest.raises(InvalidInput) as refusal:
        BatchRequest.parse({"batch_id": batch_id})
    assert str(refusal.value) == f"{batch_id[:100]!r} is not a batch id. Take it from the runs page."
