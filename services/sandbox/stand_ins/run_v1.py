"""Cloud Run Admin v1 (serving.knative.dev/v1), as far as `gcloud run services replace` needs it: one service read, one replaced.

The same services as in v2, in Knative's shape: what v2 has as fields are system annotations here.
https://cloud.google.com/run/docs/reference/rest/v1/namespaces.services
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from services.sandbox.stand_ins.request_messages import RequestRefused
from services.sandbox.stand_ins.run_resources import (
    LATEST,
    REVISION,
    Resource,
    is_system_annotation,
    to_etag,
    version_of,
)

_STATUS_BY_STATE = {"CONDITION_SUCCEEDED": "True", "CONDITION_FAILED": "False"}
_INGRESS = {"all": "INGRESS_TRAFFIC_ALL", "internal": "INGRESS_TRAFFIC_INTERNAL_ONLY"}
_SERVICE_SCALING = {
    "run.googleapis.com/minScale": "minInstanceCount",
    "run.googleapis.com/maxScale": "maxInstanceCount",
}
_REVISION_SCALING = {
    "autoscaling.knative.dev/minScale": "minInstanceCount",
    "autoscaling.knative.dev/maxScale": "maxInstanceCount",
}


def to_v1(service: Resource) -> Resource:
    """A v2 service in Knative's shape."""
    project, location, name = service["name"].split("/")[1::2]
    template, ready = service["template"], service["terminalCondition"]
    system_annotations = {
        "serving.knative.dev/creator": service.get("creator", ""),
        "serving.knative.dev/lastModifier": service.get("lastModifier", ""),
        **_to_annotations(service.get("scaling") or {}, _SERVICE_SCALING),
    }
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": project,
            "uid": service.get("uid", ""),
            "resourceVersion": version_of(service["etag"]),
            "generation": int(service["generation"]),
            "creationTimestamp": service["createTime"],
            "labels": {**(service.get("labels") or {}), "cloud.googleapis.com/location": location},
            "annotations": {**(service.get("annotations") or {}), **system_annotations},
        },
        "spec": {
            "template": {
                "metadata": {"annotations": _to_annotations(template.get("scaling") or {}, _REVISION_SCALING)},
                "spec": {
                    "containerConcurrency": template["maxInstanceRequestConcurrency"],
                    "timeoutSeconds": int(template["timeout"].rstrip("s")),
                    "serviceAccountName": template.get("serviceAccount", ""),
                    "containers": copy.deepcopy(template.get("containers") or []),
                },
            },
            "traffic": [_to_v1_target(target) for target in service["traffic"]],
        },
        "status": {
            "observedGeneration": int(service.get("observedGeneration") or 0),
            "conditions": [_to_v1_condition(c) for c in (ready, *(service.get("conditions") or ()))],
            "latestReadyRevisionName": service.get("latestReadyRevision", "").rsplit("/", 1)[-1],
            "latestCreatedRevisionName": service.get("latestCreatedRevision", "").rsplit("/", 1)[-1],
            "traffic": [_to_v1_target(target) for target in service.get("trafficStatuses") or ()],
            "url": service["uri"],
            "address": {"url": service["uri"]},
        },
    }


def from_v1(body: object) -> Resource:
    """A replacing v1 service as the whole v2 service that it describes; raises RequestRefused for what is no service.

    Nothing of the service that it replaces is in it: an annotation or a maximum that the body leaves out is gone.
    """
    try:
        return _from_v1(body)  # type: ignore[arg-type]  # what is not of this shape raises
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        text = f"Invalid JSON payload received: it is not a serving.knative.dev/v1 Service ({type(error).__name__})."
        raise RequestRefused(400, text) from None


def _from_v1(body: Mapping[str, Any]) -> Resource:
    metadata, template = body["metadata"], body["spec"]["template"]
    annotations, spec = metadata.get("annotations") or {}, template["spec"]
    revision_annotations = (template.get("metadata") or {}).get("annotations") or {}
    service: Resource = {
        "annotations": {name: text for name, text in annotations.items() if not is_system_annotation(name)},
        "labels": {
            n: t for n, t in (metadata.get("labels") or {}).items() if not n.startswith("cloud.googleapis.com/")
        },
        "ingress": _INGRESS.get(annotations.get("run.googleapis.com/ingress", "all"), "INGRESS_TRAFFIC_ALL"),
        "scaling": _to_scaling(annotations, _SERVICE_SCALING),
        "template": {
            "revision": (template.get("metadata") or {}).get("name", ""),
            "annotations": {n: t for n, t in revision_annotations.items() if not is_system_annotation(n)},
            "scaling": _to_scaling(revision_annotations, _REVISION_SCALING),
            "maxInstanceRequestConcurrency": int(spec.get("containerConcurrency") or 0),
            "timeout": f"{spec.get('timeoutSeconds') or 300}s",
            "serviceAccount": spec.get("serviceAccountName", ""),
            "containers": [_from_v1_container(container) for container in spec["containers"]],
        },
        "traffic": [
            _from_v1_target(target)
            for target in body["spec"].get("traffic") or [{"latestRevision": True, "percent": 100}]
        ],
    }
    if metadata.get("resourceVersion"):
        service["etag"] = to_etag(int(metadata["resourceVersion"]))
    return service


def _from_v1_container(container: Mapping[str, Any]) -> Resource:
    kept = ("name", "image", "command", "args", "resources", "ports", "startupProbe", "livenessProbe", "workingDir")
    env = []
    for variable in container.get("env") or ():
        secret = (variable.get("valueFrom") or {}).get("secretKeyRef")
        source = (
            {"valueSource": {"secretKeyRef": {"secret": secret["name"], "version": secret["key"]}}} if secret else {}
        )
        env.append({"name": variable["name"], **(source or {"value": variable.get("value", "")})})
    return {**{name: copy.deepcopy(container[name]) for name in kept if name in container}, "env": env}


def _to_annotations(scaling: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    return {annotation: str(scaling[field]) for annotation, field in names.items() if field in scaling}


def _to_scaling(annotations: Mapping[str, str], names: Mapping[str, str]) -> dict[str, int]:
    return {field: int(annotations[annotation]) for annotation, field in names.items() if annotation in annotations}


def _to_v1_target(target: Mapping[str, Any]) -> Resource:
    follows_latest = target.get("type") == LATEST or not target.get("revision")
    revision = {"latestRevision": True} if follows_latest else {"revisionName": target["revision"]}
    tag = {"tag": target["tag"], "url": target.get("uri", "")} if target.get("tag") else {}
    return {**revision, **tag, "percent": target.get("percent", 0)}


def _from_v1_target(target: Mapping[str, Any]) -> Resource:
    revision = target.get("revisionName")
    kind: Resource = {"type": REVISION, "revision": revision} if revision else {"type": LATEST}
    return {**kind, "percent": target.get("percent", 0), **({"tag": target["tag"]} if target.get("tag") else {})}


def _to_v1_condition(condition: Mapping[str, Any]) -> Resource:
    message = {"message": condition["message"]} if condition.get("message") else {}
    status = _STATUS_BY_STATE.get(condition["state"], "Unknown")
    return {
        "type": condition["type"],
        "status": status,
        "lastTransitionTime": condition["lastTransitionTime"],
        **message,
    }
