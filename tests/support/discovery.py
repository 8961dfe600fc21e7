"""The methods of Google's APIs by their discovery documents, of which google-api-python-client has copies.

https://developers.google.com/discovery/v1/reference/apis
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import googleapiclient

from tests.support.discovery_schema import Schema, SchemaChecker, find_parameter_problem

APIS = (
    "bigquery.v2",
    "run.v2",
    "logging.v2",
    "cloudscheduler.v1",
    "run.v1",
    "iamcredentials.v1",
    "pubsub.v1",
    "monitoring.v3",
)
_UPLOAD_PARAMETER = "upload_id"  # of the upload protocol, in no document


@dataclass(frozen=True)
class Method:
    """A method of an API, and the document that has it."""

    id: str
    resource: Mapping[str, Any]
    document: Mapping[str, Any]

    def body_problems(self, direction: Literal["request", "response"], body: object, enum_numbers: bool) -> list[str]:
        """What the method's schema does not allow of a body, a line each that begins with the field.

        `enum_numbers`: a number may stand for an enum's name, as `$alt=json;enum-encoding=int` asks for.
        """
        if direction not in self.resource:
            return [] if body == {} else ["the method has no such body"]
        schema: Schema = self.resource[direction]
        return list(SchemaChecker(self.document["schemas"], enum_numbers).check(schema, body))

    def parameter_problems(self, query: Sequence[tuple[str, str]]) -> Iterator[str]:
        """What the document does not allow of the query's parameters, a line each that begins with the name."""
        own = {n: p for n, p in self.resource.get("parameters", {}).items() if p["location"] == "query"}
        for name, value in query:
            # A system parameter may have a dollar sign: https://cloud.google.com/apis/docs/system-parameters
            parameter = own.get(name) or self.document["parameters"].get(name.removeprefix("$"))
            if parameter is None and name != _UPLOAD_PARAMETER:
                yield f"{name}: there is no such parameter"
            elif parameter is not None and not (name == "$alt" and value.startswith("json;")):
                problem = find_parameter_problem(parameter, value)
                yield from () if problem is None else (f"{name}: {problem}",)
        counts = Counter(name for name, _ in query)
        yield from (f"{name}: is required" for name, p in own.items() if p.get("required") and name not in counts)
        once = {name for name, count in counts.items() if count > 1 and not own.get(name, {}).get("repeated")}
        yield from (f"{name}: is not repeated" for name in once)


def find_method(verb: str, path: str, apis: tuple[str, ...] = APIS) -> Method | None:
    """The method that an HTTP verb and a path (from the slash behind the host on) call; None when there is none.

    `apis` are the documents to look in, the first first: paths of different hosts can be equal.
    """
    return next((method for pattern, method in _methods_by_verb(apis).get(verb, ()) if pattern.fullmatch(path)), None)


@cache
def _methods_by_verb(apis: tuple[str, ...]) -> Mapping[str, Sequence[tuple[re.Pattern[str], Method]]]:
    """The pattern of each method's path, and the method, in the order of `apis`."""
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    found: dict[str, list[tuple[re.Pattern[str], Method]]] = {}
    for api in apis:
        document = json.loads((folder / f"{api}.json").read_text(encoding="utf-8"))
        for resource in _all_methods(document):
            method = Method(resource["id"], resource, document)
            path = f"/{document['servicePath']}{resource['path']}"
            pattern = _to_pattern(path, resource.get("parameters", {}))
            found.setdefault(resource["httpMethod"], []).append((pattern, method))
            if "mediaUpload" in resource:  # resumable uploads are opened by POST and continued by PUT
                upload = _to_pattern(resource["mediaUpload"]["protocols"]["simple"]["path"])
                for verb in ("POST", "PUT"):
                    found.setdefault(verb, []).append((upload, method))
    return found


def _all_methods(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from resource.get("methods", {}).values()
    for child in resource.get("resources", {}).values():
        yield from _all_methods(child)


def _to_pattern(path: str, parameters: Mapping[str, Any] | None = None) -> re.Pattern[str]:
    """`{+name}` is several elements of a path, by the parameter's own pattern; `{name}` is one."""
    parts = re.split(r"(\{[^}]*\})", path)
    return re.compile("".join(_element_pattern(part, parameters or {}) for part in parts))


def _element_pattern(part: str, parameters: Mapping[str, Any]) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    own = parameters.get(part.strip("{+}"), {}).get("pattern", "") if part.startswith("{+") else ""
    return own.removeprefix("^").removesuffix("$").replace("[^/]+", "[^/:]+").replace(".*", "[^:]+") or "[^/:]+"
