"""Printed commands: a request to the coordinator arrives as it is printed, signed where Cloud Run asks for it."""

from __future__ import annotations

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from services.core.commands import curl_command
from services.core.settings import Settings

BODY = {"game_date": "2025-12-29", "players": ["d'angelorussell", "$(reboot)"]}


@pytest.fixture
def coordinator():
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["Content-Type"], self.headers["Authorization"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


@pytest.mark.parametrize(("sandbox_url", "authorization"), [("", "Bearer id-token"), ("http://127.0.0.1:9", None)])
def test_a_printed_request_arrives_as_it_is_signed_outside_the_sandbox(
    coordinator, tmp_path, sandbox_url, authorization
):
    url, received = coordinator
    gcloud = tmp_path / "gcloud"
    gcloud.write_text('#!/bin/sh\n[ "$*" = "auth print-identity-token" ] && echo id-token\n')
    gcloud.chmod(0o755)
    settings = Settings.from_env({"SANDBOX_URL": sandbox_url} if sandbox_url else {})
    subprocess.run(
        ["sh", "-c", curl_command(settings, "/start", BODY)],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "COORDINATOR_URL": url},
        check=True,
        capture_output=True,
        timeout=30,
    )
    assert received == [("/start", "application/json", authorization, BODY)]
