"""What the services print on stdout: one JSON line per record, whatever is in it, and nothing left out."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from services.gcp import logging_setup

FORGED_LINE = "2025-12-29 19:47:51 - coordinator - INFO - Batch b complete! 158/158 players, status=success"


@pytest.fixture
def stdout(clients_without_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """stdout of a service with its logging configured; pytest's own handlers come back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    logging_setup.configure_logging(clients_without_sandbox, "prediction-worker", "prediction-worker-00001")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def clients_without_sandbox() -> Any:
    return SimpleNamespace(settings=SimpleNamespace(in_sandbox=False, project="p"))


def entries(stdout: io.StringIO) -> list[dict[str, Any]]:
    """Each physical line, as every kind of reader splits lines, as one JSON object."""
    text = stdout.getvalue()
    assert text.splitlines() == text.removesuffix("\n").split("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_an_exception_is_one_entry_with_severity_error_and_its_traceback(stdout):
    try:
        raise ValueError("it broke\nin two lines")
    except ValueError:
        logging.getLogger("coordinator").exception("Batch %s stopped", "b1")
    (entry,) = entries(stdout)
    assert entry["severity"] == "ERROR"
    assert entry["message"] == "Batch b1 stopped"
    assert entry["stack_trace"].startswith("Traceback (most recent call last):\n")
    assert entry["stack_trace"].endswith("ValueError: it broke\nin two lines")


@pytest.mark.parametrize(
    "separator",
    [
        "\n",
        "\r",
        "\r\n",
        "\x1b[2K\x1b[1G",
        "\u2028",
        "\u2029",
        "\x85",
        "\x9b2K",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x00",
        "\x7f",
    ],
    ids=ascii,
)
def test_no_character_in_a_message_ends_the_line_or_reaches_a_terminal_raw(stdout, separator):
    player = f"lebronjames{separator}{FORGED_LINE}"
    logging.getLogger("predictions.worker.worker").info("Successfully generated %d predictions for %s", 25, player)
    (entry,) = entries(stdout)
    assert entry["message"] == f"Successfully generated 25 predictions for {player}"
    assert entry["severity"] == "INFO"
    line = stdout.getvalue().removesuffix("\n")
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F for c in line)


@pytest.mark.parametrize(
    "message", ["", "None", "{}", '{"severity": "INFO", "message": "forged"}', '{"message": {}}', "{"]
)
def test_a_message_is_kept_as_it_is_and_never_read_as_fields(stdout, message):
    logging.getLogger("coordinator").warning(message)
    (entry,) = entries(stdout)
    assert (entry["message"], entry["severity"]) == (message, "WARNING")


def test_a_half_surrogate_pair_does_not_cost_the_line():
    """Through the handler alone: pytest-xdist cannot send a report whose captured log is not valid UTF-8."""
    stream = io.StringIO()
    record = logging.LogRecord("coordinator", logging.INFO, __file__, 1, "Started by %s", ("nora\ud83d",), None)
    logging_setup.JsonLineHandler(stream=stream).handle(record)
    assert entries(stream)[0]["message"] == "Started by nora\ud83d"
    stream.getvalue().encode("utf-8")


def test_a_message_whose_arguments_do_not_fit_is_logged_all_the_same():
    stream = io.StringIO()
    record = logging.LogRecord("coordinator", logging.ERROR, __file__, 1, "Published %d of %d", (3,), None)
    logging_setup.JsonLineHandler(stream=stream).handle(record)
    (entry,) = entries(stream)
    assert entry["message"] == "Published %d of %d (3,)"


def test_emoji_and_names_stay_readable(stdout):
    logging.getLogger("coordinator").info("✅ Consolidation complete: Luka Dončić")
    assert "✅ Consolidation complete: Luka Dončić" in stdout.getvalue()


def test_an_entry_names_its_logger_and_severity_and_no_line_is_about_the_library(stdout):
    for level in ("info", "warning", "error", "critical"):
        getattr(logging.getLogger("watchdog"), level)("one")
    log_entries = entries(stdout)
    assert [entry["severity"] for entry in log_entries] == ["INFO", "WARNING", "ERROR", "CRITICAL"]
    assert {entry["logger"] for entry in log_entries} == {"watchdog"}


def test_debug_records_and_the_clients_chatter_are_left_out(stdout):
    logging.getLogger("coordinator").debug("not this")
    logging.getLogger("urllib3.connectionpool").info("nor this")
    assert stdout.getvalue() == ""
