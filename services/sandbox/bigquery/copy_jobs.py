"""Copy jobs with any number of sources, all or none, and copies of dropped tables while time travel reaches back."""

from __future__ import annotations

from typing import Any

import httpx

from services.sandbox.bigquery.time_travel import Attic

Resource = dict[str, Any]


class Copier:
    """Does on the emulator what one BigQuery copy job does."""

    def __init__(self, http: httpx.AsyncClient, project: str) -> None:
        self._http, self._project = http, project
        self.attic: Attic | None = None

    async def copy(
        self, sources: list[Resource], target: Resource, told: Resource
    ) -> tuple[dict[str, str] | None, int]:
        """(error, rows): one INSERT … SELECT over all sources, so that nothing of a failed copy stays."""
        if len(sources) == 1 and "@" in sources[0]["tableId"]:
            return await self._bring_back(sources[0], target, told)
        described = [await self._table(source) for source in sources]
        missing = next((s for s, d in zip(sources, described, strict=True) if d is None), None)
        if missing is not None:
            return _error(
                "notFound", f"Not found: Table {self._project}:{missing['datasetId']}.{missing['tableId']}"
            ), 0
        first = described[0] or {}
        for source, about in zip(sources, described, strict=True):
            if _columns(about or {}) != _columns(first):
                return _error(
                    "invalid", f"Provided Schema does not match Table {_name(target)}. Source {_name(source)} differs."
                ), 0
        rows = sum(int((about or {}).get("numRows") or 0) for about in described)
        error = await self._prepare(target, first, told)
        return (error, 0) if error else (await self._append(sources, target, first), rows)

    async def _bring_back(
        self, source: Resource, target: Resource, told: Resource
    ) -> tuple[dict[str, str] | None, int]:
        kept = self.attic.find(source["datasetId"], source["tableId"]) if self.attic else None
        if self.attic is None or kept is None:
            return _error("notFound", f"Not found: Table {self._project}:{_name(source)}"), 0
        error = await self._prepare(target, kept.resource, told)
        if error is None:
            await self.attic.pour(source["datasetId"], kept, target)
        return error, 0 if error else int(kept.resource.get("numRows") or 0)

    async def _table(self, reference: Resource) -> Resource | None:
        answer = await self._http.get(self._path(reference))
        return None if answer.is_error else answer.json()

    async def _prepare(self, target: Resource, like: Resource, told: Resource) -> dict[str, str] | None:
        existing = await self._table(target)
        how = told.get("writeDisposition", "WRITE_EMPTY")
        if existing is not None and how == "WRITE_EMPTY" and int(existing.get("numRows") or 0):
            return _error("duplicate", f"Already Exists: Table {self._project}:{_name(target)}")
        if existing is not None and how == "WRITE_TRUNCATE":
            await self._http.delete(self._path(target))
            existing = None
        if existing is not None:
            if _columns(existing) != _columns(like):
                return _error("invalid", f"Provided Schema does not match Table {_name(target)}.")
            return None
        made: Resource = {"tableReference": {"projectId": self._project, **target}, "schema": like["schema"]}
        expires = (told.get("destinationExpirationTime") or "").strip()
        if expires:
            made["expirationTime"] = expires
        answer = await self._http.post(
            f"/bigquery/v2/projects/{self._project}/datasets/{target['datasetId']}/tables", json=made
        )
        return _error("invalid", answer.text[:300]) if answer.is_error else None

    async def _append(self, sources: list[Resource], target: Resource, like: Resource) -> dict[str, str] | None:
        columns = ", ".join(f"`{f['name']}`" for f in like["schema"]["fields"])
        union = " UNION ALL ".join(f"SELECT {columns} FROM `{_name(source)}`" for source in sources)
        sql = f"INSERT INTO `{_name(target)}` ({columns}) {union}"
        answer = await self._http.post(
            f"/bigquery/v2/projects/{self._project}/jobs",
            json={"configuration": {"query": {"query": sql, "useLegacySql": False}}},
        )
        return (
            answer.json().get("status", {}).get("errorResult")
            if not answer.is_error
            else _error("invalid", answer.text[:300])
        )

    def _path(self, reference: Resource) -> str:
        return f"/bigquery/v2/projects/{self._project}/datasets/{reference['datasetId']}/tables/{reference['tableId']}"


def _columns(table: Resource) -> list[tuple[str, str]]:
    return [(f["name"], f["type"]) for f in table.get("schema", {}).get("fields", [])]


def _name(reference: Resource) -> str:
    return f"{reference['datasetId']}.{reference['tableId']}"


def _error(reason: str, message: str) -> dict[str, str]:
    return {"reason": reason, "message": message}
