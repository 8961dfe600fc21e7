"""Cloud Run v2's resources as Google's own message types read and write them, and what it refuses in a changed service.

The wordings are those that users of the real API report (see the links).
"""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.cloud import run_v2
from google.protobuf.field_mask_pb2 import FieldMask

from services.sandbox.stand_ins.request_messages import RequestRefused, parse_message

Resource = dict[str, Any]

DEFAULT_MAX_INSTANCES, DEFAULT_CONCURRENCY, DEFAULT_TIMEOUT = 100, 80, "300s"
MAX_CONCURRENCY = 1_000
LATEST, REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
SERVICE_TYPE = "type.googleapis.com/google.cloud.run.v2.Service"
# https://github.com/GoogleCloudPlatform/avocano/issues/238
_SYSTEM_NAMESPACES = ("run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev")
_MUTABLE_FIELDS = (
    *(
        "description",
        "labels",
        "annotations",
        "client",
        "clientVersion",
        "ingress",
        "launchStage",
        "scaling",
        "template",
    ),
    *("binaryAuthorization", "traffic", "invokerIamDisabled", "defaultUriDisabled", "iapEnabled", "customAudiences"),
    *("multiRegionSettings", "threatDetectionEnabled", "buildConfig"),
)
_REVISION_FIELDS = (
    *("labels", "annotations", "scaling", "vpcAccess", "maxInstanceRequestConcurrency", "timeout", "serviceAccount"),
    *("containers", "volumes", "executionEnvironment", "encryptionKey", "serviceMesh", "sessionAffinity"),
)


def parse_service(body: object) -> Resource:
    """A request's service in canonical form, without default values; raises RequestRefused for what is not a Service."""
    return parse_message(body, run_v2.Service, "service")


def apply_update(current: Resource, body: Resource, update_mask: str) -> Resource:
    """The service that an update makes of the current one, checked; without a mask every field that may change is replaced.

    `update_mask` names fields in camelCase or snake_case. Raises RequestRefused.
    """
    changed = copy.deepcopy(current)
    if update_mask in ("", "*"):
        for key in _MUTABLE_FIELDS:
            _copy_field(changed, body, [key])
    for path in _mask_paths(update_mask):
        names = [_to_camel_case(part) for part in path.split(".")]
        if names[0] in _MUTABLE_FIELDS:
            _copy_field(changed, body, names)
    changed["template"] = with_template_defaults(changed.get("template") or {})
    changed.setdefault("traffic", [{"type": LATEST, "percent": 100}])
    for field, description in _violations(current, changed):
        raise RequestRefused(400, f"Violation in UpdateServiceRequest.service.{field}: {description}.")
    return changed


def _mask_paths(update_mask: str) -> list[str]:
    if update_mask in ("", "*"):
        return []
    paths = [re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), path.strip()) for path in update_mask.split(",")]
    for path in paths:
        if not FieldMask(paths=[path]).IsValidForDescriptor(run_v2.Service.pb().DESCRIPTOR):
            raise RequestRefused(
                400, f"Invalid value at 'update_mask': '{path}' is not a field of google.cloud.run.v2.Service."
            )
    return paths


def with_template_defaults(template: Mapping[str, Any]) -> Resource:
    """A revision template with what the server fills in: 100 instances, 80 requests each, 300 s."""
    scaling = dict(template.get("scaling") or {})
    if not scaling.get("minInstanceCount"):
        scaling["maxInstanceCount"] = scaling.get("maxInstanceCount") or DEFAULT_MAX_INSTANCES
    return {
        **template,
        "scaling": scaling,
        "maxInstanceRequestConcurrency": template.get("maxInstanceRequestConcurrency") or DEFAULT_CONCURRENCY,
        "timeout": template.get("timeout") or DEFAULT_TIMEOUT,
    }


