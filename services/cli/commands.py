"""`oncall`: every reading as a command, the verbs under `do`, completion, and the server for programs."""

from __future__ import annotations

from datetime import date
from functools import partial

import click
from click.shell_completion import get_completion_class

from services.action_registry import get_action_type
from services.actions.executor import recover
from services.actions.log_reader import read_action
from services.auth.roles import Role, require_role
from services.cli import (
    name_reports,
    night_reports,
    pipeline_report,
    platform_reports,
    range_reports,
    record_reports,
    run_reports,
)
from services.cli.do import to_command
from services.cli.identity import grant_hint
from services.cli.options import DATE, as_option
from services.cli.reading import reading_of
from services.cli.report import Report
from services.cli.search_commands import count, logs
from services.cli.terminal import Terminal
from services.cli.verbs import VERBS
from services.core.clock import format_eastern
from services.core.errors import InvalidInput
from services.core.result import Health
from services.nights.missing_players import LossReason

COMPLETE_VARIABLE = "_ONCALL_COMPLETE"
EPILOG = (
    "Exit code: 0 in order, or done; 1 a warning, critical, blocked, forbidden or failed; 2 a usage error; 3 unknown,"
    " or no outcome yet."
)


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def cli() -> None:
    """Prediction On-Call from the terminal: the same readings, actions, records and roles as the dashboard."""


_reading = partial(reading_of, cli)


# --- one night --------------------------------------------------------------------------------------------------------


@_reading("night", dated=True)
def night(terminal: Terminal, game_date: date) -> Report:
    """Is the night in order? Every statement of its judgement, the worst first."""
    return night_reports.night_report(terminal.reading, game_date)


@_reading("missing", dated=True)
@click.option("--reason", type=click.Choice([reason.value for reason in LossReason]), help="Only this reason.")
@click.option("--find", "text", default="", metavar="TEXT", help="Only with this text: player, team, evidence, batch.")
@click.option("--ineligible", is_flag=True, help="Also who is ineligible.")
def missing(terminal: Terminal, game_date: date, reason: str | None, text: str, ineligible: bool) -> Report:
    """Who is missing, at which stage each was dropped, on what evidence, and the fix."""
    players = night_reports.PlayerFilter(reason or "", text, ineligible)
    return night_reports.missing_report(terminal.reading, game_date, players)


@_reading("players", dated=True)
@click.option("--find", "text", default="", metavar="TEXT", help="Only with this text: player, team, game.")
def players(terminal: Terminal, game_date: date, text: str) -> Report:
    """Every player with the stages he reached, and his rows at each."""
    return night_reports.players_report(terminal.reading, game_date, text)


@_reading("systems", dated=True)
def systems(terminal: Terminal, game_date: date) -> Report:
    """Active, expected, missing, doubled and superseded rows of each system."""
    return night_reports.systems_report(terminal.reading, game_date)


@_reading("runs", dated=True)
def runs(terminal: Terminal, game_date: date) -> Report:
    """The batches of the night, with their states and sums."""
    return run_reports.runs_report(terminal.reading, game_date)


@_reading("verify")
@click.argument("batch_id", metavar="[BATCH]", required=False)
@click.option("--from", "first", type=DATE, help="Verify every night from this one on.")
@click.option("--to", "last", type=DATE, help="The last night of those.")
def verify(terminal: Terminal, batch_id: str | None, first: date | None, last: date | None) -> Report:
    """Verify a batch: staged, consolidated, cleaned up, nothing rejected, and its sums; or each night of a range."""
    if batch_id and not (first or last):
        return run_reports.verification_report(terminal.reading, batch_id)
    if batch_id or first is None or last is None:
        raise InvalidInput("Name a batch, or the nights with --from and --to.", "Nothing was read.")
    return range_reports.range_verification_report(terminal.reading, first, last)


@_reading("progress")
@click.argument("batch_id", metavar="BATCH")
def progress(terminal: Terminal, batch_id: str) -> Report:
    """How far a batch is, by its coordinator."""
    return run_reports.progress_report(terminal.reading, batch_id)


