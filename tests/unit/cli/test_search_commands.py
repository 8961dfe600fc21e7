"""`oncall logs` with a filter of one's own: over which time, of whose log, and followed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from services.cli import search_commands
from services.cli.__main__ import run
from services.cli.search_commands import follow_lines, format_line
from services.cli.terminal import Terminal
from services.core.errors import SourceUnavailable
from services.core.freshness import TAIL_TTL_S
from services.core.tables import PREDICTIONS_TABLE
from services.gcp import query_catalog
from services.gcp.query_catalog import MIB
from services.telemetry import log_search
from services.telemetry.log_search import SOURCES
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, memory_clients
from tests.unit.explore.test_counts import prediction
from tests.unit.telemetry.test_log_search import make_entry

NOW = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)  # 15:00 ET


@pytest.fixture
def project():
    project = MemoryProject(SimulatedClock(NOW))
    project.log.add([make_entry("an hour ago", at=NOW - timedelta(minutes=50))])
    project.log.add([make_entry("at noon", at=NOW - timedelta(hours=3))])
    project.log.add([make_entry("of a function", "cloud_function", at=NOW - timedelta(minutes=1))])
    return project


@pytest.fixture
def messages(project, capsys):
    clients = memory_clients(project)

    def read(*words: str) -> list[str]:
        terminal = Terminal(read_settings=lambda: clients.settings, open_clients=lambda *_: clients)
        code = run(["logs", *words, "--json"], terminal)
        assert code in (0, 3)
        return [line["message"] for line in json.loads(capsys.readouterr().out)["lines"]]

    return read


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--since", "2h"], ["an hour ago"]),
        (["--since", "1d"], ["at noon", "an hour ago"]),
        (["--filter", 'textPayload:"noon"'], ["at noon"]),
        (["--filter", 'textPayload:"noon"', "--date", "2025-12-28"], []),
        (["--from", "2025-12-29T11:30", "--to", "2025-12-29T12:30"], ["at noon"]),
        (["--from", "2025-12-29T17:30+00:00"], ["an hour ago"]),
        (["--since", "1d", "--find", "HOUR"], ["an hour ago"]),
        (["--source", "cloud functions"], ["of a function"]),
        (["--source", "everything", "--service", "cloud_function"], ["of a function"]),
        (["--service", "prediction-worker", "--filter", '"noon" OR "hour" -- both'], ["at noon", "an hour ago"]),
        (["consolidation", "--since", "1d"], []),
        (["--service", "prediction-worker"], ["at noon", "an hour ago"]),
    ],
)
def test_a_search_is_of_its_time_its_resources_and_all_of_its_conditions(messages, words, expected):
    assert messages(*words) == expected


def test_what_is_followed_is_printed_once_and_goes_on_after_an_outage(project, monkeypatch, capsys):
    clients, read_tail, waits = memory_clients(project), log_search.read_tail, []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clients.cache.invalidate()
        if len(waits) == 1:
            project.log.add([make_entry("new", "cloud_function", at=NOW - timedelta(seconds=5))])

    def fail_once(*args):
        if len(waits) == 1:
            monkeypatch.setattr(log_search, "read_tail", read_tail)
            raise SourceUnavailable("Cloud Logging did not answer.")
        return read_tail(*args)

    monkeypatch.setattr(log_search, "read_tail", fail_once)
    lines = list(islice(follow_lines(clients, "", SOURCES[-1], wait), 2))
    assert [line.message for line in lines] == ["of a function", "new"]
    assert len(waits) == 2
    assert min(waits) > TAIL_TTL_S, "not read again before it can be new"
    assert "did not answer" in capsys.readouterr().err
    assert format_line(lines[0]) == "29 Dec 14:59:00 ET  DEFAULT   cloud_function  of a function"


def test_lines_of_one_time_or_of_one_id_are_each_shown(project):
    project.log.add([make_entry("same time", "cloud_function", at=NOW - timedelta(minutes=1))])
    project.log.add(
        [{**make_entry("same id", "cloud_function", at=NOW - timedelta(seconds=9)), "insertId": "same time"}]
    )
    lines = islice(follow_lines(memory_clients(project), "", SOURCES[-1], lambda _: pytest.fail("it waited")), 3)
    assert {line.message for line in lines} == {"of a function", "same time", "same id"}


def test_an_outage_at_the_start_is_said_and_waited_for(project, monkeypatch, capsys):
    read_tail = log_search.read_tail

    def fail_once(*_: object) -> None:
        monkeypatch.setattr(log_search, "read_tail", read_tail)
        raise SourceUnavailable("No\x07 answer.")

    monkeypatch.setattr(log_search, "read_tail", fail_once)
    [line] = islice(follow_lines(memory_clients(project), "", SOURCES[-1], lambda _: None), 1)
    assert line.message == "of a function"
    assert format_line(replace(line, message="a\x1b[31m")).isprintable()
    printed = capsys.readouterr()
    assert (printed.out, "\x07" in printed.err) == ("", False)


def test_of_what_is_followed_only_lines_with_the_text_are_printed(project, monkeypatch, capsys):
    clients = memory_clients(project)
    monkeypatch.setattr(
        search_commands, "follow_lines", lambda *args: log_search.read_tail(*args).lines if len(args) == 3 else ()
    )
    terminal = Terminal(read_settings=lambda: clients.settings, open_clients=lambda *_: clients)
    project.log.add([make_entry("Of A Worker", at=NOW - timedelta(minutes=2))])
    project.log.add([make_entry("another", at=NOW - timedelta(minutes=1))])
    assert run(["logs", "--follow", "--find", "a wORKER"], terminal) == 0
    assert [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()] == ["Of A Worker"]
    assert run(["logs", "--follow", "--json"], terminal) == 2
    assert "--follow goes with no time" in json.loads(capsys.readouterr().out)["error"]


def test_counts_are_printed_with_their_cost_and_it_can_be_asked_for_alone(project, monkeypatch, capsys):
    clients = memory_clients(project)
    monkeypatch.setattr(query_catalog, "dry_run_bytes", lambda *_args, **_params: 24 * MIB)
    project.insert(PREDICTIONS_TABLE, [prediction("lukadoncic"), prediction("nikolajokic", "ensemble_v1")])

    def read(*words: str) -> dict[str, Any]:
        terminal = Terminal(read_settings=lambda: clients.settings, open_clients=lambda *_: clients)
        assert run(["count", *words, "--json"], terminal) == 0
        return json.loads(capsys.readouterr().out)

    assert read("--cost")["headline"] == "It reads about 24 MiB"
    report = read()
    assert report["title"] == "Predictions by date, system, 2025-12-23 – 2025-12-29"
    assert report["headline"] == "Predictions: 2 rows in 2 groups"
    assert {(row["system"], row["rows"]) for row in report["counts"]} == {("xgboost_v1", 1), ("ensemble_v1", 1)}
    assert "Read: about 24 MiB." in report["details"]
    assert read("--by", "hour", "--player", "Luka Doncic")["counts"][0]["hour"] == "2025-12-29 14:00 ET"
    assert read("--to", "2025-12-20")["counts"] == []
    assert read("--by", "system, date,,system")["title"].startswith("Predictions by system, date, 2025")
    assert read("--from", "2025-12-31")["title"].endswith("2025-12-31 – 2025-12-31"), "not before it begins"
