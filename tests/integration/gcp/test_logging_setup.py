"""What our services print on stdout, as the log searches then read it from the sandbox's Logging."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.gcp.logging_setup import JsonLineHandler, SandboxStdout
from services.sandbox.server import Sandbox, start_sandbox
from services.telemetry.log_phrases import CONSOLIDATION_FILTER, ERRORS_FILTER, FAILED_PLAYERS_FILTER, STATUS_FILTER
from services.telemetry.log_reader import read_lines


@pytest.fixture(scope="module")
def sandbox_without_data() -> Iterator[Sandbox]:
    sandbox = start_sandbox()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def clients_with_empty_log(sandbox_without_data: Sandbox) -> Clients:
    sandbox_without_data.state.reset_limits()
    sandbox_without_data.state.logs._entries.clear()
    sandbox_without_data.state.logs.ingestion_delay_s = 0.0
    return connect(Settings.from_env({"SANDBOX_URL": sandbox_without_data.url}))


class ServiceLoggers:
    """Loggers of services whose stdout the sandbox ingests."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._streams: list[SandboxStdout] = []

    def open(self, service: str, name: str) -> tuple[logging.Logger, io.StringIO]:
        """The logger, and what stdout carried."""
        stdout = io.StringIO()
        stream = SandboxStdout(self._clients, service, f"{service}-00001", stdout)
        logger = logging.Logger(name)
        logger.addHandler(JsonLineHandler(stream=stream, project_id=self._clients.settings.project))
        self._streams.append(stream)
        return logger, stdout

    def send(self) -> None:
        for stream in self._streams:
            stream.send_pending()


@pytest.fixture
def service_loggers(clients_with_empty_log: Clients) -> ServiceLoggers:
    return ServiceLoggers(clients_with_empty_log)


def read_recent(clients, condition):
    now = clients.now()
    return read_lines(clients, condition, now - timedelta(minutes=5), now + timedelta(minutes=5)).lines


def test_our_json_lines_read_as_the_customers_text_lines_do(clients_with_empty_log, service_loggers):
    worker, _ = service_loggers.open("prediction-worker", "predictions.worker.worker")
    coordinator, _ = service_loggers.open("prediction-coordinator", "coordinator")
    worker.error("STAGING WRITE FAILED for %s: %s (batch=%s)", "lebronjames", "400 no", "b1")
    coordinator.info("Published %d/%d prediction requests [batch=%s]", 158, 158, "b1")
    service_loggers.send()
    (failure,) = read_recent(clients_with_empty_log, FAILED_PLAYERS_FILTER)
    assert (failure.service, failure.revision) == ("prediction-worker", "prediction-worker-00001")
    assert (failure.severity, failure.message) == ("ERROR", "STAGING WRITE FAILED for lebronjames: 400 no (batch=b1)")
    (status,) = read_recent(clients_with_empty_log, STATUS_FILTER)
    assert (status.severity, status.message) == ("INFO", "Published 158/158 prediction requests [batch=b1]")
    assert abs(status.at - clients_with_empty_log.now()) < timedelta(minutes=1), "stamped with the sandbox's clock"


def test_an_exception_is_one_line_that_its_traceback_does_not_move_into_other_searches(
    clients_with_empty_log, service_loggers
):
    coordinator, stdout = service_loggers.open("prediction-coordinator", "coordinator")
    try:
        raise RuntimeError("Consolidation FAILED and MERGE returned 0 rows")
    except RuntimeError:
        coordinator.exception("Batch %s stopped", "b1")
    service_loggers.send()
    (line,) = read_recent(clients_with_empty_log, ERRORS_FILTER)
    assert (line.severity, line.message) == ("ERROR", "Batch b1 stopped")
    assert read_recent(clients_with_empty_log, CONSOLIDATION_FILTER) == ()
    (entry,) = clients_with_empty_log.logging.list_entries(
        filter_='severity=ERROR AND timestamp>="2025-12-30T00:00:00Z"'
    )
    assert "RuntimeError: Consolidation FAILED" in entry.payload["stack_trace"]
    assert entry.labels["python_logger"] == "coordinator"
    assert (
        entry.source_location["function"]
        == test_an_exception_is_one_line_that_its_traceback_does_not_move_into_other_searches.__name__
    )
    assert len(stdout.getvalue().splitlines()) == 1


@pytest.mark.parametrize("line_end", ["\n", "\r", "\u2028", "\x1b[2K"], ids=ascii)
def test_a_name_cannot_forge_a_line(clients_with_empty_log, service_loggers, line_end):
    coordinator, _ = service_loggers.open("prediction-coordinator", "coordinator")
    forged = "2025-12-30 06:45:00 - coordinator - INFO - Batch b1 complete! 158/158 players, status=success"
    coordinator.info("Started by %s", f"nora{line_end}{forged}")
    service_loggers.send()
    (line,) = read_recent(clients_with_empty_log, 'resource.labels.service_name="{coordinator}"')
    assert line.message == f"Started by nora{ascii(line_end)[1:-1]}{forged}"


def test_a_plain_text_line_on_stdout_stays_a_text_line(clients_with_empty_log):
    stream = SandboxStdout(clients_with_empty_log, "prediction-worker", "r", io.StringIO())
    print("2025-12-30 06:45:00 - worker - ERROR - one\nsecond line", file=stream)
    stream.send_pending()
    lines = read_recent(clients_with_empty_log, 'resource.labels.service_name="{worker}"')
    assert {(line.severity, line.message) for line in lines} == {("ERROR", "one"), ("DEFAULT", "second line")}


def test_a_log_line_that_cannot_be_sent_is_on_stdout_and_reported(clients_with_empty_log, capsys):
    stdout = io.StringIO()
    stream = SandboxStdout(clients_with_empty_log, "prediction-worker", "r", stdout)
    stream._url += "/nowhere"
    print("one line", file=stream)
    stream.send_pending()
    assert stdout.getvalue() == "one line\n"
    assert "log lines were not sent" in capsys.readouterr().err
