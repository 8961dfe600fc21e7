"""What the services print on stdout: one JSON line per record, whatever is in it, and nothing left out."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from services.gcp import logging_setup

UNSAFE = "[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
FORGED_LINE = "2025-12-29 19:47:51 - coordinator - INFO - Batch b complete! 158/158 players, status=success"


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """stdout of a service with its logging configured; pytest's own handlers and hooks come back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    for place, hook in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(place, hook, getattr(place, hook))
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    logging_setup.configure_logging()
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


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
        "\x9d0;title\x07",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
        "\U000e0041",
    ],
    ids=ascii,
)
def test_no_character_in_a_message_ends_the_line_or_acts_on_its_reader_before_or_after_parsing(stdout, separator):
    player = f"lebronjames{separator}{FORGED_LINE}"
    logging.getLogger("predictions.worker.worker").info("Successfully generated %d predictions for %s", 25, player)
    logging.getLogger(f"a{separator}b").error("a")
    try:
        raise ValueError(player)
    except ValueError:
        logging.getLogger("coordinator").exception("Stopped")
    named, of_name, failed = entries(stdout)
    shown = separator.encode("unicode_escape").decode()
    assert named["message"] == f"Successfully generated 25 predictions for lebronjames{shown}{FORGED_LINE}"
    assert named["severity"] == "INFO"
    assert of_name["logger"] == f"a{shown}b"
    texts = [stdout.getvalue().replace("\n", ""), *named.values(), *failed["stack_trace"].split("\n")]
    assert not [c for text in texts for c in str(text) if re.match(UNSAFE, c)]


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
    assert entries(stream)[0]["message"] == "Started by nora\\ud83d"
    stream.getvalue().encode("utf-8")


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("text", "arguments", "logged"),
    [
        ("Published %d of %d", (3,), "Published %d of %d (3,) (TypeError)"),
        ("Published %d", ("many",), "Published %d ('many',) (TypeError)"),
        ("Published %(n)s", ({"m": 1},), "Published %(n)s {'m': 1} (KeyError)"),
        ("Published %s", (Unprintable(),), "Published %s <tuple> (RuntimeError)"),
        (Unprintable(), (), "<Unprintable> () (RuntimeError)"),
    ],
)
def test_a_message_that_cannot_be_put_together_is_logged_all_the_same(text, arguments, logged):
    stream = io.StringIO()
    record = logging.LogRecord("coordinator", logging.ERROR, __file__, 1, text, arguments, None)
    logging_setup.JsonLineHandler(stream=stream).handle(record)
    (entry,) = entries(stream)
    assert entry["message"] == logged


def test_a_message_and_a_traceback_of_any_length_fit_into_an_entry(stdout):
    try:
        raise ValueError("\u00e9" * 200_000)
    except ValueError as error:
        logging.getLogger("coordinator").exception("%s, the end", error)
    (entry,) = entries(stdout)
    assert len(stdout.getvalue().encode()) < 256 * 1024
    assert " … 150,009 characters left out … " in entry["message"]
    assert entry["message"].endswith("\u00e9, the end")
    assert entry["stack_trace"].startswith("Traceback (most recent call last):\n")


def test_a_level_that_cloud_logging_does_not_know_is_the_one_below_it(stdout):
    for level in (60, 35, 25):
        logging.getLogger("watchdog").log(level, "one")
    assert [entry["severity"] for entry in entries(stdout)] == ["CRITICAL", "WARNING", "INFO"]


def test_what_no_code_catches_is_one_entry_with_its_traceback(stdout):
    def fail() -> None:
        raise ZeroDivisionError("in a thread\nof two lines")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    try:
        fail()
    except ZeroDivisionError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    for entry in (log_entries := entries(stdout)):
        assert (entry["severity"], entry["logger"]) == ("CRITICAL", "uncaught")
        assert entry["message"] == "ZeroDivisionError: in a thread\\nof two lines"
        assert entry["stack_trace"].startswith("Traceback (most recent call last):\n")
    assert len(log_entries) == 2


def test_a_failure_to_clean_up_and_a_warning_are_entries_too(stdout):
    class Failing:
        def __del__(self) -> None:
            raise ValueError("left behind")

    Failing()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old\nway", stacklevel=1)
    failed, warned = entries(stdout)
    assert (failed["severity"], failed["message"]) == ("CRITICAL", "ValueError: left behind")
    assert (warned["severity"], warned["logger"]) == ("WARNING", "py.warnings")
    assert "UserWarning: old\\nway" in warned["message"]


