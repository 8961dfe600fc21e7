"""The HTTP call under a channel: which responses are tried again, how long it waits, and that no error holds the address."""

from __future__ import annotations

import logging
import time

import pytest
import requests

from services.alerts import transport
from services.alerts.transport import MAX_ATTEMPTS, Unreachable, post_json
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
    assert str(error.value) == f"after {MAX_ATTEMPTS} tries: ConnectionError: NewConnectionError"
    assert error.value.__suppress_context__, "a traceback must not print the client's own message"
