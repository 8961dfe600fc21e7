"""Saving aliases: what the edits change, what the checks say, whom they would cover; one MERGE, all or none."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from services.actions.log_reader import State
from services.actions.plan import Change, Friction, Guard, Plan
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.aliases.edits import Do, Edit, edits_of
from services.aliases.preview import covered_anew
from services.aliases.validation import Finding, Weight, faults, made_worse, switched_off, with_rows
from services.core.text import many
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.names.normalization import without_suffix
from services.names.registry import Alias, Book, as_row, read_book

_NOTHING_YET = "1970-01-01T00:00:00+00:00"
_DEACTIVATE = """UPDATE nba_reference.player_aliases SET is_active = FALSE, processed_at = CURRENT_TIMESTAMP()
WHERE alias_lookup = @alias AND nba_canonical_lookup = @canonical"""
_ADD = """INSERT nba_reference.player_aliases
(alias_lookup, nba_canonical_lookup, alias_display, nba_canonical_display, is_active, created_by, created_at, processed_at)
VALUES (@alias, @canonical, @alias, @canonical, TRUE, SESSION_USER(), CURRENT_TIMESTAMP(), CURRENT_TIMESTAMP())"""


def plan_edit(cloud: Cloud, args: Facts) -> Plan:
    """What the edits would change, what the checks say, and which players of which dates would newly be covered."""
    edits, book, now = edits_of(args), read_book(cloud), cloud.now()
    judged = judge(book, edits)
    told = many(len(edits), "alias", "aliases")
    anew = covered_anew(cloud, book, judged.after, now)
    warnings = (*(f.sentence for f in judged.warnings), *anew.cautions)
    return Plan(
        verb="aliases.edit",
        target=edits[0].alias if len(edits) == 1 else told,
        title=f"Save {told}",
        args={"edits": [asdict(edit) for edit in edits]},
        observed=observed(book, edits),
        changes=(*(_change(edit, book) for edit in edits), *anew.changes),
        guards=(*judged.guards, *anew.guards),
        planned_at=now,
        undo="Take back, in the action log: every row as it was before.",
        cost="One MERGE on player_aliases, a table of a few rows (10 MiB billed); the plan read four small tables.",
        friction=Friction.TYPED if warnings else Friction.ONE_CLICK,
        typed=edits[0].alias if warnings else "",
        cautions=warnings,
        commands=tuple(_by_hand(edit) for edit in edits),
        sources=(*book.sources, *anew.sources),
    )


@dataclass(frozen=True)
class Judged:
    """What the checks say of some edits together: the book after them, what stops them, what wants a reason."""

    after: Book
    guards: tuple[Guard, ...]
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]

    @property
    def accepted(self) -> bool:
        return all(guard.ok for guard in self.guards)


def judge(book: Book, edits: Sequence[Edit]) -> Judged:
    """The edits against the whole book as it would be after all of them. Pure."""
    after = with_rows(book, [_wanted(edit, book) for edit in edits])
    found = made_worse(book, after)
    added = [(edit.alias, edit.canonical) for edit in edits if edit.do is Do.ADD]
    errors = tuple(f for f in found if f.weight is Weight.ERROR)
    warnings = (*(f for f in found if f.weight is Weight.WARNING), *switched_off(book, added))
    return Judged(after, (*_guards(edits, book), *(_guard(f) for f in errors)), errors, warnings)


def _wanted(edit: Edit, book: Book) -> Alias:
    """The row that an edit wants, before anybody's name and time are put on it."""
    there = next((row for row in book.aliases if row.pair == (edit.alias, edit.canonical)), None)
    if there is not None:
        return replace(there, active=edit.do is Do.ADD)
    return Alias(
        edit.alias,
        edit.canonical,
        edit.do is Do.ADD,
        alias_display=edit.alias_display or book.display(edit.alias),
        canonical_display=book.display(edit.canonical),
        kind="suffix_variation" if without_suffix(edit.alias) == without_suffix(edit.canonical) else "name_variation",
        source="on_call",
    )


def observed(book: Book, edits: Sequence[Edit]) -> dict[str, Any]:
    """Every row that names a touched name, on either side, as it is now: what the plan hangs on, and what an undo restores.

    Both sides, because two people who save a → b and b → c at once would leave a chain that neither has seen.
    """
    touched = touched_by(edits)
    rows = [row for row in book.aliases if row.alias in touched or row.canonical in touched]
    return {
        **{f"{edit.alias} → {edit.canonical}": None for edit in edits},
        **{f"{row.alias} → {row.canonical}": as_row(row) for row in rows},
    }


