"""Certificates of a one-node Kubernetes: one CA, and the certificates by which the components know each other."""

import base64
import datetime
import ipaddress
import os
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scout_chat.core.errors import UserError

YEAR = datetime.timedelta(days=365)


class Authority:
    """A CA in ``folder``, created at the first use. Files are written whole or not at all, so an interruption does no harm."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.cert_file = folder / "ca.crt"
        if not self.cert_file.exists():
            new = ec.generate_private_key(ec.SECP256R1())
            name = _name("scout-chat-node")
            cert = _builder(name, name, new).add_extension(x509.BasicConstraints(True, None), critical=True)
            _write(folder / "ca.key", _pem(new))
            _write(self.cert_file, cert.sign(new, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise UserError(f"{folder / 'ca.key'} is not an EC private key", "Remove the node with it: scout-chat cluster down")
        self._key = key
        self._cert = x509.load_pem_x509_certificate(self.cert_file.read_bytes())

    def issue(self, name: str, common_name: str, organization: str = "", hosts: tuple[str, ...] = ()) -> tuple[Path, Path]:
        """Return a certificate file and a key file for client use, and for server use if ``hosts`` (names or addresses) are given."""
        cert_file, key_file = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        if cert_file.exists() and key_file.exists():
            return cert_file, key_file
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])
        builder = _builder(_name(common_name, organization), self._cert.subject, key)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        _write(key_file, _pem(key))
        _write(cert_file, builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return cert_file, key_file

    def service_account_key(self) -> Path:
        """Return the file with the RSA key that signs service account tokens."""
        file = self.folder / "service-account.key"
        if not file.exists():
            _write(file, _pem(rsa.generate_private_key(65537, 2048)))
        return file

    def kubeconfig(self, file: Path, server: str, name: str, common_name: str, organization: str = "") -> Path:
        """Write a kubeconfig with a client certificate of this CA, with all data inline, and return its path."""
        if not file.exists():
            cert_file, key_file = self.issue(name, common_name, organization)
            cluster = {"server": server, "certificate-authority-data": _inline(self.cert_file)}
            user = {"client-certificate-data": _inline(cert_file), "client-key-data": _inline(key_file)}
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "scout-chat", "cluster": cluster}],
                "users": [{"name": name, "user": user}],
                "contexts": [{"name": "scout-chat", "context": {"cluster": "scout-chat", "user": name}}],
                "current-context": "scout-chat",
            }
            _write(file, yaml.safe_dump(config).encode())
        return file


def _name(common_name: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    # Valid since yesterday, because the clock of a new virtual machine may jump.
    return builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + YEAR)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write(file: Path, content: bytes) -> None:
    part = file.with_name(f".{file.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
    part.replace(file)


def _inline(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
