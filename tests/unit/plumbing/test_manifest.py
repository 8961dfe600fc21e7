"""The manifests of the repository can be read; one that cannot be is refused in a sentence with its place."""

from __future__ import annotations

import re

import pytest

from services.core.errors import SettingsError
from services.core.settings import Settings
from services.plumbing.manifest import (
    DEFAULT_DIR,
    read_declared_jobs,
    read_declared_services,
    read_declared_subscriptions,
)
from services.sandbox.http.scheduler_routes import DECEMBER_SCHEDULE
from services.sandbox.scenarios.customer import seed as customer

JOB = """
[[job]]
name = "a"
owner = "predictions"
schedule = "0 7 * * *"
time_zone = "America/New_York"
target = "prediction-coordinator/start"
enabled = true
"""


def settings(folder: object) -> Settings:
    return Settings.from_env({"MANIFEST_DIR": str(folder)})


def test_the_manifest_in_the_repository_declares_the_jobs_of_december():
    declared = {job.name: job.schedule for job in read_declared_jobs(Settings.from_env({}))}
    assert declared == {name: cron for name, _, cron, *_ in DECEMBER_SCHEDULE}


def test_the_customers_manifest_declares_their_jobs():
    declared = {job.name: job.schedule for job in read_declared_jobs(Settings.from_env(customer.SETTINGS))}
    assert declared == {name: cron for name, _, cron, *_ in customer.SCHEDULE}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (JOB.replace("enabled = true", ""), "jobs.toml is wrong at job.0.enabled: Field required"),
        (JOB.replace("enabled = true", 'enabled = "perhaps"'), "jobs.toml is wrong at job.0.enabled"),
        (JOB + 'zone = "ET"\n', "jobs.toml is wrong at job.0.zone: Extra inputs are not permitted"),
        (JOB.replace('"a"', '""'), "jobs.toml is wrong at job.0.name"),
        (JOB + JOB, "jobs.toml declares a job twice"),
        (JOB.replace('"a"', f'"{"a" * 501}"'), "jobs.toml is wrong at job.0.name"),
        ("[[job", "jobs.toml is not TOML"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_with_its_place(tmp_path, text, sentence):
    (tmp_path / "jobs.toml").write_text(text)
    with pytest.raises(SettingsError, match=sentence.replace(".", r"\.")):
        read_declared_jobs(settings(tmp_path))


def test_a_manifest_of_other_bytes_than_utf8_is_refused(tmp_path):
    (tmp_path / "jobs.toml").write_bytes(b'[[job]]\nname = "\xff"')
    with pytest.raises(SettingsError, match=r"jobs\.toml is not TOML"):
        read_declared_jobs(settings(tmp_path))


def test_an_empty_manifest_declares_nothing(tmp_path):
    (tmp_path / "jobs.toml").write_text("")
    assert read_declared_jobs(settings(tmp_path)) == ()


def test_a_subscription_whose_messages_may_not_wait_at_all_is_refused(tmp_path):
    text = (DEFAULT_DIR / "subscriptions.toml").read_text()
    (tmp_path / "subscriptions.toml").write_text(re.sub(r"max_unacked_min = \d+", "max_unacked_min = 0", text))
    with pytest.raises(SettingsError, match=r"subscription\.0\.max_unacked_min"):
        read_declared_subscriptions(settings(tmp_path))


def test_a_manifest_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"jobs\.toml cannot be read: No such file or directory"):
        read_declared_jobs(settings(tmp_path))


@pytest.mark.parametrize("env", [{}, customer.SETTINGS])
def test_the_manifests_declare_the_services_with_their_variables(env):
    declared = {entry.name: entry.variables for entry in read_declared_services(Settings.from_env(env))}
    assert set(declared) == {"prediction-worker", "prediction-coordinator"}
    assert all(variables["GCP_PROJECT_ID"] == "" for variables in declared.values())


@pytest.mark.parametrize("env", [{}, customer.SETTINGS])
def test_the_manifests_declare_the_subscriptions_of_declared_services(env):
    subscriptions = read_declared_subscriptions(Settings.from_env(env))
    services = {service.name for service in read_declared_services(Settings.from_env(env))}
    assert subscriptions
    assert {entry.target.partition("/")[0] for entry in subscriptions} <= services