def touched_by(edits: Iterable[Edit]) -> list[str]:
    return sorted({name for edit in edits for name in (edit.alias, edit.canonical)})


def _change(edit: Edit, book: Book) -> Change:
    there = next((row for row in book.aliases if row.pair == (edit.alias, edit.canonical)), None)
    before = "not there" if there is None else "active" if there.active else "inactive"
    return Change(f"{edit.alias} → {edit.canonical}", before, "active" if edit.do is Do.ADD else "inactive")


def _guards(edits: Sequence[Edit], book: Book) -> Iterable[Guard]:
    for edit in edits:
        pair = (edit.alias, edit.canonical)
        rows = [row for row in book.aliases if row.pair == pair]
        name = f"{edit.alias} → {edit.canonical}"
        if len(rows) > 1:
            yield Guard(
                name, False, f"{name} stands {len(rows)} times in the table: nobody could take that back exactly."
            )
        elif not rows and edit.do is Do.DEACTIVATE:
            yield Guard(name, False, f"{name} is not there, so it cannot be deactivated.")
        elif rows and rows[0].active is (edit.do is Do.ADD):
            yield Guard(name, False, f"{name} is {'active' if rows[0].active else 'inactive'} already.")
        else:
            yield Guard(name, True, f"{name} can be {'activated' if edit.do is Do.ADD else 'deactivated'}.")


def _guard(finding: Finding) -> Guard:
    return Guard(finding.check, False, finding.sentence)


def _by_hand(edit: Edit) -> str:
    """The same by hand; what was typed is a parameter there too."""
    sql = _DEACTIVATE if edit.do is Do.DEACTIVATE else _ADD
    told = " ".join(shlex.quote(f"--parameter={k}::{getattr(edit, k)}") for k in ("alias", "canonical"))
    return f"bq query --use_legacy_sql=false {told} {shlex.quote(sql)}"


def _save(deed: Deed) -> Facts:
    now, edits = deed.cloud.now().astimezone(UTC), edits_of(deed.plan.args)
    book = read_book(deed.cloud)
    rows = []
    for edit in edits:
        row = _wanted(edit, book)
        if row.created_at is None:
            row = replace(row, created_by=deed.actor.name, created_at=now)
        rows.append(as_row(replace(row, processed_at=now)))
    write(deed, rows, touched_by(edits))
    return {"saved": [f"{edit.alias} → {edit.canonical}" for edit in edits], "faults": sorted(faults(book))}


def write(deed: Deed, rows: Sequence[Mapping[str, Any]], touched: Sequence[str]) -> None:
    """One MERGE under the action's own job id, which does nothing if a row of a touched name is not as it was observed."""
    rows_seen = [row for row in deed.plan.observed.values() if isinstance(row, Mapping)]
    before = [row for row in rows_seen if row["alias"] in touched or row["canonical"] in touched]
    catalog.run(
        deed.cloud,
        "aliases.apply",
        job_id=f"on-call-aliases-{deed.action_id}",
        rows=[json.dumps({key: _text(value) for key, value in row.items()}) for row in rows],
        touched=list(touched),
        expected_rows=len(before),
        expected_active=sum(row["active"] for row in before),
        expected_latest=max((datetime.fromisoformat(row["processed_at"]) for row in before), default=_epoch()),
    )


def _epoch() -> datetime:
    return datetime.fromisoformat(_NOTHING_YET)


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _verify(cloud: Cloud, plan: Plan, _found: Facts) -> Verdict:
    rows = {row.pair: row for row in read_book(cloud).aliases}
    edits = edits_of(plan.args)
    wrong = [
        e
        for e in edits
        if (e.alias, e.canonical) not in rows or rows[e.alias, e.canonical].active is not (e.do is Do.ADD)
    ]
    after = {
        f"{e.alias} → {e.canonical}": as_row(rows[e.alias, e.canonical])
        for e in edits
        if (e.alias, e.canonical) in rows
    }
    if not wrong:
        return Verdict(State.DONE, f"{len(edits)} of {len(edits)} edits are in the table.", after)
    names = ", ".join(edit.alias for edit in wrong)
    return Verdict(State.FAILED, f"Not saved: {names}. Somebody changed them meanwhile; nothing was written.", after)


EDIT = Verb("aliases.edit", "Save aliases", plan_edit, _save, _verify)
