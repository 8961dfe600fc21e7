"""`oncall do VERB`: shows the plan and its hash; with --apply HASH carries out exactly that plan, by the executor of the pages."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from services.actions.action_type import ActionContext, ActionType, ProgressReporter
from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ABANDONED_AFTER_S
from services.actions.plan import MAX_REASON_LENGTH, Confirmation, Plan
from services.auth.roles import Actor, has_role
from services.cli.options import as_option, json_option
from services.cli.plan_report import outcome_report, plan_report
from services.cli.rendering import print_report
from services.cli.report import INTERRUPTED_CODE, Report
from services.cli.shown_plans import ShownPlans
from services.cli.terminal import Terminal
from services.cli.verbs import Verb
from services.core.clock import format_eastern
from services.core.errors import InvalidInput
from services.core.text import to_printable
from services.gcp.clients import Clients

P = ParamSpec("P")
T = TypeVar("T")

TICK_S = 15.0  # how often a long action says that it goes on


@dataclass(frozen=True)
class Request:
    """What was typed after a verb, apart from its arguments."""

    apply_hash: str
    reason: str
    confirmation: str
    requested: str
    list_all: bool


def to_command(verb: Verb) -> click.Command:
    """The click command of a verb."""

    @click.pass_obj
    def run(
        terminal: Terminal,
        /,
        apply_hash: str,
        reason: str,
        confirmation: str,
        requested: str,
        list_all: bool,
        as_json: bool,
        **typed: object,
    ) -> int:
        request = Request(apply_hash, reason.strip(), confirmation.strip(), requested, list_all)
        report = run_verb(terminal, verb, {**typed, "reason": request.reason}, request)
        print_report(report, as_json)
        return report.exit_code

    callback = as_option(json_option(run))
    options = [
        click.Option(["--apply", "apply_hash"], default="", metavar="HASH", help="Carry out the plan of this hash."),
        click.Option(["--reason"], default="", metavar="TEXT", help=f"Why; at most {MAX_REASON_LENGTH} characters."),
        click.Option(["--confirm", "confirmation"], default="", metavar="TEXT", help="What the plan asks to be typed."),
        click.Option(["--all", "list_all"], is_flag=True, help="List every change of the plan."),
    ]
    common = callback.__click_params__  # type: ignore[attr-defined]
    help_text = f"{verb.help} Without --apply nothing is changed."
    return click.Command(verb.name, callback=callback, params=[*verb.params, *options, *common], help=help_text)


def run_verb(terminal: Terminal, verb: Verb, typed: Mapping[str, Any], request: Request) -> Report:
    """The plan, or with a hash the outcome of carrying it out; raises OnCallError, and then nothing was changed."""
    if (length := len(request.reason)) > MAX_REASON_LENGTH:
        raise InvalidInput(
            f"The reason has {length:,} of {MAX_REASON_LENGTH} characters.", "Shorten it; nothing was changed."
        )
    shown, without_reason = ShownPlans(terminal.settings), {**typed, "reason": ""}
    if given := request.apply_hash:
        plan = shown.find(given, typed) or shown.find(given, without_reason)
        return _apply(terminal, verb, plan or _plan_again(terminal, verb, typed, given), request)
    plan = verb.action_type.plan(terminal.planning, verb.to_args(terminal.planning, typed))
    shown.keep(plan, typed if "why" in verb.keys else without_reason)
    return plan_report(plan, _apply_command(terminal, plan, request), request.list_all)


def _plan_again(terminal: Terminal, verb: Verb, typed: Mapping[str, Any], plan_hash: str) -> Plan:
    """The plan as it is now, when its hash is the one that was given; raises ActionRefused when it is not."""
    plan = verb.action_type.plan(terminal.planning, verb.to_args(terminal.planning, typed))
    if plan.hash != plan_hash:
        raise ActionRefused(
            f"Blocked, nothing was run: {plan_hash[:40]!r} is not this plan's hash, which is {plan.hash} now: {plan.title}.",
            "Review the plan: the same command without --apply.",
        )
    return plan


def _apply_command(terminal: Terminal, plan: Plan, request: Request) -> str:
    """The typed command with the hash, and with what the plan asks for in place of what is not typed yet."""
    words = [*terminal.arguments, "--apply", plan.hash]
    if plan.confirmation is Confirmation.TYPED:
        words += [] if request.reason else ["--reason", "…"]
        words += [] if request.confirmation else ["--confirm", plan.confirmation_text]
    return f"oncall {shlex.join(word for word in words if word != '--json')}"


def _apply(terminal: Terminal, verb: Verb, plan: Plan, request: Request) -> Report:
    actor = terminal.actor(request.requested)
    if has_role(actor, verb.action_type.required_role):
        _check_confirmation(plan, request)
    return _execute(terminal.acting, actor, verb.action_type, plan, request)


def _check_confirmation(plan: Plan, request: Request) -> None:
    if plan.confirmation is not Confirmation.TYPED:
        return
    if not request.reason or request.confirmation != plan.confirmation_text:
        raise InvalidInput(
            f"This plan needs a --reason, and --confirm with exactly: {plan.confirmation_text}", "Nothing was changed."
        )


@dataclass
class _Progress:
    """Says on standard error how far an action is, and that it goes on where it says nothing itself."""

    clients: Clients
    action_id: str = ""
    _spoke: Event = field(default_factory=Event)
    _ended: Event = field(default_factory=Event)

    def __enter__(self) -> _Progress:
        Thread(target=self._tick, name="progress", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def say(self, message: str) -> None:
        """One line, with the time."""
        self._spoke.set()
        click.echo(f"{format_eastern(self.clients.now(), '%H:%M:%S')}  {to_printable(message)}", err=True)

    def follow(self, act: Callable[Concatenate[ActionContext, P], T]) -> Callable[Concatenate[ActionContext, P], T]:
        """`act` of an action type, its progress said as well as recorded."""

        def followed(context: ActionContext, /, *args: P.args, **kwargs: P.kwargs) -> T:
            self.action_id = context.action_id
            return act(replace(context, report_progress=self._teed(context.report_progress)), *args, **kwargs)

        return followed

    def _teed(self, record: ProgressReporter) -> ProgressReporter:
        def report_progress(message: str, **details: object) -> None:
            self.say(message)
            record(message, **details)

        return report_progress

    def _tick(self) -> None:
        while not self._ended.wait(TICK_S):
            if not self._spoke.is_set():
                self.say("In progress …")
            self._spoke.clear()


def _execute(clients: Clients, actor: Actor, action_type: ActionType, plan: Plan, request: Request) -> Report:
    with _Progress(clients) as progress:
        progress.say(f"{plan.title}, by {actor.name}: checks run again first.")
        followed = replace(
            action_type,
            apply=progress.follow(action_type.apply),
            follow=progress.follow(action_type.follow) if action_type.follow is not None else None,
        )
        try:
            action = execute(clients, actor, followed, plan, request.reason, request.confirmation)
        except KeyboardInterrupt:
            click.echo(_interrupted_text(progress.action_id), err=True)
            raise SystemExit(INTERRUPTED_CODE) from None
    return outcome_report(action, is_earlier=action.action_id != progress.action_id)


def _interrupted_text(action_id: str) -> str:
    if not action_id:
        return "Interrupted before it began; `oncall actions` shows whether anything is recorded."
    return (
        f"Interrupted: action {action_id} has no outcome, and what it has set going goes on."
        f" In {ABANDONED_AFTER_S} s `oncall finish {action_id}` reads and records it."
    )
