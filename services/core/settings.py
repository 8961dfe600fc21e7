"""Every setting, read once from the environment, strictly: an unknown value is refused, never guessed.

`python -m services.core.settings` (make settings) prints them all with their present values.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from services.core.errors import SettingsError


def _any_text(raw: str) -> str:
    return raw


def _name(raw: str) -> str:
    if not raw or not all(c.isalnum() or c in "-_" for c in raw):
        raise ValueError("letters, digits, - and _ only")
    return raw


def _url(raw: str) -> str:
    parts = urlsplit(raw)
    if raw and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("an http:// or https:// address, or nothing")
    if parts.username or parts.password or parts.query:
        raise ValueError("an address without user, password or query: no secrets in a URL")
    return raw.rstrip("/")


def _secret_url(raw: str) -> str:
    """The address itself is the secret, so a refusal must not repeat it."""
    parts = urlsplit(raw)
    if raw and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("an http:// or https:// address, or nothing")
    return raw


def _job_names(raw: str) -> str:
    return ",".join(_name(part.strip()) for part in raw.split(",") if part.strip())


def _positive_int(raw: str) -> int:
    if (number := int(raw)) < 1:
        raise ValueError("a whole number from 1")
    return number


def _positive_float(raw: str) -> float:
    if not 0 < (number := float(raw)) < float("inf"):
        raise ValueError("a number above 0")
    return number


def _percent(raw: str) -> float:
    if not 0 <= (number := float(raw)) <= 100:
        raise ValueError("a number from 0 to 100")
    return number


def _principals(raw: str) -> frozenset[str]:
    names = frozenset(name.strip().lower() for name in raw.split(",") if name.strip())
    if invalid := sorted(name for name in names if "@" not in name and not name.replace("-", "").isalnum()):
        raise ValueError(f"e-mail addresses or group names, with commas between; not {invalid[0]!r}")
    return names


def _service_account_email(raw: str) -> str:
    if raw and not re.fullmatch(r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com", raw):
        raise ValueError("a service account's address, or nothing")
    return raw


def _host_names(raw: str) -> frozenset[str]:
    names = frozenset(name.strip().lower() for name in raw.split(",") if name.strip())
    if invalid := sorted(name for name in names if not name.replace("-", "").replace(".", "").isalnum()):
        raise ValueError(f"host names without port, with commas between; not {invalid[0]!r}")
    return names


def parse_bool(raw: str) -> bool:
    """`true` or `false`, in any case; nothing else."""
    try:
        return {"true": True, "false": False}[raw.strip().lower()]
    except KeyError:
        raise ValueError("true or false") from None


def _setting(name: str, default: str, parse: Callable[[str], Any], doc: str, secret: bool = False) -> Any:
    return field(
        metadata={"name": name, "default": default, "parse": parse, "doc": doc, "secret": secret}, repr=not secret
    )


@dataclass(frozen=True)
class Settings:
    """The whole configuration. Build it with `Settings.from_env()`; each field's variable is documented beside it."""

    project: str = _setting(
        "GOOGLE_CLOUD_PROJECT", "nba-props-platform", _name, "Google Cloud project to read and act in"
    )
    region: str = _setting("CLOUD_RUN_REGION", "us-west2", _name, "region of the Cloud Run services")
    location: str = _setting("BIGQUERY_LOCATION", "US", _name, "location of the BigQuery datasets")
    worker_service: str = _setting("WORKER_SERVICE", "prediction-worker", _name, "Cloud Run name of the worker")
    coordinator_service: str = _setting(
        "COORDINATOR_SERVICE", "prediction-coordinator", _name, "Cloud Run name of the coordinator"
    )
    coordinator_url: str = _setting(
        "COORDINATOR_URL", "", _url, "coordinator's address; empty: the one that Cloud Run reports"
    )
    sandbox_url: str = _setting("SANDBOX_URL", "", _url, "address of the local sandbox; empty: real Google Cloud")
    iap_audience: str = _setting(
        "IAP_AUDIENCE", "", _any_text, "whom the proxy signs for: /projects/NUMBER/locations/REGION/services/NAME"
    )
    iap_keys_url: str = _setting(
        "IAP_KEYS_URL",
        "https://www.gstatic.com/iap/verify/public_key-jwk",
        _url,
        "public keys of Identity-Aware Proxy",
    )
    operators: frozenset[str] = _setting(
        "OPERATORS", "", _principals, "e-mail addresses that may act, with commas between"
    )
    operator_groups: frozenset[str] = _setting(
        "OPERATOR_GROUPS", "", _principals, "groups that may act, where the sign-in vouches for groups (OIDC)"
    )
    acting_account: str = _setting(
        "ACTING_ACCOUNT",
        "",
        _service_account_email,
        "service account that actions are carried out as; empty: the one that reads",
    )
    dashboard_hosts: frozenset[str] = _setting(
        "DASHBOARD_HOSTS", "", _host_names, "names the dashboard answers under, with commas between; empty: any"
    )
    max_bytes_billed_mib: int = _setting(
        "QUERY_LIMIT_MIB", "1024", _positive_int, "MiB one query may bill before BigQuery refuses it"
    )
    query_timeout_s: float = _setting(
        "QUERY_TIMEOUT_S", "30", _positive_float, "seconds one read may take, retries included"
    )
    coverage_warning_pct: float = _setting("COVERAGE_WARNING_PCT", "95", _percent, "coverage below this is a warning")
    coverage_critical_pct: float = _setting("COVERAGE_CRITICAL_PCT", "85", _percent, "coverage below this is critical")
    orphan_after_h: float = _setting(
        "ORPHAN_AFTER_H", "24", _positive_float, "age in hours at which a staging table is an orphan"
    )
    dml_alert_errors: int = _setting(
        "DML_ALERT_ERRORS", "5", _positive_int, "rejected writes that raise the DML alert …"
    )
    dml_alert_window_s: int = _setting("DML_ALERT_WINDOW_S", "60", _positive_int, "… within this many seconds")
    run_deadline_before_tipoff_min: int = _setting(
        "RUN_DEADLINE_MIN", "90", _positive_int, "minutes before the first tip-off at which the night must be covered"
    )
    expected_jobs: str = _setting(
        "EXPECTED_JOBS",
        "overnight-predictions,same-day-predictions,tomorrow-predictions",
        _job_names,
        "Cloud Scheduler jobs that must be there and enabled, separated by commas",
    )
    dashboard_url: str = _setting(
        "DASHBOARD_URL", "http://127.0.0.1:8501", _url, "this dashboard's address, for links in messages"
    )
    slack_webhook_url: str = _setting(
        "SLACK_WEBHOOK_URL", "", _secret_url, "Slack's incoming webhook; empty: alerts reach nobody", secret=True
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read `env` (the process environment by default); raises SettingsError naming the variable and its rule."""
        env = os.environ if env is None else env
        settings = cls(**{f.name: _read_variable(f.metadata, env) for f in fields(cls)})
        if settings.coverage_critical_pct > settings.coverage_warning_pct:
            raise SettingsError(
                f"COVERAGE_CRITICAL_PCT ({settings.coverage_critical_pct:g}) is above"
                f" COVERAGE_WARNING_PCT ({settings.coverage_warning_pct:g}).",
                "Set the critical threshold at or below the warning one.",
            )
        return settings

    @property
    def in_sandbox(self) -> bool:
        return bool(self.sandbox_url)


def _read_variable(metadata: Mapping[str, Any], env: Mapping[str, str]) -> Any:
    raw = env.get(metadata["name"], "").strip() or metadata["default"]
    try:
        return metadata["parse"](raw)
    except (ValueError, OverflowError) as error:
        raw = "…" if metadata["secret"] else raw
        rule = metadata["doc"] if "invalid literal" in str(error) or "could not convert" in str(error) else str(error)
        raise SettingsError(
            f"{metadata['name']}={raw!r} cannot be used: {rule}.",
            f"Unset it for the default, {metadata['default'] or 'empty'}.",
        ) from None


def _format_value(metadata: Mapping[str, Any], value: Any) -> str:
    if metadata["secret"]:
        return "set" if value else "not set"
    return ",".join(sorted(value)) if isinstance(value, frozenset) else str(value)


def describe(settings: Settings) -> str:
    """A table of every variable: its value now, its default, what it is for."""
    rows = [
        (
            f.metadata["name"],
            _format_value(f.metadata, getattr(settings, f.name)),
            f.metadata["default"],
            f.metadata["doc"],
        )
        for f in fields(settings)
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    header = f"{'variable':{widths[0]}}  {'value':{widths[1]}}  {'default':{widths[2]}}  meaning"
    return "\n".join([header, *(f"{a:{widths[0]}}  {b:{widths[1]}}  {c:{widths[2]}}  {d}" for a, b, c, d in rows)])


if __name__ == "__main__":
    try:
        print(describe(Settings.from_env()))
    except SettingsError as error:
        raise SystemExit(str(error)) from None
