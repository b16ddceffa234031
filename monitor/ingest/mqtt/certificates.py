"""TLS of the listener: the server's certificate, and the client certificates that may stand for a password.

The common name of a client certificate is CARRIER or CARRIER/VEHICLE: whoever `client_ca` signed it for, connects as that. With
client certificates no TLS session is resumed: a certificate that was revoked meanwhile would pass unseen.
"""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import Any, NamedTuple

from monitor.errors import ConfigurationError
from monitor.fixes import NAME, Identity
from monitor.settings import Listener as Limits

SECTION = "ingest.listener"


class Certificate(NamedTuple):
    """A client certificate that was signed by those we trust."""

    identity: Identity
    fingerprint: str
    """SHA-256, hexadecimal."""


def server_context(limits: Limits) -> ssl.SSLContext | None:
    """What TLS connections are made with, read anew from the files; None where there is to be no TLS.

    Raises
    ------
    ConfigurationError
        If a file cannot be read or does not hold what it should, or the settings contradict each other.
    """
    _check(limits)
    if not limits.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    key = limits.tls_key or limits.tls_certificate
    try:
        context.load_cert_chain(limits.tls_certificate, key, password=lambda: b"")  # else one with a passphrase asks the terminal
    except (ssl.SSLError, ValueError) as error:
        said = _reason(error)
        if "mismatch" in said:
            fault = f"{SECTION}.tls_key = {key}: is not the key of the certificate in {limits.tls_certificate}"
        else:
            files = f"{SECTION}.tls_certificate = {limits.tls_certificate}, tls_key = {key}"
            fault = f"{files}: not a PEM certificate and its key without a passphrase: {said}"
        raise ConfigurationError([fault]) from None
    if limits.client_ca:
        _ask_for_certificates(context, limits)
    return context


def _ask_for_certificates(context: ssl.SSLContext, limits: Limits) -> None:
    _load(context, "client_ca", limits.client_ca)
    if limits.client_crl:
        _load(context, "client_crl", limits.client_crl)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    context.verify_mode = ssl.CERT_REQUIRED if limits.client_certificates == "required" else ssl.CERT_OPTIONAL
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


def _load(context: ssl.SSLContext, name: str, file: str) -> None:
    before = context.cert_store_stats()
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        raise ConfigurationError([f"{SECTION}.{name} = {file}: not PEM: {_reason(error)}"]) from None
    wanted = "crl" if name == "client_crl" else "x509_ca"
    if context.cert_store_stats()[wanted] == before[wanted]:
        what = "list of revoked certificates" if wanted == "crl" else "certificate of an authority"
        raise ConfigurationError([f"{SECTION}.{name} = {file}: holds no {what}"])


def _check(limits: Limits) -> None:
    faults = []
    if not limits.tls_certificate:
        alone = [(name, getattr(limits, name)) for name in ("tls_key", "client_ca", "client_crl")]
        faults += [f"{SECTION}.{name} = {file}: needs {SECTION}.tls_certificate" for name, file in alone if file]
    if limits.client_crl and not limits.client_ca:
        faults.append(f"{SECTION}.client_crl = {limits.client_crl}: needs {SECTION}.client_ca")
    if limits.client_certificates == "required" and not limits.client_ca:
        faults.append(f"{SECTION}.client_certificates = required: needs {SECTION}.client_ca")
    for name in ("tls_certificate", "tls_key", "client_ca", "client_crl"):
        file = getattr(limits, name)
        if file and (fault := _unreadable(file)):
            faults.append(f"{SECTION}.{name} = {file}: {fault}")
    if faults:
        raise ConfigurationError(faults)


def _unreadable(file: str) -> str:
    try:
        with Path(file).open("rb"):
            return ""
    except OSError as error:
        return f"not readable: {error.strerror}"


def _reason(error: Exception) -> str:
    """OpenSSL's words, without its file names."""
    reason = getattr(error, "reason", None)
    return str(reason or error).replace("_", " ").lower()


def shown(peer: ssl.SSLObject) -> Certificate | str | None:
    """The certificate that a client has shown, which TLS has verified; why it is nobody's, or None where there is none."""
    raw = peer.getpeercert(binary_form=True)
    if raw is None:
        return None
    subject: Any = (peer.getpeercert() or {}).get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    if len(names) != 1:
        return f"a certificate with {len(names)} common names; allowed is one, CARRIER or CARRIER/VEHICLE"
    carrier, slash, vehicle = str(names[0]).partition("/")
    if not NAME.fullmatch(carrier) or (slash and not NAME.fullmatch(vehicle)):
        return f"a certificate whose common name is {str(names[0])[:128]!r}; allowed is CARRIER or CARRIER/VEHICLE"
    return Certificate(Identity(carrier, vehicle if slash else None), hashlib.sha256(raw).hexdigest())
