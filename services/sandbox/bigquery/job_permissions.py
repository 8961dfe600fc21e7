"""What a job needs of its account beside bigquery.jobs.create: to read its sources, to change its target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.sandbox.bigquery.sql_inspection import MUTATING_KINDS, inspect_sql
from services.sandbox.common.identities import PROJECT_RESOURCE, Identities

Resource = dict[str, Any]
_READ = "bigquery.tables.getData"
_VIEW_PERMISSIONS = {  # of a region's INFORMATION_SCHEMA
    "JOBS": "bigquery.jobs.listAll",
    "JOBS_BY_PROJECT": "bigquery.jobs.listAll",
    "JOBS_BY_USER": "bigquery.jobs.list",
}
_PERMISSION_BY_KIND = {  # of a statement, on its target
    "INSERT": "updateData",
    "UPDATE": "updateData",
    "DELETE": "updateData",
    "MERGE": "updateData",
    "TRUNCATE": "updateData",
    "CREATE": "create",
    "ALTER": "update",
    "DROP": "delete",
}


def find_denial(identities: Identities, account: str, project: str, config: Resource) -> dict[str, str] | None:
    """The errorResult of a job that its account may not run, by the first permission it lacks; None when it may."""
    for permission, table in _needed_permissions(config):
        dataset = table.partition(".")[0]
        resource = PROJECT_RESOURCE if dataset.lower().startswith("region-") else f"dataset/{dataset}"
        if not identities.allows(account, permission, resource):
            return {"reason": "accessDenied", "message": f"Access Denied: {_explain(permission, project, table)}"}
    return None


def _explain(permission: str, project: str, table: str) -> str:
    name = f"{project}:{table}"
    if permission in (_READ, "bigquery.jobs.listAll"):
        return f"Table {name}: User does not have permission to query table {name}, or perhaps it does not exist."
    if permission == "bigquery.tables.create":
        name = name.partition(".")[0]
        return f"Dataset {name}: Permission {permission} denied on dataset {name} (or it may not exist)."
    return f"Table {name}: Permission {permission} denied on table {name} (or it may not exist)."


def _needed_permissions(config: Resource) -> Iterator[tuple[str, str]]:
    """(permission, dataset.table) of everything that a job reads and writes."""
    if "query" in config:
        yield from _needed_by_query(config["query"])
    for kind in ("copy", "extract"):
        settings = config.get(kind) or {}
        for source in settings.get("sourceTables") or [settings.get("sourceTable")]:
            if source:
                yield _READ, _table_name(source)
    for kind in ("copy", "load", "query"):
        target = (config.get(kind) or {}).get("destinationTable") or {}
        if target.get("tableId"):
            yield "bigquery.tables.create", _table_name(target)
            yield "bigquery.tables.updateData", _table_name(target)


def _needed_by_query(query: Resource) -> Iterator[tuple[str, str]]:
    statement = inspect_sql(query.get("query", ""))
    default_dataset = (query.get("defaultDataset") or {}).get("datasetId", "")
    if default_dataset:  # which of its tables are read is not known, so all must be readable
        yield _READ, f"{default_dataset}.*"
    for table in statement.tables:
        if table.lower().startswith("region-"):
            yield _VIEW_PERMISSIONS.get(table.rpartition(".")[2].upper(), "bigquery.tables.list"), table
        elif table != statement.target or statement.kind in MUTATING_KINDS:
            yield _READ, table
    if (permission := _PERMISSION_BY_KIND.get(statement.kind)) is not None:
        target = statement.target if "." in statement.target else f"{default_dataset}.{statement.target}"
        yield f"bigquery.tables.{permission}", target


def _table_name(reference: Resource) -> str:
    return f"{reference.get('datasetId')}.{reference.get('tableId')}"