def _violations(current: Resource, changed: Resource) -> Iterator[tuple[str, str]]:
    """(field, description) of each rule that the changed service breaks."""
    template, scaling = changed["template"], changed.get("scaling") or {}
    # https://github.com/goblet/goblet/issues/287: a minimum without a maximum is refused as well
    if template["scaling"].get("minInstanceCount", 0) > template["scaling"].get("maxInstanceCount", 0):
        yield "template.scaling.max_instance_count", "must be greater or equal than min_instance_count"
    if scaling.get("maxInstanceCount") and scaling.get("minInstanceCount", 0) > scaling["maxInstanceCount"]:
        yield "scaling.max_instance_count", "must be greater or equal than min_instance_count"
    if template["maxInstanceRequestConcurrency"] > MAX_CONCURRENCY:
        yield "template.max_instance_request_concurrency", f"must be less or equal than {MAX_CONCURRENCY}"
    for prefix, new, old in (("", changed, current), ("template.", template, current.get("template") or {})):
        known = old.get("annotations") or {}
        for name, text in (new.get("annotations") or {}).items():
            if is_system_annotation(name) and known.get(name) != text:
                yield f"{prefix}annotations[{name}]", "system annotations are not supported in Cloud Run API v2"
    if sum(target.get("percent", 0) for target in changed["traffic"]) != 100:
        yield "traffic", "the sum of all percentages must be 100"


def is_system_annotation(name: str) -> bool:
    """Whether an annotation is in a namespace that belongs to Cloud Run."""
    return "/" in name and name.split("/")[0].endswith(_SYSTEM_NAMESPACES)


def _copy_field(target: Resource, source: Resource, path: list[str]) -> None:
    for part in path[:-1]:
        source = source.get(part) or {}
        target = target.setdefault(part, {})
    if path[-1] in source:
        target[path[-1]] = copy.deepcopy(source[path[-1]])
    else:
        target.pop(path[-1], None)


def _to_camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def differs_from_template(template: Resource, other: Resource) -> bool:
    """Whether two templates, or a template and a revision, would run differently."""
    return any(template.get(field) != other.get(field) for field in _REVISION_FIELDS)


def new_revision(name: str, service: Resource, at: str) -> Resource:
    """The revision that a service's template describes, not ready yet."""
    template = service["template"]
    return {
        "name": name,
        "service": service["name"].rsplit("/", 1)[-1],
        "generation": "1",
        "createTime": at,
        "updateTime": at,
        "creator": service.get("lastModifier", ""),
        **{field: copy.deepcopy(template[field]) for field in _REVISION_FIELDS if field in template},
        "reconciling": True,
        "conditions": [condition("Ready", "CONDITION_RECONCILING", at)],
    }


def condition(kind: str, state: str, at: str, message: str = "") -> Resource:
    """One condition of a service or a revision; `message` says why it failed."""
    failed = {"message": message, "severity": "ERROR"} if message else {}
    return {"type": kind, "state": state, "lastTransitionTime": at, **failed}


def to_etag(version: int) -> str:
    """A service's etag: opaque to clients, and different for every version."""
    return f'"{base64.urlsafe_b64encode(str(version).encode()).decode()}"'


def version_of(etag: str) -> str:
    """The version in an etag, for the sentence of a conflict."""
    try:
        return base64.urlsafe_b64decode(etag.strip('"')).decode()
    except ValueError:
        return etag


def page(items: list[Resource], key: str, page_size: str, page_token: str) -> Resource:
    """One page of a listing; raises RequestRefused for a page size or a token that is none."""
    try:
        size, start = int(page_size or 0), json.loads(base64.urlsafe_b64decode(page_token)) if page_token else 0
    except ValueError:
        raise RequestRefused(400, "Request contains an invalid argument.") from None
    if size < 0:
        raise RequestRefused(400, "Request contains an invalid argument.")
    size = min(size or 100, 1_000)
    response: Resource = {key: items[start : start + size]} if items[start : start + size] else {}
    if start + size < len(items):
        response["nextPageToken"] = base64.urlsafe_b64encode(json.dumps(start + size).encode()).decode()
    return response
