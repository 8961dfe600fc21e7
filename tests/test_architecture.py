"""The house rules that a machine can hold: sizes, who says what where, and that every question is asked and tested."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from services.gcp import query_catalog as catalog

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "pages").glob("*.py"))
CODE = sorted(path for folder in ("app", "pages", "services") for path in (ROOT / folder).rglob("*.py"))
QUERIES = sorted(path for path in (ROOT / "queries").rglob("*.sql") if path.parent.name not in ("schema", "parts"))
PARTS = sorted((ROOT / "queries" / "parts").glob("*.sql"))
LONGER = {  # a module may be longer for a reason
    "services/gcp/error_table.py": "one table, a row per error",
    "services/sandbox/bigquery/job_server.py": "BigQuery's surface, method by method",
}
SQL = re.compile(r"\b(SELECT\s.+\sFROM|INSERT INTO|MERGE INTO|DELETE FROM|DROP TABLE)\b", re.DOTALL)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines(path: Path) -> int:
    """Lines of code: neither blank lines, nor comments, nor docstrings."""
    text = path.read_text(encoding="utf-8")
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    told: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, described) and ast.get_docstring(node):
            told |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    code = [line.strip() for number, line in enumerate(text.splitlines(), 1) if number not in told]
    return sum(bool(line) and not line.startswith("#") for line in code)


def everything_in(folder: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob("*.py"))


def imports(tree: ast.AST) -> set[str]:
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_reads_shows_and_confirms_in_120_lines(page):
    tree = ast.parse(page.read_text(encoding="utf-8"))
    assert len(page.read_text(encoding="utf-8").splitlines()) <= 120
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Try)], "a page has no try"
    assert not {module.split(".")[0] for module in imports(tree)} & {"pandas", "google", "plotly", "requests"}
    assert not SQL.search(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", CODE, ids=name)
def test_a_module_fits_in_the_head_and_starts_with_what_it_is_for(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert lines(module) <= 250 or name(module) in LONGER
    assert not tree.body or ast.get_docstring(tree), "the first line says what the module is for"


def test_only_the_session_holds_connections_and_answers_are_kept_in_one_place():
    held = {name(path) for path in CODE if "cache_resource" in path.read_text(encoding="utf-8")}
    cached = {name(path) for path in CODE if "cache_data(" in path.read_text(encoding="utf-8")}
    assert (held, cached) == ({"app/state/session.py"}, set())


def test_there_are_questions():
    assert QUERIES


@pytest.mark.parametrize("path", QUERIES, ids=name)
def test_a_query_has_a_header_a_caller_and_a_case(path):
    question = f"{path.parent.name}.{path.stem}"
    assert catalog.load(question).question
    assert question in everything_in("services"), f"nobody asks {question}"
    assert question in everything_in("tests"), f"no test shows what {question} answers"


@pytest.mark.parametrize("path", [*QUERIES, *PARTS], ids=name)
def test_a_query_never_asks_the_warehouse_what_time_it_is(path):
    assert not re.search(r"\bCURRENT_(DATE|TIME|TIMESTAMP|DATETIME)\b", path.read_text(encoding="utf-8"), re.I)
