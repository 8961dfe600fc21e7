"""Links to the Google Cloud console name project, place and thing, encode what they are given, and do not exist in the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.core.console_links import job_url, logs_url, revisions_url, table_url
from services.core.settings import Settings

CLOUD = Settings.from_env({"GOOGLE_CLOUD_PROJECT": "nba-props-platform", "CLOUD_RUN_REGION": "us-west2"})
SANDBOX = Settings.from_env({"SANDBOX_URL": "http://127.0.0.1:8090"})
START = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_job_is_named_with_its_location():
    assert job_url(CLOUD, "on-call-1 & 2", "us-west2") == (
        "https://console.cloud.google.com/bigquery?j=bq%3Aus-west2%3Aon-call-1+%26+2&page=queryresults&project=nba-props-platform"
    )
    assert job_url(CLOUD, "on-call-1", "") == "", "the console finds no job without it"


def test_a_table_is_named_by_dataset_and_name():
    assert table_url(CLOUD, "nba_predictions._staging_batch_1") == (
        "https://console.cloud.google.com/bigquery?p=nba-props-platform&d=nba_predictions&t=_staging_batch_1&page=table"
        "&project=nba-props-platform"
    )


def test_a_service_is_named_with_its_region():
    assert revisions_url(CLOUD, "prediction/worker") == (
        "https://console.cloud.google.com/run/detail/us-west2/prediction%2Fworker/revisions?project=nba-props-platform"
    )


def test_what_separates_the_parameters_of_a_log_query_is_encoded_within_them():
    url = logs_url(CLOUD, 'severity>=ERROR AND textPayload:"a;b?c"', START, START + HOUR)
    assert url == (
        "https://console.cloud.google.com/logs/query;query=severity%3E%3DERROR%20AND%20textPayload%3A%22a%3Bb%3Fc%22"
        ";timeRange=2025-12-29T19%3A47%3A00.000000Z%2F2025-12-29T20%3A47%3A00.000000Z?project=nba-props-platform"
    )


@pytest.mark.parametrize(
    "url",
    [
        job_url(SANDBOX, "j", "US"),
        table_url(SANDBOX, "d.t"),
        revisions_url(SANDBOX, "s"),
        logs_url(SANDBOX, "q", START, START + HOUR),
    ],
)
def test_the_sandbox_has_no_console(url):
    assert url == ""
