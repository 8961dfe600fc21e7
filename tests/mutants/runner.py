"""Runs fast tests with a guard switched off, each time in a fork of a process in which they have passed with every guard in place.

    python -m tests.mutants.runner < cases as JSON > outcomes as JSON

An edit changes the code of functions that are loaded; nothing on the disk is changed. All that costs time, imports, collection
and the translation of statements, is done before the forks.
"""

from __future__ import annotations

import importlib
import inspect
import io
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType

import pytest

from tests.support.paths import ROOT

PYTEST_OPTIONS = (
    "-x",
    "-q",
    "--tb=line",
    *(part for plugin in ("cacheprovider", "xdist", "cov", "warnings") for part in ("-p", f"no:{plugin}")),
)
PARALLEL = 2


class EditNotPossible(AssertionError):
    """The text to be replaced is not in the file exactly once, or is not in a function."""


@dataclass(frozen=True)
class Edit:
    """One replacement in a module, given by its path from the repository's root; `old` is in it exactly once."""

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
            raise EditNotPossible(f"{edit.file} has the text {edit.old!r} {text.count(edit.old)} times, not once.")
        texts[edit.file] = text.replace(edit.old, edit.new)
    return texts


def replace_code(edits: Sequence[Edit]) -> None:
    """Give the loaded functions of the edited modules their edited code."""
    for file, text in apply_edits(edits).items():
        module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
        before = _codes_by_name((ROOT / file).read_text(encoding="utf-8"), file)
        after = _codes_by_name(text, file)
        changed = {name for name, code in after.items() if name not in before or not _same(code, before[name])}
        functions = {f.__qualname__: f for f in _functions_of(module)}
        if not changed or changed - set(functions):
            raise EditNotPossible(f"{file}: only code inside a function can be edited, not {sorted(changed)}.")
        for name in changed:
            functions[name].__code__ = after[name]


def _codes_by_name(text: str, file: str) -> dict[str, CodeType]:
    """The code of every function that is not inside another one, by its qualified name."""
    return {code.co_qualname: code for code in _outermost(compile(text, str(ROOT / file), "exec", dont_inherit=True))}


def _outermost(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            is_class = not inner.co_flags & inspect.CO_OPTIMIZED
            yield from _outermost(inner) if is_class else (inner,)


def _same(code: CodeType, other: CodeType) -> bool:
    """Whether two codes do the same, wherever they are in their files."""
    if (code.co_code, code.co_names, len(code.co_consts)) != (other.co_code, other.co_names, len(other.co_consts)):
        return False
    pairs = zip(code.co_consts, other.co_consts, strict=True)
    return all(_same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else a == b for a, b in pairs)


def _functions_of(container: ModuleType | type) -> Iterator[FunctionType]:
    """The functions that a module, or a class in it, defines, without their decorators."""
    module_name = container.__name__ if isinstance(container, ModuleType) else container.__module__
    for member in vars(container).values():
        if isinstance(member, type) and member.__module__ == module_name:
            yield from _functions_of(member)
            continue
        plain = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        function = inspect.unwrap(plain) if callable(plain) else None
        if isinstance(function, FunctionType) and function.__module__ == module_name:
            yield function


def run_tests(edits: Sequence[Edit], tests: Sequence[str]) -> Outcome:
    """pytest on some files, after the edits."""
    replace_code(edits)
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        code = pytest.main([*PYTEST_OPTIONS, *tests])
    return Outcome(int(code), printed.getvalue())


def run_all(cases: Sequence[tuple[Sequence[Edit], Sequence[str]]]) -> list[Outcome]:
    """The outcome of all tests without an edit, then of each case, in order."""
    all_tests = dict.fromkeys(test for _, tests in cases for test in tests)
    unedited = run_tests((), tuple(all_tests))
    if unedited.exit_code:
        return [unedited] * (1 + len(cases))
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
    return [unedited, *(outcomes[number] for number in range(len(cases)))]


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
    """Standard input and output are JSON: per case [[[file, old, new], …], [test, …]]; exit code and output, first without edits."""
    cases = [([Edit(*edit) for edit in edits], tests) for edits, tests in json.load(sys.stdin)]
    outcomes = run_all(cases)
    json.dump([[outcome.exit_code, outcome.output] for outcome in outcomes], sys.stdout)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
