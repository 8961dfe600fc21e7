"""With any of the three APIs down, slow, empty or refusing, every page renders and says what it does not know."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.state import background_cache
from services.batches.staging_listing import list_staging_tables
from services.core.clock import night_window
from services.core.errors import OnCallError
from services.gcp import query_catalog
from services.gcp.clients import Clients, connect
from services.sandbox.common.fault_injection import Fault, apply_before
from services.sandbox.http import gateway
from services.scaling.capacity import read_worker_capacity
from services.telemetry import job_history, log_reader
from services.telemetry.log_phrases import DML_FILTER
from services.telemetry.scheduler import read_schedule
from tests.integration.pages.helpers import GOOD_NIGHT, PAGES
from tests.support.factories import NIGHT
from tests.support.fake_monotonic import FakeMonotonic
from tests.support.sandbox import settings_as
from tests.support.troubles import MESSAGES

APIS = ("bigquery", "logging", "run")
PAGES_BY_API = {
    "bigquery": ("coverage", "missing_players", "dml_errors", "staging_tables"),
    "run": ("worker_capacity",),
    "logging": ("missing_players", "dml_errors"),
}
HEALTH_CHECKS_BY_API = {
    "bigquery": {"Players", "DML errors", "Staging tables", "Staging, all dates"},
    "run": {"Worker capacity"},
}

FAULTS: dict[str, dict[str, Any]] = {
    "refusing": {"kind": "status", "status": 403},
    "unavailable": {"kind": "status", "status": 503},
    "cut off": {"kind": "drop"},
    "answering nothing": {"kind": "empty"},
    "slow": {"kind": "delay", "seconds": 60.0},
}
ZERO_WIDTH_SPACE = "\N{ZERO WIDTH SPACE}"  # keeps a time in a text from becoming an icon
UNAVAILABLE_SINCE = re.compile(r"unavailable since \d\d:\d\d ET \(\d\d:\d\d UTC\)")


@dataclass(frozen=True)
class Reader:
    """A read of one API method, and an answer as documented whose items lack what every item has; empty: there is none."""

    api: str
    method: str
    read: Callable[[Clients], object]
    malformed: Mapping[str, object]


READERS = {
    "a table's rows": Reader(
        "bigquery",
        "TableDataService",
        lambda clients: query_catalog.run_query(clients, "aliases.all"),
        {"kind": "bigquery#tableDataList", "rows": [{}]},
    ),
    "staging tables": Reader(
        "bigquery", "listTables", list_staging_tables, {"kind": "bigquery#tableList", "tables": [{}]}
    ),
    "job history": Reader(
        "bigquery",
        "listJobs",
        lambda clients: job_history.read_job_history(clients, *night_window(NIGHT)),
        {"kind": "bigquery#jobList", "jobs": [{}]},
    ),
    "log": Reader(
        "logging",
        "",
        lambda clients: log_reader.read_lines(clients, DML_FILTER, *night_window(NIGHT)),
        {"entries": [{}]},
    ),
    "Cloud Run": Reader("run", "", read_worker_capacity, {}),
    "Cloud Scheduler": Reader("scheduler", "", read_schedule, {}),
}


@pytest.mark.parametrize("name", READERS)
def test_a_trouble_over_http_is_the_reading_that_the_judgement_is_tested_with(sandbox, monkeypatch, name):
    """tests/unit/judgement/test_troubled_sources.py has what follows from it."""
    reader, answer = READERS[name], dict[str, object]()

    async def answer_malformed(fault: Fault | None) -> tuple[int, dict[str, object]] | None:
        return (200, answer) if answer and fault is not None else await apply_before(fault)

    monkeypatch.setattr(gateway, "apply_before", answer_malformed)
    faults = {
        "down": Fault(reader.api, "status", reader.method, status=503),
        "slow": Fault(reader.api, "delay", reader.method, seconds=2),
        "empty": Fault(reader.api, "empty", reader.method),
        **({"malformed": Fault(reader.api, "empty", reader.method)} if reader.malformed else {}),
    }
    said = {}
    for trouble, fault in faults.items():
        answer.update(reader.malformed if trouble == "malformed" else {})
        clients = connect(settings_as(sandbox, "read", QUERY_TIMEOUT_S="0.5"))
        sandbox.state.faults.set(fault)
        said[trouble] = _describe_reading(reader, clients)
        sandbox.state.faults.clear()
    if name in ("log", "Cloud Scheduler"):  # an empty list is an empty answer there
        assert said.pop("empty") == "an answer"
    assert not {trouble: text for trouble, text in said.items() if not any(w in text for w in MESSAGES[trouble])}, said


def _describe_reading(reader: Reader, clients: Clients) -> str:
    try:
        problem = getattr(reader.read(clients), "problem", None)
    except OnCallError as error:
        return error.message
    return problem.message if problem is not None else "an answer"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("api", HEALTH_CHECKS_BY_API)
def test_neither_the_night_nor_the_platform_is_green_while_a_source_it_needs_is_down(
    open_page, inject_fault, api, fault
):
    inject_fault(api, **FAULTS[fault])
    screen = open_page(date=GOOD_NIGHT)
    assert screen.verdict
    assert api == "run" or ":green" not in screen.verdict, "the platform does not colour the night"
    badges = screen.health_badges()
    assert {name for name in HEALTH_CHECKS_BY_API[api] if ":green" in badges[name]} == set()


@pytest.mark.parametrize("fault", ["refusing", "unavailable", "cut off"])
def test_without_the_log_a_complete_night_is_known_and_its_rejections_are_not(open_page, inject_fault, fault):
    inject_fault("logging", **FAULTS[fault])
    screen = open_page(date=GOOD_NIGHT)
    assert screen.figure_of("Coverage")[0] == "100.0%"
    badges = screen.health_badges()
    assert {name for name in ("Players", "DML errors") if ":green" in badges[name]} == {"Players"}


def test_while_the_log_does_not_answer_neither_coverage_nor_rejections_are_green(open_page, inject_fault):
    inject_fault("logging", **FAULTS["slow"])
    badges = open_page(date=GOOD_NIGHT).health_badges()
    assert {name for name in ("Players", "DML errors") if ":green" in badges[name]} == set()


@pytest.mark.parametrize(("api", "page"), [(api, page) for api, pages in PAGES_BY_API.items() for page in pages])
def test_a_page_says_since_when_a_source_is_unavailable_and_why(open_page, inject_fault, api, page):
    inject_fault(api, "status", status=503)
    screen = open_page(page)
    assert UNAVAILABLE_SINCE.search(screen.text), screen.text
    assert not [metric.value for metric in screen.app.metric if metric.value in ("0", "0.0%", "100.0%")]
    assert ":green" not in screen.verdict


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_renders_during_any_outage(open_page, inject_fault, api, page):
    inject_fault(api, "drop")
    assert open_page(page).app.title[0].value


@pytest.mark.parametrize("page", ["coverage", "missing_players"])
def test_an_open_page_is_never_green_while_bigquery_answers_503(open_page, inject_fault, monkeypatch, page):
    """Its figures of before stay for an hour, with their age, and the verdict is unknown from the first failed read on."""
    monkeypatch.setenv("QUERY_TIMEOUT_S", "6")  # enough for the first look on a slow machine
    clock = FakeMonotonic()
    monkeypatch.setattr(background_cache, "monotonic", clock)
    screen = open_page(page, date=GOOD_NIGHT)
    before = screen.verdict
    inject_fault("bigquery", "status", status=503)
    monkeypatch.setattr(background_cache, "REVALIDATE_WAIT_S", 30.0)
    for seconds in (45, 225):
        clock.seconds += seconds
        screen.app.run()
        assert ":green" not in screen.verdict
        assert re.search(r"; data of \d\d:\d\d:\d\d ET, \d+ s old\.", screen.text.replace(ZERO_WIDTH_SPACE, ""))
    assert before.partition("]")[2] == screen.verdict.partition("]")[2], "what was known before is still shown"


def test_the_start_of_an_outage_is_kept_across_page_loads(open_page, inject_fault):
    inject_fault("run", "status", status=503)
    first = UNAVAILABLE_SINCE.search(open_page("worker_capacity").text)
    second = UNAVAILABLE_SINCE.search(open_page("worker_capacity").text)
    assert first
    assert second
    assert first[0] == second[0]


def test_without_the_log_the_players_are_still_counted(open_page, inject_fault):
    inject_fault("logging", "status", status=503)
    screen = open_page()
    assert screen.figure_of("Coverage")[0] == "43.0%"


def test_an_unreachable_sandbox_shows_one_message(open_page, monkeypatch):
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:9")
    screen = open_page()
    assert screen.app.markdown[0].value.endswith("does not answer (ConnectionError).")
    assert "make run" in screen.text
    assert not screen.app.metric


def test_an_invalid_setting_shows_one_message_with_its_name(open_page, monkeypatch):
    monkeypatch.setenv("QUERY_LIMIT_MIB", "plenty")
    text = open_page().text
    assert "QUERY_LIMIT_MIB='plenty' cannot be used" in text
    assert isinstance(open_page().app, AppTest)


def test_the_overview_names_the_unreadable_log_beside_the_unexplained_players(open_page, inject_fault):
    inject_fault("logging", "status", status=403)
    text = open_page().text
    assert "90 unexplained" in text
    assert "worker log: unavailable since" in text


def test_rejections_beyond_the_bound_of_the_job_list_are_unknown_on_screen(open_page, inject_fault, monkeypatch):
    """The JOBS view is refused, and the newest 20 of the night's jobs are no proof of what the others were."""
    monkeypatch.setattr(job_history, "JOBS_PER_PAGE", 10)
    monkeypatch.setattr(job_history, "MAX_LISTED_JOBS", 20)
    inject_fault("bigquery", "status", method="JobService.query", status=403)
    screen = open_page("dml_errors", date="2025-12-29")
    assert "The newest 20 jobs were read, back to " in screen.text
    assert "the totals are unknown" in screen.verdict
    assert ":green" not in screen.verdict
    assert screen.metric_of("Rejected")[0] == "unknown"
