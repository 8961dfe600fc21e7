"""The HTTP call under a channel: which responses are tried again, how long it waits, and that no error holds the address."""

from __future__ import annotations

import logging
import time

import pytest
import requests

from services.alerts import slack, transport
from services.alerts.transport import MAX_ATTEMPTS, Unreachable, post_json, quote_answer
from services.core.settings import Settings
from tests.support.http_stub import serve_http

URL = "https://hooks.slack.example/services/T0/B0/secret"


def make_response(status: int, body: str = "ok", **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = status, body.encode()
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


@pytest.fixture
def post(monkeypatch):
    """Runs post_json against outcomes in order, the last one again and again; gives the result, the calls and the waits."""

    def run(*outcomes):
        queue, calls = list(outcomes), []
        waits: list[float] = []

        def fake_post(url, **kwargs):
            calls.append((url, kwargs))
            outcome = queue.pop(0) if len(queue) > 1 else queue[0]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(requests, "post", fake_post)
        monkeypatch.setattr(time, "sleep", waits.append)
        return post_json(URL, {"text": "x"}), calls, waits

    return run


def test_a_rate_limit_is_waited_for_as_long_as_it_asks(post):
    response, calls, waits = post(make_response(429, Retry_After="7"), make_response(200))
    assert (response.status_code, len(calls), waits) == (200, 2, [7.0])


@pytest.mark.parametrize("header", ["", "soon", "nan", "-5", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_rate_limit_without_seconds_is_waited_for_a_second(post, header):
    _, _, waits = post(make_response(429, Retry_After=header), make_response(200))
    assert waits == [1.0]


def test_a_rate_limit_beyond_the_maximum_is_left_to_the_next_check(post):
    response, calls, waits = post(make_response(429, Retry_After="31"))
    assert (response.status_code, len(calls), waits) == (429, 1, [])


def test_a_failing_server_is_tried_a_bounded_number_of_times_and_its_last_response_counts(post):
    response, calls, waits = post(make_response(503))
    assert (response.status_code, len(calls), len(waits)) == (503, MAX_ATTEMPTS, MAX_ATTEMPTS - 1)
    assert all(0 <= wait <= 4 for wait in waits)


@pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 410])
def test_any_other_response_is_final(post, status):
    response, calls, waits = post(make_response(status))
    assert (response.status_code, len(calls), waits) == (status, 1, [])
    assert calls[0][1]["timeout"] == transport.REQUEST_TIMEOUT_S
    assert calls[0][1]["allow_redirects"] is False


def test_a_lost_connection_is_tried_again(post):
    response, calls, _ = post(requests.ConnectionError("reset"), requests.ReadTimeout("slow"), make_response(200))
    assert (response.status_code, len(calls)) == (200, MAX_ATTEMPTS)


def test_the_address_is_not_logged_even_at_debug(caplog, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    caplog.set_level(logging.DEBUG)
    with serve_http(lambda *_: (200, b"ok")) as server_url:
        response = post_json(f"{server_url}/services/T0/B0/secret", {"text": "x"})
    assert response.status_code == 501, "the stub answers GET only; what counts is that there was a response"
    assert "secret" not in caplog.text


def test_an_unreachable_channel_is_named_by_the_kind_of_error_and_never_by_its_address(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(Unreachable) as error:
        post_json("http://127.0.0.1:9/services/T0/B0/secret", {"text": "x"})
    assert str(error.value) == f"after {MAX_ATTEMPTS} attempts: ConnectionError: NewConnectionError"
    assert error.value.__suppress_context__, "a traceback must not print the client's own message"


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        ([make_response(503), make_response(503), requests.ReadTimeout()], "after 3 attempts: HTTP 503, ReadTimeout"),
        ([requests.ReadTimeout()], "after 3 attempts: ReadTimeout"),
        ([requests.exceptions.InvalidURL("secret")], "at the first attempt: InvalidURL"),
    ],
)
def test_the_attempts_that_were_made_are_counted_and_named(post, outcomes, text):
    with pytest.raises(Unreachable) as error:
        post(*outcomes)
    assert str(error.value) == text


@pytest.mark.parametrize("address", ["http://a..b/T0/B0/secret", "http://hooks.example:99999/secret", "http://[::1"])
def test_an_address_that_is_none_is_tried_once_and_raises_nothing_of_the_clients_own(address):
    with pytest.raises(Unreachable, match="at the first attempt") as error:
        post_json(address, {"text": "x"})
    assert error.value.__suppress_context__
    assert "secret" not in str(error.value)


def test_an_answer_that_repeats_the_address_or_the_key_is_quoted_without_them():
    body = (
        "Cannot POST /services/T0/B0/secret of https://hooks.slack.example/services/T0/B0/secret for key-1234\n"
        + "x" * 90
    )
    quoted = quote_answer(make_response(404, body), URL, "key-1234")
    assert quoted == f"HTTP 404: Cannot POST … of … for … {'x' * 75}"
    assert quote_answer(make_response(400, "token T0AB12CD34 is unknown"), "https://hooks.example/v2/T0AB12CD34") == (
        "HTTP 400: token … is unknown"
    )


def test_the_slack_address_and_its_parts_are_in_no_delivery(monkeypatch):
    settings = Settings.from_env({"SLACK_WEBHOOK_URL": URL})
    monkeypatch.setattr(slack, "post_json", lambda *_: make_response(404, "Cannot POST /services/T0/B0/secret"))
    assert slack.SlackTransport(settings).send([]).detail == "Slack answered HTTP 404: Cannot POST …"
