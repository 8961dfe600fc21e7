"""Two identities made one: first the aliases, then the registry's ids, each step recorded, so that it can be finished or taken back.

The alias rows carry the action that made them. A merge that stopped between its two steps is seen in the tables by that, whoever
looks; the same plan made anew does only what is left, and taking back restores what stood before the first try.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

from services.actions.log_reader import State
from services.actions.plan import Change, Friction, Guard, Plan
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.aliases.edits import Do, Edit
from services.aliases.identities.duplicates import compare
from services.aliases.save import observed, touched_by, write
from services.aliases.validation import Weight, made_worse, with_rows
from services.core.errors import BadInput, OnCallError
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.names.registry import Alias, Book, Registered, as_row, read_book

_MADE_BY = re.compile(r"^One identity with (\S+), by action (\w+)$")


def plan_merge(cloud: Cloud, args: Facts) -> Plan:
    """Give every registry row of `merge` the id `keep`, and its names an alias; says what speaks against it."""
    keep, gone = str(args.get("keep") or ""), str(args.get("merge") or "")
    book = read_book(cloud)
    rows = {i: [row for row in book.registered if row.player_id == i] for i in (keep, gone)}
    if keep == gone or not all(rows.values()):
        raise BadInput(
            f"{keep or 'Nothing'} and {gone or 'nothing'} are not two identities of the registry.", "Choose two."
        )
    seen, used = compare(book, rows[keep], rows[gone]), catalog.run(cloud, "registry.used", player_ids=[gone])
    edits = _edits(rows[keep], rows[gone], keep)
    new = [edit for edit in edits if edit.canonical not in book.active.get(edit.alias, ())]
    return Plan(
        verb="registry.merge",
        target=gone,
        title=f"Make {gone} one with {keep}",
        args={"keep": keep, "merge": gone},
        observed={
            "rows": rows_of(book, gone),
            "kept rows": rows_of(book, keep),
            "aliases": [f"{e.alias} → {e.canonical}" for e in edits],
            **observed(book, edits),
        },
        changes=(
            *(Change(f"registry: {r.lookup}, {r.team} {r.season}", gone, keep) for r in rows[gone]),
            *(Change(f"alias {edit.alias} → {edit.canonical}", "not active", "active") for edit in new),
            *(Change(row["table_name"], f"{row['row_count']} rows say {gone}", "left as they are") for row in used.rows),
        ),
        guards=tuple(_guards(book, edits, new, keep, gone)),
        planned_at=cloud.now(),
        undo="Separate them again, in the action log: each registry row gets its own id back.",
        cost="Two statements on two small tables; the plan read them and counted rows elsewhere.",
        friction=Friction.TYPED,
        typed=gone,
        cautions=(*(f"Against it: {text}." for text in seen.speaks_against), *(f"For it: {text}." for text in seen.speaks_for)),
        commands=_by_hand(keep, gone, new),
        sources=(*book.sources, used.source),
    )  # fmt: skip


def _edits(kept: Sequence[Registered], going: Sequence[Registered], keep: str) -> tuple[Edit, ...]:
    """An alias to the kept identity's own name for every name that only the other has."""
    names = sorted({row.lookup for row in kept})
    own = keep.rpartition("_")[0]
    canonical = own if own in names else names[0]
    return tuple(Edit(Do.ADD, name, canonical) for name in sorted({row.lookup for row in going} - set(names)))


def _guards(book: Book, edits: Sequence[Edit], new: Sequence[Edit], keep: str, gone: str) -> list[Guard]:
    turned = [e for e in edits if e.alias in book.active.get(e.canonical, ())]
    busy = [e for e in edits if book.active.get(e.alias, frozenset()) - {e.canonical}]
    twice = sorted(set(rows_of(book, keep)) & set(rows_of(book, gone)))
    made_one = tuple(replace(row, player_id=keep) if row.player_id == gone else row for row in book.registered)
    before = replace(book, registered=made_one)
    worse = made_worse(before, with_rows(before, [Alias(e.alias, e.canonical, True) for e in new]))
    return [
        Guard("other direction", not turned, "No alias leads the other way." if not turned
              else f"{turned[0].canonical} → {turned[0].alias} is active: turn it round first."),
        Guard("alias is free", not busy, "The names lead to nobody else." if not busy
              else f"{busy[0].alias} leads to {', '.join(sorted(book.active[busy[0].alias]))} too: deactivate that first."),
        Guard("rows can be told apart", not twice, "No team and season stands under both identities with one name." if not twice
              else f"{twice[0]} stands under both identities: nobody could take that back exactly."),
        *(Guard(f.check, False, f.sentence) for f in worse if f.weight is Weight.ERROR and not (turned or busy)),
    ]  # fmt: skip


