"""What mutmut recorded: the outcome of every mutant by module, and the diffs of those that no test noticed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import mangled_name_from_mutant_name

from tests.support.paths import ROOT

REASONS: Mapping[str, str] = {
    "batches.business_key.line_text": "the format F writes every number that is one as the format f does",
    "pipeline.lease._labels": "a name in lower case has no X to be let through",
    "pipeline.consolidator.Consolidator._compact": "the rows before the first copy are never read: a manifest has a table",
    "pipeline.consolidator.Consolidator._parallel": "how many threads drop the tables changes the duration alone",
    "pipeline.merge._comparable": "whether an element is repeated is None instead of False: neither is true",
    "pipeline.merge._decision_ctes": "names of columns and words of SQL mean the same in capitals",
    "pipeline.merge.merge_sql": "BigQuery takes the alias t for T, since aliases have no case",
    "batches.ledger.Ledger.append_outcomes": "another digest of the same rows",
    "batches.ledger.Ledger._append": "details hold nothing that JSON does not know",
    "pipeline.coordinator.batch_runner.BatchRunner._consolidate_when_free": "seconds of a wait that is counted in fives",
    "pipeline.coordinator.http_api.create_app": "Starlette takes methods in any case",
    "pipeline.coordinator.dispatcher.dispatch": "connections kept open between requests: what is sent is the same",
    "pipeline.coordinator.dispatcher.get_worker_endpoint": "a second more before Cloud Run is given up",
    "pipeline.coordinator.resume._plan_eligible": "another false value, and players that the caller replaces",
    "pipeline.coordinator.run_request.plan_run": "a cast is for the type checker alone",
    "actions.executor._read_attempts": "the log is read once more, which finds the same",
    "actions.executor._verify": "without a failure its text is empty, and the message stays as it is",
    "actions.plan.plan_from_json": "only guards have a part whose stored key differs",
    "alerts.batch_rules.row_conservation": "players without generated rows are left out before",
    "alerts.evaluation._coverage": "of a longer list of reasons the first is the same",
    "pipeline.lease._count_taken": "another way of searching, which finds the same number with more calls",
}
"""Why a fault in a function makes no difference; where there is no reason, a test is missing."""
KILLED = ("killed", "timeout", "segfault")


@dataclass(frozen=True)
class ModuleOutcome:
    """The mutants of one module by outcome; `untested` are those that no test reaches."""

    module: str
    killed: int
    survived: int
    untested: int
    unchecked: int

    @property
    def mutants(self) -> int:
        return self.killed + self.survived + self.untested

    @property
    def score(self) -> float | None:
        """Per cent killed of those that ran or that nothing reaches; None when there were none."""
        return 100 * self.killed / self.mutants if self.mutants else None

    def is_below(self, floor: int) -> bool:
        """Whether a score is known and too low."""
        return self.score is not None and self.score < floor


def read_outcomes(modules: Iterable[str]) -> list[ModuleOutcome]:
    return [_to_outcome(module, Counter(_read_statuses(module).values())) for module in modules]


def read_functions(patterns: Iterable[str]) -> list[ModuleOutcome]:
    """The outcome of each function, given by the pattern of its mutants, under its own name."""
    functions = []
    for pattern in patterns:
        name = pattern.removesuffix("__mutmut_*")
        module = f"{name.rpartition('.')[0].replace('.', '/')}.py"
        statuses = [s for mutant, s in _read_statuses(module).items() if mangled_name_from_mutant_name(mutant) == name]
        functions.append(_to_outcome(name.removeprefix("services."), Counter(statuses)))
    return functions


def list_survivors(modules: Iterable[str]) -> list[str]:
    """The diff of each mutant that its tests let pass, and the functions that no test reaches."""
    found: list[str] = []
    for module in modules:
        statuses = _read_statuses(module)
        untested = {mangled_name_from_mutant_name(name) for name, status in statuses.items() if status == "no tests"}
        found += [f"# {name}: no test reaches it" for name in sorted(untested)]
        survived = (name for name, status in statuses.items() if status in ("survived", "suspicious"))
        found += [f"# {name}\n{get_diff_for_mutant(name, path=module)}" for name in survived]
    return found


def count_survivors_by_function(modules: Iterable[str]) -> dict[str, int]:
    """How many mutants of each function no test noticed, untested ones too; functions without any are left out."""
    counts: Counter[str] = Counter()
    for module in modules:
        for name, status in _read_statuses(module).items():
            counts[mangled_name_from_mutant_name(name)] += status in ("survived", "suspicious", "no tests")
    return {name: count for name, count in counts.items() if count}


def to_report(outcomes: list[ModuleOutcome], guard_survivors: Mapping[str, int], floor: Callable[[str], int]) -> str:
    """docs/mutants.md: the table, and of the modules that hold the promises each function with survivors and its reason."""
    lines = [
        "# Mutants",
        "",
        "Written by `make mutants`: small faults (mutmut 3) put into the write path, the actions and the alerts one at a time,",
        "and how many of them turn a fast test red. Texts and log lines are left alone. Guards have mutants made by hand:",
        "`tests/mutants/guards.py`.",
        "",
        "```",
        to_table(outcomes, floor),
        "```",
        "",
        "## Survivors in the modules that hold the promises",
        "",
        "| function | survivors | why they may |",
        "|---|---:|---|",
    ]
    for name, count in sorted(guard_survivors.items()):
        lines.append(
            f"| `{_readable(name)}` | {count} | {REASONS.get(_readable(name), 'no reason yet: it wants a test')} |"
        )
    return "\n".join(lines) + "\n"


def _readable(mangled_name: str) -> str:
    """`pipeline.lease.Lease.renew` of mutmut's name for the function."""
    module, _, function = mangled_name.removeprefix("services.").rpartition(".")
    return f"{module}.{function[2:].replace('ǁ', '.')}"


