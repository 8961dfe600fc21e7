"""Every setting of the platform, its variable, default and meaning; `make settings` prints them.

The thresholds are in services/core/thresholds.py, the handoff's own variables (capacities, self-healing) in
services/policy/concurrency_config.py.
"""

from __future__ import annotations

from typing import Self

from pydantic import AliasChoices, Field, model_validator

from services.core.env_settings import (
    Count,
    EnvSettings,
    Flag,
    HostNames,
    Name,
    Names,
    OptionalName,
    PagerFormat,
    Port,
    PositiveFloat,
    PositiveInt,
    Principals,
    SecretKey,
    SecretUrl,
    ServiceAccount,
    Url,
)
from services.core.errors import SettingsError
from services.core.thresholds import Thresholds

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class Settings(Thresholds):
    """What every part reads: the project, its services, limits, thresholds, sign-in and links."""

    project: Name = Field(
        "nba-props-platform",
        validation_alias="GOOGLE_CLOUD_PROJECT",
        description="Google Cloud project to read and act in",
    )
    region: Name = Field(
        "us-west2", validation_alias="CLOUD_RUN_REGION", description="region of the Cloud Run services"
    )
    location: OptionalName = Field(
        "",
        validation_alias="BIGQUERY_LOCATION",
        description="location of the BigQuery datasets; empty: where the predictions' dataset is",
    )
    worker_service: Name = Field(
        "prediction-worker", validation_alias="WORKER_SERVICE", description="Cloud Run name of the worker"
    )
    coordinator_service: Name = Field(
        "prediction-coordinator",
        validation_alias="COORDINATOR_SERVICE",
        description="Cloud Run name of the coordinator",
    )
    coordinator_url: Url = Field(
        "",
        validation_alias="COORDINATOR_URL",
        description="coordinator's address; empty: the one that Cloud Run reports",
    )
    sandbox_url: Url = Field(
        "", validation_alias="SANDBOX_URL", description="address of the local sandbox; empty: real Google Cloud"
    )
    sandbox_principal: ServiceAccount = Field(
        "",
        validation_alias="SANDBOX_PRINCIPAL",
        description="service account that this process is in the sandbox; empty: its developer, who may do everything",
    )
    iap_audience: str = Field(
        "",
        validation_alias="IAP_AUDIENCE",
        description="whom the proxy signs for: /projects/NUMBER/locations/REGION/services/NAME",
    )
    iap_keys_url: Url = Field(
        "https://www.gstatic.com/iap/verify/public_key-jwk",
        validation_alias="IAP_KEYS_URL",
        description="public keys of Identity-Aware Proxy",
    )
    oidc_issuer: Url = Field(
        "",
        validation_alias="OIDC_ISSUER",
        description="issuer whose sign-ins are accepted, where Streamlit's own sign-in (OIDC) is configured",
    )
    oidc_hosted_domains: HostNames = Field(
        frozenset(),
        validation_alias="OIDC_HOSTED_DOMAINS",
        description="organisations whose accounts may sign in (Google's hd claim), with commas between; empty: any of the issuer's",
    )
    operators: Principals = Field(
        frozenset(), validation_alias="OPERATORS", description="e-mail addresses that may act, with commas between"
    )
    operator_groups: Principals = Field(
        frozenset(),
        validation_alias="OPERATOR_GROUPS",
        description="groups that may act, where the sign-in vouches for groups (OIDC)",
    )
    acting_account: ServiceAccount = Field(
        "",
        validation_alias="ACTING_ACCOUNT",
        description="service account that actions are carried out as; empty: the one that reads",
    )
    dashboard_hosts: HostNames = Field(
        frozenset(),
        validation_alias="DASHBOARD_HOSTS",
        description="names the dashboard answers under, with commas between; empty: any",
    )
    max_bytes_billed_mib: PositiveInt = Field(
        1024, validation_alias="QUERY_LIMIT_MIB", description="MiB one query may bill before BigQuery refuses it"
    )
    query_timeout_s: PositiveFloat = Field(
        30.0, validation_alias="QUERY_TIMEOUT_S", description="seconds one read may take, retries included"
    )
    expected_jobs: Names = Field(
        "overnight-predictions,same-day-predictions,tomorrow-predictions",
        validation_alias="EXPECTED_JOBS",
        description="Cloud Scheduler jobs that must be there and enabled, separated by commas",
    )
    manifest_dir: str = Field(
        "",
        validation_alias="MANIFEST_DIR",
        description="folder with what this installation should consist of; empty: deploy/manifest",
    )
    dashboard_url: Url = Field(
        "http://127.0.0.1:8501",
        validation_alias="DASHBOARD_URL",
        description="this dashboard's address, for links in messages",
    )
    slack_webhook_url: SecretUrl = Field(
        "",
        validation_alias="SLACK_WEBHOOK_URL",
        description="Slack's incoming webhook; empty: no notifications are sent",
        repr=False,
    )
    escalate_after_min: Count = Field(
        0,
        validation_alias="ESCALATE_AFTER_MIN",
        description="minutes after its first notification at which an alert nobody acknowledged goes to the second channel; 0: never",
    )
    escalation_format: PagerFormat = Field(
        "webhook",
        validation_alias="ESCALATION_FORMAT",
        description="what the second channel takes: webhook (JSON of our own), pagerduty (Events API v2) or opsgenie",
    )
    escalation_url: SecretUrl = Field(
        "",
        validation_alias="ESCALATION_URL",
        description="second channel's address; empty: that of PagerDuty or Opsgenie, and for a webhook none",
        repr=False,
    )
    escalation_key: SecretKey = Field(
        "",
        validation_alias="ESCALATION_KEY",
        description="second channel's key: PagerDuty's routing key, Opsgenie's API key, or a webhook's bearer token",
        repr=False,
    )

    @model_validator(mode="after")
    def _check_principal(self) -> Self:
        if self.sandbox_principal and not self.sandbox_url:
            raise SettingsError(
                f"SANDBOX_PRINCIPAL={self.sandbox_principal!r} is only known to the sandbox, and SANDBOX_URL is not set.",
                "Unset it: on Google Cloud a process is the account that it runs as.",
            )
        return self

    @property
    def in_sandbox(self) -> bool:
        return bool(self.sandbox_url)


