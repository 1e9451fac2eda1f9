"""Offline checks of the transparency log: inclusion and consistency (RFC 9162), signed checkpoints, receipts of entries."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _types as t
from ._bytes import canonical, sha256, unb64
from ._errors import DepaError
from .documents import verify_bytes


def leaf_hash(record: bytes) -> bytes:
    """RFC 6962 leaf hash."""
    return sha256(b"\0", record)


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 node hash."""
    return sha256(b"\1", left, right)


def _bad(why: str, code: str = "INCLUSION_INVALID") -> DepaError:
    return DepaError(code, f"proof: {why}")


def inclusion_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162 2.1.3.2). Fails if `index >= size`, also for size 0."""
    if not 0 <= index < size:
        raise _bad("index is not below the size")
    if len(path) > 64:
        raise _bad("path is too long")
    fn, sn, root = index, size - 1, leaf
    for sibling in path:
        if sn == 0:
            raise _bad("path is too long")
        if fn & 1 or fn == sn:
            root = node_hash(sibling, root)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise _bad("path is too short")
    return root


def check_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: list[bytes]) -> None:
    """Checks that the smaller log is the beginning of the larger one (RFC 9162 2.1.4.2)."""

    def bad(why: str) -> DepaError:
        return _bad(why, "CONSISTENCY_INVALID")

    if not 0 < old_size <= size or len(proof) > 128:
        raise bad("sizes do not fit")
    if old_size == size:
        if proof or old_root != root:
            raise bad("same size, other root")
        return
    rest = list(proof)
    if old_size & (old_size - 1) == 0:
        rest.insert(0, old_root)
    if not rest:
        raise bad("too short")
    fn, sn = old_size - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    from_old = from_new = rest[0]
    for one in rest[1:]:
        if sn == 0:
            raise bad("too long")
        if fn & 1 or fn == sn:
            from_old, from_new = node_hash(one, from_old), node_hash(one, from_new)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            from_new = node_hash(from_new, one)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise bad("too short")
    if from_old != old_root or from_new != root:
        raise bad("roots differ")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint note whose signature by the log was verified."""

    origin: str
    size: int
    root: bytes
    text: str

    def __repr__(self) -> str:
        return f"Checkpoint({self.origin}, {self.size} entries, root {self.root.hex()[:12]}…)"


@dataclass(frozen=True)
class Trust:
    """What you pin: the registry's key and the SRO people. Compare it once, out of band; then keep it in a file."""

    registry: str
    origin: str
    registry_x: str
    sro: tuple[dict[str, Any], ...]
    witnesses: tuple[dict[str, Any], ...]
    quorum: int

    @classmethod
    def of(cls, document: Any) -> Trust:
        """Reads what `/v1/trust` says or a trust file holds."""
        try:
            return cls(
                registry=str(document["registry"]),
                origin=str(document["origin"]),
                registry_x=str(document["registry_jwk"]["x"]),
                sro=tuple(document["sro"]),
                witnesses=tuple(document.get("witnesses", ())),
                quorum=int(document.get("quorum", 0)),
            )
        except (KeyError, TypeError, ValueError) as e:
            raise DepaError("CONFIG_INVALID", "not a trust document") from e

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Trust:
        """Reads a trust file, as `depa trust fetch` writes it."""
        try:
            return cls.of(json.loads(Path(path).read_text("utf-8")))
        except (OSError, ValueError) as e:
            raise DepaError("CONFIG_INVALID", f"trust file {path} cannot be read") from e

    def checkpoint(self, text: str) -> Checkpoint:
        """Reads a checkpoint note and verifies the pinned key's signature, and the cosignatures of a quorum of witnesses."""
        body, origin, size, root, lines = _note(text)
        if origin != self.origin:
            raise _bad("checkpoint of another log", "CHECKPOINT_INVALID")
        signature = lines.get((origin, _key_hash(origin, 1, self.registry_x)))
        if signature is None:
            raise _bad("checkpoint is not signed by the pinned key of the log", "CHECKPOINT_INVALID")
        try:
            verify_bytes(self.registry_x, body.encode(), signature)
        except DepaError as e:
            raise _bad("the log's signature does not verify", "CHECKPOINT_INVALID") from e
        return Checkpoint(origin, size, root, text)

    def cosigned(self, text: str) -> int:
        """How many of the pinned witnesses cosigned a checkpoint."""
        body, _, _, _, lines = _note(text)
        count = 0
        for witness in self.witnesses:
            name, x = str(witness["name"]), str(witness["jwk"]["x"])
            line = lines.get((name, _key_hash(name, 4, x)))
            if line is None or len(line) != 72:
                continue
            told = f"cosignature/v1\ntime {int.from_bytes(line[:8], 'big')}\n{body}"
            try:
                verify_bytes(x, told.encode(), line[8:])
            except DepaError:
                continue
            count += 1
        return count

    def require_quorum(self, text: str) -> None:
        """Refuses a checkpoint that fewer than the pinned quorum of witnesses cosigned."""
        found = self.cosigned(text)
        if found < self.quorum:
            raise DepaError("COSIGNATURES_MISSING", f"{found} of {self.quorum} witnesses cosigned the checkpoint")

    def receipt(self, receipt: t.Receipt, body: Any) -> Checkpoint:
        """Verifies offline that a body stands in the log: salted digest, leaf, inclusion, signed checkpoint.

        A receipt from before a change of the log's key is verified by `depa audit verify-receipt`, which knows the lineage.
        """
        record = receipt["record"]
        if record["v"] != 1 or record["kind"] != body.get("kind"):
            raise DepaError("RECEIPT_MISMATCH", "receipt: of another kind of entry")
        salt = unb64(receipt["body_salt"])
        if len(salt) != 32 or sha256(salt, canonical(body)).hex() != record["body_sha256"]:
            raise DepaError("RECEIPT_MISMATCH", "receipt: of another document")
        note = self.checkpoint(receipt["checkpoint"])
        path = [bytes.fromhex(one) for one in receipt["path"]]
        root = inclusion_root(leaf_hash(canonical(record)), receipt["index"], note.size, path)
        if root != note.root:
            raise _bad("the path leads to another root")
        return note


def _key_hash(name: str, kind: int, x: str) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + unb64(x)).digest()[:4]


def _note(text: str) -> tuple[str, str, int, bytes, dict[tuple[str, bytes], bytes]]:
    def bad(why: str) -> DepaError:
        return _bad(f"not a checkpoint note: {why}", "CHECKPOINT_INVALID")

    if len(text.encode()) > 16 * 1024 or "\n\n" not in text:
        raise bad("too long, or no blank line")
    head, tail = text.split("\n\n", 1)
    parts = head.split("\n")
    if len(parts) < 3 or not parts[0] or not parts[1].isascii() or not parts[1].isdigit() or str(int(parts[1])) != parts[1]:
        raise bad("origin and size")
    try:
        root = base64.b64decode(parts[2], validate=True)
        lines: dict[tuple[str, bytes], bytes] = {}
        for line in tail.splitlines()[:16]:
            name, _, blob = line.removeprefix("\u2014 ").rpartition(" ")
            data = base64.b64decode(blob, validate=True)
            lines[(name, data[:4])] = data[4:]
    except (binascii.Error, ValueError) as e:
        raise bad("base64") from e
    if len(root) != 32:
        raise bad("root length")
    return head + "\n", parts[0], int(parts[1]), root, lines
