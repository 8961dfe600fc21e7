"""`make audit`: asks the advisory service about every pinned package. A known hole fails; a service that is down is told and passes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PINNED = Path(__file__).parents[2] / "requirements.txt"


def judge(code: int, out: str, err: str) -> tuple[int, str]:
    """(exit code, sentence) for what pip-audit answered."""
    try:
        told = json.loads(out)
    except ValueError:
        last = (err.strip().splitlines() or ["no reason given"])[-1]
        return 0, f"The advisory service could not be asked ({last[:160]}): the packages are not audited this time."
    packages = told["dependencies"]
    holes = [f"{each['name']} {each['version']}: {hole['id']}" for each in packages for hole in each.get("vulns", ())]
    skipped = [each["name"] for each in packages if "skip_reason" in each]
    if holes:
        return 1, "Known holes in what is pinned: " + "; ".join(
            holes
        ) + ". Raise the version in pyproject.toml, then make lock."
    if len(skipped) == len(packages):
        why = next((each["skip_reason"] for each in packages if "skip_reason" in each), "nothing is pinned")
        return 0, f"The advisory service could not be asked ({why[:160]}): the packages are not audited this time."
    if code:
        return 1, f"pip-audit ended with {code}: {err.strip()[-300:]}"
    left = f"; {len(skipped)} could not be looked up" if skipped else ""
    return 0, f"No known hole in {len(packages) - len(skipped)} pinned packages{left}."


def main() -> None:
    command = [sys.executable, "-m", "pip_audit", "-r", str(PINNED), "--require-hashes", "--disable-pip"]
    try:
        done = subprocess.run(
            [*command, "--format", "json", "--timeout", "10"], capture_output=True, text=True, timeout=240
        )
        code, sentence = judge(done.returncode, done.stdout, done.stderr)
    except subprocess.TimeoutExpired:
        code, sentence = judge(1, "", "it did not answer in time")
    print(sentence)
    sys.exit(code)


if __name__ == "__main__":
    main()
