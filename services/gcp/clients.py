"""The clients of Google's APIs, opened here and nowhere else; in the sandbox only their address differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from math import inf
from threading import Lock
from time import monotonic
from urllib.parse import urlsplit

import google.auth
import requests
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPIError
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.cloud import bigquery, logging, run_v2, scheduler_v1
from google.cloud.bigquery.retry import DEFAULT_RETRY
from google.cloud.run_v2.services.revisions.transports import RevisionsRestTransport
from google.cloud.run_v2.services.services.transports import ServicesRestTransport
from google.cloud.scheduler_v1.services.cloud_scheduler.transports import CloudSchedulerRestTransport
from requests.adapters import HTTPAdapter

from services.core.clock import Clock, OffsetClock, SystemClock
from services.core.errors import AccessDenied, SourceUnavailable
from services.core.settings import Settings
from services.core.tables import PREDICTIONS_DATASET
from services.gcp.read_cache import ReadCache

# The scope allows everything; the account's roles limit what may really be done.
CLOUD_PLATFORM_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
BIGQUERY_TIMEOUT_S = 60.0  # of one HTTP request that writes
LOCATION_TIMEOUT_S = (
    10.0  # of one request, and of all its retries; after a failure it is asked for again only so much later
)
MAX_CONNECTIONS = 48  # kept open to BigQuery; beyond that each call opens one, which takes three times as long


@dataclass(frozen=True)
class Clients:
    """Open clients of one project, with its settings and clock.

    With a `cache` that reuses answers, unchanged tables and past log lines are not read again; without it every read goes
    to Google.
    """

    settings: Settings
    clock: Clock
    bigquery: bigquery.Client
    run: run_v2.ServicesClient
    revisions: run_v2.RevisionsClient
    logging: logging.Client
    scheduler: scheduler_v1.CloudSchedulerClient
    cache: ReadCache = field(default_factory=lambda: ReadCache(reuse_answers=False))
    credentials: Credentials = field(default_factory=AnonymousCredentials, repr=False)

    def now(self) -> datetime:
        return self.clock.now()

    def service_name(self, service: str) -> str:
        """Cloud Run's full name of a service in this project and region."""
        return f"projects/{self.settings.project}/locations/{self.settings.region}/services/{service}"


def connect(settings: Settings, as_operator: bool = False) -> Clients:
    """Open every client, with `as_operator` as the acting account; raises SourceUnavailable without credentials or sandbox."""
    credentials = _credentials(settings, as_operator)
    options = ClientOptions(api_endpoint=settings.sandbox_url) if settings.in_sandbox else None
    run_url = urlsplit(settings.sandbox_url or "https://run.googleapis.com")
    scheduler_url = urlsplit(settings.sandbox_url or "https://cloudscheduler.googleapis.com")
    return Clients(
        settings=settings,
        clock=_sandbox_clock(settings) if settings.in_sandbox else SystemClock(),
        credentials=credentials,
        bigquery=LocatingClient(settings, credentials, options),
        run=run_v2.ServicesClient(
            transport=ServicesRestTransport(host=run_url.netloc, url_scheme=run_url.scheme, credentials=credentials)
        ),
        revisions=run_v2.RevisionsClient(
            transport=RevisionsRestTransport(host=run_url.netloc, url_scheme=run_url.scheme, credentials=credentials)
        ),
        logging=logging.Client(
            project=settings.project, credentials=credentials, _use_grpc=False, client_options=options
        ),
        scheduler=scheduler_v1.CloudSchedulerClient(
            transport=CloudSchedulerRestTransport(
                host=scheduler_url.netloc, url_scheme=scheduler_url.scheme, credentials=credentials
            )
        ),
    )


class LocatingClient(bigquery.Client):
    """A client whose jobs run where the predictions' dataset is, unless a location is set.

    It is read by the first call, not when the client is opened: no page waits for it. While it cannot be read the jobs name none,
    and BigQuery takes that of their tables.
    """

    def __init__(self, settings: Settings, credentials: Credentials, options: ClientOptions | None) -> None:
        session = _open_session(credentials)
        super().__init__(settings.project, credentials, session, settings.location or None, client_options=options)
        # Every call asks its client for the location: the one that finds it out is another one.
        self._finder = bigquery.Client(settings.project, credentials, session, client_options=options)
        self._lock, self._failed_s = Lock(), -inf

    @property
    def location(self) -> str | None:
        with self._lock:
            if self._location is None and monotonic() - self._failed_s > LOCATION_TIMEOUT_S:
                self._location = read_dataset_location(self._finder)
                self._failed_s = -inf if self._location else monotonic()
            return self._location


def _open_session(credentials: Credentials) -> AuthorizedSession:
    """A session whose connections suffice for everything that is read at the same time."""
    session = AuthorizedSession(credentials)
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=MAX_CONNECTIONS))
    return session


def read_dataset_location(client: bigquery.Client) -> str | None:
    """Where the predictions' dataset is, by datasets.get; None when it cannot be read."""
    try:
        return str(
            client.get_dataset(
                PREDICTIONS_DATASET, retry=DEFAULT_RETRY.with_timeout(LOCATION_TIMEOUT_S), timeout=LOCATION_TIMEOUT_S
            ).location
        )
    except (
        GoogleAPIError,
        GoogleAuthError,
        requests.RequestException,
        KeyError,
    ):  # KeyError: an answer, but no dataset
        return None  # the query itself says what is wrong


class SandboxCredentials(Credentials):
    """An account of the sandbox. Its address is its access token, which does not expire."""

    def __init__(self, account: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = account

    def refresh(self, request: object) -> None:
        """Nothing: the token stays as it is."""


def _credentials(settings: Settings, as_operator: bool) -> Credentials:
    """The account that this process runs as; `as_operator`, the acting one, which it impersonates where one is set."""
    if settings.in_sandbox and not settings.sandbox_principal:
        return AnonymousCredentials()  # the sandbox's developer
    try:
        base_credentials = (
            SandboxCredentials(settings.sandbox_principal)
            if settings.in_sandbox
            else google.auth.default(scopes=[CLOUD_PLATFORM_SCOPE])[0]
        )
    except DefaultCredentialsError:
        raise SourceUnavailable(
            "No Google credentials were found.",
            "Run `gcloud auth application-default login`, or set SANDBOX_URL to use the sandbox.",
        ) from None
    if not as_operator or not settings.acting_account:
        return base_credentials
    token_url = f"{settings.sandbox_url}/v1/projects/-/serviceAccounts/{settings.acting_account}:generateAccessToken"
    return impersonated_credentials.Credentials(
        base_credentials,
        settings.acting_account,
        [CLOUD_PLATFORM_SCOPE],
        lifetime=3600,
        iam_endpoint_override=token_url if settings.in_sandbox else None,
    )


def _sandbox_clock(settings: Settings) -> Clock:
    url, principal = settings.sandbox_url, settings.sandbox_principal
    headers = {"Authorization": f"Bearer {principal}"} if principal else {}
    try:
        response = requests.get(f"{url}/sandbox/clock", headers=headers, timeout=5)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            raise AccessDenied(
                response.json()["error"]["message"], "Set SANDBOX_PRINCIPAL to one that it has, or unset it."
            )
        response.raise_for_status()
        return OffsetClock.starting_at(datetime.fromisoformat(response.json()["now"]))
    except (requests.RequestException, ValueError, KeyError) as error:
        raise SourceUnavailable(
            f"The sandbox at {url} does not answer ({type(error).__name__}).", "Start it with `make run`."
        ) from None
