"""Bytes as documents write them, and canonical JSON (RFC 8785) of documents without floating-point numbers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from typing import Any

import rfc8785

from ._errors import DepaError

SAFE = 2**53 - 1


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """Reads base64url without padding; one text per value."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as e:
        raise DepaError("MALFORMED_BASE64", "base64url without padding is expected") from e
    if b64(data) != text:
        raise DepaError("MALFORMED_BASE64", "base64url without padding is expected")
    return data


def sha256(*parts: bytes) -> bytes:
    """SHA-256 over the parts in order."""
    return hashlib.sha256(b"".join(parts)).digest()


def fresh(length: int = 24) -> str:
    """Random text for ids that count once."""
    return b64(secrets.token_bytes(length))


def _exact(value: Any) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, float) or (isinstance(value, int) and abs(value) > SAFE):
        raise DepaError("MALFORMED_NUMBER", "a signed document holds whole numbers below 2^53 only; others are text")
    if isinstance(value, dict):
        for name, member in value.items():  # pyright: ignore[reportUnknownVariableType]
            if not isinstance(name, str):
                raise DepaError("MALFORMED_JSON", "names of members are text")
            _exact(member)
    elif isinstance(value, (list, tuple)):
        for member in value:  # pyright: ignore[reportUnknownVariableType]
            _exact(member)


def canonical(value: Any) -> bytes:
    """The canonical bytes of a document. Refuses floats and numbers that a JSON reader elsewhere would change."""
    _exact(value)
    return rfc8785.dumps(value)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise DepaError("DUPLICATE_MEMBER", "a member stands twice")
    return out


def read_canonical(data: bytes) -> Any:
    """Reads a document whose bytes must be its canonical ones."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_no_twins)
    except (UnicodeDecodeError, ValueError, RecursionError) as e:
        raise DepaError("MALFORMED_JSON", "not a JSON document") from e
    if canonical(value) != data:
        raise DepaError("NOT_CANONICAL", "the bytes are not the canonical ones of the document")
    return value
