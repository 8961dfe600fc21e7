"""What this installation should consist of, as its manifest declares it: one TOML file a kind, in deploy/manifest."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, PositiveInt, StringConstraints, TypeAdapter, ValidationError

from services.core.errors import SettingsError
from services.core.settings import Settings

DEFAULT_DIR = Path(__file__).parents[2] / "deploy" / "manifest"
_HINT = "Compare it with deploy/manifest in the repository."
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
T = TypeVar("T", bound="_Declared")


class _Declared(BaseModel):
    """One entry of a manifest: nothing may be left out, and nothing unknown is in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    owner: Text


class DeclaredJob(_Declared):
    """A job of Cloud Scheduler. `target` is a service or function and the path that the job calls; `enabled` False: paused on purpose."""

    schedule: Text
    time_zone: Text
    target: Text
    enabled: bool


class DeclaredService(_Declared):
    """A Cloud Run service and the variables that it must have: name → value, or "" where any will do."""

    variables: Mapping[str, str]


def read_declared_services(settings: Settings) -> tuple[DeclaredService, ...]:
    """The services that should run; raises SettingsError for a manifest that cannot be read."""
    return _read(Path(settings.manifest_dir or DEFAULT_DIR) / "services.toml", "service", DeclaredService)


class DeclaredSubscription(_Declared):
    """A Pub/Sub subscription that pushes to a service and path; `dead_letter_topic` "" where none is wanted."""

    topic: Text
    target: Text
    dead_letter_topic: str
    max_unacked_min: PositiveInt


def read_declared_subscriptions(settings: Settings) -> tuple[DeclaredSubscription, ...]:
    """The subscriptions that should be there; raises SettingsError for a manifest that cannot be read."""
    return _read(
        Path(settings.manifest_dir or DEFAULT_DIR) / "subscriptions.toml", "subscription", DeclaredSubscription
    )


def read_declared_jobs(settings: Settings) -> tuple[DeclaredJob, ...]:
    """The jobs that Cloud Scheduler should have; raises SettingsError for a manifest that cannot be read."""
    return _read(Path(settings.manifest_dir or DEFAULT_DIR) / "jobs.toml", "job", DeclaredJob)


@cache  # the file is part of the deployment
def _read(path: Path, kind: str, model: type[T]) -> tuple[T, ...]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        adapter: TypeAdapter[dict[str, list[T]]] = TypeAdapter(dict[str, list[model]])  # type: ignore[valid-type]
        entries = adapter.validate_python(content).get(kind, [])
    except OSError as error:
        raise SettingsError(f"The manifest {path.name} cannot be read: {error.strerror}.", _HINT) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"The manifest {path.name} is wrong at {where}: {first['msg']}.", _HINT) from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise SettingsError(f"The manifest {path.name} is not TOML: {error}.", _HINT) from error
    if len({entry.name for entry in entries}) != len(entries):
        raise SettingsError(f"The manifest {path.name} declares a {kind} twice.", _HINT)
    return tuple(entries)