@_reading("dml", dated=True)
@click.option("--attempts", is_flag=True, help="List every write.")
def dml(terminal: Terminal, game_date: date, attempts: bool) -> Report:
    """Writes to the predictions table: how many were rejected, and why."""
    return run_reports.writes_report(terminal.reading, game_date, attempts)


@_reading("coverage", dated=True)
@click.option("--nights", default=21, show_default=True, help="How many nights up to the date.")
def coverage(terminal: Terminal, game_date: date, nights: int) -> Report:
    """Players with odds, in context, eligible and active of the nights up to a date."""
    return night_reports.coverage_report(terminal.reading, game_date, nights)


@_reading("compare", dated=True)
@click.argument("other_date", type=DATE, metavar="OTHER")
def compare(terminal: Terminal, game_date: date, other_date: date) -> Report:
    """The night beside another one: every figure that differs, worst first."""
    return night_reports.compare_report(terminal.reading, game_date, terminal.game_date(other_date))


@_reading("pipeline", dated=True)
@click.option("--step", "name", default="", metavar="STEP", help="Only this step, with its last dates and its query.")
def pipeline(terminal: Terminal, game_date: date, name: str) -> Report:
    """The steps before and after the predictions: state, count, time, last error, owner and fix; and the runs behind them."""
    return pipeline_report.pipeline_report(terminal.reading, game_date, name)


@_reading("names", dated=True)
@click.option("--nights", default=1, show_default=True, help="How many nights up to the date.")
def names(terminal: Terminal, game_date: date, nights: int) -> Report:
    """Odds names that are not in context, and whom they mean."""
    return name_reports.names_report(terminal.reading, game_date, nights)


@_reading("notes", dated=True)
def notes(terminal: Terminal, game_date: date) -> Report:
    """What was written about the night, its batches, players and alerts; `oncall do note` adds one."""
    return record_reports.notes_report(terminal.reading, game_date)


@_reading("handoff", dated=True)
def handoff(terminal: Terminal, game_date: date) -> Report:
    """The handoff note of the night, in Markdown."""
    return record_reports.handoff_report(terminal.reading, game_date)


cli.add_command(count)
cli.add_command(logs)


@_reading("incident", dated=True)
def incident(terminal: Terminal, game_date: date) -> Report:
    """The incident of the night, in Markdown: cause, loss, times, repair, timeline and notes."""
    return record_reports.incident_report(terminal.reading, game_date)


# --- beside the nights ------------------------------------------------------------------------------------------------


@_reading("staging")
@click.option("--tables", "with_tables", is_flag=True, help="List every table.")
def staging(terminal: Terminal, with_tables: bool) -> Report:
    """Staging tables by batch, and the rows that are nowhere else."""
    return platform_reports.staging_report(terminal.reading, with_tables)


@_reading("capacity")
def capacity(terminal: Terminal) -> Report:
    """Instances × concurrency of the services, against the DML limit."""
    return platform_reports.capacity_report(terminal.reading)


@_reading("deploys")
def deploys(terminal: Terminal) -> Report:
    """The revisions of worker and coordinator: when, by whom, with what capacity."""
    return platform_reports.deploys_report(terminal.reading)


@_reading("services")
def services(terminal: Terminal) -> Report:
    """What each service really is: revision, image, commit, traffic, environment against the manifest, last deploy."""
    return platform_reports.services_report(terminal.reading)


@_reading("subscriptions")
def subscriptions(terminal: Terminal) -> Report:
    """Pub/Sub subscriptions against the manifest: push address, dead letters, backlog; and topics without a subscription."""
    return platform_reports.subscriptions_report(terminal.reading)


@_reading("refusals")
@click.option("--hours", default=24, show_default=True, help="How many hours up to now.")
def refusals(terminal: Terminal, hours: int) -> Report:
    """Calls between services that were refused with 401, 403 or 429, by service and caller."""
    return platform_reports.refusals_report(terminal.reading, hours)


@_reading("schedule")
def schedule(terminal: Terminal) -> Report:
    """Scheduled jobs: last attempt, next run, and what is wrong."""
    return platform_reports.schedule_report(terminal.reading)


