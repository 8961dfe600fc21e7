"""`python -m services.pipeline.worker`: the worker as a Cloud Run service."""

from __future__ import annotations

import os

import uvicorn

from services.core.settings import Settings
from services.gcp import logging_setup as log
from services.gcp.clients import connect
from services.pipeline.worker.app import application, build


def main() -> None:
    cloud = connect(Settings.from_env())
    log.set_up(cloud, cloud.settings.worker_service, os.environ.get("K_REVISION", "local"))
    uvicorn.run(
        application(build(cloud)),
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8080")),
        log_level="warning",
    )


if __name__ == "__main__":
    main()
