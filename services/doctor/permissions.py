"""What the two identities may do, asked of Google and never tried: the acting one enough, the reading one nothing that changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.core.errors import OnCallError
from services.core.result import Health
from services.doctor.finding import LIMIT_S, Finding, apply_script, trouble
from services.gcp.clients import Cloud, connect
from services.gcp.error_messages import reading_from

WRITES = ("bigquery.tables.updateData",)
CHANGED = {  # what an action writes to, and what is lost where it may not
    "nba_predictions.player_prop_predictions": "nothing can be consolidated",
    "nba_reference.player_aliases": "no alias can be saved",
    "prediction_on_call.actions": "nothing can be recorded, so no action is carried out",
}
NARROWS = ("run.services.get", "run.services.update")


def reading_identity(cloud: Cloud) -> Iterator[Finding]:
    """Least privilege: where another identity acts, the one that reads must not be able to change data or services."""
    if not cloud.settings.acting_account:
        return
    width = [table for table in CHANGED if _held(cloud, table, WRITES)]
    if "run.services.update" in _held_on_worker(cloud):
        width.append(cloud.settings.worker_service)
    if width:
        told = f"The identity that reads may also change {', '.join(width)}: more than any page needs."
        yield Finding("reading identity", Health.WARNING, told, _roles(cloud))
    else:
        yield Finding("reading identity", Health.OK, "The identity that reads can change neither data nor services.")


def acting_identity(cloud: Cloud) -> Iterator[Finding]:
    """Whether actions could be carried out as the identity that acts; nothing is tried."""
    account = cloud.settings.acting_account
    doors = connect(cloud.settings, acting=True) if account else cloud
    try:
        lost = [f"{table}: {why}" for table, why in CHANGED.items() if not _held(doors, table, WRITES)]
        if "run.services.update" not in _held_on_worker(doors):
            lost.append(f"{cloud.settings.worker_service}: it cannot be narrowed or restored")
    except OnCallError as error:
        yield trouble(cloud, "acting identity", error, _borrow(cloud) if account else "")
        return
    who = account or "the identity that also reads"
    if lost:
        yield Finding(
            "acting identity", Health.CRITICAL, f"{who} may not change {'; '.join(lost)}.", apply_script(cloud)
        )
    else:
        yield Finding("acting identity", Health.OK, f"Actions go out as {who}, which may change what they change.")


def _held(cloud: Cloud, table: str, wanted: Sequence[str]) -> list[str]:
    with reading_from(f"BigQuery tables.testIamPermissions ({table})"):
        return list(cloud.bigquery.test_iam_permissions(table, wanted, timeout=LIMIT_S).get("permissions", ()))


def _held_on_worker(cloud: Cloud) -> list[str]:
    resource = cloud.service_name(cloud.settings.worker_service)
    with reading_from("Cloud Run services.testIamPermissions"):
        asked = {"resource": resource, "permissions": list(NARROWS)}
        return list(cloud.run.test_iam_permissions(request=asked, timeout=LIMIT_S).permissions)


def _roles(cloud: Cloud) -> str:
    return (
        f"gcloud projects get-iam-policy {cloud.settings.project} --flatten=bindings[].members"
        " --filter=bindings.members:prediction-on-call-read --format='value(bindings.role)'"
    )


def _borrow(cloud: Cloud) -> str:
    project = cloud.settings.project
    return (
        f"gcloud iam service-accounts add-iam-policy-binding {cloud.settings.acting_account} --project={project}"
        f" --member=serviceAccount:prediction-on-call-read@{project}.iam.gserviceaccount.com"
        " --role=roles/iam.serviceAccountTokenCreator"
    )
