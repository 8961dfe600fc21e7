"""The rules of docs/architecture.md that a machine can check: sizes, what a page may import, and that every query is run and tested."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from services.core.tables import PREDICTIONS_TABLE, PREDICTIONS_TABLE_NAME
from services.gcp import query_catalog
from tests.support.paths import ROOT

PAGES = sorted((ROOT / "pages").glob("*.py"))
CODE = sorted(path for folder in ("app", "pages", "services") for path in (ROOT / folder).rglob("*.py"))
QUERIES = sorted(
    path for path in (ROOT / "queries").rglob("*.sql") if path.parent.name not in ("schema", "parts", "phases")
)  # services/phases runs every file of queries/phases, tests/integration/customer/test_phases.py too
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


def parse_folder(folder: str) -> list[ast.Module]:
    return [ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / folder).rglob("*.py"))]


def called_name(call: ast.Call) -> str:
    """The last part of what is called; of `partial(run_query, …)` the function that it wraps."""
    function = (
        call.args[0] if isinstance(call.func, ast.Name) and call.func.id == "partial" and call.args else call.func
    )
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def parameter_names(function: ast.FunctionDef) -> set[str]:
    return {argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)}


def passes_a_parameter_on(function: ast.FunctionDef, runners: set[str]) -> bool:
    """Whether a function hands one of its own parameters to a runner as the query's name."""
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call) and called_name(node) in runners)
    named_by = (argument for call in calls for argument in call.args[:2])
    clients = {"clients", "self"}
    return any(isinstance(name, ast.Name) and name.id in parameter_names(function) - clients for name in named_by)


def queries_run_in(trees: list[ast.Module]) -> set[str]:
    """The names that are given, as literals or as a parameter's default, to `run_query` or to a function that hands them on to it."""
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    runners: set[str] = {"run_query"}
    while callers := {f.name for f in functions if f.name not in runners and passes_a_parameter_on(f, runners)}:
        runners |= callers
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    arguments_given = [argument for call in calls if called_name(call) in runners for argument in arguments(call)]
    arguments_given += [default for f in functions if f.name in runners for default in f.args.defaults]
    return {node.value for node in arguments_given if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@cache
def queries_run_by(folder: str) -> set[str]:
    return queries_run_in(parse_folder(folder))


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
    assert query_name in queries_run_by("services"), f"nothing runs {query_name}"
    assert query_name in queries_run_by("tests"), f"no test runs {query_name}"


def test_an_import_or_a_mention_is_no_caller():
    mentions = """
from services.nights import context
ACTION = "nights.odds"
log("nights.odds")
dry_run_bytes(clients, "nights.first_night")
def fetch(clients, name, limit=5):
    return run_query(clients, name)
fetch(clients, "nights.context")
"""
    assert queries_run_in([ast.parse(mentions)]) == {"nights.context"}


@pytest.mark.parametrize("path", [*QUERIES, *PARTS], ids=relative_name)
def test_no_query_reads_the_current_time(path):
    assert not re.search(r"\bCURRENT_(DATE|TIME|TIMESTAMP|DATETIME)\b", path.read_text(encoding="utf-8"), re.I)


def files_with(text: str, *folders: str) -> set[str]:
    paths = (p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file() and p.suffix != ".pyc")
    return {relative_name(path) for path in paths if text.encode() in path.read_bytes()}


def test_the_name_of_the_predictions_table_stands_once_in_python_and_once_in_sql():
    scenarios = (
        "services/sandbox/scenarios"  # the sandbox's copies of their table: as the handoff needs it, and as it is
    )
    schemas = {f"{scenarios}/{folder}/{PREDICTIONS_TABLE_NAME}.sql" for folder in ("schema", "customer/schema")}
    homes = {"services/core/tables.py", "queries/parts/predictions.sql", *schemas}
    assert files_with(PREDICTIONS_TABLE_NAME, "app", "pages", "services", "queries", "deploy", "tests") == homes
    part = (ROOT / "queries" / "parts" / "predictions.sql").read_text(encoding="utf-8")
    assert part.splitlines()[1:] == [PREDICTIONS_TABLE]


def test_the_coverage_thresholds_are_read_and_applied_in_one_place():
    home, settings = "services/policy/coverage_thresholds.py", "services/core/thresholds.py"
    for setting in ("coverage_warning_pct", "coverage_critical_pct"):
        assert files_with(setting, "app", "pages", "services") == {home, settings}
    users = {"services/nights/coverage.py", "services/judgement/players.py"}
    assert files_with("classify_coverage", "app", "pages", "services") == {home, *users}


DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
REPOSITORY_PATH = re.compile(r"`((?:app|deploy|docs|pages|queries|services|tests)/[\w./-]*\w\.\w+)`")
DOCUMENT_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)[^)]*\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative_name)
def test_every_path_and_link_in_a_document_exists(document):
    text = document.read_text(encoding="utf-8")
    paths = {ROOT / path for path in REPOSITORY_PATH.findall(text)}
    links = {document.parent / link for link in DOCUMENT_LINK.findall(text)}
    assert {path for path in paths | links if not path.exists()} == set()


def test_the_architecture_document_names_every_package_of_services():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    packages = {path.parent.name for path in (ROOT / "services").glob("*/*.py")}
    assert {name for name in packages if f"`{name}`" not in text and f"services/{name}" not in text} == set()
