"""What is wrong has its sentence, owner and button; what is in order is one line; what is unknown is said so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.actions import dialog
from app.components.html_table import Mark
from app.panels import plumbing_panels, undo_buttons
from services.core.result import DataSource, Health, Problem, Result
from services.plumbing.manifest import DeclaredJob, DeclaredSubscription
from services.plumbing.refused_calls import RefusalReport, RefusedCalls
from services.plumbing.scheduled_jobs import compare_jobs
from services.plumbing.service_state import ServiceState
from services.plumbing.subscriptions import SubscriptionReport, SubscriptionState
from services.scaling.traffic import Traffic
from services.telemetry.scheduler import Schedule, ScheduledJob
from tests.support.factories import NOW

SOURCE = DataSource("Google", NOW)
TARGET = "https://prediction-coordinator-x.a.run.app/start"
JOB = ScheduledJob("nightly", "", "0 7 * * *", "ET", NOW, NOW, "", "ENABLED", TARGET)
DECLARED = DeclaredJob(
    name="nightly",
    owner="<b>nora</b>",
    schedule="0 7 * * *",
    time_zone="ET",
    target="prediction-coordinator/start",
    enabled=True,
)


@pytest.fixture
def offered(monkeypatch):
    """The buttons that were drawn: name of the action, and its job."""
    buttons: list[tuple[str, str]] = []
    record = lambda action_type, job, **_: buttons.append((action_type.name, job))  # noqa: E731
    monkeypatch.setattr(dialog, "action_button", record)
    monkeypatch.setattr(undo_buttons, "undo_lines", lambda *_: None)
    return buttons


def show(panel: Any, *args: Any) -> AppTest:
    def page(panel, args):  # a script of its own, without imports and so without types
        panel(*args)

    return AppTest.from_function(page, kwargs={"panel": panel, "args": args}).run()


def text_of(page: AppTest) -> str:
    return "\n".join(str(part.value) for part in (*page.markdown, *page.caption, *page.get("html")))


def jobs(job: ScheduledJob, enabled: bool = True) -> AppTest:
    declared = DECLARED.model_copy(update={"enabled": enabled})
    report = compare_jobs([declared], Schedule((job,), (), (), SOURCE))
    return show(plumbing_panels.scheduled_jobs, Result(report), None)


def test_jobs_in_order_are_one_line_without_a_button(offered):
    page = jobs(JOB)
    assert "1 of 1 jobs as declared" in text_of(page)
    assert not page.exception
    assert not offered


@pytest.mark.parametrize(
    ("job", "enabled", "action"),
    [
        (replace(JOB, state="PAUSED", problem="is paused"), True, "scheduler.resume"),
        (replace(JOB, problem="failed at its last attempt (code 13)"), True, "scheduler.run"),
        (JOB, False, "scheduler.pause"),
    ],
)
def test_a_job_that_is_not_as_declared_has_the_button_that_repairs_it(offered, job, enabled, action):
    text = text_of(jobs(job, enabled))
    assert offered == [(action, "nightly")]
    assert "<b>nora" not in text.replace("&lt;b&gt;", "").replace("\\<b\\>", "")


def test_a_chosen_job_can_be_run_and_paused(offered):
    page = jobs(JOB)
    page.selectbox[0].select("nightly").run()
    assert offered[-2:] == [("scheduler.run", "nightly"), ("scheduler.pause", "nightly")]


def test_an_unread_source_is_unavailable_and_never_in_order():
    unread: Result[Any] = Result(None, Problem("Pub/Sub", NOW, "denied", "Grant roles/pubsub.viewer."))
    for panel in (plumbing_panels.subscriptions, plumbing_panels.services, plumbing_panels.refused_calls):
        text = text_of(show(panel, unread))
        assert "unavailable since" in text
        assert "as declared" not in text


def test_a_backlog_that_is_not_known_is_unknown_and_not_zero():
    declared = DeclaredSubscription(
        name="requests", owner="o", topic="t", target="w/p", dead_letter_topic="", max_unacked_min=15
    )
    state = SubscriptionState(declared, "", "", None, None, (), Health.UNKNOWN)
    page = show(plumbing_panels.subscriptions, Result(SubscriptionReport((state,), ("lonely",), (), SOURCE)))
    text = text_of(page)
    assert text.count("unknown") >= 3
    assert "Topics without a subscription: lonely" in text


def test_refused_calls_are_listed_by_service_and_caller():
    calls = (RefusedCalls("prediction-worker", 429, "Pub/Sub push", 12, NOW, NOW),)
    text = text_of(show(plumbing_panels.refused_calls, Result(RefusalReport(calls, 24, False, SOURCE))))
    assert "12 × 429 in 24 h" in text
    assert "Pub/Sub push" in text


def make_service(**changes: Any) -> ServiceState:
    """A service of which nothing is known but its name."""
    fields = ("prediction-worker", "predictions", "", "", "", Traffic((), follows_latest=False), "", None, "", 1, 2)
    return replace(ServiceState(*fields, (), (), Health.OK), **changes)


def test_what_is_not_known_of_a_service_is_unknown_and_what_differs_is_said():
    facts: list[Any] = [plumbing_panels._service_facts(s) for s in (make_service(), make_service(
        image="i:1", service_account="worker@p", deployed_by="nora@x", changed=("TOPIC",),
        traffic=Traffic((("w-1", 100),), follows_latest=True),
    ))]  # fmt: skip
    assert list(facts[0].values())[1:-1] == ["unknown", "not set", "unknown", "none, pinned", "none"]
    assert list(facts[1].values())[1:-1] == ["i:1", "worker@p", "nora@x", "w-1, latest revision", "TOPIC"]
    row = plumbing_panels._service_row(make_service())
    assert (row[1], row[2], row[3], row[6]) == (Mark("as declared", Health.OK), None, "unknown", "unknown")
    row = plumbing_panels._service_row(
        make_service(problems=("lacks TOPIC",), commit="0123456789abcdef", deployed_by="nora@x")
    )
    assert (row[1], row[3], row[6]) == (Mark("lacks TOPIC", Health.OK), "0123456789ab", "nora")


@pytest.mark.parametrize(("age", "text"), [(None, "unknown"), (0, "0 s"), (119, "119 s"), (120, "2 min")])
def test_the_age_of_a_backlog_is_seconds_at_first_and_an_empty_one_is_zero(age, text):
    declared = DeclaredSubscription(
        name="requests", owner="o", topic="t", target="w/p", dead_letter_topic="", max_unacked_min=15
    )
    row = plumbing_panels._subscription_row(SubscriptionState(declared, "", "", age, 0, (), Health.OK))
    assert (row[2], row[3], row[4]) == (text, 0, "none")


def test_a_job_that_is_missing_has_no_button_and_one_that_nobody_declared_is_named(offered):
    missing = compare_jobs([DECLARED], Schedule((replace(JOB, name="lonely"),), (), (), SOURCE))
    page = show(plumbing_panels.scheduled_jobs, Result(missing), None)
    assert not page.exception
    assert "Not in the manifest: lonely" in text_of(page)
    assert "Not in the manifest" not in text_of(jobs(JOB))
    assert offered == []
    assert list(page.selectbox[0].options) == ["lonely"]


def test_a_job_that_google_disabled_or_that_is_as_declared_has_no_button(offered):
    plumbing_panels._fix_button(replace(JOB, state="DISABLED", problem="is disabled"), declared_enabled=True)
    plumbing_panels._fix_button(replace(JOB, state="PAUSED"), declared_enabled=False)
    plumbing_panels._fix_button(JOB, declared_enabled=True)
    assert offered == []


def test_a_chosen_job_that_is_paused_is_resumed(offered):
    page = jobs(replace(JOB, state="PAUSED"), enabled=False)
    page.selectbox[0].select("nightly").run()
    assert offered[-1] == ("scheduler.resume", "nightly")
