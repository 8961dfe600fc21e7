"""The image's steps without a container engine: its files in an empty directory, and a Python that has only its packages."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

IMPORT_BLOCKER = """
import sys
class Absent:
    NAMES = frozenset({names!r})
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.NAMES:
            raise ModuleNotFoundError(f"{{name}} is not in the image", name=name)
sys.meta_path.insert(0, Absent())
"""


def parse_dockerfile() -> list[tuple[str, list[str]]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(instruction, arguments.split()) for instruction, _, arguments in (line.partition(" ") for line in lines)]


def build_image_dir(into: Path) -> Path:
    """Copy what the Dockerfile copies, take away what it takes away, and shut out what it does not install."""
    for instruction, arguments in parse_dockerfile():
        if instruction == "COPY" and not arguments[0].startswith("requirements"):
            shutil.copytree(ROOT / arguments[0], into / arguments[1], ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(into / "services" / "sandbox")
    site = into.parent / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(IMPORT_BLOCKER.format(names=sorted(packages_not_in_image())))
    return site


def packages_not_in_image() -> set[str]:
    """The top-level modules of every package here that requirements.txt does not install."""
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    installed = {_normalize_package_name(name) for name in pinned} | {"pip", "setuptools"}
    owners = importlib.metadata.packages_distributions()
    return {
        module
        for module, distributions in owners.items()
        if not {_normalize_package_name(name) for name in distributions} & installed
    }


def _normalize_package_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def start_process(folder: Path, site: Path, *module: str, **env: str) -> subprocess.Popen[bytes]:
    """One part, as the image starts it; nothing of this machine's environment but its PATH reaches it."""
    base_env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder.parent),
        "PYTHONPATH": str(site),
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen([sys.executable, "-m", *(module or ("app.server",))], cwd=folder, env={**base_env, **env})
