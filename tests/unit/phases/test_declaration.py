"""The declaration of a step: what it may say, and the sentence that names file and field when it is wrong."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.core.clock import ET
from services.core.errors import CatalogError
from services.core.settings import Settings
from services.gcp import query_catalog
from services.phases.declaration import Phase, load_steps, parse_step
from tests.support.paths import ROOT

DECLARED = {
    "order": "40",
    "title": "Context",
    "phase": "before",
    "owner": "Analytics",
    "unit": "players",
    "due": "11:05",
}


def declare(**changes: str | None) -> str:
    fields = {field: value for field, value in {**DECLARED, **changes}.items() if value is not None}
    return "-- Question?\n" + "\n".join(f"-- @step {field}  {value}" for field, value in fields.items())


def test_every_file_in_queries_phases_is_a_step_that_the_catalog_runs():
    files = {path.stem for path in (ROOT / "queries" / "phases").glob("*.sql")}
    steps = load_steps()
    assert {step.name for step in steps} == files
    assert len({step.order for step in steps}) == len(steps), "their order is not decided"
    for step in steps:
        assert set(query_catalog.load(step.query).params) == {"first_date", "last_date"}
        assert len(query_catalog.load(step.query).source_tables) == 1, "so that a missing table takes one step away"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"ownr": "Analytics"},
            "the field 'ownr' is not known; known are order, title, phase, owner, unit, due,"
            " parts, usual_pct, allowed, processor, service, fix.",
        ),
        ({"owner": None}, "the field 'owner' is missing."),
        ({"phase": "during"}, "the field 'phase' is 'during', not one of before, after, quality."),
        ({"order": "first"}, "the field 'order' is 'first', not a whole number."),
        ({"order": "²"}, "the field 'order' is '²', not a whole number."),
        ({"due": "24:00"}, "the field 'due' is '24:00', not a time such as 11:30, or +1 07:00 for the next day."),
        ({"due": "11:60"}, "the field 'due' is '11:60', not a time"),
        ({"due": "noon"}, "the field 'due' is 'noon', not a time"),
        ({"allowed": "0..20"}, "the field 'allowed' is only of a quality step."),
        ({"phase": "quality"}, "the field 'allowed' is missing."),
        ({"phase": "quality", "allowed": "20..0"}, "the field 'allowed' is '20..0', not a range such as 0..20."),
        ({"phase": "quality", "allowed": "20%"}, "the field 'allowed' is '20%', not a range such as 0..20."),
        ({"fix": "bq query {"}, "the field 'fix' has a placeholder other than"),
        ({"fix": "bq query {table}"}, "the field 'fix' has a placeholder other than {date}, {project} and {region}."),
        ({"usual_pct": "80%"}, "the field 'usual_pct' is '80%', not a whole number."),
    ],
)
def test_a_wrong_field_is_named_with_its_file(changes, sentence):
    with pytest.raises(CatalogError) as error:
        parse_step("context", declare(**changes))
    assert error.value.message.startswith("queries/phases/context.sql: ")
    assert sentence in error.value.message


def test_a_field_that_is_declared_twice_is_refused():
    with pytest.raises(CatalogError, match="the field 'owner' is declared twice"):
        parse_step("context", declare() + "\n-- @step owner  Somebody else")


def test_a_step_with_the_required_fields_alone_has_no_other():
    step = parse_step("context", declare())
    assert (step.order, step.title, step.owner, step.unit) == (40, "Context", "Analytics", "players")
    assert (step.parts, step.processor, step.service, step.fix) == ("", "", "", "")
    assert (step.usual_pct, step.allowed) == (None, None)


def test_every_field_that_is_declared_is_read_without_the_spaces_after_it():
    fields = {"parts": "teams", "usual_pct": "0", "processor": "ContextProcessor ", "service": "nba-phase3"}
    step = parse_step("context", declare(**fields))
    assert (step.parts, step.usual_pct) == ("teams", 0)
    assert (step.processor, step.service) == ("ContextProcessor", "nba-phase3")


@pytest.mark.parametrize(("text", "allowed"), [("0..20", (0, 20)), ("5..5", (5, 5))])
def test_a_quality_step_allows_a_range_of_one_number_or_more(text, allowed):
    assert parse_step("context", declare(phase="quality", allowed=text)).allowed == allowed


def test_a_step_may_be_due_until_the_last_minute_of_a_day():
    assert parse_step("context", declare(due="23:59")).due == timedelta(hours=23, minutes=59)


def test_steps_are_in_their_declared_order_whatever_their_files_are_called(tmp_path):
    for name, order in (("a", "30"), ("b", "10"), ("c", "20")):
        (tmp_path / f"{name}.sql").write_text(declare(order=order))
    assert [step.name for step in load_steps(tmp_path)] == ["b", "c", "a"]


def test_it_is_due_on_new_yorks_clocks_also_on_the_next_day():
    step = parse_step("grading", declare(phase="after", due="+1 07:00"))
    assert (step.phase, step.due) == (Phase.AFTER, timedelta(days=1, hours=7))
    due = step.due_at(date(2025, 11, 1)).astimezone(ET)  # the clocks go back in that night
    assert (due.day, due.hour, due.utcoffset()) == (2, 7, timedelta(hours=-5))


def test_the_fix_command_names_date_project_and_region():
    step = parse_step("export", declare(fix="""publish --message='{{"d":"{date}"}}' --project={project} {region}"""))
    settings = Settings.from_env({"GOOGLE_CLOUD_PROJECT": "p-1"})
    command = step.fix_command(settings, date(2025, 12, 29))
    assert command == f"""publish --message='{{"d":"2025-12-29"}}' --project=p-1 {settings.region}"""
