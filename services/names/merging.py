"""Two identities made one, and two again: first the alias, then the registry's ids, each step recorded, the inverse kept.

A merge that stops between the two steps says so, and the same plan made anew does only what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any

from services.actions.log import State, read_action
from services.actions.plan import Change, Friction, Guard, Plan
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.foundation import catalog
from services.foundation.clients import Cloud
from services.foundation.errors import BadInput
from services.names.book import Alias, Book, as_row, read_book
from services.names.edits import Do, Edit
from services.names.saving import observed, write
from services.names.twins import compare


def plan_merge(cloud: Cloud, args: Facts) -> Plan:
    """Give every registry row of `merge` the id `keep`, and the name of `merge` an alias; says what speaks against it."""
    keep, gone = str(args.get("keep") or ""), str(args.get("merge") or "")
    book = read_book(cloud)
    rows = {i: [row for row in book.registered if row.player_id == i] for i in (keep, gone)}
    if keep == gone or not all(rows.values()):
        raise BadInput(
            f"{keep or 'Nothing'} and {gone or 'nothing'} are not two identities of the registry.", "Choose two."
        )
    seen, used = compare(book, rows[keep], rows[gone]), catalog.run(cloud, "registry.used", player_ids=[gone])
    alias, canonical = rows[gone][0].lookup, rows[keep][0].lookup
    edit = Edit(Do.ADD, alias, canonical)
    new = alias != canonical and canonical not in book.active.get(alias, ())
    elsewhere = {row["table_name"]: row["row_count"] for row in used.rows}
    return Plan(
        verb="registry.merge",
        target=gone,
        title=f"Make {gone} one with {keep}",
        args={"keep": keep, "merge": gone},
        observed={"rows": _rows(book, gone), "kept rows": _rows(book, keep), **observed(book, [edit])},
        changes=(
            *(Change(f"registry: {r.lookup}, {r.team} {r.season}", gone, keep) for r in rows[gone]),
            *([Change(f"alias {alias} → {canonical}", "not active", "active")] if new else []),
            *(Change(table, f"{count} rows say {gone}", "left as they are") for table, count in elsewhere.items()),
        ),
        guards=(
            Guard("other direction", alias not in book.active.get(canonical, ()), f"No alias leads from {canonical} to {alias}."
                  if alias not in book.active.get(canonical, ()) else f"{canonical} → {alias} is active: turn it round first."),
            Guard("alias is free", not book.active.get(alias, frozenset()) - {canonical}, f"{alias} leads to nobody else."),
        ),
        planned_at=cloud.now(),
        undo="Separate them again, in the action log: each registry row gets its own id back.",
        cost="Two statements on two small tables; the plan read them and counted rows elsewhere.",
        friction=Friction.TYPED,
        typed=gone,
        cautions=(*(f"Against it: {text}." for text in seen.speaks_against), *(f"For it: {text}." for text in seen.speaks_for)),
        sources=(*book.sources, used.source),
    )  # fmt: skip


def _rows(book: Book, player_id: str) -> list[str]:
    return sorted(f"{r.lookup} {r.team} {r.season}" for r in book.registered if r.player_id == player_id)


def _merge(deed: Deed) -> Facts:
    args, book, now = deed.plan.args, read_book(deed.cloud), deed.cloud.now().astimezone(UTC)
    alias, canonical = (next(r for r in book.registered if r.player_id == args[k]) for k in ("merge", "keep"))
    if canonical.lookup not in book.active.get(alias.lookup, ()) and alias.lookup != canonical.lookup:
        told = next((row for row in book.aliases if row.pair == (alias.lookup, canonical.lookup)), None) or Alias(
            alias.lookup, canonical.lookup, True, alias.name, canonical.name, "suffix_variation", "on_call", None, deed.actor.name, now
        )  # fmt: skip
        write(deed, [as_row(replace(told, active=True, processed_at=now))], [alias.lookup])
    deed.note("The alias is there; the registry comes next.", alias=alias.lookup, canonical=canonical.lookup)
    _set_id(deed, list(deed.plan.observed["rows"]), args["merge"], args["keep"])
    return {"alias": alias.lookup, "canonical": canonical.lookup}


def _set_id(deed: Deed, rows: list[str], from_id: str, to_id: str) -> None:
    job_id = f"on-call-identity-{deed.action_id}"
    catalog.run(deed.cloud, "registry.set_id", job_id=job_id, rows=rows, from_id=from_id, to_id=to_id)


def _verify(cloud: Cloud, plan: Plan, _found: Facts) -> Verdict:
    book = read_book(cloud)
    left, now = _rows(book, plan.args["merge"]), _rows(book, plan.args["keep"])
    wanted = sorted([*plan.observed["rows"], *plan.observed["kept rows"]])
    after = {"rows": now, "left": left}
    if not left and now == wanted:
        return Verdict(State.DONE, f"{len(plan.observed['rows'])} registry rows now say {plan.args['keep']}.", after)
    return Verdict(
        State.FAILED,
        f"{len(left)} registry rows still say {plan.args['merge']}: half done at most. Plan it again.",
        after,
    )


def plan_undo_merge(cloud: Cloud, args: Facts) -> Plan:
    """Two identities again: exactly the rows that the merge changed get their id back."""
    done = read_action(cloud, str(args.get("action_id") or ""))
    if done is None or done.verb != "registry.merge" or "alias" not in done.facts:
        raise BadInput("That action has merged no identities that could be separated.", "Open it in the action log.")
    book, keep, gone = read_book(cloud), done.plan.args["keep"], done.plan.args["merge"]
    now = _rows(book, keep)
    there = [row for row in done.plan.observed["rows"] if row in now]
    return Plan(
        verb="registry.undo_merge",
        target=done.action_id,
        title=f"Separate {gone} from {keep} again",
        args={"action_id": done.action_id},
        observed={"rows": now, "other": _rows(book, gone), **observed(book, [_edit(done.facts)])},
        changes=tuple(Change(f"registry: {row}", keep, gone) for row in done.plan.observed["rows"]),
        guards=(
            Guard("rows are there", len(there) == len(done.plan.observed["rows"]), f"{len(there)} of the merged rows say {keep}."),
        ),
        planned_at=cloud.now(),
        undo="Merge them once more.",
        cost="Two statements on two small tables.",
        sources=book.sources,
    )  # fmt: skip


def _edit(found: Facts) -> Edit:
    return Edit(Do.ADD, found["alias"], found["canonical"])


def _separate(deed: Deed) -> Facts:
    done = read_action(deed.cloud, deed.plan.args["action_id"])
    if done is None:
        raise BadInput("The merge is not in the log any more.")
    was, found = done.plan, done.facts
    _set_id(deed, list(was.observed["rows"]), was.args["keep"], was.args["merge"])
    pair = f"{found['alias']} → {found['canonical']}"
    before, now = was.observed.get(pair), deed.plan.observed.get(pair)
    if before != now:
        gone = {"alias": found["alias"], "canonical": found["canonical"], "gone": True}
        write(deed, [before or gone], [found["alias"]])
    return {}


def _verify_apart(cloud: Cloud, plan: Plan, _found: Facts) -> Verdict:
    done = read_action(cloud, plan.args["action_id"])
    was: Mapping[str, Any] = done.plan.observed if done else {}
    ids = done.plan.args if done else {"keep": "", "merge": ""}
    book = read_book(cloud)
    same = (_rows(book, ids["merge"]), _rows(book, ids["keep"])) == (was.get("rows"), was.get("kept rows"))
    sentence = (
        "The registry is as it was before the merge." if same else "The registry is not as it was before the merge."
    )
    return Verdict(State.DONE if same else State.FAILED, sentence, {"rows": _rows(book, ids["merge"])})


MERGE_IDENTITIES = Verb("registry.merge", "Make them one", plan_merge, _merge, _verify)
UNDO_MERGE = Verb("registry.undo_merge", "Separate again", plan_undo_merge, _separate, _verify_apart)
