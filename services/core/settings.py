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


def _text(raw: str) -> str:
    return raw


def _name(raw: str) -> str:
    if not raw or not all(c.isalnum() or c in "-_" for c in raw):
        raise ValueError("letters, digits, - and _ only")
    return raw


def _address(raw: str) -> str:
    parts = urlsplit(raw)
    if raw and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("an http:// or https:// address, or nothing")
    if parts.username or parts.password or parts.query:
        raise ValueError("an address without user, password or query: no secrets in a URL")
    return raw.rstrip("/")


def _secret_address(raw: str) -> str:
    """The address itself is the secret, so a refusal must not repeat it."""
    parts = urlsplit(raw)
    if raw and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("an http:// or https:// address, or nothing")
    return raw


def _jobs(raw: str) -> str:
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


def _names(raw: str) -> frozenset[str]:
    names = frozenset(name.strip().lower() for name in raw.split(",") if name.strip())
    if wrong := sorted(name for name in names if "@" not in name and not name.replace("-", "").isalnum()):
        raise ValueError(f"e-mail addresses or group names, with commas between; not {wrong[0]!r}")
    return names


def _account(raw: str) -> str:
    if raw and not re.fullmatch(r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com", raw):
        raise ValueError("a service account's address, or nothing")
    return raw


def _hosts(raw: str) -> frozenset[str]:
    names = frozenset(name.strip().lower() for name in raw.split(",") if name.strip())
    if wrong := sorted(name for name in names if not name.replace("-", "").replace(".", "").isalnum()):
        raise ValueError(f"host names without port, with commas between; not {wrong[0]!r}")
    return names


def boolean(raw: str) -> bool:
    """`true` or `false`, in any case; nothing else."""
    try:
        return {"true": True, "false": False}[raw.strip().lower()]
    except KeyError:
        raise ValueError("true or false") from None


def _var(name: str, default: str, parse: Callable[[str], Any], doc: str, secret: bool = False) -> Any:
    return field(
        metadata={"name": name, "default": default, "parse": parse, "doc": doc, "secret": secret}, repr=not secret
    )


@dataclass(frozen=True)
class Settings:
    """The whole configuration. Build it with `Settings.from_env()`; each field's variable is documented beside it."""

    project: str = _var("GOOGLE_CLOUD_PROJECT", "nba-props-platform", _name, "Google Cloud project to read and act in")
    region: str = _var("CLOUD_RUN_REGION", "us-west2", _name, "region of the Cloud Run services")
    location: str = _var("BIGQUERY_LOCATION", "US", _name, "location of the BigQuery datasets")
    worker_service: str = _var("WORKER_SERVICE", "prediction-worker", _name, "Cloud Run name of the worker")
    coordinator_service: str = _var(
        "COORDINATOR_SERVICE", "prediction-coordinator", _name, "Cloud Run name of the coordinator"
    )
    coordinator_url: str = _var(
        "COORDINATOR_URL", "", _address, "coordinator's address; empty: the one that Cloud Run reports"
    )
    sandbox_url: str = _var("SANDBOX_URL", "", _address, "address of the local sandbox; empty: real Google Cloud")
    iap_audience: str = _var(
        "IAP_AUDIENCE", "", _text, "whom the proxy signs for: /projects/NUMBER/locations/REGION/services/NAME"
    )
    iap_keys_url: str = _var(
        "IAP_KEYS_URL",
        "https://www.gstatic.com/iap/verify/public_key-jwk",
        _address,
        "public keys of Identity-Aware Proxy",
    )
    operators: frozenset[str] = _var("OPERATORS", "", _names, "e-mail addresses that may act, with commas between")
    operator_groups: frozenset[str] = _var(
        "OPERATOR_GROUPS", "", _names, "groups that may act, where the sign-in vouches for groups (OIDC)"
    )
    acting_account: str = _var(
        "ACTING_ACCOUNT", "", _account, "service account that actions are carried out as; empty: the one that reads"
    )
    dashboard_hosts: frozenset[str] = _var(
        "DASHBOARD_HOSTS", "", _hosts, "names the dashboard answers under, with commas between; empty: any"
    )
    query_limit_mib: int = _var(
        "QUERY_LIMIT_MIB", "1024", _positive_int, "MiB one query may bill before BigQuery refuses it"
    )
    query_timeout_s: float = _var(
        "QUERY_TIMEOUT_S", "30", _positive_float, "seconds one read may take, retries included"
    )
    coverage_warning_pct: float = _var("COVERAGE_WARNING_PCT", "95", _percent, "coverage below this is a warning")
    coverage_critical_pct: float = _var("COVERAGE_CRITICAL_PCT", "85", _percent, "coverage below this is critical")
    orphan_after_h: float = _var(
        "ORPHAN_AFTER_H", "24", _positive_float, "age in hours at which a staging table is an orphan"
    )
    dml_alert_errors: int = _var("DML_ALERT_ERRORS", "5", _positive_int, "rejected writes that raise the DML alert …")
    dml_alert_window_s: int = _var("DML_ALERT_WINDOW_S", "60", _positive_int, "… within this many seconds")
    run_deadline_min: int = _var(
        "RUN_DEADLINE_MIN", "90", _positive_int, "minutes before the first tip-off at which the night must be covered"
    )
    expected_jobs: str = _var(
        "EXPECTED_JOBS",
        "overnight-predictions,same-day-predictions,tomorrow-predictions",
        _jobs,
        "Cloud Scheduler jobs that must be there and enabled, separated by commas",
    )
    dashboard_url: str = _var(
        "DASHBOARD_URL", "http://127.0.0.1:8501", _address, "this dashboard's address, for links in messages"
    )
    slack_webhook_url: str = _var(
        "SLACK_WEBHOOK_URL", "", _secret_address, "Slack's incoming webhook; empty: alerts reach nobody", secret=True
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read `env` (the process environment by default); raises SettingsError naming the variable and its rule."""
        env = os.environ if env is None else env
        made = cls(**{f.name: _read(f.metadata, env) for f in fields(cls)})
        if made.coverage_critical_pct > made.coverage_warning_pct:
            raise SettingsError(
                f"COVERAGE_CRITICAL_PCT ({made.coverage_critical_pct:g}) is above"
                f" COVERAGE_WARNING_PCT ({made.coverage_warning_pct:g}).",
                "Set the critical threshold at or below the warning one.",
            )
        return made

    @property
    def in_sandbox(self) -> bool:
        return bool(self.sandbox_url)


def _read(about: Mapping[str, Any], env: Mapping[str, str]) -> Any:
    raw = env.get(about["name"], "").strip() or about["default"]
    try:
        return about["parse"](raw)
    except (ValueError, OverflowError) as wrong:
        raw = "…" if about["secret"] else raw
        rule = about["doc"] if "invalid literal" in str(wrong) or "could not convert" in str(wrong) else str(wrong)
        raise SettingsError(
            f"{about['name']}={raw!r} cannot be used: {rule}.",
            f"Unset it for the default, {about['default'] or 'empty'}.",
        ) from None


def _shown(about: Mapping[str, Any], value: Any) -> str:
    if about["secret"]:
        return "set" if value else "not set"
    return ",".join(sorted(value)) if isinstance(value, frozenset) else str(value)


def describe(settings: Settings) -> str:
    """A table of every variable: its value now, its default, what it is for."""
    rows = [
        (f.metadata["name"], _shown(f.metadata, getattr(settings, f.name)), f.metadata["default"], f.metadata["doc"])
        for f in fields(settings)
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    head = f"{'variable':{widths[0]}}  {'value':{widths[1]}}  {'default':{widths[2]}}  meaning"
    return "\n".join([head, *(f"{a:{widths[0]}}  {b:{widths[1]}}  {c:{widths[2]}}  {d}" for a, b, c, d in rows)])


if __name__ == "__main__":
    try:
        print(describe(Settings.from_env()))
    except SettingsError as error:
        raise SystemExit(str(error)) from None
