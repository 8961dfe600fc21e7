"""`make audit`: known vulnerabilities in the pinned packages. One fails; a service that is down is reported and passes."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.paths import ROOT

REQUIREMENTS = ROOT / "requirements.txt"


def evaluate_audit(code: int, out: str, err: str) -> tuple[int, str]:
    """(exit code, sentence) for what pip-audit answered."""
    try:
        report = json.loads(out)
    except ValueError:
        last_line = (err.strip().splitlines() or ["no reason given"])[-1]
        return (
            0,
            f"The advisory service could not be asked ({last_line[:160]}): the packages are not audited this time.",
        )
    packages = report["dependencies"]
    vulnerabilities = [
        f"{package['name']} {package['version']}: {vulnerability['id']}"
        for package in packages
        for vulnerability in package.get("vulns", ())
    ]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if vulnerabilities:
        return 1, "Known vulnerabilities in pinned packages: " + "; ".join(
            vulnerabilities
        ) + ". Raise the version in pyproject.toml, then make lock."
    if len(skipped) == len(packages):
        skip_reason = next(
            (package["skip_reason"] for package in packages if "skip_reason" in package), "nothing is pinned"
        )
        return (
            0,
            f"The advisory service could not be asked ({skip_reason[:160]}): the packages are not audited this time.",
        )
    if code:
        return 1, f"pip-audit ended with {code}: {err.strip()[-300:]}"
    skipped_note = f"; {len(skipped)} could not be looked up" if skipped else ""
    return 0, f"No known vulnerability in {len(packages) - len(skipped)} pinned packages{skipped_note}."


def main() -> None:
    command = [sys.executable, "-m", "pip_audit", "-r", str(REQUIREMENTS), "--require-hashes", "--disable-pip"]
    try:
        result = subprocess.run(
            [*command, "--format", "json", "--timeout", "10"], capture_output=True, text=True, timeout=240
        )
        code, message = evaluate_audit(result.returncode, result.stdout, result.stderr)
    except subprocess.TimeoutExpired:
        code, message = evaluate_audit(1, "", "it did not answer in time")
    print(message)
    sys.exit(code)


if __name__ == "__main__":
    main()
