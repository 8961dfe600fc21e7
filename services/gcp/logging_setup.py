"""Logging of the services: one JSON object per record and line on stdout, which Cloud Run's agent reads into `jsonPayload`.

In the sandbox the same stdout is also sent to the sandbox, which ingests it as the agent would.
"""

from __future__ import annotations

import atexit
import copy
import io
import logging
import queue
import sys
import threading
import time
from types import TracebackType
from typing import TextIO

import requests
from google.cloud.logging_v2.handlers import StructuredLogHandler

from services.core.text import to_printable
from services.gcp.clients import Clients

SEND_INTERVAL_S, SEND_TIMEOUT_S, MAX_LINES_PER_REQUEST = 0.3, 5.0, 500
MAX_CHARACTERS = 50_000  # of a message, and of a traceback; Cloud Logging takes an entry of at most 256 KiB
_SEVERITIES = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (20, "INFO"))


class JsonLineHandler(StructuredLogHandler):
    """Google's handler, with each record certainly one line, of a known severity, and its message certainly kept.

    Characters that act on a terminal or a reader are shown instead, so that the entry is one line after parsing too.
    The traceback is a field of its own, `stack_trace`, where Error Reporting looks first: searches and metrics on
    `message` then never match its source lines. `logger` is beside it so that `message` is never the only field: the
    agent may turn an entry that has nothing else into `textPayload`.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record, from whose names Google's filter makes labels; the other handlers have it as it was."""
        entry = copy.copy(record)
        entry.name, entry.pathname = to_printable(record.name), to_printable(record.pathname)
        entry.funcName = to_printable(record.funcName or "")
        return bool(super().handle(entry))

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record. A mapping as the message keeps Google's handler from parsing a message that looks like
        JSON into fields, and from leaving out one that is empty or "None".
        """
        fields = {"message": to_printable(_shorten(_message_text(record))), "logger": record.name}
        stack_trace = "\n".join(
            text
            for text in (
                logging.Formatter().formatException(record.exc_info) if record.exc_info and record.exc_info[0] else "",
                record.stack_info or "",
            )
            if text
        )
        if stack_trace:
            fields["stack_trace"] = "\n".join(map(to_printable, _shorten(stack_trace).split("\n")))
        entry = copy.copy(record)
        entry.msg, entry.args = fields, ()
        entry.levelname = next((name for level, name in _SEVERITIES if record.levelno >= level), "DEBUG")
        return str(super().format(entry))  # type: ignore[no-untyped-call]

    def emit_instrumentation_info(self) -> None:
        """Nothing: Google's line about its own version has no message, and would be an entry among the service's own."""


def _message_text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:
        return f"{_text_or_type(record.msg)} {_text_or_type(record.args)} ({type(error).__name__})"


def _text_or_type(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _shorten(text: str) -> str:
    left_out = len(text) - MAX_CHARACTERS
    half = MAX_CHARACTERS // 2
    return text if left_out <= 0 else f"{text[:half]} … {left_out:,} characters left out … {text[-half:]}"


class SandboxStdout(io.TextIOBase):
    """A stdout that the sandbox ingests too, in batches from a thread of its own.

    Each write is stamped with the sandbox's clock, as the agent stamps a line when it reads it. Lines that cannot be
    sent are reported on stderr: stdout has them, and a lost log line must not cost a prediction.
    """

    def __init__(self, clients: Clients, service: str, revision: str, stdout: TextIO) -> None:
        self._clients, self._stdout = clients, stdout
        self._url = f"{clients.settings.sandbox_url}/sandbox/stdout"
        self._labels = {
            "service_name": service,
            "revision_name": revision,
            "location": clients.settings.region,
            "configuration_name": service,
        }
        self._queue: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self._wake, self._sending = threading.Event(), threading.Lock()
        threading.Thread(target=self._send_forever, name="log lines", daemon=True).start()
        atexit.register(self.send_pending)

    def write(self, text: str) -> int:
        timestamp = self._clients.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        self._queue.put({"timestamp": timestamp, "text": text})
        self._wake.set()
        return self._stdout.write(text)

    def flush(self) -> None:
        self._stdout.flush()

    def send_pending(self) -> None:
        """Send what has been written so far; returns when it has been sent, or reported as not sent."""
        with self._sending:
            while writes := self._next_writes():
                try:
                    body = {"resource": {"type": "cloud_run_revision", "labels": self._labels}, "writes": writes}
                    requests.post(self._url, json=body, timeout=SEND_TIMEOUT_S).raise_for_status()
                except requests.RequestException as error:
                    print(f"log lines were not sent: {error}", file=sys.stderr)

    def _next_writes(self) -> list[dict[str, str]]:
        writes: list[dict[str, str]] = []
        while not self._queue.empty() and len(writes) < MAX_LINES_PER_REQUEST:
            writes.append(self._queue.get())
        return writes

    def _send_forever(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(SEND_INTERVAL_S)
            self._wake.clear()
            self.send_pending()


def configure_logging() -> None:
    """Log records of INFO and above as JSON lines on stdout, whoever made them; also warnings, and what no code catches."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # else a name that the locale cannot encode would cost the line
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    handler = JsonLineHandler(stream=sys.stdout)  # type: ignore[no-untyped-call]
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for logger_name in ("httpx", "urllib3", "google", "uvicorn.access"):
        logging.getLogger(logger_name).setLevel(logging.WARNING)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = lambda unraisable: _log_uncaught(
        unraisable.exc_type, unraisable.exc_value, unraisable.exc_traceback
    )
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def copy_to_sandbox(clients: Clients, service: str, revision: str) -> None:
    """In the sandbox, send the lines to its Logging too, under these names; on Cloud Run the agent does that."""
    if clients.settings.in_sandbox:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, JsonLineHandler):
                handler.setStream(SandboxStdout(clients, service, revision, handler.stream))


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None = None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), traceback)
    elif not issubclass(kind, SystemExit):
        error = error or kind()
        logging.getLogger("uncaught").critical("%s: %s", kind.__name__, error, exc_info=(kind, error, traceback))
