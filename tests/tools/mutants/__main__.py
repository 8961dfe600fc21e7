"""`make mutants`: how many small faults, put into the write path one at a time, turn a fast test red (MODULES=…: some modules)."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.tools.mutants import results, selection


def main() -> int:
    """Print the table; 1 when a module is below its score."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument(
        "modules", nargs="*", help="paths of modules or folders; without any, all that are held to a score"
    )
    parser.add_argument(
        "--tests", nargs="*", default=(), help="paths of tests to judge by, instead of the package's own"
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0, help="stop a package's run after so long; 0: never")
    parser.add_argument(
        "--survivors", type=Path, default=ROOT / "artifacts" / "survivors.txt", help="where to write their diffs"
    )
    args = parser.parse_args()
    modules = _expand(args.modules) or selection.all_modules(ROOT)
    outcomes: list[results.ModuleOutcome] = []
    survivors: list[str] = []
    for group in selection.group_by_package(modules, tuple(args.tests), ROOT):
        run_group(group, names=[], processes=args.processes, seconds=args.seconds)
        outcomes += results.read_outcomes(group.modules)
        survivors += results.list_survivors(group.modules)
    print("\n" + results.to_table(outcomes))
    args.survivors.parent.mkdir(parents=True, exist_ok=True)
    args.survivors.write_text("\n".join(survivors), encoding="utf-8")
    print(f"\nSurvivors: {args.survivors}")
    return int(any(outcome.score < selection.required_score(outcome.module) for outcome in outcomes))


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
