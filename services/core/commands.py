"""gcloud and bq commands as text that runs where it is pasted: project, region and location named, SQL by standard input."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from services.core.settings import Settings


def gcloud_command(settings: Settings, command: str, location_flag: str = "region") -> str:
    """`gcloud COMMAND` in this project and region; `location_flag` is `location` for Cloud Scheduler."""
    return f"gcloud {command} --{location_flag}={settings.region} --project={settings.project}"


def bq_query_command(settings: Settings, sql: str, parameters: Mapping[str, object], *flags: str) -> str:
    """`bq query` of a statement; a parameter is named `name:TYPE`.

    bq takes SQL that begins with a comment for a flag, so a statement is never an argument.
    """
    location = [f"--location={settings.location}"] if settings.location else []
    options = [f"--project_id={settings.project}", *location, "--use_legacy_sql=false", *flags]
    options += [f"--parameter={name}:{value}" for name, value in parameters.items()]
    return f"bq query {shlex.join(options)} <<< {shlex.quote(sql)}"
