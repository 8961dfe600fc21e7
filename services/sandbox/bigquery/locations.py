"""The datasets that a job touches: all of them must be in the job's location."""

from __future__ import annotations

from collections.abc import Mapping

from services.sandbox.bigquery.job_store import Resource
from services.sandbox.bigquery.sql_inspection import inspect_sql


def find_datasets(config: Resource) -> list[str]:
    """The datasets (without project) that a job's configuration names, each once, in order of appearance."""
    references: list[Resource] = []
    names: list[str] = []
    for kind in ("query", "load", "copy", "extract"):
        part = config.get(kind) or {}
        references += [part.get(key) or {} for key in ("destinationTable", "defaultDataset", "sourceTable")]
        references += part.get("sourceTables") or []
        names += [
            table.rpartition(".")[0].rpartition(".")[2]
            for table in inspect_sql(part.get("query") or "").tables
            if "INFORMATION_SCHEMA" not in table
        ]
    return list(dict.fromkeys(name for name in [*(r.get("datasetId") for r in references), *names] if name))


def find_dataset_elsewhere(locations: Mapping[str, str], location: str) -> str | None:
    """The first dataset (dataset → location) that is not in the job's location, or None."""
    return next((name for name, actual in locations.items() if actual.lower() != location.lower()), None)
