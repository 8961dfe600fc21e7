"""One run of mutmut over the modules of one group, in this process: its state is global, so each group has a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from pathlib import Path

from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.mutation import file_mutation
from mutmut.mutation.data import SourceFileMutationData
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

from tests.tools.mutants.texts import TextExcludingVisitor

TESTS_OF_A_MUTANT_S = 5.0
"""Seconds that the tests of one mutant take at most, when all of them pass."""
NO_TESTS = next(code for code, status in status_by_exit_code.items() if status == "no tests")


def main() -> None:
    """Standard input: a JSON object with modules, tests, names (patterns of mutants; empty for all), processes and seconds."""
    request = json.load(sys.stdin)
    shutil.rmtree("mutants", ignore_errors=True)  # mutmut keeps the results of mutants whose tests have changed since
    config().only_mutate = request["modules"]
    config().pytest_add_cli_args_test_selection = request["tests"]
    file_mutation.MutationVisitor = TextExcludingVisitor  # type: ignore[misc]
    mutmut.collect_or_load_stats = partial(_collect_fastest, mutmut.collect_or_load_stats)
    deadline = time.monotonic() + request["seconds"] if request["seconds"] else float("inf")
    if request["seconds"]:
        timer = threading.Timer(request["seconds"], os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        timer.start()
    try:
        mutmut._run(tuple(request["names"]), request["processes"])
    except (KeyboardInterrupt, SystemExit):
        if time.monotonic() >= deadline:
            return  # what has not run is "not checked"
        if any(state().tests_by_mangled_function_name.values()) or not state().duration_by_test:
            raise
        _record_all_as_untested()


def _collect_fastest(collect: Callable[..., None], *args: object, **options: object) -> None:
    """Which tests reach which function; of each function's tests the fastest, in that order, up to the bound."""
    collect(*args, **options)
    durations, tests_of = state().duration_by_test, state().tests_by_mangled_function_name
    for function, tests in tests_of.items():
        ordered = sorted(tests, key=lambda test: (durations[test], test))
        total = accumulate(durations[test] for test in ordered)
        tests_of[function] = [test for test, after in zip(ordered, total, strict=True) if after <= TESTS_OF_A_MUTANT_S]  # type: ignore[assignment]


def _record_all_as_untested() -> None:
    """mutmut stops before the first mutant when the tests passed and reach none."""
    for path in walk_mutatable_files():
        mutants = SourceFileMutationData(path=path)
        mutants.load()
        mutants.exit_code_by_key = dict.fromkeys(mutants.exit_code_by_key, NO_TESTS)
        mutants.save()


if __name__ == "__main__":
    if not Path("services").is_dir():
        sys.exit("Run it from the repository's root.")
    main()
