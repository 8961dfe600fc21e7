"""What cannot be counted is one sentence, before anything is read."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.core.errors import InvalidInput
from services.explore.look import MAX_BY, MAX_DAYS, MAX_TEXT, make_look
from services.explore.subjects import DIMENSION_COLUMNS, SUBJECTS, SUBJECTS_BY_NAME

FIRST, LAST = date(2025, 12, 23), date(2025, 12, 29)
PREDICTIONS, RUNS = SUBJECTS_BY_NAME["predictions"], SUBJECTS_BY_NAME["worker runs"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"by": ("batch",)}, "Predictions cannot be counted by 'batch'"),
        ({"by": ()}, "Rows are counted by one to 3 things, not by 0"),
        ({"by": ("date", "system", "player", "hour")}, "not by 4"),
        ({"first": LAST, "last": FIRST}, "ends on 2025-12-23, before it begins on 2025-12-29"),
        ({"first": date(1900, 1, 1)}, "46,019 days; at most 400"),
        ({"active": "maybe"}, "Active is yes or no"),
        ({"player": "x" * 400}, "The player has 400 characters, of at most 100"),
        ({"player": "…"}, "is not a player's name"),
        ({"system": "x' OR 1=1"}, "is not the name of a system"),
        ({"batch": "batch_1"}, "Predictions have no batch to filter by"),
    ],
)
def test_what_cannot_be_counted_is_one_sentence(asked, sentence):
    with pytest.raises(InvalidInput) as refused:
        make_look(**{"subject": PREDICTIONS, "by": ("date",), "first": FIRST, "last": LAST, **asked})
    assert sentence in refused.value.message
    assert refused.value.hint


def test_what_is_just_within_the_bounds_can_be_counted():
    look = make_look(
        PREDICTIONS, ("date", "system", "player"), LAST - timedelta(days=MAX_DAYS - 1), LAST, system="x" * MAX_TEXT
    )
    assert (len(look.by), look.days, len(look.system)) == (MAX_BY, MAX_DAYS, MAX_TEXT)
    assert make_look(PREDICTIONS, ("date",), LAST, LAST).days == 1
    with pytest.raises(InvalidInput, match="401 days"):
        make_look(PREDICTIONS, ("date",), LAST - timedelta(days=MAX_DAYS), LAST)


@pytest.mark.parametrize("asked", [{"by": ("x" * 500,)}, {"active": "x" * 500}])
def test_what_was_asked_for_is_not_repeated_whole(asked):
    with pytest.raises(InvalidInput) as refused:
        make_look(**{"subject": PREDICTIONS, "by": ("date",), "first": FIRST, "last": LAST, **asked})
    assert "x" * 41 not in refused.value.message


def test_whose_hour_is_counted_is_said_where_hours_are():
    assert "Hours: when a row was written (created_at)." in make_look(PREDICTIONS, ("hour",), FIRST, LAST).notes
    assert make_look(PREDICTIONS, ("date",), FIRST, LAST).notes == (PREDICTIONS.note,)


def test_a_player_is_found_by_a_name_as_it_is_written():
    assert make_look(PREDICTIONS, ("date",), FIRST, LAST, player="Nikola Jokić").player == "nikolajokic"


def test_the_runs_of_a_date_are_looked_for_on_the_days_around_it():
    look = make_look(RUNS, ("batch",), FIRST, LAST)
    assert look.days == 7
    assert f"{look.query_params['from_time']:%d %b}" == "22 Dec"
    assert f"{look.query_params['to_time']:%d %b}" == "06 Jan"


def test_every_dimension_of_a_subject_is_a_column():
    for subject in SUBJECTS:
        assert set(subject.dimensions) <= set(DIMENSION_COLUMNS)
        assert {"date", "player", "hour"} <= set(subject.dimensions)
