"""What needs no service: keys, documents, proofs, and whether the generated files are current."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from depa_client import DepaError, Key, check_consistency, draft, inclusion_root, read_unverified, sign, verify
from depa_client._bytes import b64, canonical, unb64
from depa_client.keys import did_key, key_of_did
from depa_client.proofs import leaf_hash, node_hash

HERE = Path(__file__).resolve().parent
REGISTRY = "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"


def refusal(code: str) -> Any:
    return pytest.raises(DepaError, match=f"^{code}:")


def test_generated_files_are_current() -> None:
    done = subprocess.run([sys.executable, HERE.parent / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_did_key_spells_its_key() -> None:
    # The first vector of the did:key specification for Ed25519.
    did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
    x = key_of_did(did)
    assert x and unb64(x).hex() == "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
    assert did_key(x) == did
    assert key_of_did("did:web:a.example") is None


def test_key_files_are_private_and_never_overwritten(tmp_path: Path) -> None:
    key, path = Key.generate(), tmp_path / "a.key"
    key.save(path)
    with pytest.raises(FileExistsError):
        key.save(path)
    assert Key.load(path).kid == key.kid
    assert json.loads(path.read_text())["d"] not in repr(key)
    path.chmod(0o644)
    with refusal("CONFIG_INVALID"):
        Key.load(path)


def test_floats_and_large_numbers_are_never_signed() -> None:
    for bad in (1.5, 2**53, {"a": [0.0]}):
        with refusal("MALFORMED_NUMBER"):
            draft({"schema": "note.v1", "value": bad})


def test_signatures_count_for_their_bytes_act_and_registry_only() -> None:
    key, other = Key.generate(), Key.generate()
    envelope = sign({"schema": "note.v1", "registry": REGISTRY, "text": "ä"}, key, at=1_800_000_000)
    document, signers = verify(envelope, "note.v1", REGISTRY)
    assert document["text"] == "ä" and signers == [key.kid]
    with refusal("WRONG_REGISTRY"):
        verify(envelope, "note.v1", key.did)
    with refusal("SCHEMA_MISMATCH"):
        verify(envelope, "contract.v1", REGISTRY)
    tampered = dict(read_unverified(envelope)) | {"text": "b"}
    with refusal("SIGNATURE_INVALID"):
        verify({**envelope, "payload": b64(canonical(tampered))}, "note.v1", REGISTRY)
    foreign = sign({"schema": "letter.v1", "registry": REGISTRY, "text": "ä"}, key)["signatures"][0]
    with refusal("SIGNATURE_CONTEXT"):
        verify({**envelope, "signatures": [foreign]}, "note.v1", REGISTRY)
    renamed = {**envelope["signatures"][0], "kid": other.kid}
    with refusal("SIGNATURE_FORM"):
        verify({**envelope, "signatures": [renamed]}, "note.v1", REGISTRY)  # type: ignore[list-item]
    with refusal("SIGNER_TWICE"):
        verify({**envelope, "signatures": envelope["signatures"] * 2}, "note.v1", REGISTRY)
    with refusal("SIGNATURE_MISSING"):
        verify({**envelope, "signatures": []}, "note.v1", REGISTRY)


def test_what_is_not_canonical_is_neither_read_nor_signed() -> None:
    for text in ('{"schema":"note.v1","a":1,"a":1}', '{"schema": "note.v1"}', '{"b":1,"a":2,"schema":"x.v1"}'):
        with pytest.raises(DepaError):
            read_unverified({"payload": b64(text.encode()), "signatures": []})


def root_of(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


def path_of(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*path_of(index, leaves[:split]), root_of(leaves[split:])]
    return [*path_of(index - split, leaves[split:]), root_of(leaves[:split])]


def test_inclusion_of_every_leaf_and_of_no_other_index() -> None:
    for size in range(1, 20):
        leaves = [leaf_hash(bytes([n])) for n in range(size)]
        root = root_of(leaves)
        for index in range(size):
            path = path_of(index, leaves)
            assert inclusion_root(leaves[index], index, size, path) == root
            assert inclusion_root(leaf_hash(b"x"), index, size, path) != root
            for beyond in (index + size, 2 * size, 8, 16, 24, -1):
                if not 0 <= beyond < size:
                    with refusal("INCLUSION_INVALID"):
                        inclusion_root(leaves[index], beyond, size, path)
    with refusal("INCLUSION_INVALID"):
        inclusion_root(leaf_hash(b""), 0, 0, [])


def consistency(old: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    size = len(leaves)
    if old == size:
        return [] if whole else [root_of(leaves)]
    split = 1
    while split * 2 < size:
        split *= 2
    if old <= split:
        return [*consistency(old, leaves[:split], whole), root_of(leaves[split:])]
    return [*consistency(old - split, leaves[split:], False), root_of(leaves[:split])]


def test_consistency_of_every_pair_of_sizes() -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(17)]
    for size in range(1, 18):
        for old in range(1, size + 1):
            proof, roots = consistency(old, leaves[:size]), (root_of(leaves[:old]), root_of(leaves[:size]))
            check_consistency(old, roots[0], size, roots[1], proof)
            with refusal("CONSISTENCY_INVALID"):
                check_consistency(old, leaf_hash(b"x"), size, roots[1], proof)
            with refusal("CONSISTENCY_INVALID"):
                check_consistency(old, roots[0], size, roots[1], [*proof, leaf_hash(b"x")])


def test_plain_http_is_for_loopback_alone() -> None:
    from depa_client import Client

    with refusal("CONFIG_INVALID"):
        Client("http://registry.example")
