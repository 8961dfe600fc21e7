"""The image's steps without a container engine: its files in an empty directory, and a Python that has only its packages."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ONLY_THE_IMAGES_PACKAGES = """
import sys
class Absent:
    NAMES = frozenset({names!r})
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.NAMES:
            raise ModuleNotFoundError(f"{{name}} is not in the image", name=name)
sys.meta_path.insert(0, Absent())
"""


def steps() -> list[tuple[str, list[str]]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.split()) for word, _, rest in (line.partition(" ") for line in lines)]


def build(into: Path) -> Path:
    """Copy what the Dockerfile copies, take away what it takes away, and shut out what it does not install."""
    for word, told in steps():
        if word == "COPY" and not told[0].startswith("requirements"):
            shutil.copytree(ROOT / told[0], into / told[1], ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(into / "services" / "sandbox")
    site = into.parent / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(ONLY_THE_IMAGES_PACKAGES.format(names=sorted(absent())))
    return site


def absent() -> set[str]:
    """The top-level modules of every package here that requirements.txt does not install."""
    told = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    kept = {_plain(name) for name in told} | {"pip", "setuptools"}
    owners = importlib.metadata.packages_distributions()
    return {module for module, of in owners.items() if not {_plain(name) for name in of} & kept}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def start(folder: Path, site: Path, *module: str, **env: str) -> subprocess.Popen[bytes]:
    """One part, as the image starts it; nothing of this machine's environment but its PATH reaches it."""
    told = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "PYTHONPATH": str(site), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen([sys.executable, "-m", *(module or ("app.server",))], cwd=folder, env={**told, **env})
