"""The peers of `make bench-peers`: which version of each, how it is filled and served, and where its nights are listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.tools.benchmarks.pages import Candidate
from tests.tools.benchmarks.peers.stopwatch import site_script

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """Another product: modules of its own Python that prepare and serve it, and the page that lists its nights.

    In `env` and `serve`, {home} is its data folder, {port} its port, {folder} ours for it.
    `rows` selects a night on the page `click_to`; `min_rows` of them are its answer.
    """

    name: str
    requirement: str
    reason: str
    serve: tuple[str, ...]
    health: str
    click_from: str
    click_to: str
    rows: str
    min_rows: int
    env: Mapping[str, str]
    prepare: tuple[str, ...] = ()

    @property
    def lock(self) -> Path:
        """The requirement with all that it needs, pinned.

        Anew: `echo REQUIREMENT | uv pip compile --universal --python-version 3.11 --no-header --no-annotate - -o LOCK`.
        """
        return FOLDER / self.name.lower() / "lock.txt"

    @property
    def nights(self) -> Path:
        """The program, for the peer's own Python, that executes the nights."""
        return FOLDER / self.name.lower() / "nights.py"

    def environment(self, home: Path, port: int) -> dict[str, str]:
        """The peer's settings for this data folder and port."""
        return {name: value.format(home=home, port=port, folder=self.nights.parent) for name, value in self.env.items()}

    def candidate(self, address: str) -> Candidate:
        """Its page for the stop-watch."""
        script = site_script(self.click_to, self.rows, self.min_rows)
        return Candidate(self.name, f"{address}{self.click_to}", f"{address}{self.click_from}", self.click_to, script)


PEERS = (
    Peer(
        name="Dagster",
        requirement="dagster-webserver==1.13.28",
        reason="the newest of October 2026; what Dagster itself starts for its pages",
        env={"DAGSTER_HOME": "{home}"},
        serve=("dagster_webserver", "-h", "127.0.0.1", "-p", "{port}", "-f", "{folder}/nights.py"),
        health="/server_info",
        click_from="/overview",
        click_to="/runs",
        rows="[data-index]",
        min_rows=10,
    ),
    Peer(
        name="Prefect",
        requirement="prefect==3.9.1",
        reason="the newest of October 2026",
        env={
            "PREFECT_HOME": "{home}",
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_UI_API_URL": "http://127.0.0.1:{port}/api",
        },
        serve=("prefect", "server", "start", "--host", "127.0.0.1", "--port", "{port}"),
        health="/api/health",
        click_from="/dashboard",
        click_to="/runs",
        rows=".flow-run-list-item",
        min_rows=10,
    ),
    Peer(
        name="Airflow",
        requirement="apache-airflow==3.3.2",
        reason="the newest of September 2026",
        env={
            "AIRFLOW_HOME": "{home}",
            "AIRFLOW__CORE__DAGS_FOLDER": "{folder}",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        },
        prepare=("airflow", "db", "migrate"),
        serve=("airflow", "api-server", "--host", "127.0.0.1", "--port", "{port}"),
        health="/api/v2/version",
        click_from="/dags",
        click_to="/dags/nights",
        rows="a[href^='/dags/nights/runs/'][href$='/tasks/predict']",
        min_rows=10,
    ),
)
