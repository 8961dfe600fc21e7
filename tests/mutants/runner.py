"""Runs fast tests against copies of modules in which a guard is switched off; each in a fork of a process that has the libraries.

    python -m tests.mutants.runner < mutants as JSON > outcomes as JSON

The fork imports our own modules anew, the edited ones from their edited text; nothing on the disk is changed.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from tests.support.paths import ROOT

LIBRARIES = (  # what the tests import, once for all forks; the engine is connected only in a fork
    "duckdb",
    "google.cloud.bigquery",
    "google.cloud.logging",
    "google.cloud.run_v2",
    "google.cloud.scheduler_v1",
    "hypothesis",
    "pydantic",
    "requests",
    "sqlglot",
    "starlette.applications",
    "tests.support.memory_clients",
)
OUR_PACKAGES = ("services", "tests")
PARALLEL = 2


class TextNotFound(AssertionError):
    """The text to be replaced is not in the file exactly once."""


@dataclass(frozen=True)
class Edit:
    """One replacement in a file, given from the repository's root; `old` is in it exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Outcome:
    """pytest's exit code of the tests, 0 when all passed, and what it printed."""

    exit_code: int
    output: str


def apply_edits(edits: Sequence[Edit]) -> dict[str, str]:
    """The edited text of each file."""
    texts: dict[str, str] = {}
    for edit in edits:
        text = texts.get(edit.file) or (ROOT / edit.file).read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            raise TextNotFound(f"{edit.file} has the text {edit.old!r} {text.count(edit.old)} times, not once.")
        texts[edit.file] = text.replace(edit.old, edit.new)
    return texts


class _EditedLoader(SourceFileLoader):
    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self._text.encode(), self.path)
        return code


class _EditedFinder(MetaPathFinder):
    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = {file.removesuffix(".py").replace("/", "."): (file, text) for file, text in texts.items()}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._texts:
            return None
        file, text = self._texts[fullname]
        return spec_from_file_location(fullname, loader=_EditedLoader(fullname, str(ROOT / file), text))


def run_tests(edits: Sequence[Edit], tests: Sequence[str]) -> Outcome:
    """In a fork: pytest on some files, our modules imported anew. An import that fails counts as a failed test."""
    for name in [name for name in sys.modules if name.split(".")[0] in OUR_PACKAGES]:
        del sys.modules[name]
    sys.meta_path.insert(0, _EditedFinder(apply_edits(edits)))
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        code = pytest.main(
            [
                "-x",
                "-q",
                "--tb=line",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:xdist",
                "-p",
                "no:cov",
                "-p",
                "no:warnings",
                *tests,
            ]
        )
    return Outcome(int(code), printed.getvalue())


def run_all(cases: Sequence[tuple[Sequence[Edit], Sequence[str]]]) -> list[Outcome]:
    """The outcome of each case, in order; as many forks at once as there are cores."""
    for library in LIBRARIES:
        importlib.import_module(library)
    outcomes: dict[int, Outcome] = {}
    running: dict[int, tuple[int, int]] = {}  # process → case and the pipe with its outcome
    waiting = list(enumerate(cases))
    while waiting or running:
        while waiting and len(running) < PARALLEL:
            number, (edits, tests) = waiting.pop(0)
            pid, pipe = _fork(edits, tests)
            running[pid] = number, pipe
        number, pipe = running.pop(_wait_for_one(running))
        outcomes[number] = _read_outcome(pipe)
    return [outcomes[number] for number in range(len(cases))]


def _fork(edits: Sequence[Edit], tests: Sequence[str]) -> tuple[int, int]:
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write_end)
        return pid, read_end
    try:
        outcome = run_tests(edits, tests)
        answer = {"exit_code": outcome.exit_code, "output": outcome.output[-1_500:]}
    except BaseException:  # the fork must not go on as its parent would
        answer = {"exit_code": -1, "output": traceback.format_exc()[-1_500:]}
    os.write(write_end, json.dumps(answer).encode())
    os._exit(0)


def _wait_for_one(running: Mapping[int, object]) -> int:
    while True:
        pid, _ = os.wait()
        if pid in running:
            return pid


def _read_outcome(pipe: int) -> Outcome:
    with os.fdopen(pipe, "rb") as answer:
        return Outcome(**json.loads(answer.read()))


def main() -> None:
    """Standard input and output are JSON: [[[file, old, new], …], [test, …]] and [exit code, output] per case."""
    cases = [([Edit(*edit) for edit in edits], tests) for edits, tests in json.load(sys.stdin)]
    outcomes = run_all(cases)
    json.dump([[outcome.exit_code, outcome.output] for outcome in outcomes], sys.stdout)


if __name__ == "__main__":
    os.chdir(Path(ROOT))
    main()