def to_table(outcomes: list[ModuleOutcome], floor: Callable[[str], int]) -> str:
    """One line a module, or a function, with the per cent that `floor` asks of it; and the total."""
    if not outcomes:
        return "Nothing was mutated."
    lines = [f"{'module':58}{'mutants':>9}{'killed':>9}{'survived':>10}{'untested':>10}{'score':>8}{'floor':>7}"]
    lines += [_to_line(outcome, f"{floor(outcome.module)} %") for outcome in outcomes]
    counts = [[o.killed, o.survived, o.untested, o.unchecked] for o in outcomes]
    lines.append(_to_line(ModuleOutcome("all", *map(sum, zip(*counts, strict=True))), ""))
    return "\n".join(lines)


def _to_line(outcome: ModuleOutcome, floor: str) -> str:
    unchecked = f"  {outcome.unchecked} not run" if outcome.unchecked else ""
    score = "" if outcome.score is None else f"{outcome.score:.0f} %"
    counts = f"{outcome.mutants:9}{outcome.killed:9}{outcome.survived:10}{outcome.untested:10}"
    return f"{outcome.module:58}{counts}{score:>8}{floor:>7}{unchecked}"


def _read_statuses(module: str) -> dict[str, str]:
    """The status of each mutant by its name; empty for a module without functions to mutate."""
    path = ROOT / "mutants" / f"{module}.meta"
    if not path.exists():
        return {}
    recorded = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return {name: status_by_exit_code[exit_code] for name, exit_code in recorded.items()}


def _to_outcome(module: str, statuses: Counter[str]) -> ModuleOutcome:
    killed = sum(statuses[status] for status in KILLED)
    unchecked = statuses["not checked"] + statuses["check was interrupted by user"]
    untested = statuses["no tests"]
    return ModuleOutcome(module, killed, statuses.total() - killed - unchecked - untested, untested, unchecked)
