"""Who may do what in the sandbox: Google's roles as far as its methods need them, and the accounts as deploy/apply.sh binds them.

tests/unit/deploy/test_sandbox_identities.py keeps the bindings equal to what deploy/apply.sh grants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

PROJECT_RESOURCE = "project"
_DATA_VIEWER = frozenset(
    f"bigquery.{name}"
    for name in (
        "datasets.get",
        "datasets.getIamPolicy",
        "tables.list",
        "tables.get",
        "tables.getData",
        "tables.export",
    )
)
_RUN_VIEWER = frozenset(
    f"run.{name}"
    for name in (
        "services.get",
        "services.list",
        "services.getIamPolicy",
        "revisions.get",
        "revisions.list",
        "operations.get",
        "operations.list",
    )
)
JOB_OPERATOR = (
    "projects/PROJECT/roles/predictionOnCallJobs"  # a role of our own: the predefined one may delete jobs too
)
# https://docs.cloud.google.com/iam/docs/roles-permissions: of each role, the permissions that a method here asks for.
PERMISSIONS_BY_ROLE: dict[str, frozenset[str]] = {
    "roles/bigquery.jobUser": frozenset({"bigquery.jobs.create"}),
    "roles/bigquery.resourceViewer": frozenset({"bigquery.jobs.get", "bigquery.jobs.list", "bigquery.jobs.listAll"}),
    "roles/bigquery.dataViewer": _DATA_VIEWER,
    "roles/bigquery.dataEditor": _DATA_VIEWER
    | {f"bigquery.tables.{name}" for name in ("create", "update", "updateData", "delete")},
    "roles/logging.viewer": frozenset({"logging.logEntries.list"}),
    "roles/logging.logWriter": frozenset({"logging.logEntries.create"}),
    "roles/cloudscheduler.viewer": frozenset({"cloudscheduler.jobs.get", "cloudscheduler.jobs.list"}),
    JOB_OPERATOR: frozenset({"cloudscheduler.jobs.run", "cloudscheduler.jobs.pause", "cloudscheduler.jobs.enable"}),
    "roles/pubsub.viewer": frozenset({"pubsub.topics.list", "pubsub.subscriptions.list"}),
    "roles/monitoring.viewer": frozenset({"monitoring.timeSeries.list"}),
    "roles/run.viewer": _RUN_VIEWER,
    "roles/run.developer": _RUN_VIEWER | {"run.services.update", "run.services.create", "run.services.delete"},
    "roles/run.invoker": frozenset({"run.routes.invoke", "run.jobs.run"}),
    "roles/iam.serviceAccountUser": frozenset({"iam.serviceAccounts.actAs"}),
    "roles/iam.serviceAccountTokenCreator": frozenset(
        {"iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.getOpenIdToken"}
    ),
    "roles/artifactregistry.reader": frozenset({"artifactregistry.repositories.downloadArtifacts"}),
    "roles/secretmanager.secretAccessor": frozenset({"secretmanager.versions.access"}),
}
OWNER = "roles/owner"  # has every permission
NOBODY_HAS = ""  # asked for where no role helps

# account, role, and what it is granted on: the project, or one dataset, service, job, secret or account of it
_DEPLOYED = """
read      bigquery.jobUser                 project
read      bigquery.resourceViewer          project
read      logging.viewer                   project
read      cloudscheduler.viewer            project
read      pubsub.viewer                    project
read      monitoring.viewer                project
read      bigquery.dataViewer              dataset/nba_analytics dataset/nba_raw
read      bigquery.dataViewer              dataset/nba_predictions dataset/nba_reference dataset/prediction_on_call
read      run.viewer                       service/prediction-worker service/prediction-coordinator
read      run.invoker                      service/prediction-coordinator
read      iam.serviceAccountTokenCreator   account/act
act       bigquery.jobUser                 project
act       artifactregistry.reader          project
act       bigquery.resourceViewer          project
act       logging.viewer                   project
act       cloudscheduler.viewer            project
act       projects/PROJECT/roles/predictionOnCallJobs project
act       pubsub.viewer                    project
act       monitoring.viewer                project
act       bigquery.dataViewer              dataset/nba_analytics dataset/nba_raw
act       bigquery.dataEditor              dataset/nba_predictions dataset/nba_reference dataset/prediction_on_call
act       run.viewer                       service/prediction-worker service/prediction-coordinator
act       run.invoker                      service/prediction-coordinator
act       run.developer                    service/prediction-worker
act       iam.serviceAccountUser           account/pipeline account/customer
act       secretmanager.secretAccessor     secret/on-call-slack
act       secretmanager.secretAccessor     secret/on-call-pager-key
act       secretmanager.secretAccessor     secret/on-call-pager-url
pipeline  bigquery.jobUser                 project
pipeline  bigquery.resourceViewer          project
pipeline  logging.logWriter                project
pipeline  bigquery.dataViewer              dataset/nba_analytics dataset/nba_raw dataset/nba_reference
pipeline  bigquery.dataEditor              dataset/nba_predictions dataset/prediction_on_call
pipeline  run.invoker                      service/prediction-worker
pipeline  run.viewer                       service/prediction-worker service/prediction-coordinator
tick      run.invoker                      job/prediction-on-call-watchdog
"""
_OTHERS = """
customer  bigquery.jobUser                 project
customer  bigquery.dataEditor              project
customer  logging.logWriter                project
customer  run.invoker                      project
developer owner                            project
"""


@dataclass(frozen=True)
class Binding:
    """A role of an account on `project`, `dataset/NAME`, `service/NAME`, `job/NAME`, `secret/NAME` or `account/ADDRESS`."""

    member: str
    role: str
    resource: str = PROJECT_RESOURCE


@dataclass(frozen=True)
class Caller:
    """Who makes the request that is being served, and the resource that it names."""

    account: str
    resource: str = PROJECT_RESOURCE


CALLER: ContextVar[Caller] = ContextVar("caller")  # set by the gateway for the time of a request


def account_address(name: str, project: str) -> str:
    """The address of `read`, `act`, `pipeline`, `tick` (our deployment's), `customer` or `developer` (the project's owner)."""
    local_part = {"customer": "prediction-worker", "developer": "developer"}.get(name, f"prediction-on-call-{name}")
    return f"{local_part}@{project}.iam.gserviceaccount.com"


def deployed_bindings(project: str) -> frozenset[Binding]:
    """What deploy/apply.sh grants, where our write path plays the watched services, as it does in the sandbox."""
    return frozenset(_parse_bindings(_DEPLOYED, project))


def _parse_bindings(table: str, project: str) -> Iterator[Binding]:
    for line in table.split("\n"):
        member, role, *resources = line.split() or ["", ""]
        for resource in resources:
            kind, _, name = resource.partition("/")
            target = f"account/{account_address(name, project)}" if kind == "account" else resource
            name = role if role == JOB_OPERATOR else f"roles/{role}"
            yield Binding(account_address(member, project), name, target)


@dataclass
class Identities:
    """The accounts of one project with their roles; `denied_permissions` are taken away from all of them."""

    project: str
    require_credentials: bool = False  # whether a request without credentials is refused; else it is the developer's
    denied_permissions: set[str] = field(default_factory=set)
    bindings: set[Binding] = field(init=False)

    def __post_init__(self) -> None:
        self.bindings = {*deployed_bindings(self.project), *_parse_bindings(_OTHERS, self.project)}

    @property
    def developer(self) -> str:
        """The account that owns the project, and that a request without credentials is."""
        return account_address("developer", self.project)

    def knows(self, account: str) -> bool:
        """Whether there is such an account."""
        return any(binding.member == account for binding in self.bindings)

    def allows(self, account: str, permission: str, resource: str = PROJECT_RESOURCE) -> bool:
        """Whether a role of the account on the resource, or on the project above it, has the permission."""
        return permission not in {NOBODY_HAS, *self.denied_permissions} and any(
            binding.member == account
            and binding.resource in (resource, PROJECT_RESOURCE)
            and (binding.role == OWNER or permission in PERMISSIONS_BY_ROLE[binding.role])
            for binding in self.bindings
        )

    def granted(self, permissions: Iterable[str]) -> list[str]:
        """Those of the permissions that the caller has on the resource that the request names."""
        caller = CALLER.get()
        return [permission for permission in permissions if self.allows(caller.account, permission, caller.resource)]

    def policy(self, resource: str) -> dict[str, Any]:
        """The IAM policy of a resource: the roles granted on it itself, not on what is above it."""
        members: dict[str, list[str]] = {}
        for binding in sorted(self.bindings, key=lambda b: (b.role, b.member)):
            if binding.resource == resource:
                members.setdefault(binding.role, []).append(f"serviceAccount:{binding.member}")
        return {
            "version": 1,
            "etag": "BwZ0c2FuZGJveA==",
            "bindings": [{"role": role, "members": accounts} for role, accounts in members.items()],
        }


def current_account() -> str:
    """The account whose request is being served."""
    return CALLER.get().account