def _by_hand(keep: str, gone: str, new: Sequence[Edit]) -> tuple[str, ...]:
    sql = "UPDATE nba_reference.nba_players_registry SET universal_player_id = @keep WHERE universal_player_id = @gone"
    told = [f"# first save the alias {edit.alias},{edit.canonical}" for edit in new]
    return (*told, f"bq query --use_legacy_sql=false --parameter=keep::{keep} --parameter=gone::{gone} '{sql}'")


def rows_of(book: Book, player_id: str) -> list[str]:
    return sorted(f"{r.lookup} {r.team} {r.season}" for r in book.registered if r.player_id == player_id)


def edits_in(was: Facts) -> tuple[Edit, ...]:
    """The aliases of a merge, from what its plan observed."""
    pairs = [str(pair).split(" → ") for pair in was.get("aliases", ())]
    return tuple(Edit(Do.ADD, alias, canonical) for alias, canonical in pairs)


def made_by(row: Mapping[str, Any] | None) -> str | None:
    """The action whose merge made this alias row, if one did."""
    told = _MADE_BY.match(str((row or {}).get("notes") or ""))
    return told[2] if told else None


def stopped_halfway(book: Book) -> tuple[tuple[str, str], ...]:
    """(kept, other) ids whose merge has made its alias while the registry still has two identities."""
    found = set()
    for row in book.aliases:
        told = _MADE_BY.match(row.notes or "") if row.active else None
        for other in book.ids(row.alias) if told else ():
            if told and told[1] != other and told[1] in book.ids(row.canonical):
                found.add((told[1], other))
    return tuple(sorted(found))


def _merge(deed: Deed) -> Facts:
    args, book, now = deed.plan.args, read_book(deed.cloud), deed.cloud.now().astimezone(UTC)
    edits = edits_in(deed.plan.observed)
    rows = []
    for edit in edits:
        if edit.canonical in book.active.get(edit.alias, ()):
            continue
        there = next((row for row in book.aliases if row.pair == (edit.alias, edit.canonical)), None) or Alias(
            edit.alias, edit.canonical, True, book.display(edit.alias), book.display(edit.canonical),
            "suffix_variation", "on_call", None, deed.actor.name, now,
        )  # fmt: skip
        notes = f"One identity with {args['keep']}, by action {deed.action_id}"
        rows.append(as_row(replace(there, active=True, notes=notes, processed_at=now)))
    if rows:
        write(deed, rows, touched_by(edits))
        now_active = read_book(deed.cloud).active
        if any(edit.canonical not in now_active.get(edit.alias, ()) for edit in edits):
            raise OnCallError(
                "Somebody changed these aliases meanwhile, so the registry was not touched.", "Plan it again."
            )
    deed.note("The aliases are there; the registry comes next.", merged=args["merge"])
    set_id(deed, list(deed.plan.observed["rows"]), args["merge"], args["keep"])
    return {}


def set_id(deed: Deed, rows: list[str], from_id: str, to_id: str) -> None:
    job_id = f"on-call-identity-{deed.action_id}"
    catalog.run(deed.cloud, "registry.set_id", job_id=job_id, rows=rows, from_id=from_id, to_id=to_id)


def _verify(cloud: Cloud, plan: Plan, _found: Facts) -> Verdict:
    book, was = read_book(cloud), plan.observed
    left, now = rows_of(book, plan.args["merge"]), rows_of(book, plan.args["keep"])
    missing = [e.alias for e in edits_in(was) if e.canonical not in book.active.get(e.alias, ())]
    after = {"rows": now, "left": left, "without alias": missing}
    if not left and not missing and now == sorted([*was["rows"], *was["kept rows"]]):
        return Verdict(State.DONE, f"{len(was['rows'])} registry rows now say {plan.args['keep']}.", after)
    untouched = left == was["rows"] and all(
        as_row_of(book, e) == was.get(f"{e.alias} → {e.canonical}") for e in edits_in(was)
    )
    sentence = (
        "Nothing was changed." if untouched
        else f"Half done: {len(left)} registry rows still say {plan.args['merge']},"
        f" {len(missing)} aliases are missing. Make them one again to finish it, or separate them again."
    )  # fmt: skip
    return Verdict(State.FAILED, sentence, after)


def as_row_of(book: Book, edit: Edit) -> Mapping[str, Any] | None:
    """The row of an alias as it is now, or None."""
    return next((as_row(row) for row in book.aliases if row.pair == (edit.alias, edit.canonical)), None)


MERGE_IDENTITIES = Verb("registry.merge", "Make them one", plan_merge, _merge, _verify)
