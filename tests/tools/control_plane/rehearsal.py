"""`make apply-rehearsal`: first apply, second apply, upgrade and undo with the real gcloud and bq, and what each left behind."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.tools.control_plane.cloud import Cloud, Fault
from tests.tools.control_plane.customer import SETTINGS, make_customer_cloud
from tests.tools.control_plane.monitoring import unknown_metric
from tests.tools.control_plane.tools import Tools, find_missing_tool, open_tools

REDUCED = {"on-call/set-to": "4/100/3", "on-call/set-by": "nora@example.com", "on-call/normal-concurrency": "5"}


@dataclass(frozen=True)
class Step:
    """One script of deploy/ that ran: its exit code, seconds, API calls, and all that it printed."""

    name: str
    code: int
    seconds: float
    calls: int
    output: str
    state: str


def run_script(tools: Tools, name: str, script: str, **settings: str) -> Step:
    """Run `deploy/SCRIPT --do` with a customer's settings and others."""
    began, calls = time.monotonic(), sum(tools.cloud.calls.values())
    done = tools.run(["bash", f"deploy/{script}", "--do"], **{"RETRY_FOR": "60", **SETTINGS, **settings})
    seconds, calls = time.monotonic() - began, sum(tools.cloud.calls.values()) - calls
    return Step(name, done.returncode, seconds, calls, done.stdout + done.stderr, describe(tools.cloud))


def describe(cloud: Cloud) -> str:
    """What of ours is in a project, in one line."""
    channels = sum(bool(policy.get("notificationChannels")) for policy in cloud.alert_policies.values())
    grants = sum(len(grants) for grants in cloud.datasets.values()) + sum(len(cloud.roles(r)) for r in cloud.policies)
    services = [name for name in cloud.services if "on-call" in name]
    return (
        f"{len(services)} services, {len(cloud.jobs)} job, {len(cloud.timers)} timer, {len(cloud.tables)} tables,"
        f" {sum('on-call' in account for account in cloud.accounts)} accounts, {grants} grants, {len(cloud.metrics)} metrics,"
        f" {len(cloud.alert_policies)} policies ({channels} with a channel)"
    )


def reduce_capacity(cloud: Cloud) -> None:
    """What the dashboard leaves on our worker when it reduces the capacity to 4 × 3."""
    worker = cloud.services["prediction-on-call-worker"]
    worker["metadata"]["annotations"] |= {**REDUCED, "run.googleapis.com/maxScale": "4"}
    worker["spec"]["template"]["spec"]["containerConcurrency"] = 3


def rehearse(tools: Tools) -> Iterator[Step]:
    """Each script in the order in which a deployment meets them; alert policies do not know a new metric at first."""
    tools.cloud.faults.append(Fault("monitoring.projects.alertPolicies.create", unknown_metric("dml_errors"), times=3))
    yield run_script(tools, "first apply", "apply.sh", RETRY_EVERY="2")
    yield run_script(tools, "second apply", "apply.sh")
    reduce_capacity(tools.cloud)
    yield run_script(
        tools, "upgrade", "apply.sh", IMAGE="us-west2-docker.pkg.dev/nba-props-platform/x/x:new", CHANNEL=""
    )
    yield run_script(tools, "undo", "undo.sh")
    yield run_script(tools, "undo again", "undo.sh", RECORDS="delete")


def main() -> int:
    """Rehearse, print a line a step, and the whole transcript of a step that failed; the exit code."""
    if missing := find_missing_tool():
        print(f"{missing} is not on this machine: nothing was rehearsed.")
        return 1
    cloud = make_customer_cloud()
    with open_tools(cloud, forked="--plain" not in sys.argv) as tools:
        steps = []
        for step in rehearse(tools):
            steps.append(step)
            print(
                f"{step.name:13} rc {step.code}  {step.seconds:6.1f} s  {step.calls:4} calls  {step.state}", flush=True
            )
            if step.code or "--transcript" in sys.argv:
                print(step.output)
    print(
        f"{len(cloud.problems)} requests that a discovery document does not allow",
        *sorted(set(cloud.problems)),
        sep="\n  ",
    )
    return int(any(step.code for step in steps) or bool(cloud.problems))


if __name__ == "__main__":
    sys.exit(main())
