"""TLS: who connects by it is served as without, a client certificate says who a device is, and what is wrong with a file is told."""

from __future__ import annotations

import hashlib
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.errors import ConfigurationError
from monitor.fixes import Identity
from monitor.ingest.delivery import Message
from monitor.ingest.listener import Listener, warnings
from monitor.ingest.mqtt.certificates import server_context
from monitor.ingest.mqtt.outside import Outside
from monitor.settings import Ingest
from monitor.settings import Listener as Limits
from tests.ingest import wire
from tests.ingest.authority import Authority, authority, needs_openssl
from tests.ingest.conftest import Serve, Served
from tests.ingest.wire import PATIENCE_S, Wire, authenticate, connect, publish

__all__ = ["authority"]
pytestmark = needs_openssl
TOPIC = "telematics/v1/acme/truck/fix"
PEM = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def pem(authority: Authority) -> dict[str, Any]:
    """Settings of a listener by TLS that asks for certificates."""
    certificate, key = authority.sign("localhost", "server", server=True)
    return {"tls_certificate": str(certificate), "tls_key": str(key), "client_ca": str(authority.certificate)}


class TlsWire(Wire):
    """A wire by TLS."""

    def __init__(
        self, port: int, authority: Authority, shown: tuple[Path, Path] | None = None, **versions: ssl.TLSVersion
    ) -> None:
        super().__init__(port)
        context = ssl.create_default_context(cafile=str(authority.certificate))
        for name, version in versions.items():
            setattr(context, name, version)
        if shown:
            context.load_cert_chain(*shown)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def ended(self) -> bool:
        """Whether the other side has closed, however."""
        with suppress(ssl.SSLError, ConnectionError):
            return not self.socket.recv(1)
        return True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_by_tls_is_served_as_one_without(
    serve: Serve, pem: dict[str, Any], authority: Authority, version: ssl.TLSVersion
) -> None:
    served = serve(**pem)
    device = TlsWire(served.listener.port, authority, minimum_version=version, maximum_version=version)
    assert device.join(connect())[1][1] == 0
    device.send(b"".join(publish(TOPIC, b"%060000d" % i, i + 1) for i in range(100)))
    assert [device.read() for _ in range(100)] == [(wire.PUBACK, (i + 1).to_bytes(2, "big")) for i in range(100)]
    assert served.loop.payloads(100) == [b"%060000d" % i for i in range(100)]
    assert device.silent()
    device.send(wire.packet(wire.DISCONNECT << 4, b""))
    assert device.read() is None
    device.close()


def test_the_goodbye_of_the_monitor_comes_by_tls_and_a_stranger_in_his_handshake_delays_nobody(
    serve: Serve, pem: dict[str, Any], authority: Authority
) -> None:
    served = serve(**pem)
    device, stranger = TlsWire(served.listener.port, authority), served.wire()
    device.join(connect())
    served.loop.commit.clear()
    device.send(publish(TOPIC, packet_id=5))
    served.loop.payloads(1)
    served.ingress.close()
    served.loop.commit.set()
    assert [device.read(), device.read(), device.read()] == [(wire.PUBACK, b"\0\x05"), (wire.DISCONNECT, b"\x8b"), None]
    device.close()
    assert served.loop.ended()
    assert stranger.read() is None


def test_what_is_wrong_is_told_by_tls_however_much_comes_after_it(
    serve: Serve, pem: dict[str, Any], authority: Authority
) -> None:
    served = serve(**pem)
    device = TlsWire(served.listener.port, authority)
    device.join(connect())
    with suppress(ssl.SSLError):
        device.send(publish(TOPIC, b"before", 7) + publish(TOPIC, b"x" * 3_000_000))
    assert [device.read(), device.read()] == [(wire.DISCONNECT, b"\x95"), None]
    assert served.loop.payloads(1) == [b"before"]
    device.close()


def test_what_came_before_tls_was_broken_is_taken(serve: Serve, pem: dict[str, Any], authority: Authority) -> None:
    served = serve(**pem)
    device = TlsWire(served.listener.port, authority)
    device.join(connect())
    device.send(publish(TOPIC, b"before"))
    plain = socket.socket(fileno=device.socket.detach())
    plain.sendall(b"nonsense")
    assert served.loop.payloads(1) == [b"before"]
    plain.close()


