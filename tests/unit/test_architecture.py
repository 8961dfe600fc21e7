"""The house rules that a machine can hold: sizes, who says what where, and that every question is asked and tested."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from services.gcp import query_catalog
from tests.support.paths import ROOT

PAGES = sorted((ROOT / "pages").glob("*.py"))
CODE = sorted(path for folder in ("app", "pages", "services") for path in (ROOT / folder).rglob("*.py"))
QUERIES = sorted(path for path in (ROOT / "queries").rglob("*.sql") if path.parent.name not in ("schema", "parts"))
PARTS = sorted((ROOT / "queries" / "parts").glob("*.sql"))
MODULES_ALLOWED_LONGER = {  # a module may be longer for a reason
    "services/gcp/error_table.py": "one table, a row per error",
    "services/sandbox/bigquery/job_server.py": "BigQuery's surface, method by method",
}
SQL_STATEMENT = re.compile(r"\b(SELECT\s.+\sFROM|INSERT INTO|MERGE INTO|DELETE FROM|DROP TABLE)\b", re.DOTALL)


def relative_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def count_code_lines(path: Path) -> int:
    """Lines of code: neither blank lines, nor comments, nor docstrings."""
    text = path.read_text(encoding="utf-8")
    documented_nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstring_lines: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, documented_nodes) and ast.get_docstring(node):
            docstring_lines |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    code = [line.strip() for number, line in enumerate(text.splitlines(), 1) if number not in docstring_lines]
    return sum(bool(line) and not line.startswith("#") for line in code)


def read_all_source(folder: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob("*.py"))


def imported_modules(tree: ast.AST) -> set[str]:
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return modules | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("page", PAGES, ids=relative_name)
def test_a_page_has_at_most_120_lines_no_try_and_no_data_library(page):
    tree = ast.parse(page.read_text(encoding="utf-8"))
    assert len(page.read_text(encoding="utf-8").splitlines()) <= 120
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Try)], "a page has no try"
    assert not {module.split(".")[0] for module in imported_modules(tree)} & {"pandas", "google", "plotly", "requests"}
    assert not SQL_STATEMENT.search(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", CODE, ids=relative_name)
def test_a_module_is_short_and_has_a_docstring(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert count_code_lines(module) <= 250 or relative_name(module) in MODULES_ALLOWED_LONGER
    assert not tree.body or ast.get_docstring(tree), "the first line says what the module is for"


def test_only_the_session_module_caches_connections():
    connection_modules = {relative_name(path) for path in CODE if "cache_resource" in path.read_text(encoding="utf-8")}
    cache_modules = {relative_name(path) for path in CODE if "cache_data(" in path.read_text(encoding="utf-8")}
    assert (connection_modules, cache_modules) == ({"app/state/session.py"}, set())


def test_queries_are_found():
    assert QUERIES


@pytest.mark.parametrize("path", QUERIES, ids=relative_name)
def test_every_query_has_a_header_a_caller_and_a_test(path):
    query_name = f"{path.parent.name}.{path.stem}"
    assert query_catalog.load(query_name).description
    assert query_name in read_all_source("services"), f"nobody asks {query_name}"
    assert query_name in read_all_source("tests"), f"no test shows what {query_name} answers"


@pytest.mark.parametrize("path", [*QUERIES, *PARTS], ids=relative_name)
def test_no_query_reads_the_current_time(path):
    assert not re.search(r"\bCURRENT_(DATE|TIME|TIMESTAMP|DATETIME)\b", path.read_text(encoding="utf-8"), re.I)
