"""Commands as text that runs where it is pasted: project, region and location named, SQL by standard input, requests signed."""

from __future__ import annotations

import json
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


def curl_command(settings: Settings, path: str, body: Mapping[str, object], url: str = "$COORDINATOR_URL") -> str:
    """`curl` that posts `body` as JSON; on Google Cloud with an ID token of whoever is signed in, without which Cloud Run answers 403."""
    token = "" if settings.in_sandbox else ' -H "Authorization: Bearer $(gcloud auth print-identity-token)"'
    return f"curl -X POST {url}{path}{token} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"
