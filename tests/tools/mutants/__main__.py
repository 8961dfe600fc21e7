"""`make mutants`: how many small faults, put into the write path one at a time, turn a fast test red (MODULES=…: some modules)."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping

from tests.support.paths import ROOT
from tests.tools.mutants import changed, results, selection

REPORT = ROOT / "docs" / "mutants.md"
SURVIVORS = ROOT / "artifacts" / "survivors.txt"


def main() -> int:
    """Print the table; 1 when a module is below its score, or a changed function is hardly tested."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument(
        "modules", nargs="*", help="paths of modules or folders; without any, all that are held to a score"
    )
    parser.add_argument("--changed", metavar="COMMIT", help="only functions that differ from this commit")
    parser.add_argument(
        "--tests", nargs="*", default=(), help="paths of tests to judge by, instead of the package's own"
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=0, help="stop after so long, in equal parts per package; 0: never"
    )
    args = parser.parse_args()
    modules = _expand(args.modules) or selection.all_modules(ROOT)
    if args.changed:
        return _judge_changed(args.changed, modules, args)
    outcomes: list[results.ModuleOutcome] = []
    survivors: list[str] = []
    guard_survivors: dict[str, int] = {}
    for group in _run_groups(modules, args, {}):
        outcomes += results.read_outcomes(group.modules)
        survivors += results.list_survivors(group.modules)
        guard_survivors |= results.count_survivors_by_function(set(group.modules) & set(selection.GUARD_MODULES))
    print(f"\n{results.to_table(outcomes, selection.required_score)}")
    _write_survivors(survivors)
    if not args.modules and not args.seconds:
        REPORT.write_text(results.to_report(outcomes, guard_survivors, selection.required_score), encoding="utf-8")
        print(f"Report: {REPORT}")
    return int(any(outcome.is_below(selection.required_score(outcome.module)) for outcome in outcomes))


def _judge_changed(commit: str, modules: list[str], args: argparse.Namespace) -> int:
    try:
        functions = changed.find_changed_functions(commit, modules, ROOT)
    except changed.NoHistory as reason:
        print(f"{reason} No mutant was run.")
        return 0
    outcomes: list[results.ModuleOutcome] = []
    survivors: list[str] = []
    for group in _run_groups(list(functions), args, functions):
        outcomes += results.read_functions(name for module in group.modules for name in functions[module])
        survivors += results.list_survivors(group.modules)
    print(f"\n{results.to_table(outcomes, lambda _: selection.CHANGED_FUNCTION_SCORE)}")
    _write_survivors(survivors)
    return int(any(outcome.is_below(selection.CHANGED_FUNCTION_SCORE) for outcome in outcomes))


def _run_groups(
    modules: list[str], args: argparse.Namespace, functions: Mapping[str, list[str]]
) -> Iterator[selection.Group]:
    """Each package's group after its run; `functions` are the patterns of the mutants to run, per module, or none for all."""
    groups = selection.group_by_package(modules, tuple(args.tests), ROOT)
    for group in groups:
        names = [name for module in group.modules for name in functions.get(module, ())]
        run_group(group, names=names, processes=args.processes, seconds=args.seconds / len(groups))
        yield group


def _write_survivors(survivors: list[str]) -> None:
    SURVIVORS.parent.mkdir(parents=True, exist_ok=True)
    SURVIVORS.write_text("\n".join(survivors), encoding="utf-8")
    print(f"\nSurvivors: {SURVIVORS}")


def run_group(group: selection.Group, *, names: list[str], processes: int, seconds: float) -> None:
    """mutmut over one package's modules; its own words are shown only when it fails."""
    print(f"{group.package}: {len(group.modules)} modules", flush=True)
    request = {
        "modules": group.modules,
        "tests": group.tests,
        "names": names,
        "processes": processes,
        "seconds": seconds,
    }
    command = [sys.executable, "-m", "tests.tools.mutants.mutation_run"]
    done = subprocess.run(command, input=json.dumps(request), text=True, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout[-6_000:]}\n{done.stderr[-3_000:]}")


def _expand(paths: list[str]) -> list[str]:
    chosen: list[str] = []
    for name in paths:
        path = ROOT / name
        if not path.exists():
            sys.exit(f"There is no {name}.")
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        chosen += [file.relative_to(ROOT).as_posix() for file in files if file.name not in selection.NOT_MUTATED]
    return chosen


if __name__ == "__main__":
    sys.exit(main())
