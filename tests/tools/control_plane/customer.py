"""A customer's project as apply.sh finds it: datasets, two services, a worker's account, a secret, a channel."""

from __future__ import annotations

from typing import Any

from tests.tools.control_plane import run
from tests.tools.control_plane.cloud import Call, Cloud

CHANNEL = "projects/nba-props-platform/notificationChannels/1234"
RUNTIME = "prediction-worker@nba-props-platform.iam.gserviceaccount.com"
SETTINGS = {  # of apply.sh, everything that it can set
    "PROJECT": "nba-props-platform",
    "OPERATORS": "nora@example.com,max@example.com",
    "PEOPLE": "group:on-call@example.com,user:vic@example.com",
    "WATCHED_RUNTIME": RUNTIME,
    "SLACK_SECRET": "on-call-slack",
    "WITH_WRITE_PATH": "yes",
    "CHANNEL": CHANNEL,
}


def make_customer_cloud(**fields: Any) -> Cloud:
    """The project before anything of ours is in it; `fields` are those of Cloud."""
    cloud = Cloud(**fields)
    cloud.datasets |= {name: set() for name in ("nba_predictions", "nba_analytics", "nba_raw", "nba_reference")}
    cloud.accounts[RUNTIME] = {"name": f"projects/{cloud.project}/serviceAccounts/{RUNTIME}", "email": RUNTIME}
    cloud.secrets.add("on-call-slack")
    cloud.channels.add(CHANNEL)
    for name in ("prediction-worker", "prediction-coordinator"):
        add_service(cloud, name)
    return cloud


def add_service(cloud: Cloud, name: str) -> None:
    """A service that was deployed by somebody else."""
    template = {
        "spec": {
            "serviceAccountName": RUNTIME,
            "containerConcurrency": 5,
            "containers": [{"image": f"gcr.io/p/{name}"}],
        }
    }
    service = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": cloud.project},
        "spec": {"template": template},
    }
    run.put_service(cloud, Call("run", "", f"/services/{name}", {}, service))
