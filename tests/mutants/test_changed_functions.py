"""What the last commit changed in the write path is tested: most faults put into the changed functions turn a fast test red."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.tools.mutants import changed, results, selection

PARENT = "HEAD^"
SECONDS = 75
MAX_FUNCTIONS = 25  # what can be judged in that time

DIFF = """\
--- a/services/pipeline/lease.py
+++ b/services/pipeline/lease.py
@@ -4,0 +5,2 @@ class Lease:
+    a
+    b
@@ -9 +12,0 @@
-    gone
"""
SOURCE = """\
LIMIT = 1


class Lease:
    def renew(self):
        return 1

    def end(self):
        return 2


def acquire():
    return 3
"""


def test_changed_lines_are_read_from_a_diff_without_context():
    assert changed.parse_changed_lines(DIFF) == {"services/pipeline/lease.py": {5, 6, 12}}


@pytest.mark.parametrize(
    ("lines", "functions"),
    [
        ({6}, ["services.pipeline.lease.xǁLeaseǁrenew__mutmut_*"]),
        ({8, 13}, ["services.pipeline.lease.xǁLeaseǁend__mutmut_*", "services.pipeline.lease.x_acquire__mutmut_*"]),
        ({1}, []),
    ],
)
def test_the_functions_that_have_changed_lines_are_named(lines, functions):
    assert list(changed.name_functions(SOURCE, "services/pipeline/lease.py", lines)) == functions


def test_a_clone_without_the_commit_says_so():
    with pytest.raises(changed.NoHistory, match="There is no no-such-commit to compare with"):
        changed.find_changed_functions("no-such-commit", selection.all_modules(ROOT), ROOT)


@pytest.mark.timeout(600)
def test_faults_in_the_functions_of_the_last_commit_are_noticed():
    try:
        functions = changed.find_changed_functions(PARENT, selection.all_modules(ROOT), ROOT)
    except changed.NoHistory as reason:
        pytest.skip(str(reason))
    if (count := sum(map(len, functions.values()))) > MAX_FUNCTIONS:
        pytest.skip(f"The last commit changes {count} functions: `make mutants` judges them.")
    tests = [f"tests/unit/{package}" for package in selection.PACKAGES if (ROOT / "tests/unit" / package).is_dir()]
    command = [sys.executable, "-m", "tests.tools.mutants", "--changed", PARENT, "--processes", "2"]
    command += ["--seconds", str(SECONDS), "--tests", *tests]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_report_names_functions_readably_and_has_a_reason_or_asks_for_a_test():
    outcome = results.ModuleOutcome("services/pipeline/lease.py", killed=9, survived=1, untested=0, unchecked=0)
    survivors = {"services.pipeline.lease.x__count_taken": 1, "services.pipeline.lease.xǁLeaseǁrenew": 2}
    report = results.to_report([outcome], survivors, selection.required_score)
    assert "90 %   90 %" in report
    assert "| `pipeline.lease.Lease.renew` | 2 | no reason yet: it wants a test |" in report
    assert "| `pipeline.lease._count_taken` | 1 | another way of searching" in report


def test_what_has_not_run_has_no_score():
    unchecked = results.ModuleOutcome("services/pipeline/lease.py", killed=0, survived=0, untested=0, unchecked=3)
    assert unchecked.score is None
    assert not unchecked.is_below(90)
    assert "3 not run" in results.to_table([unchecked], selection.required_score)
