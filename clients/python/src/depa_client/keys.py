"""Your own key: Ed25519, in a file that you alone may read; the same files as `depa keys new` writes."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ._bytes import b64, canonical, sha256, unb64
from ._errors import DepaError

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MULTICODEC = b"\xed\x01"


def thumbprint(x: str) -> str:
    """RFC 7638 thumbprint of an Ed25519 public key."""
    return b64(sha256(canonical({"crv": "Ed25519", "kty": "OKP", "x": x})))


def did_key(x: str) -> str:
    """The did:key of an Ed25519 public key."""
    data = _MULTICODEC + unb64(x)
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = _BASE58[rest] + text
    return "did:key:z" + text


def key_of_did(did: str) -> str | None:
    """The Ed25519 key (`x`) that a did:key spells; none for other DIDs."""
    if not did.startswith("did:key:z"):
        return None
    number = 0
    for letter in did.removeprefix("did:key:z"):
        at = _BASE58.find(letter)
        if at < 0:
            return None
        number = number * 58 + at
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return b64(data[2:]) if data[:2] == _MULTICODEC and len(data) == 34 else None


class Key:
    """A signing key. Its repr shows the public half only."""

    def __init__(self, private: Ed25519PrivateKey, holder: str | None = None) -> None:
        self._private = private
        self.x = b64(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        self.did = holder or did_key(self.x)

    @classmethod
    def generate(cls, holder: str | None = None) -> Key:
        """A fresh key: of its own did:key, or of a did:web that its holder publishes."""
        return cls(Ed25519PrivateKey.generate(), holder)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Key:
        """Reads a key file; refuses one that others may read, or whose halves do not belong together."""
        path = Path(path)

        def fault(why: str) -> DepaError:
            return DepaError("CONFIG_INVALID", f"key file {path}: {why}")

        try:
            if path.stat().st_mode & 0o077:
                raise fault("others may read it; run chmod 600 on it")
            file = json.loads(path.read_text("utf-8"))
            if set(file) != {"holder", "x", "d"}:
                raise fault("not a signing key file")
            key = cls(Ed25519PrivateKey.from_private_bytes(unb64(file["d"])), str(file["holder"]))
        except OSError as e:
            raise fault(e.strerror or "cannot be read") from e
        except (ValueError, TypeError) as e:
            raise fault("not a signing key file") from e
        if key.x != file["x"]:
            raise fault("public and private half do not belong together")
        return key

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a new file that its owner alone may read; an existing file is never overwritten."""
        d = b64(self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({"holder": self.did, "x": self.x, "d": d}, file)

    @property
    def jwk(self) -> dict[str, str]:
        """The public key."""
        return {"kty": "OKP", "crv": "Ed25519", "x": self.x}

    @property
    def thumbprint(self) -> str:
        """RFC 7638 thumbprint."""
        return thumbprint(self.x)

    @property
    def kid(self) -> str:
        """The key id in signatures."""
        return f"{self.did}#{self.thumbprint}"

    def sign_bytes(self, message: bytes) -> bytes:
        """Signs bytes. For documents there is `depa_client.documents.sign`."""
        return self._private.sign(message)

    def compact(self, header: dict[str, object], payload: dict[str, object]) -> str:
        """A compact JWS of canonical parts."""
        text = f"{b64(canonical(header))}.{b64(canonical(payload))}"
        return f"{text}.{b64(self.sign_bytes(text.encode('ascii')))}"

    def __repr__(self) -> str:
        return f"Key({self.kid})"


def now() -> int:
    """Seconds since the epoch."""
    return int(datetime.now(UTC).timestamp())


def stamp(at: int | None = None) -> str:
    """A time as documents write it: whole seconds, UTC."""
    return datetime.fromtimestamp(now() if at is None else at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
