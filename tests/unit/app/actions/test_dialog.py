"""The plan's dialog: its title is there before the plan, nothing that is typed is thrown away, and what is shown is what runs."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.actions import action_feed, dialog
from app.state import session
from services.actions.action_type import ActionType
from services.actions.background import BACKGROUND
from services.actions.plan import Change, Confirmation, Figure, Guard, Plan
from services.auth.roles import Actor, Role

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
PLAN = Plan(
    action_name="run.test",
    target="2025-12-29",
    title="Re-run 90 players · Mon 29 Dec 2025",
    args={},
    preconditions={},
    changes=tuple(Change(f"Player {n}", "write rejected", "re-requested") for n in range(90)),
    guards=(Guard("games", True, "2025-12-29 has 11 games."),),
    planned_at=NOW,
    undo="No one-click undo.",
    cost="1 MERGE",
    commands=("curl -X POST …",),
    figures=(Figure("Active players", "68", "158", "+90, of 158 eligible"),),
    item="player",
)


def _nothing(*_: object) -> Any:
    return {}


class World:
    """An action type whose plan is given, and what was submitted of it."""

    def __init__(self) -> None:
        self.plan, self.role = PLAN, Role.OPERATOR
        self.submitted: list[Any] = []
        self.type = ActionType("run.test", "Re-run 90 players", self.make_plan, _nothing, _nothing, frozenset())

    def make_plan(self, *_: object) -> Plan:
        return self.plan

    def submit(self, plan: Plan, *_: object) -> Any:
        self.submitted.append((plan, st.session_state.get("action reason")))
        return SimpleNamespace(key="handle")


@pytest.fixture
def world(monkeypatch):
    world = World()
    clients = SimpleNamespace(now=lambda: NOW)
    for name in ("cached_clients", "uncached_clients", "operator_clients"):
        monkeypatch.setattr(session, name, lambda: clients)
    monkeypatch.setattr(session, "actor", lambda: Actor("nora", world.role))
    monkeypatch.setattr(dialog, "get_action_type", lambda _: world.type)
    monkeypatch.setattr(BACKGROUND, "submit", world.submit)
    monkeypatch.setattr(action_feed, "session_handles", dict)
    return world


def open_plan(world: World) -> AppTest:
    """A page with the action's button, after a click on it."""

    def page(action_type):
        from app.actions import dialog

        dialog.action_button(action_type, primary=True)
        dialog.render_dialog()

    app = AppTest.from_function(page, kwargs={"action_type": world.type}).run()
    return app.button[0].click().run()


def texts(app: AppTest) -> str:
    assert not app.exception, app.exception
    kinds = ("markdown", "caption", "warning", "error", "info", "html")
    parts = [element.proto.body for kind in kinds for element in app.get(kind)]
    return "\n".join(parts).replace("\\", "")


def listed(app: AppTest) -> list[str]:
    """The first cells of the list of changes."""
    return re.findall(r"<tr><td class=\"\">(.*?)</td>", "".join(html.proto.body for html in app.get("html")))


def button(app: AppTest, label: str) -> Any:
    return next(b for b in app.button if b.label == label and b.key != "offer run.test ")


def test_a_plan_shows_its_figures_its_checks_and_its_list_folded(world):
    app = open_plan(world)
    assert (
        "<small>Active players</small><p><span>68</span> → <b>158</b></p><small>+90, of 158 eligible</small>"
        in texts(app)
    )
    assert "1 check passed" in texts(app)
    assert "Mon 29 Dec 2025 · Nothing runs until you confirm." in texts(app)
    [fold] = app.expander
    assert fold.label == "**90 players** · write rejected"
    assert listed(app) == [f"Player {n}" for n in range(50)]
    assert "40 more: search finds them." in texts(app)
    assert [tab.label for tab in app.tabs] == ["Undo", "Cost", "CLI"]
    app.text_input(key=f"plan find {PLAN.hash}").set_value("player 89").run()
    assert listed(app) == ["Player 89"]


