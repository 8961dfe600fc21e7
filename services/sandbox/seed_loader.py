"""Loads a seed's rows straight into the emulator, past the gateway: no limit, quota or billing meter counts them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from services.core.tables import PREDICTIONS_TABLE
from services.sandbox.bigquery.ddl_schemas import declared_fields
from services.sandbox.bigquery.emulator import Emulator
from services.sandbox.bigquery.sql_inspection import inspect_sql
from services.sandbox.bigquery.uploads import build_multipart
from services.sandbox.seed import Seed

DECEMBER_SCHEMA = Path(__file__).parent / "scenarios" / "schema"
OWN_SCHEMA = Path(__file__).parents[2] / "queries" / "schema"  # what deploy creates
DATASETS = ("nba_predictions", "nba_analytics", "nba_raw", "nba_reference", "prediction_on_call")


def load_tables(emulator: Emulator, project: str, seed: Seed) -> None:
    """Create every dataset and table, then load the rows; raises RuntimeError with the emulator's error text."""
    base = f"{emulator.url}/bigquery/v2/projects/{project}"
    for dataset in DATASETS:
        reference = {"projectId": project, "datasetId": dataset}
        _post(f"{base}/datasets", {"datasetReference": reference, "location": seed.location})
    for resource in seed.table_resources:
        _post(f"{base}/datasets/{resource['tableReference']['datasetId']}/tables", resource)
    for folder in (OWN_SCHEMA,) if seed.table_resources else (DECEMBER_SCHEMA, OWN_SCHEMA):
        for path in sorted(folder.glob("*.sql")):
            sql = path.read_text(encoding="utf-8")
            name = inspect_sql(sql).target
            if requests.get(_table_url(base, name), timeout=30).ok:
                continue  # CREATE TABLE IF NOT EXISTS leaves it as it is; the emulator would record another schema
            _post(f"{base}/queries", {"query": sql, "useLegacySql": False})
            dataset, _, table = name.rpartition(".")
            asyncio.run(emulator.set_schema(project, dataset, table, declared_fields(sql)))
    schema = requests.get(_table_url(base, PREDICTIONS_TABLE), timeout=30).json()["schema"]
    for name in seed.tables:
        if "._staging_" in name:
            _create_staging_table(base, project, name, schema)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: _load_table(emulator.url, project, *item), seed.table_lines.items()))


def _create_staging_table(base: str, project: str, name: str, schema: Mapping[str, Any]) -> None:
    dataset, table = name.split(".")
    _post(
        f"{base}/datasets/{dataset}/tables",
        {
            "tableReference": {"projectId": project, "datasetId": dataset, "tableId": table},
            "schema": schema,
        },
    )


def _load_table(emulator_url: str, project: str, name: str, lines: bytes) -> None:
    dataset, table = name.split(".")
    job = {
        "configuration": {
            "load": {
                "destinationTable": {"projectId": project, "datasetId": dataset, "tableId": table},
                "sourceFormat": "NEWLINE_DELIMITED_JSON",
                "writeDisposition": "WRITE_APPEND",
            }
        }
    }
    content, content_type = build_multipart(job, lines)
    response = requests.post(
        f"{emulator_url}/upload/bigquery/v2/projects/{project}/jobs?uploadType=multipart",
        data=content,
        headers={"Content-Type": content_type},
        timeout=120,
    )
    error = response.json().get("error") or response.json().get("status", {}).get("errorResult")
    if error:
        raise RuntimeError(f"{name} could not be loaded: {error.get('message')}")


def _post(url: str, body: Mapping[str, Any]) -> None:
    response = requests.post(url, json=body, timeout=60)
    if response.status_code >= 400 and response.status_code != 409:
        raise RuntimeError(f"{url}: {response.text[:500]}")


def _table_url(base: str, name: str) -> str:
    dataset, table = name.split(".")
    return f"{base}/datasets/{dataset}/tables/{table}"
