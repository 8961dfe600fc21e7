"""A merge of two identities taken back, whole or stopped halfway: the registry's ids and the aliases exactly as they were before."""

from __future__ import annotations

from typing import Any

from services.actions.log_reader import Action, State, read_action
from services.actions.plan import Change, Guard, Plan
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.aliases.edits import Edit
from services.aliases.identities.merge import MERGE_IDENTITIES, as_row_of, edits_in, made_by, rows_of, set_id
from services.aliases.save import observed, touched_by, write
from services.core.errors import BadInput
from services.gcp.clients import Cloud
from services.names.registry import Book, read_book

MAY_BE_HALF = (State.DONE, State.FAILED, State.UNVERIFIED)  # what may have left something to take back


def plan_undo_merge(cloud: Cloud, args: Facts) -> Plan:
    """Two identities again: exactly the rows that the merge changed get their id back, and its aliases go."""
    done = _merge_of(cloud, args)
    book, was = read_book(cloud), done.plan.observed
    keep, gone = done.plan.args["keep"], done.plan.args["merge"]
    now, other = rows_of(book, keep), rows_of(book, gone)
    back = [row for row in was["rows"] if row in now and row not in other]
    aliases = _aliases(cloud, book, done)
    changed = [name for name, (_, before, now_row) in aliases.items() if before != now_row]
    theirs = [name for name in changed if not _as_made(aliases[name][2])]
    lost = [row for row in was["rows"] if row not in now and row not in other]
    return Plan(
        verb="registry.undo_merge",
        target=done.action_id,
        title=f"Separate {gone} from {keep} again",
        args={"action_id": done.action_id},
        observed={"rows": now, "other": other, **observed(book, edits_in(was))},
        changes=(
            *(Change(f"registry: {row}", keep, gone) for row in back),
            *(Change(f"alias {n}", "active", _state(aliases[n][1])) for n in changed),
        ),
        guards=(
            Guard("there is something", bool(back or changed), f"{len(back)} registry rows and {len(changed)} aliases of it are there."),
            Guard("rows are there", not lost, f"{len(was['rows']) - len(lost)} of {len(was['rows'])} merged rows are there."),
            Guard("aliases unchanged since", not theirs, "The aliases are as the merge left them." if not theirs
                  else f"{theirs[0]} was changed since: take that back first."),
        ),
        planned_at=cloud.now(),
        undo="Merge them once more.",
        cost="Two statements on two small tables.",
        sources=book.sources,
    )  # fmt: skip


def _merge_of(cloud: Cloud, args: Facts) -> Action:
    done = read_action(cloud, str(args.get("action_id") or ""))
    if done is None or done.verb != MERGE_IDENTITIES.name or done.state not in MAY_BE_HALF:
        raise BadInput("That action has merged no identities that could be separated.", "Open it in the action log.")
    return done


def _aliases(cloud: Cloud, book: Book, done: Action) -> dict[str, tuple[Edit, Any, Any]]:
    """Each alias of the merge: how it stood before the first try, and how it stands now."""
    found = {}
    for edit in edits_in(done.plan.observed):
        name, now = f"{edit.alias} → {edit.canonical}", as_row_of(book, edit)
        maker = made_by(now)
        first = read_action(cloud, maker) if maker and maker != done.action_id else done
        found[name] = (edit, (first or done).plan.observed.get(name), now)
    return found


def _as_made(row: Any) -> bool:
    return bool(row and row["active"] and made_by(row))


def _state(row: Any) -> str:
    return "not there" if not row else "active" if row["active"] else "inactive"


def _separate(deed: Deed) -> Facts:
    done = _merge_of(deed.cloud, deed.plan.args)
    was, ids = done.plan.observed, done.plan.args
    aliases = _aliases(deed.cloud, read_book(deed.cloud), done)
    wanted = {name: before for name, (_, before, now) in aliases.items() if before != now}
    deed.note(
        "The registry comes first, then the aliases.", before={name: before for name, (_, before, _) in aliases.items()}
    )
    rows = [row for row in was["rows"] if row not in deed.plan.observed["other"]]
    set_id(deed, rows, ids["keep"], ids["merge"])
    edits = [aliases[name][0] for name in wanted]
    if edits:
        gone = [{"alias": e.alias, "canonical": e.canonical, "gone": True} for e in edits]
        write(deed, [wanted[n] or none for n, none in zip(wanted, gone, strict=True)], touched_by(edits_in(was)))
    return {}


def _verify_apart(cloud: Cloud, plan: Plan, found: Facts) -> Verdict:
    done, book = _merge_of(cloud, plan.args), read_book(cloud)
    was, ids = done.plan.observed, done.plan.args
    apart = (rows_of(book, ids["merge"]), rows_of(book, ids["keep"])) == (was["rows"], was["kept rows"])
    before = found.get("before")
    left = [
        e.alias for e in edits_in(was) if before is None or as_row_of(book, e) != before[f"{e.alias} → {e.canonical}"]
    ]
    if apart and not left:
        return Verdict(
            State.DONE, "The registry and the aliases are as they were before the merge.", {"rows": was["rows"]}
        )
    sentence = f"Half done: the registry is {'' if apart else 'not '}as it was before, {len(left)} aliases are not. Separate them again."
    return Verdict(State.FAILED, sentence, {"rows": rows_of(book, ids["merge"])})


UNDO_MERGE = Verb("registry.undo_merge", "Separate again", plan_undo_merge, _separate, _verify_apart)
