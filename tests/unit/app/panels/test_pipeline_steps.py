"""The steps of a date as rows: what is usual, allowed or due stands beside each, and what is not known is a dash and no zero."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.panels import pipeline_steps
from app.state import session
from services.core.settings import Settings
from services.phases.report import StepReport, StepState
from tests.support.phase_facts import DAY, STEPS, at, make_runs


@pytest.fixture(autouse=True)
def chosen_night(monkeypatch):
    monkeypatch.setattr(session, "link_params", lambda: {"date": "2025-12-29"})


def report(name: str = "context", state: StepState = StepState.OK, **changes: Any) -> StepReport:
    return StepReport(STEPS[name], state, changes.pop("text", "60 <players>"), **changes)


def test_a_group_without_a_step_has_no_heading_and_each_step_stands_in_its_own():
    html = pipeline_steps.to_html([report(), report("placeholder_lines")], DAY)
    assert html.count("<ol ") == 2
    before, _, quality = html.partition('aria-label="Quality"')
    assert "step=context" in before
    assert "step=placeholder_lines" not in before
    assert "step=context" not in quality
    assert "step=placeholder_lines" in quality
    assert "Predictions and after" not in html


def test_only_a_step_in_trouble_is_marked_and_its_error_is_escaped_and_cut():
    run = make_runs("P", failed=1, error="<b>quota</b>")
    html = pipeline_steps.to_html([report(state=StepState.LATE, run=run)], DAY)
    assert '<code class="cut">&lt;b&gt;quota&lt;/b&gt;</code>' in html
    assert "60 &lt;players&gt;" in html
    assert '<li class="">' not in html
    in_order = pipeline_steps.to_html([report(state=StepState.UNKNOWN)], DAY)
    assert '<li class="">' in in_order
    assert "<code" not in in_order


def test_a_step_in_order_shows_its_dates_before_and_every_other_its_text():
    earlier = ((DAY - timedelta(days=2), StepState.OK, 64), (DAY - timedelta(days=1), StepState.LATE, None))
    html = pipeline_steps.to_html([report(earlier=earlier)], DAY)
    assert 'class="strip mini"' in html
    assert '<li class="grn" title="27 Dec: ok, 64">' in html
    assert '<li class="red" title="28 Dec: late">' in html
    for shown in (
        report(),
        report(state=StepState.LATE, earlier=earlier),
        report("placeholder_lines", earlier=earlier),
    ):
        assert "60 &lt;players&gt;" in pipeline_steps.to_html([shown], DAY)
        assert "strip" not in pipeline_steps.to_html([shown], DAY)


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"found": None, "usual": 64}, "–"),
        ({"found": 1_000, "usual": None}, "1,000<small>players</small>"),
        ({"found": 60, "usual": 64}, "60<small>usually 64</small>"),
        ({"found": 60, "usual": 0}, "60<small>usually 0</small>"),
        ({"found": 20, "total": 100}, "20<small>of 100</small>"),
        ({"found": 0, "total": 0}, "0<small>of 0</small>"),
    ],
)
def test_a_count_stands_beside_what_it_is_compared_with(changes, count):
    assert f"<span>{count}</span>" in pipeline_steps.to_html([report(**changes)], DAY)


@pytest.mark.parametrize(
    ("changes", "time"),
    [
        ({}, "–<small>due 11:05</small>"),
        ({"done_at": at("10:40")}, "10:40 ET<small></small>"),
        ({"done_at": at("10:40"), "usual_time": timedelta(hours=10)}, "10:40 ET<small>usually 10:00</small>"),
        ({"done_at": at("10:40", DAY - timedelta(days=1))}, "28 Dec 10:40 ET<small></small>"),
    ],
)
def test_a_time_stands_beside_the_usual_one_or_when_it_is_due(changes, time):
    assert f"<span>{time}</span>" in pipeline_steps.to_html([report(**changes)], DAY)


def test_a_step_that_is_due_at_no_time_says_none():
    undue = replace(report(), step=replace(STEPS["context"], due=timedelta()))
    assert "<span>–<small></small></span>" in pipeline_steps.to_html([undue], DAY)
    assert "<dt>Due</dt>" not in pipeline_steps._facts_html(undue)


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(640, "10:40"), (24 * 60 + 370, "next day 06:10"), (-420, "day before 17:00"), (48 * 60, "+2 days 00:00")],
)
def test_a_time_since_midnight_names_its_day(minutes, text):
    assert pipeline_steps.format_time_of_day(timedelta(minutes=minutes)) == text


def test_the_facts_of_a_step_are_those_that_are_known():
    known = report(usual=64, usual_time=timedelta(hours=10), run=make_runs("P", unfinished=1))
    html = pipeline_steps._facts_html(known)
    for fact in ("11:05 ET", "64 players", "10:00 ET", "1, 0 failed, 1 without an end"):
        assert f"<dd>{fact}</dd>" in html
    assert "Allowed" not in html
    bare = pipeline_steps._facts_html(report())
    assert not any(name in bare for name in ("Usual count", "Usual time", "Runs"))
    assert "<dd>0–20%</dd>" in pipeline_steps._facts_html(report("placeholder_lines", total=100))
    assert "<dd>0–60 days</dd>" in pipeline_steps._facts_html(report("model_age"))


def show_detail(monkeypatch: pytest.MonkeyPatch, shown: StepReport) -> AppTest:
    settings = Settings.from_env({})
    monkeypatch.setattr(session, "cached_clients", lambda: SimpleNamespace(settings=settings))
    monkeypatch.setattr(pipeline_steps, "_log_url", lambda *_: "https://console/logs")

    def page(shown, day):
        from app.panels import pipeline_steps

        pipeline_steps.render_detail(shown, day)

    app = AppTest.from_function(page, kwargs={"shown": shown, "day": DAY}, default_timeout=20).run()
    assert not app.exception, app.exception
    return app


def test_the_detail_has_error_log_fix_dates_and_query_where_the_step_has_them(monkeypatch):
    run = make_runs("P", failed=1, error="quota")
    app = show_detail(monkeypatch, report(run=run, earlier=((DAY - timedelta(days=1), StepState.LATE, None),)))
    assert [caption.value for caption in app.caption] == ["Last error", "Fix command"]
    error, fix, query = (code.value for code in app.code)
    assert (error, fix.startswith("gcloud scheduler jobs run same-day-phase3")) == ("quota", True)
    assert "SELECT" in query.upper()
    assert len(app.get("link_button")) == 1
    assert any("The dates before" in html.proto.body for html in app.get("html"))


def test_the_detail_of_a_step_without_them_has_none_of_them(monkeypatch):
    undeclared = replace(report(), step=replace(STEPS["context"], name="stuck_runs", service="", fix=""))
    app = show_detail(monkeypatch, undeclared)
    assert not [*app.caption, *app.code, *app.get("link_button"), *app.get("expander")]
    assert not any("The dates before" in html.proto.body for html in app.get("html"))
