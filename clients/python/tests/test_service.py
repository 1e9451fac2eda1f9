"""Against a real contract service: DEPA_REGISTRY, DEPA_TRUST, DEPA_TEST_SRO (two key files) and DEPA_TEST_DATASET name it.

Started by the test `clients` of the house; skipped where nothing is named.
"""

from __future__ import annotations

import asyncio
import copy
import os

import pytest

from depa_client import AsyncClient, Client, DepaError, Dataset, Key, Trust, countersign, digest, draft, read_unverified
from depa_client.keys import stamp

URL = os.environ.get("DEPA_REGISTRY", "")
pytestmark = pytest.mark.skipif(not URL, reason="no service is named")


def trust() -> Trust:
    return Trust.load(os.environ["DEPA_TRUST"])


def sro() -> list[Key]:
    return [Key.load(path) for path in os.environ["DEPA_TEST_SRO"].split(":")]


def admitted() -> Key:
    """A fresh consumer, verified by two people of the SRO who sign the same bytes."""
    key = Key.generate()
    with Client(URL, key=key, trust=trust()) as c:
        receipt = c.apply("tdc", "Python Labs")
        assert receipt["record"]["kind"] == "participant_applied"
        line = next(p for p in c.participants(q="Python Labs") if p["did"] == key.did)
        decision = draft(
            {
                "schema": "participant-decision.v1", "registry": trust().registry, "participant": key.did,
                "participant_sha256": line["application_sha256"], "decision": "verified", "reason": "papers were seen",
                "decided_at": stamp(),
            }  # fmt: skip
        )
        answers = []
        for person in sro():
            signed = {"payload": decision["payload"], "signatures": [countersign(decision, person)]}
            answers.append(c.post_participants_decisions(signed))  # type: ignore[arg-type]
        assert answers[0].get("receipt") is None and answers[1].get("receipt"), "one person alone decides nothing"
    return key


@pytest.fixture(scope="module")
def key() -> Key:
    return admitted()


def test_the_trust_that_the_service_tells_is_the_pinned_one() -> None:
    with Client(URL) as c:
        assert Trust.of(c.get_trust()) == trust()


def test_register_list_read_a_receipt_and_verify_inclusion(key: Key) -> None:
    with Client(URL, key=key, trust=trust()) as c:
        assert any(p["did"] == key.did and p["state"] == "verified" for p in c.participants())
        anchored = c.post_log_anchors({"sha256": "ab" * 32})["receipt"]
        receipt = c.log.receipt(anchored["index"])
        body = {"kind": "digest_anchored", "by": key.did, "sha256": "ab" * 32}
        note = c.log.verify(receipt, body)
        assert note.size > receipt["index"]
        with pytest.raises(DepaError, match="^RECEIPT_MISMATCH"):
            c.log.verify(receipt, {**body, "sha256": "cd" * 32})
        spoilt = copy.deepcopy(receipt)
        spoilt["index"] = 0 if receipt["index"] else 1
        with pytest.raises(DepaError, match="^INCLUSION_INVALID"):
            c.log.verify(spoilt, body)
        later = c.log.checkpoint()
        assert later.size >= note.size


def test_datasets_show_themselves(key: Key) -> None:
    with Client(URL, key=key, trust=trust()) as c:
        found = c.datasets.search()
        assert len(found) >= 1 and "<table>" in found._repr_html_()  # pyright: ignore
        one = c.datasets.get(os.environ["DEPA_TEST_DATASET"])
        assert isinstance(one, Dataset) and one.columns and one.id in repr(one)
        signed = c.get_datasets_id_offer(one.id)
        assert digest(signed["envelope"]) == one.sha256
        c.pinned().receipt(signed["receipt"], {"kind": "dataset_registered", "offer": signed["envelope"]})
        assert list(c.runs.list()) == [] and "<table>" in c.runs.list()._repr_html_()  # pyright: ignore


def test_refusals_are_coded(key: Key) -> None:
    with Client(URL) as stranger, pytest.raises(DepaError, match="^UNAUTHENTICATED"):
        stranger.get_contracts()
    with Client(URL, key=Key.generate()) as unknown, pytest.raises(DepaError) as refused:
        unknown.get_contracts()
    assert refused.value.status == 401
    with Client(URL, key=key) as c, pytest.raises(DepaError) as missing:
        c.datasets.get("dst_01900000-0000-7000-8000-000000000000")
    assert (missing.value.code, missing.value.status) == ("NOT_FOUND", 404)


def test_a_token_bound_to_a_key_reads_too(key: Key) -> None:
    with Client(URL, key=key) as c:
        c.forget(bind=True)
        assert c.get_contracts()["contracts"] == []
        assert c.access() and c.access()[1], "the token is bound"  # type: ignore[index]


def test_the_same_calls_from_asyncio(key: Key) -> None:
    async def walk() -> None:
        async with AsyncClient(URL, key=key, trust=trust()) as c:
            many = [d async for d in c.datasets()]
            signed = (await c.get_datasets_id_offer(many[0].id))["envelope"]
            assert read_unverified(signed)["dataset_id"] == many[0].id
            receipt = (await c.post_log_anchors({"sha256": "ef" * 32}))["receipt"]
            c.pinned().receipt(receipt, {"kind": "digest_anchored", "by": key.did, "sha256": "ef" * 32})
            three = await asyncio.gather(c.get_contracts(), c.get_runs(), c.get_payments())
            assert len(three) == 3

    asyncio.run(walk())
