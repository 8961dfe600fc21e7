"""The staging tables are listed by prefix and name; an answer that is no list is an error and never an empty list."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from google.api_core.exceptions import Forbidden

from services.batches.staging_listing import list_staging_tables
from services.core.errors import AccessDenied, SourceUnavailable
from services.core.tables import PREDICTIONS_TABLE_NAME
from services.gcp.read_cache import ReadCache


class Page(list):
    def __init__(self, names, raw_page):
        super().__init__(SimpleNamespace(table_id=name) for name in names)
        self.raw_page = raw_page


def make_clients(*pages, error=None):
    def list_tables(_dataset, **_options):
        if error is not None:
            raise error
        return SimpleNamespace(pages=pages)

    settings = SimpleNamespace(query_timeout_s=5.0)
    return SimpleNamespace(settings=settings, bigquery=SimpleNamespace(list_tables=list_tables), cache=ReadCache())


NAMES = (PREDICTIONS_TABLE_NAME, "_staging_batch_2025_12_29_1_p_b", "_staging_batch_2025_12_28_1_p_a")
PAGE = Page(NAMES, {"kind": "bigquery#tableList"})


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("_staging_", ["_staging_batch_2025_12_28_1_p_a", "_staging_batch_2025_12_29_1_p_b"]),
        ("_staging_batch_2025_12_29_", ["_staging_batch_2025_12_29_1_p_b"]),
        ("_staging_batch_2025_12_30_", []),
    ],
)
def test_staging_tables_are_listed_by_prefix_in_the_order_of_their_names(prefix, expected):
    assert [table.table_id for table in list_staging_tables(make_clients(PAGE), prefix)] == expected


def test_every_page_of_the_listing_is_read():
    last_page = Page(["_staging_z"], {"kind": "bigquery#tableList"})
    assert [table.table_id for table in list_staging_tables(make_clients(PAGE, last_page))][-1] == "_staging_z"


def test_an_answer_that_is_no_list_is_an_error_and_never_an_empty_list():
    with pytest.raises(SourceUnavailable, match="not a list"):
        list_staging_tables(make_clients(Page((), {})))


def test_a_refusal_keeps_googles_error_as_its_cause_so_that_a_retry_can_judge_it():
    with pytest.raises(AccessDenied) as denied:
        list_staging_tables(make_clients(error=Forbidden("no")))
    assert isinstance(denied.value.__cause__, Forbidden)
