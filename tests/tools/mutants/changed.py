"""Which functions a commit changed, as mutmut names them."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

_FILE = re.compile(r"^\+\+\+ b/(.+)$")
_HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@")
_METHOD_SEPARATOR = "ǁ"


class NoHistory(Exception):
    """The commit to compare with is not in this clone."""


def find_changed_functions(base: str, modules: list[str], root: Path) -> dict[str, list[str]]:
    """Of each of these modules that differs from `base`, the patterns of its changed functions' mutants; raises NoHistory."""
    command = ["git", "diff", "--unified=0", "--no-ext-diff", base, "--", *modules]
    done = subprocess.run(command, cwd=root, text=True, capture_output=True, check=False)
    if done.returncode:
        raise NoHistory(f"There is no {base} to compare with: {done.stderr.strip().splitlines()[0]}")
    changed = {
        module: sorted(name_functions((root / module).read_text(encoding="utf-8"), module, lines))
        for module, lines in parse_changed_lines(done.stdout).items()
    }
    return {module: names for module, names in changed.items() if names}


def parse_changed_lines(diff: str) -> dict[str, set[int]]:
    """The lines of each file that a diff without context adds; where it only removes, the line before."""
    lines_by_file: dict[str, set[int]] = {}
    lines: set[int] = set()
    for text in diff.splitlines():
        if match := _FILE.match(text):
            lines = lines_by_file.setdefault(match[1], set())
        elif match := _HUNK.match(text):
            start, count = int(match[1]), int(match[2] or 1)
            lines |= set(range(start, start + max(1, count)))
    return lines_by_file


def name_functions(source: str, module: str, lines: set[int]) -> Iterator[str]:
    """A pattern for the mutants of each function or method that has one of the lines."""
    prefix = module.removesuffix(".py").replace("/", ".")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _has_line(node, lines):
            yield f"{prefix}.x_{node.name}__mutmut_*"
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and _has_line(method, lines):
                    yield f"{prefix}.x{_METHOD_SEPARATOR}{node.name}{_METHOD_SEPARATOR}{method.name}__mutmut_*"


def _has_line(node: ast.stmt, lines: set[int]) -> bool:
    return not lines.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1))
