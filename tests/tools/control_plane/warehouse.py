"""BigQuery as bq uses it for deploying: schemas, tables, grants; GoogleSQL's own parser reads every statement."""

from __future__ import annotations

import re
from typing import Any

from services.sandbox.bigquery import googlesql
from tests.tools.control_plane.cloud import Call, Cloud, Refused, Resource, not_found

_COMMENTS = re.compile(r"^\s*--[^\n]*\n", re.MULTILINE)
_CREATE_SCHEMA = re.compile(r"CREATE SCHEMA IF NOT EXISTS `[\w-]+\.(\w+)`", re.I)
_CREATE_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS `?([\w.-]+)`?\s*\((.*?)^\)", re.I | re.S | re.M)
_GRANT = re.compile(r"(GRANT|REVOKE) (.+?) ON SCHEMA `[\w-]+\.(\w+)` (?:TO|FROM) (.+)", re.I | re.S)
_ALTER = re.compile(r"ALTER TABLE `[\w-]+\.([\w.]+)` (.+)", re.I | re.S)


def start_job(cloud: Cloud, call: Call) -> Resource:
    reference = {"projectId": cloud.project, "location": cloud.location, **call.body.get("jobReference", {})}
    job_id = reference.setdefault("jobId", f"job_{len(cloud.query_jobs)}")
    configuration = call.body["configuration"]
    kind = "COPY" if "copy" in configuration else _run_statement(cloud, configuration["query"]["query"])
    cloud.query_jobs[job_id] = {
        "kind": "bigquery#job",
        "id": f"{cloud.project}:{cloud.location}.{job_id}",
        "jobReference": reference,
        "configuration": configuration,
        "status": {"state": "DONE"},
        "statistics": {
            "creationTime": "1767614400000",
            "startTime": "1767614400000",
            "endTime": "1767614400100",
            **({} if kind == "COPY" else {"query": {"statementType": kind, "ddlOperationPerformed": "CREATE"}}),
        },
    }
    return cloud.query_jobs[job_id]


def get_job(cloud: Cloud, call: Call) -> Resource:
    return cloud.query_jobs[call.after("jobs")]


def get_results(cloud: Cloud, call: Call) -> Resource:
    job = cloud.query_jobs[call.after("queries")]
    return {
        "kind": "bigquery#getQueryResultsResponse",
        "jobReference": job["jobReference"],
        "jobComplete": True,
        "totalRows": "0",
    }


def _run_statement(cloud: Cloud, sql: str) -> str:
    """Carry out one statement; BigQuery's name of its kind."""
    try:
        googlesql.table_paths(sql, allow_script=True)
    except googlesql.GoogleSqlError as error:
        raise Refused(400, "INVALID_ARGUMENT", str(error)) from None
    cloud.statements.append(sql)
    text = _COMMENTS.sub("", sql).strip()
    if schema := _CREATE_SCHEMA.match(text):
        cloud.datasets.setdefault(schema[1], set())
        return "CREATE_SCHEMA"
    if table := _CREATE_TABLE.match(text):
        dataset, name = table[1].split(".")[-2:]
        _known_dataset(cloud, dataset)
        cloud.tables.setdefault(f"{dataset}.{name}", re.findall(r"^\s*(\w+) [A-Z]", table[2], re.M))
        return "CREATE_TABLE"
    if grant := _GRANT.match(text):
        return _change_grants(cloud, grant)
    if alter := _ALTER.match(text):
        if alter[1] not in cloud.tables:
            raise not_found(f"Table {alter[1]}")
        cloud.tables[alter[1]] += re.findall(r"ADD COLUMN IF NOT EXISTS (\w+)", alter[2])
        return "ALTER_TABLE"
    return text.split()[0].upper()


def _change_grants(cloud: Cloud, grant: re.Match[str]) -> str:
    roles, members = re.findall(r"`([^`]+)`", grant[2]), re.findall(r'"([^"]+)"', grant[4])
    grants = _known_dataset(cloud, grant[3])
    for member in members:
        if not cloud.member_exists(member):
            raise Refused(400, "INVALID_ARGUMENT", f"{member} does not exist.")
    pairs = {(role, member) for role in roles for member in members}
    if grant[1].upper() == "GRANT":
        grants |= pairs
    else:
        grants -= pairs
    return f"{grant[1].upper()}"


def _known_dataset(cloud: Cloud, name: str) -> set[tuple[str, str]]:
    if name not in cloud.datasets:
        raise not_found(f"Dataset {cloud.project}:{name}")
    return cloud.datasets[name]


def get_dataset(cloud: Cloud, call: Call) -> Resource:
    name = call.after("datasets")
    _known_dataset(cloud, name)
    reference = {"projectId": cloud.project, "datasetId": name}
    return {
        "kind": "bigquery#dataset",
        "id": f"{cloud.project}:{name}",
        "datasetReference": reference,
        "location": cloud.location,
    }


def list_datasets(cloud: Cloud, call: Call) -> Resource:
    references = [{"projectId": cloud.project, "datasetId": name} for name in sorted(cloud.datasets)]
    items = [
        {"kind": "bigquery#dataset", "id": r["datasetId"], "datasetReference": r, "location": "US"} for r in references
    ]
    return {"kind": "bigquery#datasetList", "datasets": items}


def delete_dataset(cloud: Cloud, call: Call) -> Resource:
    name = call.after("datasets")
    _known_dataset(cloud, name)
    del cloud.datasets[name]
    cloud.tables = {table: columns for table, columns in cloud.tables.items() if not table.startswith(f"{name}.")}
    return {}


def get_table(cloud: Cloud, call: Call) -> Resource:
    dataset, name = call.after("datasets"), call.after("tables").partition("@")[0]
    if f"{dataset}.{name}" not in cloud.tables:
        raise not_found(f"Table {cloud.project}:{dataset}.{name}")
    fields = [{"name": column, "type": "STRING"} for column in cloud.tables[f"{dataset}.{name}"]]
    reference = {"projectId": cloud.project, "datasetId": dataset, "tableId": name}
    return {
        "kind": "bigquery#table",
        "id": f"{cloud.project}:{dataset}.{name}",
        "tableReference": reference,
        "type": "TABLE",
        "location": cloud.location,
        "schema": {"fields": fields},
        "numRows": "0",
        "numBytes": "0",
        "creationTime": "1767614400000",
        "lastModifiedTime": "1767614400000",
    }


def list_tables(cloud: Cloud, call: Call) -> Resource:
    _known_dataset(cloud, call.after("datasets"))
    references = [
        {"projectId": cloud.project, "datasetId": call.after("datasets"), "tableId": name.partition(".")[2]}
        for name in sorted(cloud.tables)
        if name.startswith(f"{call.after('datasets')}.")
    ]
    items = [{"kind": "bigquery#table", "id": r["tableId"], "tableReference": r, "type": "TABLE"} for r in references]
    return {"kind": "bigquery#tableList", "tables": items, "totalItems": len(items)}


def delete_table(cloud: Cloud, call: Call) -> Resource:
    get_table(cloud, call)
    del cloud.tables[f"{call.after('datasets')}.{call.after('tables')}"]
    return {}


HANDLERS: dict[str, Any] = {
    "bigquery.jobs.insert": start_job,
    "bigquery.jobs.get": get_job,
    "bigquery.jobs.getQueryResults": get_results,
    "bigquery.datasets.get": get_dataset,
    "bigquery.datasets.list": list_datasets,
    "bigquery.datasets.delete": delete_dataset,
    "bigquery.tables.get": get_table,
    "bigquery.tables.list": list_tables,
    "bigquery.tables.delete": delete_table,
}
