"""A report as text and as JSON: unknown is said, health is a word, times have their zone, and nothing acts on the terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime

import pytest

from services.cli.rendering import print_report
from services.cli.report import Report, Table
from services.core.result import DataSource, Health, Problem

AT = datetime(2025, 12, 29, 19, 47, 53, tzinfo=UTC)
ROW = {
    "player": "Luka",
    "rows": None,
    "seen": AT,
    "night": date(2025, 12, 29),
    "active": False,
    "share": 43.04,
    "n": 1700,
}


def text_of(report: Report, as_json: bool = False) -> str:
    out = io.StringIO()
    print_report(report, as_json, out)
    return out.getvalue()


def report(*rows: Mapping[str, object], **more: object) -> Report:
    fields: dict[str, object] = {"tables": (Table("players", rows, "Nobody is missing."),)} | more
    return Report("Missing players", Health.CRITICAL, "90 of 158 missing", **fields)  # type: ignore[arg-type]


def test_a_value_is_written_for_a_reader_and_an_unknown_one_is_said():
    text = text_of(report(ROW))
    assert text.startswith("CRITICAL  90 of 158 missing\nMissing players\n")
    last = text.splitlines()[-1]
    assert last.split() == ["Luka", "unknown", "29", "Dec", "14:47", "ET", "2025-12-29", "no", "43.0", "1,700"]


def test_what_happened_at_a_time_has_its_seconds():
    assert "29 Dec 14:47:53 ET" in text_of(report({"at": AT}))


def test_the_same_rows_are_json_in_which_unknown_is_null():
    answer = json.loads(text_of(report(ROW, facts={"days": (date(2025, 12, 29),)}), as_json=True))
    assert (answer["health"], answer["headline"], answer["days"]) == ("critical", "90 of 158 missing", ["2025-12-29"])
    assert answer["players"] == [{**ROW, "seen": AT.isoformat(), "night": "2025-12-29"}]


def test_no_row_is_a_sentence():
    assert "Nobody is missing." in text_of(report())


def test_what_is_unknown_old_or_partial_is_said_with_its_source_and_since():
    problem = Problem("Cloud Logging", AT, "Not all lines were read.", "Narrow it.")
    assert "Unknown, old or partial: Cloud Logging, since 14:47 ET: Not all lines were read." in text_of(
        report(ROW, problems=(problem,))
    )


def test_when_and_at_what_cost_it_was_read_is_said():
    sources = (DataSource("a", AT, 10 * 2**20), DataSource("b", AT))
    assert text_of(report(ROW, sources=sources)).endswith("Read 14:47:53 ET from 2 sources; 10 MiB billed.\n")


@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_of_others_acts_on_the_terminal(as_json):
    evil = "a\x1b]0;owned\x07b\x9b31m\u202ec"
    text = text_of(report({"player [bold]": "[red]x[/red]", "name": evil}, details=(evil,)), as_json)
    assert not set("\x1b\x07\x9b\u202e") & set(text)
    assert "[red]x[/red]" in text
    document = text_of(report(document=f"# Note\n{evil}\n"))
    assert document.splitlines()[0] == "# Note"
    assert not set("\x1b\x07\x9b\u202e") & set(document)


@pytest.mark.parametrize(
    ("health", "code"),
    [
        (Health.OK, 0),
        (Health.NONE_EXPECTED, 0),
        (Health.WARNING, 1),
        (Health.CRITICAL, 1),
        (Health.UNKNOWN, 3),
    ],
)
def test_the_exit_code_is_of_the_health(health, code):
    assert Report("x", health, "x").exit_code == code
