"""oncall do: a plan changes nothing; --apply carries out exactly the plan of its hash, once, as the pages would, or nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from time import monotonic, sleep

import pytest

from services.actions.action_type import ActionContext
from services.actions.log_reader import ABANDONED_AFTER_S
from services.actions.plan import MAX_REASON_LENGTH, Confirmation
from services.alerts.actions import ACKNOWLEDGE
from services.cli import do
from services.cli.report import INTERRUPTED_CODE
from services.cli.verbs import VERBS
from tests.support.alert_factories import NOW as NOW
from tests.unit.alerts.test_alert_actions import ALERT_ID

ACKNOWLEDGE_WORDS = ("do", "acknowledge", ALERT_ID)


def plan_hash(oncall, *words: str) -> str:
    return str(json.loads(oncall(*words, "--json").out)["hash"])


def alert_events(records) -> list[str]:
    return [row["event"] for row in records.tables["alerts"]]


def test_a_plan_is_shown_with_its_hash_and_changes_nothing(oncall, records):
    answer = oncall(*ACKNOWLEDGE_WORDS)
    assert (answer.code, records.events(), alert_events(records)) == (0, [], ["opened"])
    assert answer.out.startswith("PLAN  ")
    found = re.search(r"Apply: (oncall do acknowledge .*)", answer.out)
    assert found
    assert found[1] == f"oncall do acknowledge {ALERT_ID} --apply {plan_hash(oncall, *ACKNOWLEDGE_WORDS)}"
    assert "Undo: " in answer.out


def test_the_plan_of_the_hash_is_carried_out_and_recorded_as_from_a_page(oncall, records):
    answer = oncall(*ACKNOWLEDGE_WORDS, "--apply", plan_hash(oncall, *ACKNOWLEDGE_WORDS), "--as", "nora")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("DONE  ")
    assert alert_events(records) == ["opened", "acknowledged"]
    assert records.events() == ["intent", "outcome"]
    assert {(row["actor"], row["role"]) for row in records.tables["actions"]} == {("nora", "operator")}


def test_the_same_hash_again_runs_nothing_and_says_so(oncall, records):
    words = (*ACKNOWLEDGE_WORDS, "--apply", plan_hash(oncall, *ACKNOWLEDGE_WORDS))
    assert oncall(*words).code == 0
    again = oncall(*words)
    assert again.code == 0
    assert "nothing was run again" in again.out
    assert alert_events(records) == ["opened", "acknowledged"]


def test_an_old_hash_is_refused_with_what_changed_and_changes_nothing(oncall, records):
    old = plan_hash(oncall, *ACKNOWLEDGE_WORDS)
    silence = ("do", "silence", ALERT_ID, "--minutes", "60", "--reason", "deploy under way")
    assert oncall(*silence, "--apply", plan_hash(oncall, *silence)).code == 0
    before = alert_events(records)
    answer = oncall(*ACKNOWLEDGE_WORDS, "--apply", old)
    assert answer.code == 1
    assert "state: open → silenced" in answer.err
    assert alert_events(records) == before
    assert records.tables["actions"][-1]["state"] == "refused"


@pytest.mark.parametrize("given", ["0" * 20, "../../etc/passwd", "x"])
def test_a_hash_that_is_no_shown_plan_of_these_words_is_refused(oncall, records, given):
    answer = oncall(*ACKNOWLEDGE_WORDS, "--apply", given)
    assert answer.code == 1
    assert f"Blocked, nothing was run: {given!r} is not this plan's hash, which is " in answer.err
    assert plan_hash(oncall, *ACKNOWLEDGE_WORDS) in answer.err
    assert (records.events(), alert_events(records)) == ([], ["opened"])


def test_the_hash_of_other_words_is_refused(oncall, records):
    silence = ("do", "silence", ALERT_ID, "--reason", "x", "--minutes")
    shorter = plan_hash(oncall, *silence, "15")
    answer = oncall(*silence, "60", "--apply", shorter)
    assert answer.code == 1
    assert alert_events(records) == ["opened"]


def test_a_plan_that_was_shown_elsewhere_is_applied_by_its_hash(oncall, records, monkeypatch, tmp_path):
    given = plan_hash(oncall, *ACKNOWLEDGE_WORDS)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another machine"))
    assert oncall(*ACKNOWLEDGE_WORDS, "--apply", given).code == 0
    assert alert_events(records) == ["opened", "acknowledged"]


def test_a_folder_that_cannot_be_written_is_no_obstacle(oncall, records, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert oncall(*ACKNOWLEDGE_WORDS, "--apply", plan_hash(oncall, *ACKNOWLEDGE_WORDS)).code == 0


def test_a_viewer_sees_the_plan_and_is_refused_its_application(oncall, records):
    given = plan_hash(oncall, *ACKNOWLEDGE_WORDS, "--as", "vic:viewer")
    answer = oncall(*ACKNOWLEDGE_WORDS, "--as", "vic:viewer", "--apply", given)
    assert answer.code == 1
    assert "vic is a viewer" in answer.err
    assert alert_events(records) == ["opened"]
    assert [(row["actor"], row["state"]) for row in records.tables["actions"]] == [("vic", "denied")]


def test_a_reason_that_is_too_long_is_refused_before_anything_is_read(oncall, records):
    answer = oncall(*ACKNOWLEDGE_WORDS, "--reason", "x" * 10_000)
    assert answer.code == 2
    assert f"10,000 of {MAX_REASON_LENGTH} characters" in answer.err
    assert (records.events(), alert_events(records)) == ([], ["opened"])
    assert oncall(*ACKNOWLEDGE_WORDS, "--reason", "x" * MAX_REASON_LENGTH).code == 0


def test_the_reason_of_an_alert_is_recorded_at_the_alert_and_in_the_action_log(oncall, records):
    resolve = ("do", "resolve", ALERT_ID, "--reason", "re-run, all there")
    assert oncall(*resolve, "--apply", plan_hash(oncall, *resolve)).code == 0
    assert records.tables["alerts"][-1]["reason"] == "re-run, all there"
    assert {row["reason"] for row in records.tables["actions"]} == {"re-run, all there"}


def test_a_reason_may_be_given_with_the_hash_but_not_changed_where_the_plan_has_one(oncall, records):
    given = plan_hash(oncall, *ACKNOWLEDGE_WORDS)
    assert oncall(*ACKNOWLEDGE_WORDS, "--apply", given, "--reason", "on it").code == 0
    assert {row["reason"] for row in records.tables["actions"]} == {"on it"}
    resolve = ("do", "resolve", ALERT_ID, "--reason")
    answer = oncall(*resolve, "another", "--apply", plan_hash(oncall, *resolve, "re-run"))
    assert answer.code == 1
    assert alert_events(records) == ["opened", "acknowledged"]


def test_a_blocked_plan_says_why_and_has_no_command_to_apply(oncall):
    answer = oncall("do", "resolve", ALERT_ID)
    assert answer.code == 1
    assert answer.out.startswith("BLOCKED  ")
    assert "Blocked: Enter a reason." in answer.out
    assert "Apply: " not in answer.out


@pytest.fixture
def typed_plan(monkeypatch):
    """Acknowledging asks for a reason and a text."""

    def plan(clients, args):
        shown = ACKNOWLEDGE.plan(clients, args)
        return replace(shown, confirmation=Confirmation.TYPED, confirmation_text="run-2025-12-29")

    verb = next(verb for verb in VERBS if verb.name == "acknowledge")
    monkeypatch.setattr(do, "run_verb", lambda t, _, *rest, run=do.run_verb: run(t, with_plan(verb, plan), *rest))


def with_plan(verb, plan):
    return replace(verb, action_type=replace(verb.action_type, plan=plan))


def test_a_plan_that_asks_for_typing_is_carried_out_with_reason_and_text_only(oncall, records, typed_plan):
    shown = oncall(*ACKNOWLEDGE_WORDS)
    assert "--reason … --confirm run-2025-12-29" in shown.out.replace("'…'", "…")
    words = (*ACKNOWLEDGE_WORDS, "--apply", plan_hash(oncall, *ACKNOWLEDGE_WORDS))
    for more in ((), ("--reason", "x"), ("--confirm", ALERT_ID), ("--reason", "x", "--confirm", "run")):
        answer = oncall(*words, *more)
        assert answer.code == 2, more
        assert "--confirm with exactly: run-2025-12-29" in answer.err
    assert (records.events(), alert_events(records)) == ([], ["opened"])
    assert oncall(*words, "--reason", " x ", "--confirm", " run-2025-12-29 ").code == 0
    assert alert_events(records) == ["opened", "acknowledged"]


def test_the_command_to_apply_asks_for_nothing_that_is_typed_already(oncall, typed_plan):
    given = json.loads(oncall(*ACKNOWLEDGE_WORDS, "--json").out)
    assert given["apply"].endswith(f"--apply {given['hash']} --reason … --confirm run-2025-12-29".replace("…", "'…'"))
    assert "--json" not in given["apply"]
    words = (*ACKNOWLEDGE_WORDS, "--reason", "x", "--confirm", "run-2025-12-29")
    typed = json.loads(oncall(*words, "--json").out)["apply"]
    assert (typed.count("--reason"), typed.count("--confirm")) == (1, 1)


def test_who_may_not_apply_a_plan_is_refused_before_being_asked_to_type(oncall, records, typed_plan):
    given = plan_hash(oncall, *ACKNOWLEDGE_WORDS, "--as", "vic:viewer")
    answer = oncall(*ACKNOWLEDGE_WORDS, "--as", "vic:viewer", "--apply", given)
    assert "vic is a viewer" in answer.err
    assert "--confirm" not in answer.err


def test_how_far_an_action_is_is_said_with_the_time_on_standard_error_and_recorded(oncall, records, monkeypatch):
    def apply(context):
        context.report_progress("1 of 1 acknowledged", count=1)
        return ACKNOWLEDGE.apply(context)

    verb = next(verb for verb in VERBS if verb.name == "acknowledge")
    reporting = replace(verb, action_type=replace(verb.action_type, apply=apply))
    monkeypatch.setattr(do, "run_verb", lambda t, _, *rest, run=do.run_verb: run(t, reporting, *rest))
    given = plan_hash(oncall, *ACKNOWLEDGE_WORDS)
    answer = oncall(*ACKNOWLEDGE_WORDS, "--apply", given, "--as", "nora")
    first, second = answer.err.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d ET  .+, by nora: checks run again first\.", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d ET  1 of 1 acknowledged", second)
    assert "1 of 1 acknowledged" not in answer.out
    assert records.events() == ["intent", "step", "outcome"]


def test_an_action_that_says_nothing_is_said_to_go_on_until_it_has_ended(records, monkeypatch, capsys):
    monkeypatch.setattr(do, "TICK_S", 0.01)
    said, deadline = "", monotonic() + 5
    with do._Progress(records.clients()):
        while "In progress …" not in said and monotonic() < deadline:
            sleep(0.005)
            said += capsys.readouterr().err
    assert "ET  In progress …" in said
    sleep(0.05)
    capsys.readouterr()
    sleep(0.05)
    assert capsys.readouterr().err == ""


def test_an_interrupted_action_is_named_with_how_to_finish_it(oncall, records, monkeypatch, capsys):
    def interrupted(clients, actor, action_type, plan, *_):
        action_type.apply(replace_context(clients, actor, plan))
        raise KeyboardInterrupt

    def replace_context(clients, actor, plan):
        return ActionContext(clients, actor, plan, "abc123", lambda *_, **__: None)

    given = plan_hash(oncall, *ACKNOWLEDGE_WORDS)
    monkeypatch.setattr(do, "execute", interrupted)
    with pytest.raises(SystemExit) as ended:
        oncall(*ACKNOWLEDGE_WORDS, "--apply", given)
    assert ended.value.code == INTERRUPTED_CODE
    said = capsys.readouterr()
    assert "Interrupted: action abc123 has no outcome" in said.err
    assert f"In {ABANDONED_AFTER_S} s `oncall finish abc123` reads and records it." in said.err
    assert said.out == ""


def test_what_is_interrupted_before_it_began_has_no_id_to_finish(oncall, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    given = plan_hash(oncall, *ACKNOWLEDGE_WORDS)
    monkeypatch.setattr(do, "execute", interrupted)
    with pytest.raises(SystemExit):
        oncall(*ACKNOWLEDGE_WORDS, "--apply", given)
    assert "Interrupted before it began; `oncall actions` shows" in capsys.readouterr().err


def test_an_action_without_an_outcome_is_finished_once_it_is_abandoned(oncall, records, monkeypatch, capsys):
    class Killed(BaseException):
        """The process is gone."""

    given = plan_hash(oncall, *ACKNOWLEDGE_WORDS)
    monkeypatch.setattr("services.actions.executor._record_outcome", lambda *_: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        oncall(*ACKNOWLEDGE_WORDS, "--apply", given)
    monkeypatch.undo()
    records.install(monkeypatch)
    action_id = records.tables["actions"][0]["action_id"]
    assert oncall("finish", action_id).code == 3
    assert oncall("actions").code == 0
    records.clock.advance(200)
    assert f"oncall finish {action_id}" in oncall("actions").out
    assert oncall("finish", action_id, "--as", "vic:viewer").code == 1
    finished = oncall("finish", action_id)
    assert finished.code == 0, finished.err
    assert "done: " in finished.out
    assert oncall("finish", "none").code == 2
