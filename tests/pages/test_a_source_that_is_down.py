"""With any of the three APIs down, slow, empty or refusing, every page renders and says what it does not know."""

from __future__ import annotations

import re

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.desk import GOOD_NIGHT, PAGES

APIS = ("bigquery", "logging", "run")
NEEDS = {
    "bigquery": ("coverage", "missing_players", "dml_errors", "staging_tables"),
    "run": ("concurrency",),
    "logging": ("missing_players", "dml_errors"),
}
SIGNALS = {
    "bigquery": {"Coverage", "DML errors", "Staging tables"},
    "run": {"Concurrency"},
    "logging": set(),
}
DOWN = {
    "refusing": {"kind": "status", "status": 403},
    "unavailable": {"kind": "status", "status": 503},
    "cut off": {"kind": "drop"},
    "answering nothing": {"kind": "empty"},
    "slow": {"kind": "delay", "seconds": 60.0},
}
SINCE = re.compile(r"unknown since \d\d:\d\d ET \(\d\d:\d\d UTC\)")


@pytest.mark.parametrize("how", DOWN)
@pytest.mark.parametrize("api", APIS)
def test_the_overview_is_never_green_while_a_source_it_needs_is_down(open_page, fault, api, how):
    fault(api, **DOWN[how])
    screen = open_page(date=GOOD_NIGHT)
    assert ":green" not in screen.verdict or api == "logging"
    green = {name for name, badge in screen.signals().items() if ":green" in badge}
    assert not green & SIGNALS[api]


@pytest.mark.parametrize(("api", "page"), [(api, page) for api, pages in NEEDS.items() for page in pages])
def test_a_page_says_since_when_it_does_not_know_and_why(open_page, fault, api, page):
    fault(api, "status", status=503)
    screen = open_page(page)
    assert SINCE.search(screen.words), screen.words
    assert not [metric.value for metric in screen.app.metric if metric.value in ("0", "0.0 %", "100.0 %")]
    assert ":green" not in screen.verdict


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_renders_whatever_is_down(open_page, fault, api, page):
    fault(api, "drop")
    assert "Mon 29 Dec 2025" in open_page(page).words


def test_the_moment_of_failure_is_kept_when_the_page_looks_again(open_page, fault):
    fault("run", "status", status=503)
    first = SINCE.search(open_page("concurrency").words)
    again = SINCE.search(open_page("concurrency").words)
    assert first
    assert again
    assert first[0] == again[0]


def test_without_the_log_the_players_are_still_counted(open_page, fault):
    fault("logging", "status", status=503)
    screen = open_page()
    assert screen.figure("Coverage") == ("43.0 %", "68 of 158 eligible")


def test_an_unreachable_sandbox_is_one_calm_sentence(open_page, monkeypatch):
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:9")
    screen = open_page()
    assert screen.app.markdown[0].value.endswith("does not answer (ConnectionError).")
    assert "make run" in screen.words
    assert not screen.app.metric


def test_a_setting_that_cannot_be_used_is_one_calm_sentence_naming_it(open_page, monkeypatch):
    monkeypatch.setenv("QUERY_LIMIT_MIB", "plenty")
    words = open_page().words
    assert "QUERY_LIMIT_MIB='plenty' cannot be used" in words
    assert isinstance(open_page().app, AppTest)


def test_the_overview_names_the_log_it_could_not_read_beside_the_players_it_therefore_cannot_explain(open_page, fault):
    fault("logging", "status", status=403)
    words = open_page().words
    assert "90 unexplained" in words
    assert "worker log: unknown since" in words
