"""A certificate authority for one test run: made by the openssl program, valid for a day."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(not OPENSSL and os.environ.get("CI") != "true", reason="openssl is not installed")

CA = """
[ca]
default_ca = own
[own]
database = {folder}/{name}.index
crlnumber = {folder}/{name}.number
default_md = sha256
default_crl_days = 1
"""


class Authority:
    """Signs certificates of servers and clients, and says which of them it has revoked."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder, self.name = folder, name
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self._config = folder / f"{name}.cnf"
        self._config.write_text(CA.format(folder=folder, name=name))
        (folder / f"{name}.index").touch()
        (folder / f"{name}.number").write_text("01\n")
        self._make_key(self.key)
        extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        self._run(
            "req", "-x509", "-new", "-key", self.key, "-days", "1", "-subj", f"/CN={name}", "-out", self.certificate, *extensions
        )

    def sign(self, common_name: str, file: str, *, server: bool = False) -> tuple[Path, Path]:
        """Give the files of a certificate and its key."""
        certificate, key, request = (self.folder / f"{file}.{end}" for end in ("pem", "key", "csr"))
        self._make_key(key)
        self._run("req", "-new", "-key", key, "-subj", f"/CN={common_name}", "-out", request, escaped=common_name)
        usage = "serverAuth\nsubjectAltName=IP:127.0.0.1,DNS:localhost" if server else "clientAuth"
        extensions = self.folder / f"{file}.ext"
        extensions.write_text(f"extendedKeyUsage={usage}\n")
        signing: list[str | Path] = [
            "-CA",
            self.certificate,
            "-CAkey",
            self.key,
            "-CAcreateserial",
            "-days",
            "1",
            "-extfile",
            extensions,
        ]
        self._run("x509", "-req", "-in", request, *signing, "-out", certificate)
        return certificate, key

    def revoke(self, certificate: Path) -> None:
        """Revoke a certificate: it is in the lists made from now on."""
        self._run("ca", "-config", self._config, "-revoke", certificate, "-cert", self.certificate, "-keyfile", self.key)

    def revoked(self, file: str = "revoked.pem") -> Path:
        """Give the file of a list of the certificates revoked so far."""
        out = self.folder / file
        self._run("ca", "-config", self._config, "-gencrl", "-cert", self.certificate, "-keyfile", self.key, "-out", out)
        return out

    def _make_key(self, file: Path) -> None:
        self._run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", file)

    def _run(self, *arguments: str | Path, escaped: str = "") -> None:
        assert OPENSSL, "openssl is not installed"
        words = [str(each) for each in arguments]
        if escaped:  # a slash separates names in -subj
            words = [f"/CN={escaped.replace('/', chr(92) + '/')}" if each == f"/CN={escaped}" else each for each in words]
        done = subprocess.run([OPENSSL, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One authority for all tests."""
    return Authority(tmp_path_factory.mktemp("authority"))
