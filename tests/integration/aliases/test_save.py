"""Saving alias edits: all or none are saved, no concurrent edit is overwritten, and everything can be undone."""

from __future__ import annotations

from services.actions.executor import execute
from services.actions.log_reader import ActionState
from services.aliases.edits import parse_lines, replace_canonical, reverse, to_params
from services.aliases.save import EDIT_ALIASES
from services.aliases.undo import UNDO_EDIT
from services.names.registry import read_registry
from tests.integration.aliases.conftest import read_aliases
from tests.support.actors import OPERATOR
from tests.support.concurrency import run_concurrently

MISSING_ALIASES = """kevinporterjr,kevinporter
timhardawayjr,timhardaway
wendellcarterjr,wendellcarter
nicolasclaxton,nicclaxton
alexsarr,alexandresarr
boneshyland,nahshonhyland"""


def test_six_new_aliases_and_one_reversed_are_saved_together_and_undone_exactly(module_clients, plan_and_execute):
    before = read_aliases(module_clients)
    edits = (*parse_lines(MISSING_ALIASES).edits.values(), *reverse("robertwilliamsiii", "robertwilliams"))
    plan = EDIT_ALIASES.plan(module_clients, to_params(edits))
    newly_covered = [change.what for change in plan.changes if change.before == "unmatched"]
    assert [what for what in newly_covered if what.startswith(("kevinporterjr", "robertwilliams"))] == [
        "kevinporterjr, 29 Dec",
        "robertwilliams, 29 Dec",
    ]
    assert not plan.failed_guards
    saved_action = execute(module_clients, OPERATOR, EDIT_ALIASES, plan, "names of 29 December", plan.confirmation_text)
    assert saved_action.state is ActionState.DONE, saved_action.message
    active = read_registry(module_clients).active
    assert active["boneshyland"] == {"nahshonhyland"}
    assert active["robertwilliams"] == {"robertwilliamsiii"}
    assert "robertwilliamsiii" not in active
    new_row = next(row for row in read_aliases(module_clients) if row["alias_lookup"] == "alexsarr")
    assert new_row["nba_canonical_display"] == "Alexandre Sarr"
    assert new_row["created_by"] == OPERATOR.name

    undo_action = plan_and_execute(UNDO_EDIT, action_id=saved_action.action_id)
    assert undo_action.state is ActionState.DONE, undo_action.message
    assert read_aliases(module_clients) == before


def test_two_concurrent_edits_of_one_alias_do_not_overwrite_each_other(module_clients, recorded_actions):
    plans = [
        EDIT_ALIASES.plan(module_clients, to_params(replace_canonical("herbjones", "herbertjones", canonical)))
        for canonical in ("kevinporter", "timhardaway")
    ]
    results = run_concurrently(
        *(lambda p=p: execute(module_clients, OPERATOR, EDIT_ALIASES, p, "because", p.confirmation_text) for p in plans)
    )
    states = [getattr(result, "state", None) for result in results]
    assert states.count(ActionState.DONE) == 1, [str(result) for result in results]
    assert len(read_registry(module_clients).active["herbjones"]) == 1
    winner = next(result for result in results if getattr(result, "state", None) is ActionState.DONE)
    assert (
        execute(
            module_clients, OPERATOR, UNDO_EDIT, UNDO_EDIT.plan(module_clients, {"action_id": winner.action_id})
        ).state
        is ActionState.DONE
    )
    assert read_registry(module_clients).active["herbjones"] == {"herbertjones"}
