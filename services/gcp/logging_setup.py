"""Logging of the services: one JSON object per record and line on stdout, which Cloud Run's agent reads into `jsonPayload`.

In the sandbox the same stdout is also sent to the sandbox, which ingests it as the agent would.
"""

from __future__ import annotations

import atexit
import copy
import io
import logging
import queue
import re
import sys
import threading
import time
from typing import TextIO

import requests
from google.cloud.logging_v2.handlers import StructuredLogHandler

from services.gcp.clients import Clients

SEND_INTERVAL_S, SEND_TIMEOUT_S, MAX_LINES_PER_REQUEST = 0.3, 5.0, 500

# What JSON may hold raw but a terminal or a line-based reader acts on: DEL and the C1 controls (a second ESC among
# them), the Unicode line ends, the marks that reverse the direction of text, and half surrogate pairs, which no
# stream can encode. The C0 controls, newline and ESC included, are escaped by the JSON encoder already.
_UNSAFE_CHARACTER = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class JsonLineHandler(StructuredLogHandler):
    """Google's handler, with each record certainly one line and its message certainly kept.

    The traceback is a field of its own, `stack_trace`, where Error Reporting looks first: searches and metrics on
    `message` then never match its source lines. `logger` is beside it so that `message` is never the only field: the
    agent may turn an entry that has nothing else into `textPayload`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record. A mapping as the message keeps Google's handler from parsing a message that looks like
        JSON into fields, and from leaving out one that is empty or "None".
        """
        fields = {"message": _message_text(record), "logger": record.name}
        stack_trace = "\n".join(
            text
            for text in (
                logging.Formatter().formatException(record.exc_info) if record.exc_info and record.exc_info[0] else "",
                record.stack_info or "",
            )
            if text
        )
        if stack_trace:
            fields["stack_trace"] = stack_trace
        entry = copy.copy(record)
        entry.msg, entry.args = fields, ()
        line = str(super().format(entry))  # type: ignore[no-untyped-call]
        return _UNSAFE_CHARACTER.sub(lambda match: f"\\u{ord(match[0]):04x}", line)

    def emit_instrumentation_info(self) -> None:
        """Nothing: Google's line about its own version has no message, and would be an entry among the service's own."""


def _message_text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that do not fit the text: log both rather than nothing
        return f"{record.msg} {record.args}"


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


def configure_logging(clients: Clients, service: str, revision: str) -> None:
    """Log records of INFO and above as JSON lines on stdout; in the sandbox, to its Logging too.

    `service` and `revision` are the names that the sandbox's entries carry; on Cloud Run the agent adds its own.
    """
    in_sandbox = clients.settings.in_sandbox
    stream = SandboxStdout(clients, service, revision, sys.stdout) if in_sandbox else sys.stdout
    handler = JsonLineHandler(stream=stream, project_id=clients.settings.project)  # type: ignore[no-untyped-call]
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for logger_name in ("httpx", "urllib3", "google", "uvicorn.access"):
        logging.getLogger(logger_name).setLevel(logging.WARNING)
