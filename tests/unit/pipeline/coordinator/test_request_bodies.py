"""/start and /resume bodies: every accepted form, and for every other the sentence that refuses it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from services.core.errors import InvalidInput
from services.pipeline.coordinator.request_bodies import IGNORED_FIELDS, ResumeRequest, StartRequest
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


def test_a_resume_names_one_batch_and_nothing_else():
    assert ResumeRequest.parse({"batch_id": "batch_2025-12-29_1"}).batch_id == "batch_2025-12-29_1"
    invalid_bodies: list[Any] = [{}, [], None, {"batch_id": 5}, {"batch_id": "b", "force": True}]
    for body in invalid_bodies:
        with pytest.raises(InvalidInput) as refusal:
            ResumeRequest.parse(body)
        assert str(refusal.value) == 'Send {"batch_id": "batch_…"} and nothing else.'
