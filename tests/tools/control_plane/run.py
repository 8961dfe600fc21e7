"""Cloud Run's services, revisions and jobs by its Knative API, which gcloud speaks; what it asks for is ready at once."""

from __future__ import annotations

import copy
from typing import Any

from tests.tools.control_plane.cloud import Call, Cloud, Refused, Resource, not_found

_AT = "2026-01-05T12:00:00.000000Z"
_SYSTEM_ANNOTATIONS = {
    "serving.knative.dev/creator": "nora@example.com",
    "serving.knative.dev/lastModifier": "nora@example.com",
}


def list_services(cloud: Cloud, call: Call) -> Resource:
    return _list(cloud.services, "ServiceList", "serving.knative.dev/v1")


def list_jobs(cloud: Cloud, call: Call) -> Resource:
    return _list(cloud.jobs, "JobList", "run.googleapis.com/v1")


def list_revisions(cloud: Cloud, call: Call) -> Resource:
    return _list(cloud.revisions, "RevisionList", "serving.knative.dev/v1")


def _list(resources: dict[str, Resource], kind: str, version: str) -> Resource:
    return {"apiVersion": version, "kind": kind, "items": list(resources.values()), "metadata": {}}


def get_service(cloud: Cloud, call: Call) -> Resource:
    return _known(cloud.services, call.after("services"), "Service")


def get_revision(cloud: Cloud, call: Call) -> Resource:
    return _known(cloud.revisions, call.after("revisions"), "Revision")


def get_job(cloud: Cloud, call: Call) -> Resource:
    return _known(cloud.jobs, call.after("jobs"), "Job")


def _known(resources: dict[str, Resource], name: str, kind: str) -> Resource:
    if name not in resources:
        raise not_found(f"{kind} '{name}'")
    return resources[name]


def put_service(cloud: Cloud, call: Call) -> Resource:
    """Creates or replaces: what the body does not name is gone, but for the annotations of Cloud Run itself."""
    service: Resource = copy.deepcopy(call.body)
    name, template = service["metadata"]["name"], service["spec"]["template"]
    _check_account(cloud, template["spec"].get("serviceAccountName", ""))
    old = cloud.services.get(name)
    generation = old["metadata"]["generation"] + 1 if old else 1
    changed = old is None or _without_name(old["spec"]["template"]) != _without_name(template)
    revision = f"{name}-{generation:05}-abc" if changed or old is None else old["status"]["latestReadyRevisionName"]
    service["metadata"] |= _metadata(cloud, service, name, generation)
    url = f"https://{name}-{cloud.number}.{cloud.region}.run.app"
    targets = service["spec"].get("traffic") or [{"latestRevision": True, "percent": 100}]
    traffic = [{"revisionName": revision, **target} for target in targets]
    service["status"] = {
        "observedGeneration": generation,
        "conditions": _conditions("Ready", "ConfigurationsReady", "RoutesReady"),
        "latestCreatedRevisionName": revision,
        "latestReadyRevisionName": revision,
        "traffic": traffic,
        "url": url,
        "address": {"url": url},
    }
    cloud.services[name] = service
    cloud.revisions[revision] = _revision(cloud, revision, name, template)
    return service


def put_job(cloud: Cloud, call: Call) -> Resource:
    job: Resource = copy.deepcopy(call.body)
    name, spec = job["metadata"]["name"], job["spec"]["template"]["spec"]["template"]["spec"]
    _check_account(cloud, spec.get("serviceAccountName", ""))
    generation = cloud.jobs[name]["metadata"]["generation"] + 1 if name in cloud.jobs else 1
    job["metadata"] |= _metadata(cloud, job, name, generation)
    job["status"] = {"observedGeneration": generation, "conditions": _conditions("Ready"), "executionCount": 0}
    cloud.jobs[name] = job
    return job


def _without_name(template: Resource) -> Resource:
    metadata = {key: value for key, value in template.get("metadata", {}).items() if key != "name"}
    return {**template, "metadata": metadata}


def _check_account(cloud: Cloud, account: str) -> None:
    if not cloud.member_exists(f"serviceAccount:{account}"):
        raise Refused(400, "INVALID_ARGUMENT", f"Revision's service account {account} does not exist.")


def _metadata(cloud: Cloud, resource: Resource, name: str, generation: int) -> Resource:
    annotations = {**resource["metadata"].get("annotations", {}), **_SYSTEM_ANNOTATIONS}
    labels = {**resource["metadata"].get("labels", {}), "cloud.googleapis.com/location": cloud.region}
    return {
        "annotations": annotations,
        "labels": labels,
        "namespace": cloud.number,
        "generation": generation,
        "resourceVersion": f"AAY{generation}",
        "uid": f"uid-{name}",
        "creationTimestamp": _AT,
    }


def _revision(cloud: Cloud, name: str, service: str, template: Resource) -> Resource:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "metadata": {
            "name": name,
            "namespace": cloud.number,
            "labels": {"serving.knative.dev/service": service, "cloud.googleapis.com/location": cloud.region},
            "annotations": template.get("metadata", {}).get("annotations", {}),
            "creationTimestamp": _AT,
            "generation": 1,
            "uid": f"uid-{name}",
        },
        "spec": template["spec"],
        "status": {"conditions": _conditions("Ready"), "observedGeneration": 1, "serviceName": service},
    }


def _conditions(*kinds: str) -> list[Resource]:
    return [{"type": kind, "status": "True", "lastTransitionTime": _AT} for kind in kinds]


def delete_service(cloud: Cloud, call: Call) -> Resource:
    name = call.after("services")
    _known(cloud.services, name, "Service")
    del cloud.services[name]
    cloud.policies.pop(f"service/{name}", None)
    cloud.policies.pop(f"iap/{name}", None)
    return {"kind": "Status", "status": "Success"}


def delete_job(cloud: Cloud, call: Call) -> Resource:
    name = call.after("jobs")
    _known(cloud.jobs, name, "Job")
    del cloud.jobs[name]
    cloud.policies.pop(f"job/{name}", None)
    return {"kind": "Status", "status": "Success"}


HANDLERS: dict[str, Any] = {
    "run.namespaces.services.list": list_services,
    "run.namespaces.services.get": get_service,
    "run.namespaces.services.create": put_service,
    "run.namespaces.services.replaceService": put_service,
    "run.namespaces.services.delete": delete_service,
    "run.namespaces.revisions.get": get_revision,
    "run.namespaces.revisions.list": list_revisions,
    "run.namespaces.jobs.list": list_jobs,
    "run.namespaces.jobs.get": get_job,
    "run.namespaces.jobs.create": put_job,
    "run.namespaces.jobs.replaceJob": put_job,
    "run.namespaces.jobs.delete": delete_job,
}
