"""The server itself: health and figures, clients that are slow or say nothing, TLS, a port that is taken."""

from __future__ import annotations

import base64
import http.client
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from monitor.errors import ServiceError
from monitor.watchkeeping import Report
from monitor.web import server
from tests.web.conftest import PATIENCE_S, Serve, Served
from tests.web.test_posting import PATH, PROBLEM, fixes, posted

AUTHORIZATION = b"Authorization: Basic " + base64.b64encode(b"acme/truck:right-token")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told_with_what_is_wrong(served: Served, path: str) -> None:
    with served.client() as client:
        assert client.get(path).json() == {"status": "ok", "reasons": [], "warnings": []}
        served.vitals.said = Report(["disk: 3 MB are free"], ["a note"])
        answer = client.get(path)
    assert (answer.status_code, answer.json()["reasons"], answer.json()["warnings"]) == (503, ["disk: 3 MB are free"], ["a note"])


def test_figures_are_in_the_form_of_prometheus(served: Served) -> None:
    with served.client() as client:
        answer = client.get("/metrics")
    assert (answer.status_code, answer.text) == (200, "monitor_ready 1.0\n")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_figures_ask_for_the_token_where_there_is_one(serve: Serve, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("opens\nnot this\n", encoding="utf-8")
    address = f"http://127.0.0.1:{serve(token_file=str(token)).door.port}/metrics"
    answers = [
        httpx.get(address, headers={"Authorization": f"Bearer {said}"}).status_code for said in ("opens", "shut", "not this")
    ]
    assert [httpx.get(address).status_code, *answers] == [401, 200, 401, 401]


@pytest.mark.parametrize("text", [None, "", "\nsecond line"])
def test_a_token_that_cannot_be_read_stops_the_start(serve: Serve, tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "token"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(ServiceError, match=r"web\.token_file"):
        serve(token_file=str(file))


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", PATH, 405), ("DELETE", "/healthz", 405)]
)
def test_what_there_is_not_is_a_problem_too(served: Served, method: str, path: str, status: int) -> None:
    with served.client() as client:
        answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"], answer.json()["status"]) == (status, PROBLEM, status)


def test_the_routes_are_described(served: Served) -> None:
    with served.client() as client:
        described = client.get("/api/v1/openapi.json").json()
    assert {"/api/v1/fixes", "/healthz", "/readyz", "/metrics"} <= set(described["paths"])
    assert {"401", "403", "413", "415", "422", "503"} <= set(described["paths"][PATH]["post"]["responses"])


def test_a_port_that_is_taken_is_said(served: Served, serve: Serve) -> None:
    with pytest.raises(ServiceError, match=r"port \d+ on 127\.0\.0\.1 is in use; set web\.port"):
        serve(port=served.door.port)


def ended(client: socket.socket) -> bool:
    """Whether the other side closes the connection in time."""
    client.settimeout(PATIENCE_S)
    try:
        while client.recv(4096):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"POST /api/v1/fixes HTTP/1.1\r\nHost: x\r\n",
        b"POST /api/v1/fixes HTTP/1.1\r\nHost: x\r\n" + AUTHORIZATION + b"\r\nContent-Length: 100\r\n\r\nabc",
        b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
    ],
    ids=["nothing", "half a head", "half a body", "half a body to nobody"],
)
def test_a_client_that_does_not_end_its_request_is_left(served: Served, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(server.Bounded, "request_s", 0.2)
    with socket.create_connection(("127.0.0.1", served.door.port)) as client:
        client.sendall(said)
        assert ended(client)
    with served.client() as client:
        assert posted(client, fixes()).status_code == 200


def test_a_request_that_waits_for_its_commit_is_not_left(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is for the client's part alone."""
    monkeypatch.setattr(server.Bounded, "request_s", 0.05)
    served.commit.clear()
    client = http.client.HTTPConnection("127.0.0.1", served.door.port, timeout=PATIENCE_S)
    headers = {"Authorization": AUTHORIZATION.decode().partition(": ")[2]}
    client.request("POST", PATH, fixes(), headers)
    assert served.wait_for(lambda: len(served.messages) == 1)
    with socket.create_connection(("127.0.0.1", served.door.port)) as other:
        assert ended(other), "time enough has passed"
    served.commit.set()
    assert client.getresponse().status == 200
    client.close()


def test_connections_beyond_the_limit_are_closed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.Bounded, "connection_limit", 2)
    with served.client() as one, served.client() as two:
        assert [one.get("/healthz").status_code, two.get("/healthz").status_code] == [200, 200]
        assert served.door.connections == 2
        with socket.create_connection(("127.0.0.1", served.door.port)) as third:
            assert ended(third)
        assert one.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\x00\xa5\x01", b"GET\r\n\r\n", b"\0" * 100_000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000]
)
def test_what_is_no_request_harms_nobody(served: Served, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.door.port)) as client:
        try:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was closed before all was said
        assert ended(client)
    with served.client() as client:
        assert client.get("/healthz").status_code == 200


def test_a_server_that_never_started_can_be_closed(served: Served) -> None:
    other = type(served.door)(served.door.settings, *[None] * 3)  # type: ignore[arg-type]
    other.close()
    other.join()
    assert other.fault() is not None


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of this machine, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    words = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(chain)]
    subprocess.run([openssl, *words, *more], check=True, capture_output=True)
    return chain, key


def test_positions_come_by_tls(serve: Serve, certificate: tuple[Path, Path]) -> None:
    chain, key = certificate
    served = serve(tls_certificate=str(chain), tls_key=str(key))
    context = ssl.create_default_context(cafile=str(chain))
    address = f"https://127.0.0.1:{served.door.port}"
    with httpx.Client(base_url=address, auth=("acme/truck", "right-token"), verify=context, timeout=PATIENCE_S) as client:
        assert posted(client, fixes()).status_code == 200
        served.door.reload()
        assert posted(client, fixes()).status_code == 200
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{served.door.port}/healthz", timeout=PATIENCE_S)


def test_a_certificate_that_cannot_be_used_is_said(serve: Serve, certificate: tuple[Path, Path], tmp_path: Path) -> None:
    chain, key = certificate
    served = serve(tls_certificate=str(chain), tls_key=str(key))
    key.write_text("no key", encoding="utf-8")
    with pytest.raises(ServiceError, match=r"web\.tls_certificate"):
        served.door.reload()
    with pytest.raises(ServiceError, match="no such file"):
        serve(tls_certificate=str(chain), tls_key=str(tmp_path / "none"))


def test_a_server_that_died_is_a_fault(serve: Serve) -> None:
    served = serve()
    assert served.door.fault() is None
    served.ingress.close()
    served.door.join()
    assert served.door.fault() is not None