@pytest.mark.parametrize("raw", [b"\x17\x03\x03\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 70_000])
def test_who_breaks_off_tls_is_closed_its_will_comes_and_no_exception_escapes(
    serve: Serve, pem: dict[str, Any], authority: Authority, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve(**pem)
    device = TlsWire(served.listener.port, authority)
    device.join(connect(will=("telematics/v1/acme/truck/status", b"gone")))
    plain = socket.socket(fileno=device.socket.detach())
    plain.settimeout(PATIENCE_S)
    plain.sendall(raw)
    with suppress(ConnectionError):
        while plain.recv(65_536):
            pass
    plain.close()
    served.loop.wait(lambda loop: bool(loop.statuses))
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_nothing_older_than_tls_1_2_is_spoken(pem: dict[str, Any]) -> None:
    context = server_context(Limits(**pem))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_what_waits_while_nothing_is_read_comes_by_tls_too(serve: Serve, pem: dict[str, Any], authority: Authority) -> None:
    """More than the window comes at once, while commits are held back: it is decrypted when there is room again."""
    served = serve(**pem, batch=10, receive_maximum=5)
    served.loop.commit.clear()
    device = TlsWire(served.listener.port, authority)
    device.join(connect())
    device.send(b"".join(publish(TOPIC, b"%d" % i, i + 1) for i in range(2000)))
    served.loop.payloads(1)
    served.loop.commit.set()
    assert served.loop.payloads(2000) == [b"%d" % i for i in range(2000)]
    device.close()


def test_a_client_that_speaks_no_tls_is_closed_and_the_others_are_served(
    serve: Serve, pem: dict[str, Any], authority: Authority
) -> None:
    served = serve(**pem)
    plain = served.wire()
    plain.send(connect())
    while piece := plain.socket.recv(1000):
        assert piece[:1] == b"\x15", "a TLS alert, no MQTT"
    device = TlsWire(served.listener.port, authority)
    assert device.join(connect())[1][1] == 0
    device.close()


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01"], ids=["nothing", "half a handshake"])
def test_a_handshake_that_does_not_end_is_closed_in_the_time_of_a_connect(
    serve: Serve, pem: dict[str, Any], first: bytes
) -> None:
    served = serve(**pem, connect_timeout=timedelta(seconds=1))
    stranger = served.wire()
    stranger.send(first)
    assert stranger.read() is None
    assert served.listener.refused == 1


def test_handshakes_that_do_not_end_count_as_connections(serve: Serve, pem: dict[str, Any]) -> None:
    served = serve(**pem, max_connections=1)
    first = served.wire()
    assert served.wire().read() is None
    first.close()


@pytest.mark.parametrize(
    ("common_name", "topics"),
    [("acme", ["telematics/v1/acme/truck/fix", "telematics/v1/acme/van/fix"]), ("acme/truck", ["telematics/v1/acme/truck/fix"])],
)
def test_a_certificate_stands_for_a_password(
    serve: Serve, pem: dict[str, Any], authority: Authority, common_name: str, topics: list[str]
) -> None:
    served = serve(**pem, client_certificates="required")
    device = TlsWire(served.listener.port, authority, authority.sign(common_name, common_name.replace("/", "-")))
    assert device.join(connect(None, None))[1][1] == 0
    for number, topic in enumerate(topics):
        device.send(publish(topic, b"x", number + 1))
        assert device.read() == (wire.PUBACK, bytes([0, number + 1]))
    assert served.loop.messages == [Message("acme", topic.split("/")[3], topic, b"x") for topic in topics]
    device.send(publish("telematics/v1/other/truck/fix", packet_id=9))
    assert device.read() == (wire.PUBACK, b"\0\x09\x87")
    device.close()


@pytest.mark.parametrize(
    ("common_name", "username", "password", "code"),
    [
        ("acme", "acme/truck", None, 0),
        ("acme", "acme/truck", b"right", 0),
        ("acme/truck", "acme", b"right", 0),
        ("acme", "other", None, 0x87),
        ("acme", "other/truck", b"right", 0x87),
        ("acme/truck", "acme/van", None, 0x87),
        ("acme/truck", "acme/van", b"right", 0x87),
        ("acme", "acme", b"wrong", 0x86),
        ("not a name", "acme", b"right", 0x87),
        ("acme/truck/more", None, None, 0x87),
    ],
)
def test_a_certificate_and_a_name_must_agree(
    serve: Serve,
    pem: dict[str, Any],
    authority: Authority,
    common_name: str,
    username: str | None,
    password: bytes | None,
    code: int,
) -> None:
    served = serve(**pem)
    device = TlsWire(served.listener.port, authority, authority.sign(common_name, "agree"))
    assert device.join(connect(username, password))[1][1] == code
    device.close()


def test_what_a_certificate_and_a_name_both_allow_is_allowed(serve: Serve, pem: dict[str, Any], authority: Authority) -> None:
    """A carrier's token with the certificate of one of its vehicles is that vehicle."""
    served = serve(**pem)
    device = TlsWire(served.listener.port, authority, authority.sign("acme/truck", "both"))
    device.join(connect("acme", b"right"))
    device.send(publish("telematics/v1/acme/van/fix") + publish(TOPIC, packet_id=2))
    assert [device.read(), device.read()] == [(wire.PUBACK, b"\0\x01\x87"), (wire.PUBACK, b"\0\x02")]
    device.close()


def test_a_certificate_of_another_authority_is_nobodys_and_tls_says_so(
    serve: Serve, pem: dict[str, Any], authority: Authority, tmp_path: Path
) -> None:
    served = serve(**pem)
    foreign = Authority(tmp_path, "foreign").sign("acme", "forged")
    with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca"):
        TlsWire(served.listener.port, authority, foreign).socket.recv(1)
    assert served.listener.refused == 1


def test_dispatch_is_no_vehicle(serve: Serve, pem: dict[str, Any], authority: Authority) -> None:
    """A dispatcher's token with a vehicle's certificate is neither; with the carrier's it is dispatch."""
    served = serve(**pem, gate=lambda username, _password: Identity(username, None, dispatch=True))
    for common_name, code in (("acme/truck", 0x87), ("acme", 0)):
        device = TlsWire(served.listener.port, authority, authority.sign(common_name, "dispatch"))
        assert device.join(connect("acme"))[1][1] == code
        device.close()


def test_where_certificates_are_required_a_password_alone_is_not_enough(
    serve: Serve, pem: dict[str, Any], authority: Authority
) -> None:
    served = serve(**pem, client_certificates="required")
    with suppress(ssl.SSLError, ConnectionError):
        device = TlsWire(served.listener.port, authority)
        device.send(connect())
        assert device.ended()
    assert served.listener.refused == 1


def test_a_revoked_certificate_is_refused_from_the_next_reload_on(
    serve: Serve, pem: dict[str, Any], authority: Authority
) -> None:
    shown = authority.sign("acme/stolen", "stolen")
    served = serve(**pem, client_crl=str(authority.revoked()))
    before = TlsWire(served.listener.port, authority, shown)
    assert before.join(connect(None, None))[1][1] == 0
    authority.revoke(shown[0])
    authority.revoked()
    served.listener.reload()
    assert before.silent(), "an open connection goes on"
    with suppress(ssl.SSLError, ConnectionError):
        after = TlsWire(served.listener.port, authority, shown)
        after.send(connect(None, None))
        assert after.ended()
    other = TlsWire(served.listener.port, authority, authority.sign("acme/van", "van"))
    assert other.join(connect(None, None))[1][1] == 0
    before.close()
    other.close()


def test_a_certificate_denied_by_its_fingerprint_is_refused(serve: Serve, pem: dict[str, Any], authority: Authority) -> None:
    shown = authority.sign("acme/truck", "denied")
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown[0].read_text())).hexdigest()
    served = serve(**pem, outside=Outside(holds=lambda _name, _proof, presented: presented != fingerprint))
    device = TlsWire(served.listener.port, authority, shown)
    assert device.join(connect(None, None))[1][1] == 0x87
    device.close()


def test_new_files_count_after_a_reload_and_bad_ones_change_nothing(
    serve: Serve, pem: dict[str, Any], authority: Authority, tmp_path: Path
) -> None:
    own = {name: tmp_path / name for name in ("certificate", "key")}
    own["certificate"].write_bytes(Path(pem["tls_certificate"]).read_bytes())
    own["key"].write_bytes(Path(pem["tls_key"]).read_bytes())
    served = serve(tls_certificate=str(own["certificate"]), tls_key=str(own["key"]))
    first = ssl.get_server_certificate(("127.0.0.1", served.listener.port), timeout=PATIENCE_S)
    own["certificate"].write_text("nonsense")
    with pytest.raises(ConfigurationError):
        served.listener.reload()
    assert ssl.get_server_certificate(("127.0.0.1", served.listener.port), timeout=PATIENCE_S) == first
    certificate, key = authority.sign("localhost", "renewed", server=True)
    own["certificate"].write_bytes(certificate.read_bytes())
    own["key"].write_bytes(key.read_bytes())
    served.listener.reload()
    assert ssl.get_server_certificate(("127.0.0.1", served.listener.port), timeout=PATIENCE_S) == certificate.read_text()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"tls_certificate": "/nowhere.pem"}, "ingest.listener.tls_certificate = /nowhere.pem: not readable: No such file"),
        ({"tls_key": "KEY"}, "ingest.listener.tls_key = .*: needs ingest.listener.tls_certificate"),
        ({"client_ca": "CA"}, "ingest.listener.client_ca = .*: needs ingest.listener.tls_certificate"),
        ({"tls_certificate": "CA", "tls_key": "KEY"}, "tls_key = .*: is not the key of the certificate in"),
        ({"tls_certificate": "KEY"}, "not a PEM certificate and its key without a passphrase"),
        ({"tls_certificate": "SERVER", "tls_key": "LOCKED"}, "not a PEM certificate and its key without a passphrase"),
        ({"tls_certificate": "SERVER", "tls_key": "KEY", "client_ca": "KEY"}, "client_ca = .*: (not PEM|holds no)"),
        ({"tls_certificate": "SERVER", "tls_key": "KEY", "client_crl": "CA"}, "client_crl = .*: needs ingest.listener.client_ca"),
        (
            {"tls_certificate": "SERVER", "tls_key": "KEY", "client_ca": "CA", "client_crl": "CA"},
            "client_crl = .*: holds no list of revoked certificates",
        ),
        ({"client_certificates": "required"}, "client_certificates = required: needs ingest.listener.client_ca"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_before_anything_is_bound(
    pem: dict[str, Any], authority: Authority, said: dict[str, str], told: str
) -> None:
    files = {"SERVER": pem["tls_certificate"], "KEY": pem["tls_key"], "CA": str(authority.certificate), "LOCKED": ""}
    if "LOCKED" in said.values():
        files["LOCKED"] = str(authority.folder / "locked.key")
        authority._run("pkey", "-in", pem["tls_key"], "-aes128", "-passout", "pass:secret", "-out", files["LOCKED"])
    with pytest.raises(ConfigurationError, match=told):
        Listener(Limits(**{name: files.get(value, value) for name, value in said.items()}), 10, authenticate)


@pytest.mark.parametrize(
    ("host", "source", "certificate", "warned"),
    [
        ("0.0.0.0", "listener", "", True),
        ("::", "both", "", True),
        ("monitor.example", "listener", "", True),
        ("127.0.0.1", "listener", "", False),
        ("::1", "listener", "", False),
        ("localhost", "listener", "", False),
        ("0.0.0.0", "broker", "", False),
        ("0.0.0.0", "listener", "server.pem", False),
    ],
)
def test_listening_to_a_network_in_the_clear_is_warned_of(host: str, source: str, certificate: str, *, warned: bool) -> None:
    limits = Limits(host=host, tls_certificate=certificate, max_connections=10)
    assert bool(warnings(Ingest(source=source, listener=limits))) is warned


def test_more_connections_than_files_may_be_open_are_warned_of() -> None:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = warnings(Ingest(listener=Limits(max_connections=1_000_000)))
    assert bool(told) is (files != resource.RLIM_INFINITY and files < 1_000_000)


def test_a_tls_client_at_a_plain_port_is_closed(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.listener.port), PATIENCE_S) as raw, pytest.raises((ssl.SSLError, OSError)):
        ssl.create_default_context().wrap_socket(raw, server_hostname="localhost")
