"""The coordinator as a process: `python -m services.pipeline.coordinator`; PORT says where."""

from __future__ import annotations

import os

import uvicorn

from services.core.settings import Settings
from services.gcp import logging_setup
from services.gcp.clients import connect
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.coordinator.http_api import CoordinatorApi, create_app


def main() -> None:
    clients = connect(Settings.from_env())
    logging_setup.configure_logging(
        clients, clients.settings.coordinator_service, os.environ.get("K_REVISION", "local")
    )
    app = create_app(CoordinatorApi(clients, BatchRunner(clients)))
    uvicorn.run(
        app,
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8080")),
        log_level="warning",
        log_config=None,  # its records go to our handler: an exception is one entry there too
    )


if __name__ == "__main__":
    main()
