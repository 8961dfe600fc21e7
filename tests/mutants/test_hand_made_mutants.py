"""No guard of the write path can be removed with its fast tests green."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.mutants.guards import GUARDS, SIX_AT_ONCE
from tests.mutants.runner import Edit, EditNotPossible, apply_edits, replace_code
from tests.support.paths import ROOT

pytestmark = pytest.mark.timeout(600)  # half a minute on two free cores
TESTS_FAILED = 1  # pytest's exit code; with any other nothing was judged
ALL_SIX, UNEDITED = "six guards at once", "no guard"


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple[int, str]]:
    cases = {name: (mutant.edits, mutant.tests) for name, mutant in GUARDS.items()}
    six = [GUARDS[name] for name in SIX_AT_ONCE]
    cases[ALL_SIX] = sum((m.edits for m in six), ()), tuple(dict.fromkeys(test for m in six for test in m.tests))
    request = [[[[edit.file, edit.old, edit.new] for edit in edits], tests] for edits, tests in cases.values()]
    command = [sys.executable, "-m", "tests.mutants.runner"]
    done = subprocess.run(command, input=json.dumps(request), text=True, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    return {name: (code, text) for name, (code, text) in zip([UNEDITED, *cases], json.loads(done.stdout), strict=True)}


@pytest.mark.parametrize("name", [*GUARDS, ALL_SIX])
def test_a_guard_that_is_removed_turns_a_fast_test_red(name, outcomes):
    code, output = outcomes[name]
    assert code == TESTS_FAILED, output


def test_with_every_guard_in_place_the_same_tests_are_green(outcomes):
    code, output = outcomes[UNEDITED]
    assert code == 0, output


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("no such text", "", "0 times"),
        ("LEASE_TTL = timedelta(minutes=10)", "LEASE_TTL = timedelta(minutes=1)", "inside a function"),
    ],
)
def test_an_edit_that_changes_no_function_fails_loudly(old, new, reason):
    with pytest.raises(EditNotPossible, match=reason):
        replace_code([Edit("services/pipeline/lease.py", old, new)])


def test_edits_of_one_file_are_all_made():
    file = "services/pipeline/lease.py"
    edited = apply_edits([Edit(file, "def renew(", "def first("), Edit(file, "def release(", "def second(")])[file]
    assert ("def first(" in edited, "def second(" in edited) == (True, True)
