"""What is refused over HTTP, as RFC 9457 says it: `application/problem+json` with the status, what is wrong and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
RETRY_S = 5
"""After how many seconds a client that was put off may come again."""


class Problem(Exception):  # noqa: N818 (it is what the client is told, not a fault of the program)
    """A request that is not served; raised where that is found out, told by `response`."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, dict(headers or {}), more


def unauthorized(detail: str, scheme: str = 'Basic realm="telematics", charset="UTF-8"') -> Problem:
    """Nobody we know."""
    return Problem(401, detail, headers={"WWW-Authenticate": scheme})


def later(detail: str) -> Problem:
    """Not now: the same request may succeed in some seconds, and nothing is doubled by it."""
    return Problem(503, detail, headers={"Retry-After": str(RETRY_S)})


def response(problem: Problem) -> JSONResponse:
    """Say it."""
    body = {"type": "about:blank", "title": HTTPStatus(problem.status).phrase, "status": problem.status, "detail": problem.detail}
    return JSONResponse(body | problem.more, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)