def test_who_stops_the_process_or_ends_a_thread_leaves_no_entry(stdout, capsys):
    sys.excepthook(SystemExit, SystemExit(1), None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert stdout.getvalue() == ""
    assert "KeyboardInterrupt" in capsys.readouterr().err


def test_a_name_that_the_locale_cannot_encode_does_not_cost_the_line(stdout, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    logging_setup.configure_logging()
    logging.getLogger("coordinator").info("✅ Luka Dončić")
    assert json.loads(raw.getvalue())["message"] == "✅ Luka Dončić"


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


NOW = datetime(2025, 12, 30, 7, tzinfo=UTC)


class Ingestion:
    """What the sandbox is sent; it answers with `status`, or not at all."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any], float]] = []
        self.status = 200

    def post(self, url: str, json: dict[str, Any], timeout: float) -> requests.Response:
        self.requests.append((url, json, timeout))
        response = requests.Response()
        response.status_code = self.status
        return response


@pytest.fixture
def ingestion(monkeypatch: pytest.MonkeyPatch) -> Ingestion:
    """The sandbox's side; lines are sent when a test says so."""
    ingestion = Ingestion()
    monkeypatch.setattr(requests, "post", ingestion.post)
    monkeypatch.setattr(logging_setup.SandboxStdout, "_send_forever", lambda _: None)
    monkeypatch.setattr("atexit.register", lambda _: None)
    return ingestion


@pytest.fixture
def clients_of_sandbox() -> Any:
    settings = SimpleNamespace(in_sandbox=True, project="p", region="us-west2", sandbox_url="http://sandbox.test")
    return SimpleNamespace(settings=settings, now=lambda: NOW)


def test_what_is_written_is_on_stdout_and_sent_once_with_its_time_and_service(ingestion, clients_of_sandbox):
    stdout = io.StringIO()
    stream = logging_setup.SandboxStdout(clients_of_sandbox, "worker", "worker-1", stdout)
    assert stream.write("one\n") == 4
    stream.write("two\n")
    assert (stdout.getvalue(), ingestion.requests) == ("one\ntwo\n", [])
    stream.send_pending()
    stream.send_pending()
    labels = {
        "service_name": "worker",
        "revision_name": "worker-1",
        "location": "us-west2",
        "configuration_name": "worker",
    }
    writes = [{"timestamp": "2025-12-30T07:00:00.000000Z", "text": text} for text in ("one\n", "two\n")]
    body = {"resource": {"type": "cloud_run_revision", "labels": labels}, "writes": writes}
    assert ingestion.requests == [("http://sandbox.test/sandbox/stdout", body, 5.0)]


def test_many_lines_are_sent_in_several_requests_and_none_twice(ingestion, clients_of_sandbox, monkeypatch):
    monkeypatch.setattr(logging_setup, "MAX_LINES_PER_REQUEST", 2)
    stream = logging_setup.SandboxStdout(clients_of_sandbox, "worker", "worker-1", io.StringIO())
    for number in range(5):
        stream.write(str(number))
    stream.send_pending()
    assert [[w["text"] for w in body["writes"]] for _, body, _ in ingestion.requests] == [["0", "1"], ["2", "3"], ["4"]]


def test_lines_that_cannot_be_sent_are_reported_and_the_next_are_sent(ingestion, clients_of_sandbox, capsys):
    stream = logging_setup.SandboxStdout(clients_of_sandbox, "worker", "worker-1", io.StringIO())
    stream.write("one")
    ingestion.status = 503
    stream.send_pending()
    assert capsys.readouterr().err.startswith("log lines were not sent: 503 Server Error")
    ingestion.status = 200
    stream.write("two")
    stream.send_pending()
    assert ingestion.requests[-1][1]["writes"][0]["text"] == "two"


def test_a_flush_reaches_stdout(ingestion, clients_of_sandbox):
    flushed = []
    stdout: Any = SimpleNamespace(flush=lambda: flushed.append(True))
    stream = logging_setup.SandboxStdout(clients_of_sandbox, "worker", "worker-1", stdout)
    stream.flush()
    assert flushed == [True]


def test_in_the_sandbox_records_are_on_stdout_and_in_its_logging_under_the_services_name(
    ingestion, clients_of_sandbox, stdout
):
    logging_setup.copy_to_sandbox(clients_of_sandbox, "worker", "worker-1")
    logging.getLogger("coordinator").info("one")
    handler: Any = logging.getLogger().handlers[0]
    handler.stream.send_pending()
    ((_, body, _),) = ingestion.requests
    assert body["resource"]["labels"]["revision_name"] == "worker-1"
    assert "".join(w["text"] for w in body["writes"]) == stdout.getvalue()
    assert entries(stdout)[0]["message"] == "one"


def test_elsewhere_lines_are_on_stdout_alone(ingestion, stdout):
    clients: Any = SimpleNamespace(settings=SimpleNamespace(in_sandbox=False))
    logging_setup.copy_to_sandbox(clients, "worker", "worker-1")
    logging.getLogger("coordinator").info("one")
    assert entries(stdout)[0]["message"] == "one"
    assert ingestion.requests == []


def test_lines_are_sent_from_a_thread_soon_after_they_are_written_and_at_exit(clients_of_sandbox, monkeypatch):
    ingestion, sent, at_exit = Ingestion(), threading.Event(), list[object]()

    def post(*args: Any, **options: Any) -> requests.Response:
        response = ingestion.post(*args, **options)
        sent.set()
        return response

    monkeypatch.setattr(requests, "post", post)
    monkeypatch.setattr(logging_setup, "SEND_INTERVAL_S", 0.001)
    monkeypatch.setattr("atexit.register", at_exit.append)
    stream = logging_setup.SandboxStdout(clients_of_sandbox, "worker", "worker-1", io.StringIO())
    stream.write("one")
    assert sent.wait(5)
    assert at_exit == [stream.send_pending]


def test_a_stack_and_an_exception_are_one_trace(stdout):
    try:
        raise ValueError("broke")
    except ValueError:
        logging.getLogger("coordinator").error("both", exc_info=True, stack_info=True)
    logging.getLogger("coordinator").error("stack alone", stack_info=True, exc_info=False)
    both, alone = entries(stdout)
    assert "ValueError: broke\nStack (most recent call last):\n" in both["stack_trace"]
    assert alone["stack_trace"].startswith("Stack (most recent call last):\n")
