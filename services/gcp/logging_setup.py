"""The pipeline's log lines, in the customer's shapes: on stdout for Cloud Run, and to the sandbox's Logging when there is one."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from datetime import UTC, datetime

from google.cloud.logging_v2.resource import Resource

from services.gcp.clients import Clients

_FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"


class SandboxLogHandler(logging.Handler):
    """Sends lines to Logging in batches from a thread of its own; stamped with the night's clock, not the machine's."""

    def __init__(self, clients: Clients, service: str, revision: str) -> None:
        super().__init__()
        self._clients, self._queue = clients, queue.SimpleQueue[tuple[datetime, str]]()
        self._resource = Resource(
            type="cloud_run_revision",
            labels={"service_name": service, "revision_name": revision, "location": clients.settings.region},
        )
        threading.Thread(target=self._send, name="log lines", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        at = self._clients.now()
        text = f"{at:%Y-%m-%d %H:%M:%S} - {record.name} - {record.levelname} - {record.getMessage()}"
        self._queue.put((at, text))

    def _send(self) -> None:
        logger = self._clients.logging.logger("run.googleapis.com%2Fstdout")
        while True:
            lines = [self._queue.get()]
            time.sleep(0.3)
            while not self._queue.empty() and len(lines) < 500:
                lines.append(self._queue.get())
            try:
                batch = logger.batch()
                for at, text in lines:
                    batch.log_text(text, timestamp=at, resource=self._resource)
                batch.commit()
            except Exception as error:  # a lost log line must not cost a prediction; stdout still has it
                print(f"log lines were not sent: {error}", file=sys.stderr)


def configure_logging(clients: Clients, service: str, revision: str) -> None:
    """Log to stdout, and in the sandbox to its Logging too."""
    stdout = logging.StreamHandler(sys.stdout)
    formatter = logging.Formatter(_FORMAT, "%Y-%m-%d %H:%M:%S")
    formatter.converter = lambda *_: datetime.now(UTC).timetuple()
    stdout.setFormatter(formatter)
    handlers: list[logging.Handler] = [stdout]
    if clients.settings.in_sandbox:
        handlers.append(SandboxLogHandler(clients, service, revision))
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    for logger_name in ("httpx", "urllib3", "google", "uvicorn.access"):
        logging.getLogger(logger_name).setLevel(logging.WARNING)
