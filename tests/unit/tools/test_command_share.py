"""The share of the customer's commands counts what answered when it was driven, and names what is left out."""

from __future__ import annotations

import pytest

from services.cli.commands import cli
from services.cli.record_reports import find_preset
from services.cli.verbs import VERBS
from tests.tools.command_share.__main__ import check_report, drive, format_table
from tests.tools.command_share.commands import COMMANDS, HandCommand

GOOD = ("", {"problems": [], "rows": [{"a": 1}], "hash": "abc"})


def test_every_command_is_answered_by_a_command_of_ours_or_left_out_with_its_reason():
    for command in COMMANDS:
        assert bool(command.calls) is not bool(command.left_out), command.name
        for words in command.calls:
            assert words[0] in cli.commands
            assert words[0] != "do" or words[1] in {verb.name for verb in VERBS}
            assert words[0] != "logs" or words[1].startswith("--") or find_preset(words[1])


@pytest.mark.parametrize(
    ("report", "text"),
    [
        ({"problems": [], "rows": []}, "has no row"),
        ({"problems": [{"message": "Too slow."}], "rows": [{"a": 1}]}, "unknown parts: Too slow."),
        ({"problems": [], "rows": [{"a": 1}]}, ""),
    ],
)
def test_a_report_answers_with_rows_that_are_known(report, text):
    assert text in check_report(("night",), report)
    assert bool(check_report(("night",), report)) is bool(text)


def test_a_command_is_answered_when_every_call_of_it_is():
    command = HandCommand("bq", 3, (("night",), ("runs",)))
    assert drive(command, lambda _: GOOD) == ""
    assert drive(command, lambda words: GOOD if words == ("night",) else ("broken", {})) == "broken"


def test_an_applied_plan_is_carried_out_by_its_hash():
    seen = []
    command = HandCommand("curl", 3, (("do", "run"),), applied=True)

    def driver(words):
        seen.append(words)
        return GOOD

    assert drive(command, driver) == ""
    assert seen == [("do", "run"), ("do", "run", "--apply", "abc")]


def test_the_shares_are_of_the_hits():
    commands = (
        HandCommand("a", 90, (("night",),)),
        HandCommand("b", 10, left_out="not read"),
        HandCommand("c", 100, left_out="others", of_the_night=False),
    )
    lines = list(format_table(commands, {"a": "", "b": "not read", "c": "others"}))
    assert "✓  oncall night" in lines[0]
    assert "–  not read" in lines[1]
    assert lines[3:] == [
        "   90 of 200 hits answered, 45.0%: all commands",
        "   90 of 100 hits answered, 90.0%: of the prediction night, its inputs and outputs",
    ]
