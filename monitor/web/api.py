"""The routes: what can be asked over HTTP, and what is answered.

    POST /api/v1/fixes   positions, in our own form or that of a feed; 200 once they are on disk
    GET  /healthz        the program is alive and its loop turns
    GET  /readyz         all is well: the database is in reach, every door serves, time ticks, there is room on the disk
    GET  /metrics        figures for Prometheus
Errors are `application/problem+json` (RFC 9457).
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from msgspec.structs import replace
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from monitor.watchkeeping import Report
from monitor.web import bodies
from monitor.web.problem import MEDIA_TYPE, Problem, later, response, unauthorized
from monitor.web.reception import Answer, Asked, Reception

TOLD = 100
"""Reasons that are told of one request."""
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SCRAPE_S = 5.0
DESCRIPTION = (
    "Positions in, health and figures out. Positions are answered with 200 once they are on disk with all they triggered."
)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {MEDIA_TYPE: {}}}
    for status, words in {
        401: "no credential, or an unknown one",
        403: "a credential of another vehicle, or of dispatchers",
        413: "a body that is too large",
        415: "a form or packing that nobody here reads",
        422: "a name in the query that cannot be",
        503: "not now: send the same again after `Retry-After` seconds",
    }.items()
}


class Vitals(Protocol):
    """How the monitor is; for any thread."""

    def alive(self) -> Report:
        """Whether the loop turns."""
        ...

    def ready(self) -> Report:
        """Whether all is well."""
        ...

    def exposition(self) -> bytes:
        """The figures, as Prometheus reads them; may ask the database."""
        ...


def create_api(reception: Reception, vitals: Vitals, max_body_bytes: int, token: str) -> FastAPI:
    """The routes; `token` is what /metrics asks for, empty for none."""
    api = FastAPI(
        title="Telematics monitor",
        version="1",
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    _add_errors(api)
    _add_health(api, vitals, token)

    @api.post("/api/v1/fixes", responses=PROBLEMS)
    async def post_fixes(
        request: Request,
        feed: Annotated[str, Query(max_length=64, description="name of a feed, or of a form; ours unless given")] = "",
        form: Annotated[str, Query(alias="format", max_length=64, description="the same")] = "",
        vehicle: Annotated[str, Query(max_length=64, description="whose, where the credential is the carrier's")] = "",
        device: Annotated[
            str, Query(max_length=128, description="the device's own id, looked up in the carrier's register")
        ] = "",
    ) -> JSONResponse:
        """Take positions; 200 once they are on disk with everything they triggered."""
        identity = await reception.admit(request.headers.get("authorization"))
        message = reception.address(identity, Asked(feed or form, vehicle, device))
        with reception.held(identity.carrier) as hold:
            try:
                payload = await _payload(request, max_body_bytes, hold)
            except Problem as problem:
                if problem.status < 500:  # what is put off comes again
                    reception.refused(message, problem.detail)
                raise
            return _told(await reception.take(replace(message, payload=payload)))

    return api


async def _payload(request: Request, most: int, hold: Callable[[int], None]) -> bytes:
    gzip = bodies.packed(request.headers)
    bodies.announced(request.headers, most)
    return await bodies.read(request.stream(), most, hold, gzip=gzip)


def _told(answer: Answer) -> JSONResponse:
    """Say what is on disk: what was taken, and what is kept with the reason why it was not.

    Also where nothing was taken: a sender that tries again until it is told 200 would be held up by it for ever.
    """
    verdict = answer.verdict
    rejected = [{"reason": reason} for reason in verdict.reasons[:TOLD]]
    body: dict[str, Any] = {"request": answer.request, "fixes": verdict.fixes, "rejected": rejected}
    if answer.receipts:
        body["received"] = [
            {"vehicle": each.vehicle.vehicle, "boot": each.boot, "through": each.through, "missing": each.missing}
            for each in answer.receipts
        ]
    return JSONResponse(body)


def _add_health(api: FastAPI, vitals: Vitals, token: str) -> None:
    @api.get("/healthz")
    async def healthz() -> JSONResponse:
        """200 while the program is alive and its loop turns, else 503 with the reasons."""
        return _reported(vitals.alive())

    @api.get("/readyz")
    async def readyz() -> JSONResponse:
        """200 while all is well, else 503 with the reasons."""
        return _reported(await asyncio.to_thread(vitals.ready))

    @api.get("/metrics")
    async def metrics(request: Request) -> Response:
        """Figures for Prometheus."""
        said = request.headers.get("authorization", "").encode()
        if token and not hmac.compare_digest(said, f"Bearer {token}".encode()):
            raise unauthorized("allowed is Bearer with the token of web.token_file", 'Bearer realm="metrics"')
        try:
            text = await asyncio.wait_for(asyncio.to_thread(vitals.exposition), SCRAPE_S)
        except TimeoutError:
            raise later(f"the figures were not ready within {SCRAPE_S:g} s") from None
        return Response(text, headers={"Content-Type": METRICS_TYPE})


def _reported(report: Report) -> JSONResponse:
    body = {"status": "ok" if report.well else "not well", "reasons": report.reasons, "warnings": report.warnings}
    return JSONResponse(body, 200 if report.well else 503, headers={"Cache-Control": "no-store"})


def _add_errors(api: FastAPI) -> None:
    @api.exception_handler(Problem)
    async def problem(_request: Request, error: Problem) -> Response:
        return response(error)

    @api.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        faults = [f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()]
        return response(Problem(422, "; ".join(faults)))

    @api.exception_handler(HTTPException)
    async def unserved(_request: Request, error: HTTPException) -> Response:
        return response(Problem(error.status_code, str(error.detail), headers=error.headers))

    @api.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it
