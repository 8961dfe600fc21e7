"""Log-based metrics, alert policies with their channels, log lines, and Cloud Scheduler's jobs."""

from __future__ import annotations

import re
from typing import Any

from tests.tools.control_plane.cloud import Call, Cloud, Refused, Resource, already_exists, not_found

_USER_METRIC = re.compile(r'metric\.type\s*=\s*"logging\.googleapis\.com/user/(\w+)"')


def create_metric(cloud: Cloud, call: Call) -> Resource:
    name = call.body["name"]
    if name in cloud.metrics:
        raise already_exists(f"Metric {name}")
    cloud.metrics[name] = call.body
    return cloud.metrics[name]


def update_metric(cloud: Cloud, call: Call) -> Resource:
    name = call.after("metrics")
    cloud.metrics[name] = {**call.body, "name": name}
    return cloud.metrics[name]


def get_metric(cloud: Cloud, call: Call) -> Resource:
    name = call.after("metrics")
    if name not in cloud.metrics:
        raise not_found(f"Metric {name}")
    return cloud.metrics[name]


def delete_metric(cloud: Cloud, call: Call) -> Resource:
    get_metric(cloud, call)
    del cloud.metrics[call.after("metrics")]
    return {}


def list_log_lines(cloud: Cloud, call: Call) -> Resource:
    return {"entries": []}


def list_policies(cloud: Cloud, call: Call) -> Resource:
    wanted = re.search(r'display_?[nN]ame\s*=\s*"([^"]*)"', call.query.get("filter", ""))
    policies = cloud.alert_policies.values()
    return {"alertPolicies": [policy for policy in policies if wanted is None or policy["displayName"] == wanted[1]]}


def create_policy(cloud: Cloud, call: Call) -> Resource:
    _check_policy(cloud, call.body)
    name = f"projects/{cloud.project}/alertPolicies/{1000 + len(cloud.alert_policies)}"
    cloud.alert_policies[name] = {**call.body, "name": name, "enabled": True}
    return cloud.alert_policies[name]


def get_policy(cloud: Cloud, call: Call) -> Resource:
    return cloud.alert_policies[_known_policy(cloud, call)]


def update_policy(cloud: Cloud, call: Call) -> Resource:
    """Without a mask the whole policy is replaced: what the body does not name is gone."""
    name = _known_policy(cloud, call)
    mask = [field for field in call.query.get("updateMask", "").split(",") if field]
    _check_policy(cloud, call.body)
    old = cloud.alert_policies[name] if mask else {}
    changed = {_camel(field): call.body.get(_camel(field)) for field in mask} if mask else dict(call.body)
    cloud.alert_policies[name] = {k: v for k, v in {**old, **changed, "name": name}.items() if v is not None}
    return cloud.alert_policies[name]


def delete_policy(cloud: Cloud, call: Call) -> Resource:
    del cloud.alert_policies[_known_policy(cloud, call)]
    return {}


def _camel(field: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), field.partition(".")[0])


def _known_policy(cloud: Cloud, call: Call) -> str:
    name = f"projects/{cloud.project}/alertPolicies/{call.after('alertPolicies')}"
    if name not in cloud.alert_policies:
        raise not_found(name)
    return name


def unknown_metric(name: str) -> Refused:
    """What an alert policy is refused with that names a metric which is not there, or is not ten minutes old."""
    return Refused(
        404,
        "NOT_FOUND",
        f'Cannot find metric(s) that match type = "logging.googleapis.com/user/{name}". If a metric was created recently,'
        " it could take up to 10 minutes to become available. Please try again soon.",
    )


def _check_policy(cloud: Cloud, policy: Resource) -> None:
    for metric in _USER_METRIC.findall(str(policy.get("conditions", []))):
        if metric not in cloud.metrics:
            raise unknown_metric(metric)
    for channel in policy.get("notificationChannels", []):
        if channel not in cloud.channels:
            raise Refused(
                400, "INVALID_ARGUMENT", f"Field notification_channels refers to {channel}, which does not exist."
            )


def create_timer(cloud: Cloud, call: Call) -> Resource:
    name = call.body["name"].rpartition("/")[2]
    if name in cloud.timers:
        raise already_exists(f"Job {name}")
    cloud.timers[name] = {**call.body, "state": "ENABLED"}
    return cloud.timers[name]


def update_timer(cloud: Cloud, call: Call) -> Resource:
    timer = get_timer(cloud, call)
    mask = [field.partition(".")[0] for field in call.query.get("updateMask", "").split(",")]
    timer |= {field: call.body[field] for field in mask if field in call.body}
    return timer


def get_timer(cloud: Cloud, call: Call) -> Resource:
    name = call.after("jobs")
    if name not in cloud.timers:
        raise not_found(f"Job {name}")
    return cloud.timers[name]


def list_timers(cloud: Cloud, call: Call) -> Resource:
    return {"jobs": list(cloud.timers.values())}


def resume_timer(cloud: Cloud, call: Call) -> Resource:
    timer = get_timer(cloud, call)
    timer["state"] = "ENABLED"
    return timer


def run_timer(cloud: Cloud, call: Call) -> Resource:
    return get_timer(cloud, call)


def pause_timer(cloud: Cloud, call: Call) -> Resource:
    timer = get_timer(cloud, call)
    timer["state"] = "PAUSED"
    return timer


def list_subscriptions(cloud: Cloud, call: Call) -> Resource:
    return {"subscriptions": []}


def delete_timer(cloud: Cloud, call: Call) -> Resource:
    get_timer(cloud, call)
    del cloud.timers[call.after("jobs")]
    return {}


def get_location(cloud: Cloud, call: Call) -> Resource:
    return {"name": f"projects/{cloud.project}/locations/{cloud.region}", "locationId": cloud.region}


HANDLERS: dict[str, Any] = {
    "logging.projects.metrics.create": create_metric,
    "logging.projects.metrics.update": update_metric,
    "logging.projects.metrics.get": get_metric,
    "logging.projects.metrics.delete": delete_metric,
    "logging.entries.list": list_log_lines,
    "monitoring.projects.alertPolicies.list": list_policies,
    "monitoring.projects.alertPolicies.create": create_policy,
    "monitoring.projects.alertPolicies.get": get_policy,
    "monitoring.projects.alertPolicies.patch": update_policy,
    "monitoring.projects.alertPolicies.delete": delete_policy,
    "cloudscheduler.projects.locations.get": get_location,
    "cloudscheduler.projects.locations.jobs.create": create_timer,
    "cloudscheduler.projects.locations.jobs.patch": update_timer,
    "cloudscheduler.projects.locations.jobs.get": get_timer,
    "cloudscheduler.projects.locations.jobs.list": list_timers,
    "cloudscheduler.projects.locations.jobs.resume": resume_timer,
    "cloudscheduler.projects.locations.jobs.run": run_timer,
    "cloudscheduler.projects.locations.jobs.pause": pause_timer,
    "pubsub.projects.subscriptions.list": list_subscriptions,
    "cloudscheduler.projects.locations.jobs.delete": delete_timer,
}
