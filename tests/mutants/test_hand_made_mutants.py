"""No guard of the write path can be removed with its fast tests green."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.mutants.guards import GUARDS, SIX_AT_ONCE
from tests.mutants.runner import Edit, TextNotFound, apply_edits
from tests.support.paths import ROOT

TESTS_FAILED = 1  # pytest's exit code; with any other nothing was judged


def _run(cases: list[tuple[tuple[Edit, ...], tuple[str, ...]]]) -> list[tuple[int, str]]:
    request = json.dumps([[[[e.file, e.old, e.new] for e in edits], tests] for edits, tests in cases])
    command = [sys.executable, "-m", "tests.mutants.runner"]
    done = subprocess.run(command, input=request, text=True, cwd=ROOT, capture_output=True, check=False, timeout=170)
    assert done.returncode == 0, done.stderr[-3_000:]
    return [(code, output) for code, output in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple[int, str]]:
    cases = {name: (mutant.edits, mutant.tests) for name, mutant in GUARDS.items()}
    all_edits = tuple(edit for name in SIX_AT_ONCE for edit in GUARDS[name].edits)
    cases["six at once"] = all_edits, tuple(dict.fromkeys(test for name in SIX_AT_ONCE for test in GUARDS[name].tests))
    cases["none"] = (), tuple(dict.fromkeys(test for mutant in GUARDS.values() for test in mutant.tests))
    return dict(zip(cases, _run(list(cases.values())), strict=True))


@pytest.mark.parametrize("name", [*GUARDS, "six at once"])
def test_a_guard_that_is_removed_turns_a_fast_test_red(name, outcomes):
    code, output = outcomes[name]
    assert code == TESTS_FAILED, output


def test_with_every_guard_in_place_the_same_tests_are_green(outcomes):
    code, output = outcomes["none"]
    assert code == 0, output


def test_an_edit_whose_text_is_gone_fails_loudly():
    with pytest.raises(TextNotFound, match="0 times"):
        apply_edits([Edit("services/pipeline/lease.py", "no such text", "")])
