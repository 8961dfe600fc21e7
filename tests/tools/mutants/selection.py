"""Which modules are mutated, with the score that each must reach, and which fast tests judge them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GUARDS_SCORE = 90
"""Per cent of mutants killed, of the modules that hold the write path's promises."""
OTHER_SCORE = 75
"""Per cent of mutants killed, of everything else in these packages."""
CHANGED_FUNCTION_SCORE = 50
"""Per cent of a changed function's mutants killed; with less it is hardly tested."""

PACKAGES = ("pipeline", "batches", "actions", "alerts", "gcp", "auth", "aliases")
"""The packages of `services` that are mutated; batches for its guard modules only."""
GUARD_MODULES = (
    "services/pipeline/merge.py",
    "services/pipeline/merge_counts.py",
    "services/pipeline/consolidator.py",
    "services/pipeline/lease.py",
    "services/batches/ledger.py",
    "services/batches/closing.py",
    "services/batches/conservation.py",
    "services/batches/business_key.py",
    "services/pipeline/worker/staging_writer.py",
    "services/pipeline/coordinator/dispatcher.py",
    "services/pipeline/coordinator/batch_runner.py",
    "services/pipeline/coordinator/batch_tracker.py",
    "services/pipeline/coordinator/stop.py",
    "services/pipeline/coordinator/resume.py",
    "services/pipeline/coordinator/run_request.py",
    "services/pipeline/coordinator/http_api.py",
    "services/actions/executor.py",
    "services/actions/plan.py",
    "services/alerts/rule.py",
    "services/alerts/evaluation.py",
    "services/alerts/batch_rules.py",
    "services/alerts/data_rules.py",
    "services/alerts/source_times.py",
)
NOT_MUTATED = ("__main__.py",)
"""Entry points: what they start is what the tests start."""


@dataclass(frozen=True)
class Group:
    """Modules of one package, judged by the same tests; paths from the repository's root."""

    package: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]


def required_score(module: str) -> int:
    return GUARDS_SCORE if module in GUARD_MODULES else OTHER_SCORE


def all_modules(root: Path) -> list[str]:
    """Every module of the packages that is mutated by default, in order."""
    found = (path for package in PACKAGES for path in sorted((root / "services" / package).rglob("*.py")))
    names = [path.relative_to(root).as_posix() for path in found if path.name not in NOT_MUTATED]
    return [name for name in names if not name.startswith("services/batches/") or name in GUARD_MODULES]


def group_by_package(modules: list[str], tests: tuple[str, ...], root: Path) -> list[Group]:
    """The modules by package, each with the given tests or those of the package; of the write path also the fault runs."""
    packages = dict.fromkeys(module.split("/")[1] for module in modules)
    return [
        Group(package, tuple(m for m in modules if m.split("/")[1] == package), tests or _tests_of(package, root))
        for package in packages
    ]


def _tests_of(package: str, root: Path) -> tuple[str, ...]:
    folders = [f"tests/unit/{package}"]
    if package in ("pipeline", "batches"):
        folders += ["tests/unit/pipeline", "tests/unit/batches", "tests/faults"]
    return tuple(dict.fromkeys(folder for folder in folders if (root / folder).is_dir()))
