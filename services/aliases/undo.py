"""Saved aliases taken back: every row as it was before, unless somebody has changed it since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.actions.log_reader import State, read_action
from services.actions.plan import Change, Guard, Plan
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.aliases.edits import edits_of
from services.aliases.save import observed, touched_by, write
from services.aliases.validation import Weight, made_worse
from services.core.errors import BadInput
from services.core.text import many
from services.gcp.clients import Cloud
from services.names.registry import Alias, Book, read_book


def plan_undo(cloud: Cloud, args: Facts) -> Plan:
    """Every alias row that an edit changed, back to what it was; refused where somebody has changed it since."""
    done = read_action(cloud, str(args.get("action_id") or ""))
    if done is None or done.verb != "aliases.edit" or done.state is not State.DONE:
        raise BadInput("That action has saved no alias that could be taken back.", "Open it in the action log.")
    edits, book = edits_of(done.plan.args), read_book(cloud)
    now_rows, made = observed(book, edits), done.facts.get("after") or {}
    names = [f"{edit.alias} → {edit.canonical}" for edit in edits]
    same = [name for name in names if now_rows.get(name) == made.get(name)]
    after = _restored(book, done.plan.observed, names)
    known = done.facts.get("faults") or ()  # a fault that stood before the edit comes back with what it replaced
    findings = made_worse(book, after)
    new = [f for f in findings if f.weight is Weight.ERROR and f.key not in known]
    return Plan(
        verb="aliases.undo",
        target=done.action_id,
        title=f"Take back {many(len(names), 'alias edit')}",
        args={"action_id": done.action_id},
        observed=now_rows,
        changes=tuple(Change(n, _state(now_rows.get(n)), _state(done.plan.observed.get(n))) for n in names),
        guards=(
            Guard(
                "unchanged since", len(same) == len(names), f"{len(same)} of {len(names)} are as that action left them."
            ),
            *(Guard(f.check, False, f.sentence) for f in new),
        ),
        planned_at=cloud.now(),
        undo="Save the same edits again.",
        cost="One MERGE on player_aliases.",
        cautions=tuple(f.sentence for f in findings if f not in new),
        sources=book.sources,
    )


def _restored(book: Book, before: Facts, names: Sequence[str]) -> Book:
    kept = tuple(row for row in book.aliases if f"{row.alias} → {row.canonical}" not in names)
    back = tuple(Alias(**before[name]) for name in names if before.get(name))
    return Book(kept + back, book.registered)


def _state(row: Mapping[str, Any] | None) -> str:
    return "not there" if not row else "active" if row["active"] else "inactive"


def _take_back(deed: Deed) -> Facts:
    done = read_action(deed.cloud, deed.plan.args["action_id"])
    before: Facts = done.plan.observed if done else {}
    edits = edits_of(done.plan.args) if done else ()
    rows = [
        before.get(f"{e.alias} → {e.canonical}") or {"alias": e.alias, "canonical": e.canonical, "gone": True}
        for e in edits
    ]
    write(deed, rows, touched_by(edits))
    return {"taken back": [change.what for change in deed.plan.changes]}


def _verify_back(cloud: Cloud, plan: Plan, _found: Facts) -> Verdict:
    done = read_action(cloud, plan.args["action_id"])
    before: Facts = done.plan.observed if done else {}
    now = observed(read_book(cloud), edits_of(done.plan.args) if done else ())
    names = [change.what for change in plan.changes]
    same = [name for name in names if now.get(name) == before.get(name)]
    state = State.DONE if len(same) == len(names) else State.FAILED
    return Verdict(state, f"{len(same)} of {len(names)} rows are as they were before.", {n: now.get(n) for n in names})


UNDO_EDIT = Verb("aliases.undo", "Take back", plan_undo, _take_back, _verify_back)