def test_the_button_that_confirms_names_what_it_does_and_submits_the_plan_that_was_shown(world):
    app = open_plan(world)
    app.text_input(key="action reason").set_value("rejected writes")
    button(app, "Re-run 90 players").click().run()
    assert world.submitted == [(PLAN, "rejected writes")]
    assert not app.tabs, "the dialog is closed"


def test_a_title_that_says_more_than_the_button_is_shown_whole(world):
    world.plan = replace(PLAN, title="Re-run 88 players · Mon 29 Dec 2025")
    app = open_plan(world)
    assert "Re-run 88 players · Mon 29 Dec 2025 · Nothing runs until you confirm." in texts(app)
    assert button(app, "Re-run 88 players")


def test_a_reason_beyond_the_limit_is_kept_and_counted_and_nothing_runs(world):
    app = open_plan(world)
    app.text_input(key="action reason").set_value("x" * 350)
    button(app, "Re-run 90 players").click().run()
    assert world.submitted == []
    assert app.text_input(key="action reason").value == "x" * 350
    assert "Reason: 350 of 300 characters – shorten it by 50." in texts(app)


def test_a_quick_reason_is_added_to_what_is_typed(world):
    app = open_plan(world)
    app.text_input(key="action reason").set_value("INC-4127").run()
    app.session_state["action picked reason"] = None
    app.pills(key="action picked reason").set_value("Rejected writes").run()
    assert app.text_input(key="action reason").value == "INC-4127; Rejected writes"
    assert app.pills(key="action picked reason").value is None


def test_what_is_typed_is_thrown_away_only_after_a_question(world):
    app = open_plan(world)
    app.text_input(key="action reason").set_value("half a reason").run()
    button(app, "Cancel").click().run()
    assert "Discard what you typed?" in texts(app)
    button(app, "Keep editing").click().run()
    assert app.text_input(key="action reason").value == "half a reason"
    button(app, "Cancel").click().run()
    button(app, "Discard").click().run()
    assert not app.tabs


def test_without_anything_typed_cancel_closes_at_once(world):
    app = open_plan(world)
    button(app, "Cancel").click().run()
    assert not app.tabs
    assert world.submitted == []


def test_a_plan_that_could_destroy_asks_for_reason_and_name(world):
    world.plan = replace(PLAN, confirmation=Confirmation.TYPED, confirmation_text="2025-12-29")
    app = open_plan(world)
    app.text_input(key="action reason").set_value("tested")
    button(app, "Re-run 90 players").click().run()
    assert "Enter a reason and type “2025-12-29” to confirm." in texts(app)
    app.text_input(key="action typed").set_value("2025-12-29")
    button(app, "Re-run 90 players").click().run()
    assert [plan for plan, _ in world.submitted] == [world.plan]


def test_a_check_that_fails_blocks_the_plan_and_asks_for_no_reason(world):
    world.plan = replace(PLAN, guards=(Guard("no batch runs", False, "batch_1 is running."), *PLAN.guards))
    app = open_plan(world)
    assert "**Blocked:** batch_1 is running." in texts(app).replace("\N{ZERO WIDTH SPACE}", "")
    assert "1 of 2 checks failed – blocked" in texts(app)
    assert "action reason" not in [field.key for field in app.text_input]
    assert button(app, "Re-run 90 players").disabled


def test_warnings_and_evidence_do_not_look_alike(world):
    world.plan = replace(PLAN, warnings=("11 games have begun.",), evidence=("same team", "same season"))
    app = open_plan(world)
    assert [w.value.replace("\\", "") for w in app.warning] == ["11 games have begun."]
    assert ":green[:material/check:] same team; same season" in texts(app)


def test_a_viewer_reads_the_plan_and_cannot_confirm_it(world):
    world.role = Role.VIEWER
    app = open_plan(world)
    assert "You have view-only access. Ask an operator to run this." in texts(app)
    assert button(app, "Re-run 90 players").disabled


def test_hostile_text_in_a_plan_stays_text(world):
    world.plan = replace(
        PLAN,
        figures=(Figure("<img src=x>", "<b>1</b>", "2", "<script>alert(1)</script>"),),
        guards=(Guard("<i>", True, "<img src=y>"),),
    )
    found = texts(open_plan(world))
    assert not any(tag in found for tag in ("<img", "<script", "<b>1"))
