"""The client: every route as a typed method, and on top of them what people do.

    from depa_client import Client, Key
    c = Client("https://registry.example", key=Key.load("tdc.key"))
    c.datasets.search("tuberculosis")
    run = c.runs.get("run_…")
    for event in run.events(): print(event)
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

from . import _types as t
from ._errors import DepaError
from ._operations import AsyncOperations, Operations
from .documents import read_unverified, sign
from .keys import Key, stamp
from .proofs import Checkpoint, Trust
from .views import DATASET_COLUMNS, RUN_COLUMNS, Dataset, Listing, Run

MOST = 10_000


def application(key: Key, registry: str, kind: str, legal_name: str, jurisdiction: str) -> t.Envelope:
    """A signed application for registration, with the key that it names."""
    document = {
        "schema": "participant.v1", "registry": registry, "did": key.did, "kind": kind, "legal_name": legal_name,
        "jurisdiction": jurisdiction, "jwk": key.jwk, "applied_at": stamp(),
    }  # fmt: skip
    return sign(document, key)


class _Datasets:
    def __init__(self, client: Client) -> None:
        self._client = client

    def search(self, text: str | None = None, *, most: int = 200, **facets: Any) -> Listing[Dataset]:
        """Registered datasets; facets are those of `Client.get_datasets`."""
        rows: list[Dataset] = []
        cursor: str | None = None
        while len(rows) < min(most, MOST):
            page = self._client.get_datasets(limit=min(200, most), cursor=cursor, q=text, **facets)
            rows += map(Dataset.of, page["datasets"])
            cursor = page.get("next")
            if cursor is None:
                break
        return Listing(rows[:most], DATASET_COLUMNS)

    def get(self, dataset_id: str) -> Dataset:
        """The newest version of a dataset."""
        return Dataset.of(self._client.get_datasets_id(dataset_id))


class _Runs:
    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, *, contract: str | None = None, limit: int = 50) -> Listing[t.RunLine]:
        """The newest runs that you may read about."""
        return Listing(self._client.get_runs(limit=limit, contract=contract)["runs"], RUN_COLUMNS)

    def get(self, run_id: str) -> Run:
        """A run."""
        return Run(self._client, self._client.get_runs_id(run_id))

    def start(self, bundle: t.JobBundle) -> t.OrderAnswer:
        """Orders a run of a signed bundle (`depa job bundle`, or documents of your own)."""
        return self._client.post_run_orders({"bundle": bundle})

    def forecast(self, **arguments: Any) -> t.Forecast:
        """What steps would cost in ε; arguments are those of `Client.get_forecast`."""
        return self._client.get_forecast(**arguments)


class _Log:
    def __init__(self, client: Client) -> None:
        self._client = client

    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint, verified under the pinned trust."""
        return self._client.pinned().checkpoint(self._client.get_log_checkpoint())

    def receipt(self, index: int) -> t.Receipt:
        """The receipt of an entry that concerns you."""
        return self._client.get_log_receipts_index(str(index))["receipt"]

    def verify(self, receipt: t.Receipt, body: Any) -> Checkpoint:
        """Verifies offline that a body stands in the log."""
        return self._client.pinned().receipt(receipt, body)


