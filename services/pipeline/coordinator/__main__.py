"""The coordinator as a process: `python -m services.pipeline.coordinator`; PORT sets the port."""

from __future__ import annotations

from services.core.http_server import serve
from services.core.settings import ServerSettings, Settings
from services.gcp import logging_setup
from services.gcp.clients import connect
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.coordinator.http_api import CoordinatorApi, create_app


def main() -> None:
    logging_setup.configure_logging()
    server, clients = ServerSettings.from_env(), connect(Settings.from_env())
    logging_setup.copy_to_sandbox(clients, clients.settings.coordinator_service, server.revision or "local")
    app = create_app(CoordinatorApi(clients, BatchRunner(clients)), server.is_local)
    serve(app, server.host, server.port)


if __name__ == "__main__":
    main()