class ServerSettings(EnvSettings):
    """Where the worker and the coordinator listen, and which revision they are."""

    host: str = Field("127.0.0.1", validation_alias="HOST", description="address the servers listen on")
    port: Port = Field(8080, validation_alias="PORT", description="port of worker and coordinator; Cloud Run sets it")
    revision: str = Field(
        "",
        validation_alias="K_REVISION",
        description="Cloud Run's name of this revision, which sets it; empty: elsewhere",
    )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        return self.host in LOOPBACK_HOSTS


class DashboardServerSettings(EnvSettings):
    """Where the dashboard listens."""

    host: str = Field("127.0.0.1", validation_alias="HOST", description="address the servers listen on")
    port: Port = Field(
        8501, validation_alias=AliasChoices("DASHBOARD_PORT", "PORT"), description="port of the dashboard"
    )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        return self.host in LOOPBACK_HOSTS


class SandboxSettings(EnvSettings):
    """What `make run` starts, and on which ports of this machine."""

    scenario: str = Field(
        "december",
        validation_alias="SCENARIO",
        description="the sandbox's data: december, season (a whole season) or customer (the customer's own services)",
    )
    dashboard_port: Port = Field(8501, validation_alias="DASHBOARD_PORT", description="port of the dashboard")
    sandbox_port: Port = Field(9050, validation_alias="SANDBOX_PORT", description="port of the sandbox")
    slack_webhook_url: SecretUrl = Field(
        "",
        validation_alias="SLACK_WEBHOOK_URL",
        description="Slack's incoming webhook; empty: the sandbox's own",
        repr=False,
    )
    sandbox_requires_credentials: Flag = Field(
        False,
        validation_alias="SANDBOX_REQUIRES_CREDENTIALS",
        description="true: 401 to a request without credentials, as on Google; false: it is the developer's",
    )
    coordinator_port: Port = Field(
        8090, validation_alias="COORDINATOR_PORT", description="port of the sandbox's coordinator"
    )