class Client(Operations):
    """A contract service, acting for the owner of a key where one is given."""

    def __init__(
        self,
        url: str | None = None,
        *,
        key: Key | str | os.PathLike[str] | None = None,
        trust: Trust | str | os.PathLike[str] | None = None,
        ca: str | None = None,
    ) -> None:
        url, key, trust, ca = _settings(url, key, trust, ca)
        super().__init__(url, key, ca=ca)
        self.trust = trust
        self.datasets, self.runs, self.log = _Datasets(self), _Runs(self), _Log(self)

    def pinned(self) -> Trust:
        """The pinned trust; without one nothing is verified."""
        return _pinned(self.trust)

    def apply(self, kind: t.Kind, legal_name: str, jurisdiction: str = "IN") -> t.Receipt:
        """Applies for registration, and verifies the receipt where trust is pinned and the key is a did:key's."""
        envelope, trust = self._application(kind, legal_name, jurisdiction)
        receipt = self.post_participants(envelope)["receipt"]
        if trust and self.key and self.key.did.startswith("did:key:"):
            trust.receipt(receipt, {"kind": "participant_applied", "application": envelope, "resolution": None})
        return receipt

    def _application(self, kind: str, legal_name: str, jurisdiction: str) -> tuple[t.Envelope, Trust | None]:
        if self.key is None:
            raise DepaError("UNAUTHENTICATED", "this call needs a key to act for")
        registry = self.trust.registry if self.trust else str(self.get_trust()["registry"])
        return application(self.key, registry, kind, legal_name, jurisdiction), self.trust

    def participants(self, **filters: Any) -> Iterator[t.ParticipantLine]:
        """Every participant, page by page; filters are those of `get_participants`."""
        cursor: str | None = None
        for _ in range(MOST):
            page = self.get_participants(cursor=cursor, **filters)
            yield from page["participants"]
            cursor = page.get("next")
            if cursor is None:
                return

    def contract(self, contract_id: str) -> dict[str, Any]:
        """The document of a contract; nothing is verified."""
        return read_unverified(self.get_contracts_id(contract_id)["contract"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url}{f', as {self.key.did}' if self.key else ''})"


class AsyncClient(AsyncOperations):
    """The same for asyncio."""

    def __init__(
        self,
        url: str | None = None,
        *,
        key: Key | str | os.PathLike[str] | None = None,
        trust: Trust | str | os.PathLike[str] | None = None,
        ca: str | None = None,
    ) -> None:
        url, key, trust, ca = _settings(url, key, trust, ca)
        super().__init__(url, key, ca=ca)
        self.trust = trust

    def pinned(self) -> Trust:
        """The pinned trust; without one nothing is verified."""
        return _pinned(self.trust)

    async def apply(self, kind: t.Kind, legal_name: str, jurisdiction: str = "IN") -> t.Receipt:
        """Applies for registration, and verifies the receipt where trust is pinned and the key is a did:key's."""
        if self.key is None:
            raise DepaError("UNAUTHENTICATED", "this call needs a key to act for")
        registry = self.trust.registry if self.trust else str((await self.get_trust())["registry"])
        envelope = application(self.key, registry, kind, legal_name, jurisdiction)
        receipt = (await self.post_participants(envelope))["receipt"]
        if self.trust and self.key.did.startswith("did:key:"):
            self.trust.receipt(receipt, {"kind": "participant_applied", "application": envelope, "resolution": None})
        return receipt

    async def datasets(self, **filters: Any) -> AsyncIterator[Dataset]:
        """Registered datasets, page by page; filters are those of `get_datasets`."""
        cursor: str | None = None
        for _ in range(MOST):
            page = await self.get_datasets(cursor=cursor, **filters)
            for view in page["datasets"]:
                yield Dataset.of(view)
            cursor = page.get("next")
            if cursor is None:
                return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.url}{f', as {self.key.did}' if self.key else ''})"


def _settings(
    url: str | None,
    key: Key | str | os.PathLike[str] | None,
    trust: Trust | str | os.PathLike[str] | None,
    ca: str | None,
) -> tuple[str, Key | None, Trust | None, str | None]:
    """What is not given comes from the variables that `depa` reads too: DEPA_REGISTRY, DEPA_KEY, DEPA_TRUST, DEPA_CA."""
    url = url or os.environ.get("DEPA_REGISTRY")
    if not url:
        raise DepaError("CONFIG_INVALID", "the address of the service or DEPA_REGISTRY is needed")
    key = key or os.environ.get("DEPA_KEY")
    trust = trust or os.environ.get("DEPA_TRUST")
    own = Key.load(key) if key is not None and not isinstance(key, Key) else key
    pinned = Trust.load(trust) if trust is not None and not isinstance(trust, Trust) else trust
    return url, own, pinned, ca or os.environ.get("DEPA_CA")


def _pinned(trust: Trust | None) -> Trust:
    if trust is None:
        raise DepaError("CONFIG_INVALID", "trust= or DEPA_TRUST is needed: depa trust fetch, then compare fingerprints")
    return trust
