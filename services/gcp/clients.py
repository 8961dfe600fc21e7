"""The doors to Google: opened here and nowhere else; in the sandbox only the address differs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import google.auth
import requests
from google.api_core.client_options import ClientOptions
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import bigquery, logging, run_v2, scheduler_v1
from google.cloud.run_v2.services.revisions.transports import RevisionsRestTransport
from google.cloud.run_v2.services.services.transports import ServicesRestTransport
from google.cloud.scheduler_v1.services.cloud_scheduler.transports import CloudSchedulerRestTransport

from services.core.clock import Clock, RunningClock, SystemClock
from services.core.errors import SourceUnreadable
from services.core.settings import Settings
from services.gcp.read_cache import Kept

EVERYTHING_ALLOWED = (
    "https://www.googleapis.com/auth/cloud-platform"  # what may really be done, the account's roles decide
)


@dataclass(frozen=True)
class Cloud:
    """Open clients of one project, with the settings and the clock they go by.

    With `kept`, what has not changed is not asked again; without it every question is put to Google anew.
    """

    settings: Settings
    clock: Clock
    bigquery: bigquery.Client
    run: run_v2.ServicesClient
    revisions: run_v2.RevisionsClient
    logging: logging.Client
    scheduler: scheduler_v1.CloudSchedulerClient
    kept: Kept | None = None

    def now(self) -> datetime:
        return self.clock.now()

    def service_name(self, service: str) -> str:
        """Cloud Run's full name of a service in this project and region."""
        return f"projects/{self.settings.project}/locations/{self.settings.region}/services/{service}"


def connect(settings: Settings, acting: bool = False) -> Cloud:
    """Open every client, as the account that acts when `acting`; raises SourceUnreadable when credentials or the sandbox are missing."""
    credentials = _credentials(settings, acting)
    options = ClientOptions(api_endpoint=settings.sandbox_url) if settings.in_sandbox else None
    run_address = urlsplit(settings.sandbox_url or "https://run.googleapis.com")
    scheduler_address = urlsplit(settings.sandbox_url or "https://cloudscheduler.googleapis.com")
    return Cloud(
        settings=settings,
        clock=_sandbox_clock(settings.sandbox_url) if settings.in_sandbox else SystemClock(),
        bigquery=bigquery.Client(
            project=settings.project, credentials=credentials, location=settings.location, client_options=options
        ),
        run=run_v2.ServicesClient(
            transport=ServicesRestTransport(
                host=run_address.netloc, url_scheme=run_address.scheme, credentials=credentials
            )
        ),
        revisions=run_v2.RevisionsClient(
            transport=RevisionsRestTransport(
                host=run_address.netloc, url_scheme=run_address.scheme, credentials=credentials
            )
        ),
        logging=logging.Client(
            project=settings.project, credentials=credentials, _use_grpc=False, client_options=options
        ),
        scheduler=scheduler_v1.CloudSchedulerClient(
            transport=CloudSchedulerRestTransport(
                host=scheduler_address.netloc, url_scheme=scheduler_address.scheme, credentials=credentials
            )
        ),
    )


def _credentials(settings: Settings, acting: bool) -> Credentials:
    if settings.in_sandbox:
        return AnonymousCredentials()
    try:
        own = google.auth.default(scopes=[EVERYTHING_ALLOWED])[0]
        if not acting or not settings.acting_account:
            return own
        return impersonated_credentials.Credentials(own, settings.acting_account, [EVERYTHING_ALLOWED], lifetime=3600)
    except DefaultCredentialsError:
        raise SourceUnreadable(
            "No Google credentials were found.",
            "Run `gcloud auth application-default login`, or set SANDBOX_URL to use the sandbox.",
        ) from None


def _sandbox_clock(address: str) -> Clock:
    try:
        answer = requests.get(f"{address}/sandbox/clock", timeout=5)
        answer.raise_for_status()
        return RunningClock.set_to(datetime.fromisoformat(answer.json()["now"]))
    except (requests.RequestException, ValueError, KeyError) as error:
        raise SourceUnreadable(
            f"The sandbox at {address} does not answer ({type(error).__name__}).", "Start it with `make run`."
        ) from None


TIMEOUT_S = 60.0
