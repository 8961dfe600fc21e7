"""The coordinator as a process: `python -m services.pipeline.coordinator`; PORT says where."""

from __future__ import annotations

import os

import uvicorn

from services.core.settings import Settings
from services.gcp import logging_setup as log
from services.gcp.clients import connect
from services.pipeline.coordinator.batch_runner import Coordinator
from services.pipeline.coordinator.http_api import Desk, application


def main() -> None:
    cloud = connect(Settings.from_env())
    log.set_up(cloud, cloud.settings.coordinator_service, os.environ.get("K_REVISION", "local"))
    app = application(Desk(cloud, Coordinator(cloud)))
    uvicorn.run(
        app, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8080")), log_level="warning"
    )


if __name__ == "__main__":
    main()
