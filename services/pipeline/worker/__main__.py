"""`python -m services.pipeline.worker`: the worker as a Cloud Run service."""

from __future__ import annotations

from services.core.http_server import serve
from services.core.settings import ServerSettings, Settings
from services.gcp import logging_setup
from services.gcp.clients import connect
from services.pipeline.worker.app import build_worker, create_app


def main() -> None:
    logging_setup.configure_logging()
    server, clients = ServerSettings.from_env(), connect(Settings.from_env())
    logging_setup.copy_to_sandbox(clients, clients.settings.worker_service, server.revision or "local")
    app = create_app(build_worker(clients), server.is_local)
    serve(app, server.host, server.port)


if __name__ == "__main__":
    main()
