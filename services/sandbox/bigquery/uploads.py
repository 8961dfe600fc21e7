"""Uploads for load jobs: one multipart request, or resumable in chunks, which the client uses above 5 MB."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

Resource = dict[str, Any]
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


def parse_multipart(content_type: str, content: bytes) -> tuple[Resource, bytes]:
    """The job and the rows (newline-delimited JSON) of a multipart/related upload; raises ValueError for any other body."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    if boundary is None:
        raise ValueError("The multipart upload has no boundary.")
    pieces = content.split(b"--" + boundary[1].encode())
    payloads = [piece.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for piece in pieces if b"\r\n\r\n" in piece]
    if len(payloads) != 2:
        raise ValueError("The multipart upload must have two parts: the job and its rows.")
    return json.loads(payloads[0]), payloads[1]


def build_multipart(job: Resource, media: bytes) -> tuple[bytes, str]:
    """The body and content type of a multipart upload, with the media type that the emulator requires."""
    part = "--sandbox-part\r\nContent-Type: "
    head = f"{part}application/json\r\n\r\n{json.dumps(job)}\r\n{part}application/octet-stream\r\n\r\n"
    return head.encode() + media + b"\r\n--sandbox-part--\r\n", "multipart/related; boundary=sandbox-part"


class ResumableUploads:
    """Resumable uploads in progress: each session's job and the bytes received so far."""

    def __init__(self) -> None:
        self._sessions: dict[str, tuple[Resource, bytearray]] = {}

    async def start_session(self, request: Request) -> Response:
        """Open a session and return its URL in the location header."""
        session = uuid.uuid4().hex
        self._sessions[session] = (await request.json(), bytearray())
        session_url = request.url.include_query_params(upload_id=session)
        return Response(status_code=200, headers={"location": str(session_url), "x-guploader-uploadid": session})

    async def receive_chunk(self, request: Request) -> tuple[Resource, bytes] | Response:
        """Receive a chunk; returns the complete upload, or the 308 response that asks for more."""
        session = request.query_params.get("upload_id", "")
        if session not in self._sessions:
            return Response("Upload session not found.", 404)
        job, media = self._sessions[session]
        content_range = _RANGE.match(request.headers.get("content-range", "bytes 0-0/0"))
        content = await request.body()
        if content_range is not None and content_range[1] is not None and int(content_range[1]) <= len(media):
            media[int(content_range[1]) :] = content
        if content_range is not None and content_range[3] != "*" and len(media) >= int(content_range[3]):
            del self._sessions[session]
            return job, bytes(media)
        headers = {"range": f"bytes=0-{len(media) - 1}"} if media else {}
        return Response(status_code=308, headers=headers)
