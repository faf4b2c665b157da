"""The token service's key and self-signed certificate, made once on the head. Workers check its fingerprint."""

from __future__ import annotations

import hashlib
import logging
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

from yellowdog_ray.private_file import write_private

logger = logging.getLogger(__name__)

_BEGIN = "-----BEGIN CERTIFICATE-----"
_VALID = timedelta(days=3650)  # longer than any cluster; the fingerprint decides, not the dates


class Certificate:
    """A private key and its certificate in one file of mode 0600, which is made if it is missing or damaged.

    Args:
        file: the file; its directory exists.

    Attributes:
        file: the file.
        fingerprint: the SHA-256 of the certificate, hexadecimal.
        secret: bytes that only a reader of the file can have.
    """

    def __init__(self, file: Path) -> None:
        if not _is_usable(file):
            if file.exists():
                logger.warning("%s is damaged and was replaced: tickets issued before are invalid", file)
            write_private(file, _make())
        self.file = file
        text = file.read_text()
        body = text[text.index(_BEGIN) :]
        self.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(body)).hexdigest()
        self.secret = hashlib.sha256(text.encode()).digest()

    def context(self) -> ssl.SSLContext:
        """The settings of a server with this certificate."""
        return _context(self.file)


def _context(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(file, password=lambda: b"")  # a damaged file must not make OpenSSL prompt for a password
    return context


def _is_usable(file: Path) -> bool:
    """Whether the file has a key and its certificate."""
    try:
        _context(file)
        return _BEGIN in file.read_text()
    except (OSError, ValueError):  # an `ssl.SSLError` is an `OSError`
        return False


def _make() -> bytes:
    """A new key and certificate, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RayDog token service")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)
