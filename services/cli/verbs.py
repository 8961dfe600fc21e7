"""The verbs of `oncall do`: one for every kind of action, each argument of its plan an argument or option of the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import click

from services.actions.action_type import ActionType
from services.actions.plan import Params
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE
from services.alerts.channel_tests import TEST_ESCALATION, TEST_NOTIFICATION
from services.aliases.identities.merge import MERGE_IDENTITIES
from services.aliases.identities.split import UNDO_MERGE
from services.aliases.reject import REJECT_MATCH
from services.aliases.save import EDIT_ALIASES
from services.aliases.undo import UNDO_EDIT
from services.cli.alias_arguments import alias_args, rejection_args
from services.cli.options import DATE
from services.core.clock import ET
from services.core.errors import InvalidInput
from services.gcp.clients import Clients
from services.notes.add import ADD_NOTE, MAX_NOTE_LENGTH
from services.plumbing.job_actions import PAUSE_JOB, RESUME_JOB, RUN_JOB
from services.runs.actions import RESUME_BATCH, START_RUN
from services.runs.night_range import MAX_NIGHTS, SCOPES
from services.runs.range_actions import RUN_RANGE, STOP_RANGE
from services.runs.stop import STOP_RUN
from services.scaling.actions import RESTORE_CAPACITY, SCALE_DOWN, SET_CAPACITY
from services.scaling.move_traffic import MOVE_TRAFFIC, UNDO_MOVE_TRAFFIC
from services.staging.consolidate import CONSOLIDATE_BATCH
from services.staging.drop import DROP_MERGED, DROP_ORPHAN
from services.staging.inventory import read_inventory
from services.staging.remove_duplicates import REMOVE_DUPLICATES
from services.staging.restore_dropped import UNDO_DROP
from services.staging.restore_duplicates import RESTORE_DUPLICATES

Typed = Mapping[str, Any]  # what click has parsed, by parameter, and `reason`


@dataclass(frozen=True)
class Verb:
    """One command of `oncall do`. `keys` are the arguments of the action; `to_args` makes them of what was typed."""

    name: str
    action_type: ActionType
    help: str
    keys: tuple[str, ...]
    params: tuple[click.Parameter, ...]
    to_args: Callable[[Clients, Typed], Params]


def _given(*keys: str) -> Callable[[Clients, Typed], Params]:
    """The typed values under their own names; what was not typed is not given."""

    def to_args(_clients: Clients, typed: Typed) -> Params:
        return {key: _plain(typed[key]) for key in keys if typed[key] is not None}

    return to_args


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _simple(name: str, action_type: ActionType, help: str, *params: click.Parameter) -> Verb:
    """A verb whose parameters are the arguments of its action."""
    keys = tuple(str(param.name) for param in params)
    return Verb(name, action_type, help, keys, params, _given(*keys))


def _argument(key: str, metavar: str, type: click.ParamType[date] | None = None, nargs: int = 1) -> click.Argument:
    return click.Argument([key], metavar=metavar, type=type, nargs=nargs, required=nargs == 1)


# --- what needs more than its own value -------------------------------------------------------------------------------


def _run_args(_clients: Clients, typed: Typed) -> Params:
    args: dict[str, Any] = {"game_date": typed["game_date"].isoformat()}
    if typed["scope"] is not None:
        args["scope"] = typed["scope"]
    if typed["players"]:
        args["players"] = list(typed["players"])
    return args


def _tables_args(clients: Clients, typed: Typed) -> Params:
    """The named tables; of a batch, those that are there now."""
    tables, batch_id = list(typed["tables"]), typed.get("batch")
    if bool(tables) == bool(batch_id):
        raise InvalidInput("Name the staging tables, or their batch with --batch.", "None chosen never means all.")
    if batch_id:
        tables = [table.table for table in read_inventory(clients).tables if table.batch_id == batch_id]
        if not tables:
            raise InvalidInput(f"{batch_id[:120]!r} has no staging table.", "List them with `oncall staging`.")
    return {"tables": tables}


def _orphan_args(_clients: Clients, typed: Typed) -> Params:
    return {"tables": [typed["table"]]}


def _scaling_args(*keys: str) -> Callable[[Clients, Typed], Params]:
    def to_args(clients: Clients, typed: Typed) -> Params:
        given = {key: typed[key] for key in keys}
        return {
            **given,
            **({"revert_at": parse_revert_at(typed["revert_at"], clients.now())} if typed["revert_at"] else {}),
        }

    return to_args


def parse_revert_at(text: str, now: datetime) -> str:
    """An instant in ISO 8601 from one with its zone, or from HH:MM in ET, whose next occurrence is meant."""
    hour, colon, minute = text.partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and len(text) <= 5):
        return text  # the plan checks it
    if int(hour) > 23 or int(minute) > 59:
        raise InvalidInput(f"{text!r} is no time of day.", "Write it as 08:00.")
    eastern = now.astimezone(ET)
    at = eastern.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
    return (at if at > eastern else at + timedelta(days=1)).isoformat()


# --- the verbs --------------------------------------------------------------------------------------------------------

_BATCH, _ALERT = _argument("batch_id", "BATCH"), _argument("alert_id", "ALERT")
_JOB = _argument("job", "JOB")
_ACTION = _argument("action_id", "ACTION")
_NIGHT = _argument("game_date", "DATE", type=DATE)
_REVERT = click.Option(["--revert-at"], metavar="TIME", help="When it reverts by itself: 08:00 (ET), or ISO 8601.")


def _alert_verb(name: str, action_type: ActionType, help: str, *params: click.Parameter) -> Verb:
    """Its --reason is an argument of the action too: the alert records it."""
    keys = ("alert_id", *(str(param.name) for param in params))

    def to_args(clients: Clients, typed: Typed) -> Params:
        return {**_given(*keys)(clients, typed), **({"why": typed["reason"]} if typed["reason"] else {})}

    return Verb(name, action_type, help, (*keys, "why"), (_ALERT, *params), to_args)


VERBS: Sequence[Verb] = (
    Verb(
        "run",
        START_RUN,
        "Start or re-run a night: the missing players, some of them, or everybody.",
        ("game_date", "scope", "players"),
        (
            _NIGHT,
            click.Option(
                ["--scope"], type=click.Choice(["lost", "date"]), help="lost: who is missing; date: everybody."
            ),
            click.Option(
                ["--player", "players"], multiple=True, metavar="LOOKUP", help="Only this player; repeatable."
            ),
        ),
        _run_args,
    ),
    _simple("resume", RESUME_BATCH, "Resume a batch that stopped or stalled.", _BATCH),
    _simple("stop", STOP_RUN, "Stop a run: nobody further is requested.", _BATCH),
    _simple(
        "run-range",
        RUN_RANGE,
        f"Re-run several nights, one after the other, at most {MAX_NIGHTS}; stops at the first that fails.",
        _argument("first", "FROM", type=DATE),
        _argument("last", "TO", type=DATE),
        click.Option(["--scope"], type=click.Choice(SCOPES), help="lost: who is missing; date: everybody."),
    ),
    _simple("stop-range", STOP_RANGE, "Stop a range before its next night.", _ACTION),
    _simple("consolidate", CONSOLIDATE_BATCH, "Merge a batch's staging tables into the predictions table.", _BATCH),
    Verb(
        "drop",
        DROP_MERGED,
        "Drop staging tables whose rows are all in the predictions table.",
        ("tables",),
        (
            _argument("tables", "[TABLE]...", nargs=-1),
            click.Option(["--batch"], metavar="BATCH", help="All staging tables of this batch."),
        ),
        _tables_args,
    ),
    Verb(
        "drop-orphan",
        DROP_ORPHAN,
        "Drop one staging table whatever it holds; its name has to be typed.",
        ("tables",),
        (_argument("table", "TABLE"),),
        _orphan_args,
    ),
    _simple("undo-drop", UNDO_DROP, "Restore the staging tables that an action dropped.", _ACTION),
    _simple("remove-duplicates", REMOVE_DUPLICATES, "Keep the newest of several active rows of one key.", _NIGHT),
    _simple("restore-duplicates", RESTORE_DUPLICATES, "Undo a removal of duplicates.", _ACTION),
    Verb(
        "scale-down",
        SCALE_DOWN,
        "Scale the workers to the emergency limit.",
        ("revert_at",),
        (_REVERT,),
        _scaling_args(),
    ),
    Verb(
        "restore-capacity",
        RESTORE_CAPACITY,
        "Restore the workers' normal capacity.",
        ("revert_at",),
        (_REVERT,),
        _scaling_args(),
    ),
    Verb(
        "set-capacity",
        SET_CAPACITY,
        "Set the workers' maximum of instances and their request concurrency.",
        ("instances", "requests", "revert_at"),
        (
            click.Option(["--instances"], type=int, required=True, help="Maximum of instances."),
            click.Option(["--requests"], type=int, required=True, help="Requests that each instance takes at once."),
            _REVERT,
        ),
        _scaling_args("instances", "requests"),
    ),
    _simple("move-traffic", MOVE_TRAFFIC, "Move the workers' traffic to the latest ready revision."),
    _simple("undo-move-traffic", UNDO_MOVE_TRAFFIC, "Move the traffic back to where it was before an action.", _ACTION),
    Verb(
        "edit-aliases",
        EDIT_ALIASES,
        "Add and deactivate aliases, all or none.",
        ("edits",),
        (
            click.Option(["--add"], multiple=True, metavar="ALIAS=CANONICAL", help="Add or activate; repeatable."),
            click.Option(["--deactivate"], multiple=True, metavar="ALIAS=CANONICAL", help="Deactivate; repeatable."),
            click.Option(["--file"], metavar="FILE", help="Lines alias,canonical to add; - for standard input."),
        ),
        alias_args,
    ),
    Verb(
        "reject-match",
        REJECT_MATCH,
        "Record that two names are not one player, so that the match is not suggested again.",
        ("edits", "why"),
        (_argument("alias", "ALIAS"), _argument("canonical", "CANONICAL")),
        rejection_args,
    ),
    _simple("undo-edit-aliases", UNDO_EDIT, "Undo saved alias edits, or a rejected match.", _ACTION),
    _simple(
        "merge-identities",
        MERGE_IDENTITIES,
        "Merge the identity MERGE into KEEP.",
        _argument("keep", "KEEP"),
        _argument("merge", "MERGE"),
    ),
    _simple("undo-merge", UNDO_MERGE, "Split two merged identities again.", _ACTION),
    _alert_verb("acknowledge", ACKNOWLEDGE, "Acknowledge an open alert."),
    _alert_verb(
        "silence",
        SILENCE,
        "Silence an alert for some minutes.",
        click.Option(["--minutes"], type=int, required=True, help="How long: 1 to 1440."),
    ),
    _alert_verb("resolve", RESOLVE, "Resolve an alert."),
    _alert_verb("reopen", REOPEN, "Reopen an alert."),
    _simple(
        "note",
        ADD_NOTE,
        f"Add a note, of up to {MAX_NOTE_LENGTH:,} characters, about a night, batch, player or alert.",
        _argument("text", "TEXT"),
        click.Option(["--date", "game_date"], type=DATE, help="The night; with --player, of that night."),
        click.Option(["--batch", "batch_id"], metavar="BATCH", help="About this batch."),
        click.Option(["--player"], metavar="LOOKUP", help="About this player."),
        click.Option(["--alert", "alert_id"], metavar="ALERT", help="About this alert."),
    ),
    _simple("run-job", RUN_JOB, "Run a job of Cloud Scheduler now.", _JOB),
    _simple("pause-job", PAUSE_JOB, "Pause a job of Cloud Scheduler.", _JOB),
    _simple("resume-job", RESUME_JOB, "Resume a paused job of Cloud Scheduler.", _JOB),
    _simple("test-notification", TEST_NOTIFICATION, "Send a test notification."),
    _simple("test-page", TEST_ESCALATION, "Send a test page to the second channel."),
)
