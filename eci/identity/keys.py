"""Keys that sign: P-256 keys in PEM, in files that only their owner can read, or derived from a secret."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core.exceptions import ImproperlyConfigured

ALGORITHM = "ES256"
PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey
_CURVE = ec.SECP256R1()


def new() -> PrivateKey:
    return ec.generate_private_key(_CURVE)


def derived(secret: str, *, purpose: str) -> PrivateKey:
    """The same key for the same secret and purpose, by HKDF: it needs no file, and cannot be told from a random one."""
    stretched = HKDF(hashes.SHA256(), length=48, salt=None, info=purpose.encode()).derive(secret.encode())
    return ec.derive_private_key(1 + int.from_bytes(stretched, "big") % (_CURVE.group_order - 1), _CURVE)


def read_private(pem: bytes) -> PrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, PrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ImproperlyConfigured("A key that signs must be a P-256 private key, in PEM.")
    return key


def read_publics(text: str) -> list[PublicKey]:
    """All public keys in a text of PEM blocks."""
    found = []
    for pem in re.findall(r"-----BEGIN.*?-----END[^\n]*", text, re.DOTALL):
        key = serialization.load_pem_public_key(pem.encode())
        if not isinstance(key, PublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ImproperlyConfigured("A key that verifies must be a P-256 public key, in PEM.")
        found.append(key)
    return found


def private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: PublicKey) -> str:
    """The key's thumbprint (RFC 7638), which is the same everywhere."""
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True)
    canonical = f'{{"crv":"{jwk["crv"]}","kty":"{jwk["kty"]}","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
    return urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).decode().rstrip("=")


def write(folder: Path, name: str, content: bytes) -> None:
    """Write a file completely or not at all. Only its owner can read it."""
    descriptor, path = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path, folder / name)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from changing this folder's files meanwhile."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
