"""The handoff note opens with the judgement of its night: health, headline, and each statement that is not proven."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from services.actions.log_reader import Action, ActionLog, ActionState
from services.actions.plan import plan_to_json
from services.alerts.alert_log import Alert, Alerts
from services.batches.reader import Batches
from services.core.result import DataSource, Health, Problem, Result
from services.judgement.judge import judge_night
from services.nights.coverage import CoverageHistory
from services.notes.add import plan_note
from services.reports.handoff_note import HandoffInputs, render_markdown
from services.scaling.annotations import CapacitySetting
from services.scaling.capacity import CapacityState, ServiceCapacities, ServiceCapacity
from services.scaling.deploys import Deploy, DeployHistory
from services.telemetry.scheduler import Schedule, ScheduledJob
from tests.support.alert_factories import make_players, make_rejected_players, ok_result
from tests.support.factories import NIGHT as NIGHT
from tests.support.factories import NOW, make_history, make_night, player_without_rows
from tests.support.night_facts import OUTDATED, SETTINGS, UNREAD, make_facts
from tests.unit.alerts.test_notification import make_alert
from tests.unit.reports.test_events import SOURCE, make_action

PARTIAL = Problem("worker log", NOW, "The newest 10,000 lines were read.")


def make_inputs(**changes: Any) -> HandoffInputs:
    """The inputs of a note on a proven night that differs by `changes`; nothing else could be read."""
    return HandoffInputs(make_facts(**changes), NOW, *[UNREAD] * 7)


def first_lines(**changes: Any) -> list[str]:
    """What the note says between its title and its key numbers."""
    head = render_markdown(make_inputs(**changes), SETTINGS).partition("## Cause and loss")[0]
    return [line for line in head.splitlines()[1:] if line]


def test_the_note_of_a_proven_night_opens_with_its_health_and_headline():
    assert first_lines() == [
        "**ok**: All 158 eligible players have active predictions",
        "Generated 30 Dec 01:45 ET from 5 of 11 sources · [Open in dashboard](http://127.0.0.1:8501/?date=2025-12-29)",
    ]


def test_each_statement_that_is_not_proven_has_one_line_worst_first():
    night = make_night(*make_players(68), *make_rejected_players(90))
    judgement = judge_night(make_facts(night=ok_result(night), record=UNREAD), SETTINGS)
    lines = first_lines(night=ok_result(night), record=UNREAD)
    assert lines[0].startswith("**critical**: 90 of 158 players are missing: ")
    assert lines[0] == f"**critical**: {judgement.headline}"
    unproven = [s for s in judgement.statements if not s.is_proven and s.sentence != judgement.headline]
    assert len(unproven) > 1
    assert lines[1 : 1 + len(unproven)] == [
        f"- {statement.subject}, {statement.state}: {statement.sentence}" for statement in unproven
    ]


def test_outdated_partial_and_unread_sources_are_named():
    partial_night = ok_result(make_night(*make_players(158), problems=(PARTIAL,)))
    lines = first_lines(night=partial_night, usual=replace(make_facts().usual, outdated=OUTDATED))
    assert lines[0].startswith("**unknown**: ")
    assert f"- Old or incomplete: x, since 30 Dec 01:45 ET: {OUTDATED.message}" in lines
    assert "- Old or incomplete: worker log, since 30 Dec 01:45 ET: The newest 10,000 lines were read." in lines
    unread = first_lines(writes=UNREAD)
    assert "- Old or incomplete: x, since 30 Dec 01:45 ET: x did not answer." in unread


def test_a_section_written_from_an_old_reading_says_so():
    inputs = replace(make_inputs(), alerts=replace(UNREAD, problem=None, outdated=OUTDATED))
    assert f"- **Old:** {OUTDATED.message}" in render_markdown(inputs, SETTINGS)


def make_note(text: str, **changes: Any) -> Action:
    """A note about the night, as the action log has it."""
    about: dict[str, Any] = {key: changes.pop(key) for key in ("game_date", "player") if key in changes}
    plan = plan_note(NOW, {"text": text, "game_date": "2025-12-29", **about})
    action = replace(make_action(), action_name=plan.action_name, plan_json=plan_to_json(plan))
    return replace(action, **{"started_at": NOW - timedelta(hours=1), **changes})


def test_notes_about_the_night_stand_before_what_was_done_with_who_and_when():
    notes = (make_note("Waiting for\nlate lines."), make_note("Failed to write.", state=ActionState.FAILED))
    inputs = replace(make_inputs(), notes=ok_result(ActionLog(notes, SOURCE)))
    note = render_markdown(inputs, SETTINGS)
    section = note.partition("## Notes\n")[2].partition("\n\n")[0]
    link = "[nora](http://127.0.0.1:8501/action_log?date=2025-12-29&action=id)"
    assert section == f"- 30 Dec 00:45 ET · {link}: Waiting for late lines."
    assert "## Notes\n- None." in render_markdown(replace(inputs, notes=ok_result(ActionLog((), SOURCE))), SETTINGS)
    assert "## Notes\n- **Unknown:**" in render_markdown(make_inputs(), SETTINGS)


HOSTILE = "**b** [l](http://evil.example) ![i](//evil.example/i) <img src=x onerror=alert(1)> `c` | :red[r] \u202e\x1b[2K\n# Forged"


def test_no_text_of_others_formats_the_note_wherever_it_stands_in_it():
    opened = make_alert(1, NOW - timedelta(minutes=9))
    updated = opened.new_event("updated", NOW - timedelta(minutes=8), HOSTILE, message=HOSTILE)
    alert = Alert(opened.alert_id, (*opened.events, replace(updated, reason=HOSTILE, actor=HOSTILE)))
    action = replace(make_action(), actor=HOSTILE, title=HOSTILE, reason=HOSTILE, message=HOSTILE)
    unfinished = replace(action, ended_at=None, last_event_at=NOW - timedelta(days=1))
    capacity = ServiceCapacity(
        HOSTILE, CapacitySetting(5, 5, 3), HOSTILE, NOW, HOSTILE, "e", CapacityState.NORMAL, Health.OK, True
    )
    deploy = Deploy(HOSTILE, HOSTILE, NOW - timedelta(minutes=3), HOSTILE, 5, 3, HOSTILE)
    job = ScheduledJob(HOSTILE, HOSTILE, "* * * * *", "UTC", NOW, NOW, HOSTILE)
    problem = Problem(HOSTILE, NOW, HOSTILE)
    hostile_note = make_note(HOSTILE, actor=HOSTILE)
    inputs = HandoffInputs(
        make_facts(usual=replace(make_facts().usual, outdated=problem)),
        NOW - timedelta(hours=8),
        ok_result(ServiceCapacities((capacity,), ())),
        ok_result(DeployHistory((deploy,), SOURCE)),
        Result(None, problem),
        ok_result(Alerts((alert,), SOURCE)),
        ok_result(ActionLog((action, unfinished), SOURCE)),
        ok_result(Schedule((job,), (HOSTILE,), (HOSTILE,), SOURCE)),
        ok_result(ActionLog((hostile_note,), SOURCE)),
    )
    note = render_markdown(inputs, SETTINGS)
    assert note.count("evil.example/i") >= 20
    for markup in ("**b**", "[l]", "![i]", " <img", "`c`", "://evil", "\u202e", "\x1b", "\n# Forged", ":red["):
        assert markup not in note
    assert len(re.findall(r"(?<!\\)\|", note)) == 3 * 5 + 1, "one table of four columns, and a command"


def test_what_is_wrong_and_open_comes_first_and_each_line_has_its_source():
    alert = make_alert(1, NOW - timedelta(minutes=9))
    action = make_action()
    inputs = replace(
        make_inputs(night=ok_result(make_night(*make_players(68), *make_rejected_players(90)))),
        start=NOW - timedelta(days=1),
        alerts=ok_result(Alerts((alert,), SOURCE)),
        action_log=ok_result(ActionLog((replace(action, started_at=NOW - timedelta(hours=1)),), SOURCE)),
    )
    note = render_markdown(inputs, SETTINGS)
    heads = [line.removeprefix("## ") for line in note.splitlines() if line.startswith("## ")]
    assert heads[:4] == ["Cause and loss", "Open alerts", "Next steps", "Notes"]
    folded = re.findall(r"<details><summary>(.*?)</summary>", note)
    assert folded == ["Actions taken: 1", "Timeline: 3 events"], "what was done is folded, and counted"
    assert note.index("## Notes") < note.index("<details>")
    assert re.search(r"^- \*\*Cause\*\*: .+, since .+ · \[Players\]\(http", note, re.MULTILINE)
    assert "- **90 players missing**: write rejected · [Missing players](http" in note
    assert "not acknowledged, since" in note
    assert f"[{alert.alert_id}](http://127.0.0.1:8501/alerts?date=2025-12-29&alert={alert.alert_id})" in note
    assert f"/action_log?date=2025-12-29&action={action.action_id})" in note


def test_what_was_done_with_an_alert_is_in_the_timeline_alone():
    acknowledged = replace(make_action(), action_name="alerts.acknowledge", started_at=NOW - timedelta(hours=1))
    inputs = replace(
        make_inputs(),
        start=NOW - timedelta(days=1),
        action_log=ok_result(ActionLog((acknowledged,), SOURCE)),
    )
    assert "- No actions taken." in render_markdown(inputs, SETTINGS)


def test_of_many_actions_the_newest_are_in_the_note_and_the_rest_are_counted():
    actions = tuple(
        replace(make_action(), action_id=f"act{n}", started_at=NOW - timedelta(minutes=n + 1)) for n in range(20)
    )
    inputs = replace(make_inputs(), start=NOW - timedelta(days=1), action_log=ok_result(ActionLog(actions, SOURCE)))
    note = render_markdown(inputs, SETTINGS)
    assert "- 5 earlier actions · [Action log](" in note
    assert "action=act14)" in note
    assert "action=act15)" not in note


def section_of(inputs: HandoffInputs, heading: str) -> str:
    """A section of the note by the beginning of its heading."""
    note = render_markdown(inputs, SETTINGS)
    return re.split(r"\n## |\n<details>", note.partition(heading)[2])[0]


def test_a_night_that_could_not_be_read_is_unknown_in_numbers_and_names_no_games():
    section = section_of(make_inputs(night=UNREAD), "## Cause and loss")
    assert "- **Unknown:** x did not answer." in section
    assert "eligible players are active" not in section
    assert "No games" not in section


def test_a_night_in_order_has_its_share_and_neither_a_cause_nor_a_loss():
    section = section_of(make_inputs(), "## Cause and loss")
    assert "- **158 of 158** eligible players are active (100.0%); 158 are in context" in section
    assert "**Cause**" not in section
    assert "missing**" not in section


def test_players_that_no_record_explains_are_their_own_loss():
    night = make_night(*make_players(2), player_without_rows(player_lookup="lost"))
    assert "- **1 player missing**: unexplained · " in section_of(make_inputs(night=ok_result(night)), "## Cause")


def test_a_date_without_games_says_so_and_one_without_eligible_players_has_no_share():
    free = make_inputs(night=ok_result(make_night(games=0, was_run=False)))
    assert section_of(free, "## Cause and loss").strip() == "- No games on this date."
    nobody = make_inputs(night=ok_result(make_night()))
    assert "- **0 of 0** eligible players are active; 0 are in context" in section_of(nobody, "## Cause and loss")


def test_only_the_actions_of_the_shift_are_counted_and_unread_ones_are_unknown():
    begun = NOW - timedelta(hours=1)
    times = (begun - timedelta(seconds=1), begun, NOW)
    log = ok_result(ActionLog(tuple(replace(make_action(), started_at=at) for at in times), SOURCE))
    note = render_markdown(replace(make_inputs(), start=begun, action_log=log), SETTINGS)
    assert "Actions taken: 1<" in note
    assert "- No actions taken." not in note
    assert "Actions taken: unknown<" in render_markdown(make_inputs(), SETTINGS)
    assert "- No actions taken." not in render_markdown(make_inputs(), SETTINGS)
    none = replace(make_inputs(), action_log=ok_result(ActionLog((), SOURCE)))
    assert "- No actions taken." in render_markdown(none, SETTINGS)


def on_alert(text: str, at: datetime) -> Action:
    """A note about an alert of no single night."""
    plan = plan_note(at, {"text": text, "alert_id": "cause1-x"})
    return replace(make_note(text, started_at=at), plan_json=plan_to_json(plan))


def test_a_note_on_another_night_or_of_another_shift_is_not_in_this_one():
    begun = NOW - timedelta(hours=8)
    notes = (
        make_note("of another night", game_date="2025-12-27"),
        on_alert("of no night, in the shift", NOW - timedelta(hours=1)),
        on_alert("of no night, before it", begun - timedelta(minutes=1)),
    )
    section = section_of(replace(make_inputs(), start=begun, notes=ok_result(ActionLog(notes, SOURCE))), "## Notes")
    assert "of no night, in the shift" in section
    assert section.count("\n- ") == 1


def test_without_an_event_the_timeline_says_so():
    calm = replace(make_inputs(batches=ok_result(Batches((), ()))), alerts=ok_result(Alerts((), SOURCE)))
    assert "- No events." in render_markdown(calm, SETTINGS)
    busy = replace(
        calm,
        alerts=ok_result(Alerts((make_alert(1, NOW - timedelta(minutes=9)),), SOURCE)),
        start=NOW - timedelta(hours=1),
    )
    assert "- No events." not in render_markdown(busy, SETTINGS)


def test_the_next_steps_are_the_runs_that_are_expected_and_what_is_missing_of_them():
    job = ScheduledJob("same-day-predictions", "", "30 11 * * *", "ET", NOW, NOW, "")
    other = replace(job, name="stall-check")
    source = DataSource("Cloud Scheduler", NOW)
    schedule = Schedule((job, other), ("overnight-predictions",), (job.name, "overnight-predictions"), source)
    steps = section_of(replace(make_inputs(), schedule=ok_result(schedule)), "## Next steps")
    assert "- Next run of same-day-predictions: 30 Dec 01:45 ET · " in steps
    assert "stall-check" not in steps
    assert "- overnight-predictions is missing from Cloud Scheduler" in steps
    paused = replace(schedule, jobs=(replace(job, problem="is paused"),))
    assert "ET; it is paused · " in section_of(replace(make_inputs(), schedule=ok_result(paused)), "## Next steps")
    assert "**Unknown:**" in section_of(make_inputs(), "## Next steps")


def test_only_an_abandoned_action_is_to_be_verified():
    running = replace(make_action(ended=None), last_event_at=NOW)
    for action, is_listed in ((running, False), (replace(running, last_event_at=NOW - timedelta(days=1)), True)):
        inputs = replace(make_inputs(), action_log=ok_result(ActionLog((action,), SOURCE)))
        assert ("- Verify the result of " in section_of(inputs, "## Next steps")) == is_listed


def test_the_dates_up_to_the_night_have_their_coverage_or_why_there_is_none():
    [day, *_] = make_history({"v1": (9, 9)}).days
    days = (
        replace(day, game_date=NIGHT - timedelta(days=2), games=0, health=Health.NONE_EXPECTED),
        replace(day, game_date=NIGHT - timedelta(days=1), eligible=0, active=0, health=Health.UNKNOWN),
        replace(day, game_date=NIGHT, eligible=158, active=79, health=Health.CRITICAL),
        replace(day, game_date=NIGHT + timedelta(days=1)),
    )
    history = ok_result(CoverageHistory(days, ()))
    table = section_of(replace(make_inputs(), history=history), "## Coverage by date").splitlines()
    rows = [line for line in table if line.startswith("| 2025")]
    assert [row.split(" | ")[-1] for row in rows] == ["no games |", f"{days[1].state} |", "50.0% (critical) |"]
