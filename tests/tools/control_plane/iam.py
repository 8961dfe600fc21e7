"""Projects, APIs, accounts, secrets and the IAM policies of everything."""

from __future__ import annotations

import base64
import re
from typing import Any

from tests.tools.control_plane.cloud import Call, Cloud, Refused, Resource, already_exists, not_found


def describe_project(cloud: Cloud, call: Call) -> Resource:
    if call.after("projects") != cloud.project:
        raise Refused(
            403,
            "PERMISSION_DENIED",
            f"The caller does not have permission on {call.after('projects')}, or it may not exist.",
        )
    return {
        "projectId": cloud.project,
        "projectNumber": cloud.number,
        "lifecycleState": "ACTIVE",
        "name": cloud.project,
    }


def enable_apis(cloud: Cloud, call: Call) -> Resource:
    cloud.enabled |= set(call.body["serviceIds"])
    return _operation({"@type": "type.googleapis.com/google.api.serviceusage.v1.BatchEnableServicesResponse"})


def enable_api(cloud: Cloud, call: Call) -> Resource:
    cloud.enabled.add(call.after("services"))
    return _operation({"@type": "type.googleapis.com/google.api.serviceusage.v1.EnableServiceResponse"})


def make_service_agent(cloud: Cloud, call: Call) -> Resource:
    agent = f"service-{cloud.number}@gcp-sa-iap.iam.gserviceaccount.com"
    answer = {
        "@type": "type.googleapis.com/google.api.serviceusage.v1beta1.ServiceIdentity",
        "email": agent,
        "uniqueId": "1",
    }
    return _operation(answer)


def _operation(response: Resource) -> Resource:
    return {"name": "operations/acat.p2-1", "done": True, "response": response}


def create_account(cloud: Cloud, call: Call) -> Resource:
    name = call.body["accountId"]
    if not re.fullmatch(r"[a-z]([-a-z0-9]{4,28}[a-z0-9])", name):
        raise Refused(400, "INVALID_ARGUMENT", f"{name} is no account id.")
    address = f"{name}@{cloud.project}.iam.gserviceaccount.com"
    if address in cloud.accounts:
        raise already_exists(f"Service account {name}")
    resource = f"projects/{cloud.project}/serviceAccounts/{address}"
    cloud.accounts[address] = {
        "name": resource,
        "email": address,
        "projectId": cloud.project,
        "uniqueId": str(len(cloud.accounts)),
    }
    cloud.accounts[address] |= {k: v for k, v in call.body.get("serviceAccount", {}).items() if k == "displayName"}
    return cloud.accounts[address]


def get_account(cloud: Cloud, call: Call) -> Resource:
    return cloud.accounts[_known_account(cloud, call)]


def delete_account(cloud: Cloud, call: Call) -> Resource:
    address = _known_account(cloud, call)
    del cloud.accounts[address]
    cloud.policies.pop(f"account/{address}", None)
    return {}


def _known_account(cloud: Cloud, call: Call) -> str:
    address = call.after("serviceAccounts").replace("%40", "@")
    if address not in cloud.accounts:
        raise not_found(f"Unknown service account {address}. It")
    return address


def create_role(cloud: Cloud, call: Call) -> Resource:
    name = f"projects/{cloud.project}/roles/{call.body['roleId']}"
    if name in cloud.custom_roles:
        raise already_exists(f"A role named {call.body['roleId']} in {call.after('projects')}")
    cloud.custom_roles[name] = {**call.body["role"], "name": name}
    return cloud.custom_roles[name]


def get_role(cloud: Cloud, call: Call) -> Resource:
    return cloud.custom_roles[_known_role(cloud, call)]


def change_role(cloud: Cloud, call: Call) -> Resource:
    role = get_role(cloud, call)
    if role.get("deleted"):
        raise Refused(400, "FAILED_PRECONDITION", f"You can't update {role['name']} because it has been deleted.")
    role.update(call.body)
    return role


def delete_role(cloud: Cloud, call: Call) -> Resource:
    get_role(cloud, call)["deleted"] = True
    return get_role(cloud, call)


def undelete_role(cloud: Cloud, call: Call) -> Resource:
    get_role(cloud, call).pop("deleted", None)
    return get_role(cloud, call)


def _known_role(cloud: Cloud, call: Call) -> str:
    name = f"projects/{cloud.project}/roles/{call.after('roles')}"
    if name not in cloud.custom_roles:
        raise not_found(f"The role named {name}")
    return name


def resource_of(cloud: Cloud, call: Call) -> str:
    """The resource whose policy a call names; raises Refused where it is not there."""
    if call.api == "cloudresourcemanager":
        describe_project(cloud, call)
        return "project"
    if call.api == "iam":
        return f"account/{_known_account(cloud, call)}"
    if call.api == "secretmanager":
        name, there = f"secret/{call.after('secrets')}", call.after("secrets") in cloud.secrets
    elif call.api == "iap":
        name = f"iap/{call.path.rpartition('/')[2].partition(':')[0]}"
        there = name.removeprefix("iap/") in cloud.services
    elif "/jobs/" in call.path:
        name, there = f"job/{call.after('jobs')}", call.after("jobs") in cloud.jobs
    else:
        name, there = f"service/{call.after('services')}", call.after("services") in cloud.services
    if not there:
        raise not_found(f"Resource '{name}' of kind '{call.api}'")
    return name


def get_policy(cloud: Cloud, call: Call) -> Resource:
    return cloud.policies.setdefault(resource_of(cloud, call), {"version": 1, "etag": _etag(0)})


def set_policy(cloud: Cloud, call: Call) -> Resource:
    policy: Resource = call.body["policy"]
    members = {member for binding in policy.get("bindings", []) for member in binding["members"]}
    for member in sorted(members):
        if not cloud.member_exists(member):
            raise Refused(400, "INVALID_ARGUMENT", f"Service account {member.partition(':')[2]} does not exist.")
    resource = resource_of(cloud, call)
    if policy.get("etag", "") != cloud.policies.get(resource, {}).get("etag", policy.get("etag", "")):
        raise Refused(409, "ABORTED", "There were concurrent policy changes. Please retry the whole read-modify-write.")
    cloud.policies[resource] = {"version": 1, **policy, "etag": _etag(sum(cloud.calls.values()))}
    return cloud.policies[resource]


def _etag(number: int) -> str:
    return base64.b64encode(f"{number:09}".encode()).decode()  # of digits it is the same in both alphabets


HANDLERS: dict[str, Any] = {
    "cloudresourcemanager.projects.get": describe_project,
    "serviceusage.services.batchEnable": enable_apis,
    "serviceusage.services.enable": enable_api,
    "serviceusage.services.generateServiceIdentity": make_service_agent,
    "iam.projects.serviceAccounts.create": create_account,
    "iam.projects.serviceAccounts.get": get_account,
    "iam.projects.serviceAccounts.delete": delete_account,
    "iam.projects.roles.create": create_role,
    "iam.projects.roles.get": get_role,
    "iam.projects.roles.patch": change_role,
    "iam.projects.roles.delete": delete_role,
    "iam.projects.roles.undelete": undelete_role,
    **{
        f"{prefix}.{verb}IamPolicy": handler
        for prefix in (
            "cloudresourcemanager.projects",
            "iam.projects.serviceAccounts",
            "secretmanager.projects.secrets",
            "run.projects.locations.services",
            "run.projects.locations.jobs",
            "iap",
        )
        for verb, handler in (("get", get_policy), ("set", set_policy))
    },
}
