"""A job's configuration as jobs.get returns it."""

from __future__ import annotations

from services.sandbox.bigquery.job_configuration import to_canonical


def test_nulls_are_left_out_and_a_parameters_value_is_text():
    parameters = [{"parameterValue": {"value": None}}, {"parameterValue": {"arrayValues": [{"value": 2.5}]}}]
    sent = {"query": {"queryParameters": parameters, "useLegacySql": False, "destinationTable": None}, "labels": {}}
    assert to_canonical(sent) == {
        "query": {
            "queryParameters": [{"parameterValue": {}}, {"parameterValue": {"arrayValues": [{"value": "2.5"}]}}],
            "useLegacySql": False,
        },
        "labels": {},
    }
