"""What `make doctor` says first when a whole project is broken."""

from __future__ import annotations

from services.core.result import Health
from services.core.settings import Settings
from services.doctor.__main__ import format_report
from services.doctor.check_result import CheckResult
from services.doctor.examination import ConnectionReport
from services.doctor.first_step import find_first_step
from services.doctor.required_tables import REQUIRED_TABLES

SETTINGS = Settings.from_env({"GOOGLE_CLOUD_PROJECT": "p-example"})
APPLY, RESUME = "PROJECT=p-example deploy/apply.sh --do", "gcloud scheduler jobs resume x"


def critical(subject: str, command: str = "") -> CheckResult:
    return CheckResult(subject, Health.CRITICAL, f"{subject} is broken.", command)


def test_the_command_that_repairs_most_comes_first():
    results = [critical("job", RESUME), critical("actions", APPLY), critical("acting identity", APPLY)]
    assert find_first_step(SETTINGS, results) == f"{APPLY}   # 2 of 3 critical results name it"


def test_of_equally_frequent_commands_the_earlier_check_counts():
    assert find_first_step(SETTINGS, [critical("a", APPLY), critical("b", RESUME)]).startswith(APPLY)


def test_a_project_without_any_of_the_pipelines_tables_is_the_wrong_one():
    theirs = [critical(t.name, f"bq show p-example:{t.name}") for t in REQUIRED_TABLES if not t.is_own and t.required]
    first = find_first_step(SETTINGS, [*theirs, critical("actions", APPLY), critical("acting identity", APPLY)])
    assert first.startswith("None of the pipeline's tables can be read in p-example. Check GOOGLE_CLOUD_PROJECT")
    assert find_first_step(SETTINGS, theirs[1:]).startswith("bq show ")


def test_a_critical_result_without_a_command_is_said_and_a_warning_is_not():
    assert find_first_step(SETTINGS, [critical("warehouse")]) == "warehouse is broken."
    assert find_first_step(SETTINGS, [CheckResult("x", Health.WARNING, "odd", APPLY)]) == ""


def test_the_report_begins_with_it():
    report = ConnectionReport((critical("actions", APPLY),), ())
    assert format_report(SETTINGS, report).splitlines()[:2] == [f"DO THIS FIRST {APPLY}", ""]
    assert format_report(SETTINGS, ConnectionReport((), ())) == ""
