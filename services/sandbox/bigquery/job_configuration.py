"""A job's configuration as BigQuery keeps it: without what is null, a parameter's value as text.

Clients write nulls and numbers, which JSON's mapping of protocol buffers allows: https://protobuf.dev/programming-guides/json/.
"""

from __future__ import annotations

from services.sandbox.bigquery.job_store import Resource


def to_canonical(configuration: Resource) -> Resource:
    """The configuration in the form that jobs.get returns."""
    return {key: _to_canonical(value, key) for key, value in configuration.items() if value is not None}


def _to_canonical(value: object, name: str) -> object:
    if isinstance(value, dict):
        return to_canonical(value)
    if isinstance(value, list):
        return [_to_canonical(item, "") for item in value]
    return str(value) if name == "value" and type(value) in (int, float) else value