@_reading("aliases")
@click.option("--find", "text", default="", metavar="TEXT", help="Only with this text in a name.")
def aliases(terminal: Terminal, text: str) -> Report:
    """Every alias, and what is wrong with them."""
    return name_reports.aliases_report(terminal.reading, text)


@_reading("identities")
def identities(terminal: Terminal) -> Report:
    """Registered identities that may be one player."""
    return name_reports.identities_report(terminal.reading)


@_reading("alerts")
@click.option("--ended", is_flag=True, help="Also those that ended in the last fortnight.")
def alerts(terminal: Terminal, ended: bool) -> Report:
    """The open alerts, the worst first."""
    return record_reports.alerts_report(terminal.reading, ended)


@_reading("alert")
@click.argument("alert_id", metavar="ALERT")
def alert(terminal: Terminal, alert_id: str) -> Report:
    """One alert with its rules and events."""
    return record_reports.alert_report(terminal.reading, alert_id)


@_reading("actions")
@click.option("--days", default=7, show_default=True, help="How many days back.")
def actions(terminal: Terminal, days: int) -> Report:
    """What was done, by whom, why, and what came of it."""
    return record_reports.actions_report(terminal.reading, days)


@_reading("action")
@click.argument("action_id", metavar="ACTION")
def action(terminal: Terminal, action_id: str) -> Report:
    """One action with its steps and its plan."""
    return record_reports.action_report(terminal.reading, action_id)


@_reading("doctor")
def doctor(terminal: Terminal) -> Report:
    """Which connections work, and the command that fixes each that does not."""
    return platform_reports.doctor_report(terminal.reading)


@_reading("settings")
def settings(_terminal: Terminal) -> Report:
    """Every setting: its value, default and meaning."""
    return platform_reports.settings_report()


# --- who, and what changes something ----------------------------------------------------------------------------------


@_reading("whoami")
@as_option
def whoami(terminal: Terminal, requested: str) -> Report:
    """Who you are here, and whether you may act."""
    actor = terminal.actor(requested)
    details = () if actor.role is Role.OPERATOR else (grant_hint(terminal.settings),)
    facts = {"name": actor.name, "role": str(actor.role), "project": terminal.settings.project}
    headline = f"{actor.name} is a{'n' * (actor.role is Role.OPERATOR)} {actor.role} of {terminal.settings.project}"
    return Report("Identity", Health.OK, headline, details, label="YOU", facts=facts)


@_reading("finish")
@click.argument("action_id", metavar="ACTION")
@as_option
def finish(terminal: Terminal, action_id: str, requested: str) -> Report:
    """Read and record the outcome of an action whose process ended without one."""
    action = read_action(terminal.planning, action_id)
    if action is None:
        raise InvalidInput(f"The action log has no action {action_id[:80]!r}.", "List them with `oncall actions`.")
    if action.ended_at is None and action.is_abandoned(terminal.reading.now()):
        action_type = get_action_type(action.action_name)
        require_role(terminal.actor(requested), action_type.required_role, "finishing an action")
        recover(terminal.acting, action_type, action)
    elif action.ended_at is None:
        since = format_eastern(action.last_event_at, "%H:%M:%S")
        text = f"{action.title} is in progress: {action.recorded_by} recorded it last at {since}"
        return Report(f"Action {action_id}", Health.UNKNOWN, text, label="IN PROGRESS")
    return record_reports.action_report(terminal.planning, action_id)


@cli.group("do", epilog=EPILOG)
def do() -> None:
    """Change something: shows the plan with its hash; --apply HASH carries out exactly that plan."""


for _verb in VERBS:
    do.add_command(to_command(_verb))


@cli.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script of a shell: eval "$(oncall completion bash)"."""
    script = get_completion_class(shell)
    if script is None:
        raise InvalidInput(f"There is no completion for {shell}.", "Use bash, zsh or fish.")
    click.echo(script(cli, {}, "oncall", COMPLETE_VARIABLE).source())
    return 0


@cli.command("mcp")
@as_option
@click.pass_obj
def mcp(terminal: Terminal, requested: str) -> int:
    """Serve the readings to a program over standard input and output (Model Context Protocol); nothing that changes anything."""
    from services.cli.mcp_server import serve  # its SDK takes a second to import

    serve(terminal, requested)
    return 0
