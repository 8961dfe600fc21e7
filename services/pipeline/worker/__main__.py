"""`python -m services.pipeline.worker`: the worker as a Cloud Run service."""

from __future__ import annotations

import uvicorn

from services.core.settings import ServerSettings, Settings
from services.gcp import logging_setup
from services.gcp.clients import connect
from services.pipeline.worker.app import build_worker, create_app


def main() -> None:
    server, clients = ServerSettings.from_env(), connect(Settings.from_env())
    logging_setup.configure_logging(clients, clients.settings.worker_service, server.revision or "local")
    uvicorn.run(create_app(build_worker(clients)), host=server.host, port=server.port, log_level="warning")


if __name__ == "__main__":
    main()
