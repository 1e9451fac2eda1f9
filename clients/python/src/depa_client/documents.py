"""Signed documents: JWS (RFC 7515, Ed25519) over canonical bytes, one signature per party.

The payload type in the protected header follows from the document's `schema`, so that a signature counts for its act only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from . import _types as t
from ._bytes import b64, canonical, read_canonical, sha256, unb64
from ._errors import DepaError
from .keys import Key, key_of_did, now, thumbprint

Book = Callable[[str], str | None]
"""Gives the public key (`x`) of a key id, or none."""


def payload_type(schema: str) -> str:
    """`contract.v1` is signed as `application/vnd.depa.contract.v1+json`."""
    return f"application/vnd.depa.{schema}+json"


def draft(document: Mapping[str, Any]) -> t.Envelope:
    """The bytes that everybody signs; nobody has yet."""
    if not isinstance(document.get("schema"), str):
        raise DepaError("SCHEMA_MISMATCH", "a document names its schema")
    return {"payload": b64(canonical(dict(document))), "signatures": []}


def countersign(envelope: t.Envelope, key: Key, at: int | None = None) -> t.PartySignature:
    """One party's signature over an envelope's bytes. They are read first: only canonical ones are signed."""
    schema = str(read_unverified(envelope)["schema"])
    header = {"alg": "EdDSA", "cty": payload_type(schema), "iat": now() if at is None else at, "kid": key.kid}
    protected = b64(canonical(header))
    sig = b64(key.sign_bytes(f"{protected}.{envelope['payload']}".encode("ascii")))
    return {"form": "jws", "protected": protected, "kid": key.kid, "sig": sig}


def sign(document: Mapping[str, Any], key: Key, at: int | None = None) -> t.Envelope:
    """Signs a document alone."""
    envelope = draft(document)
    envelope["signatures"].append(countersign(envelope, key, at))
    return envelope


def digest(envelope: t.Envelope) -> str:
    """SHA-256 of the signed bytes, lower-case hex."""
    return sha256(unb64(envelope["payload"])).hex()


def read_unverified(envelope: t.Envelope) -> dict[str, Any]:
    """The document in an envelope, for display and for countersigning; no signature is checked."""
    value = read_canonical(unb64(envelope["payload"]))
    if not isinstance(value, dict) or not isinstance(value.get("schema"), str):  # pyright: ignore[reportUnknownMemberType]
        raise DepaError("SCHEMA_MISMATCH", "a document names its schema")
    return value  # pyright: ignore[reportUnknownVariableType]


def verify(envelope: t.Envelope, schema: str, registry: str, book: Book | None = None) -> tuple[dict[str, Any], list[str]]:
    """Verifies every signature of a document; returns it with the ids of the keys that signed.

    Keys of a did:key are spelled by it; all others come from `book`. COSE signatures and other algorithms than EdDSA are
    refused here with `ALGORITHM_REFUSED`: verify those with `depa`.
    """
    document = read_unverified(envelope)
    if document["schema"] != schema:
        raise DepaError("SCHEMA_MISMATCH", f"a document of {schema} is expected")
    if document.get("registry") != registry:
        raise DepaError("WRONG_REGISTRY", "the document belongs to another registry", field="registry")
    if not envelope["signatures"]:
        raise DepaError("SIGNATURE_MISSING", "the document carries no signature")
    if len(envelope["signatures"]) > 64:
        raise DepaError("LIMIT_EXCEEDED", "more than 64 signatures")
    signers: list[str] = []
    for signature in envelope["signatures"]:
        _verify_one(envelope["payload"], signature, schema, book)
        holder = signature["kid"].rsplit("#", 1)[0]
        if any(kid.rsplit("#", 1)[0] == holder for kid in signers):
            raise DepaError("SIGNER_TWICE", f"{holder} signed twice")
        signers.append(signature["kid"])
    return document, signers


def _verify_one(payload: str, signature: t.PartySignature, schema: str, book: Book | None) -> None:
    if signature["form"] != "jws":
        raise DepaError("ALGORITHM_REFUSED", "COSE signatures are verified by depa")
    header: Any = read_canonical(unb64(signature["protected"]))
    if not isinstance(header, dict) or set(header) != {"alg", "cty", "iat", "kid"}:  # pyright: ignore[reportUnknownArgumentType]
        raise DepaError("SIGNATURE_FORM", "protected header: alg, cty, iat and kid are expected")
    if header["alg"] not in ("EdDSA", "Ed25519"):
        raise DepaError("ALGORITHM_REFUSED", f"{header['alg']} is verified by depa")
    if header["cty"] != payload_type(schema):
        raise DepaError("SIGNATURE_CONTEXT", f"the signature is for {header['cty']}, not for {payload_type(schema)}")
    kid = signature["kid"]
    if header["kid"] != kid:
        raise DepaError("SIGNATURE_FORM", "protected header: kid differs from the envelope's")
    holder, _, wanted = kid.rpartition("#")
    x = key_of_did(holder) or (book(kid) if book else None)
    if x is None or thumbprint(x) != wanted:
        raise DepaError("SIGNER_UNKNOWN", f"no key {kid} is known for this act")
    verify_bytes(x, f"{signature['protected']}.{payload}".encode("ascii"), unb64(signature["sig"]))


def verify_bytes(x: str, message: bytes, signature: bytes) -> None:
    """Verifies an Ed25519 signature."""
    try:
        Ed25519PublicKey.from_public_bytes(unb64(x)).verify(signature, message)
    except (InvalidSignature, ValueError) as e:
        raise DepaError("SIGNATURE_INVALID", "the signature does not verify") from e
