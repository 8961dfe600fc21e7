"""The coordinator as a process: `python -m services.pipeline.coordinator`; PORT sets the port."""

from __future__ import annotations

import uvicorn

from services.core.settings import ServerSettings, Settings
from services.gcp import logging_setup
from services.gcp.clients import connect
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.coordinator.http_api import CoordinatorApi, create_app


def main() -> None:
    server, clients = ServerSettings.from_env(), connect(Settings.from_env())
    logging_setup.configure_logging(clients, clients.settings.coordinator_service, server.revision or "local")
    app = create_app(CoordinatorApi(clients, BatchRunner(clients)), server.is_local)
    # log_config=None: its records go to our handler, so an exception is one entry there too
    uvicorn.run(app, host=server.host, port=server.port, log_level="warning", log_config=None)


if __name__ == "__main__":
    main()
