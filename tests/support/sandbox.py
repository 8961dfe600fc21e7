"""Service times for sandboxes that tests start, and settings of one of their accounts."""

from __future__ import annotations

from services.core.settings import Settings
from services.sandbox.bigquery.job_context import JobLatency
from services.sandbox.common.identities import account_address
from services.sandbox.server import Sandbox

FAST = JobLatency(scale=0.02)  # a MERGE of 4.7 s takes about 0.1 s


def settings_as(sandbox: Sandbox, name: str, **env: str) -> Settings:
    """Settings of a process that is the account `name` of a sandbox: read, act, pipeline, tick, customer or developer."""
    principal = account_address(name, sandbox.state.project)
    return Settings.from_env({"SANDBOX_URL": sandbox.url, "SANDBOX_PRINCIPAL": principal, **env})
