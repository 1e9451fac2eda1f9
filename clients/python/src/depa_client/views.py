"""What a notebook shows: datasets, contracts and runs as objects with short texts and HTML tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from . import _types as t

if TYPE_CHECKING:
    from ._transport import Event
    from .client import Client

T = TypeVar("T")
Column = tuple[str, Callable[[Any], object]]


def _table(rows: Sequence[Any], columns: Sequence[Column]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name, _ in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(value(row)))}</td>" for _, value in columns) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Listing(Sequence[T], Generic[T]):
    """A list that a notebook shows as a table."""

    def __init__(self, rows: Sequence[T], columns: Sequence[Column]) -> None:
        self._rows, self._columns = list(rows), list(columns)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        return self._rows[at]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._rows)) or "none"

    def _repr_html_(self) -> str:
        return _table(self._rows, self._columns)


@dataclass(frozen=True)
class Dataset:
    """A registered dataset, as everyone reads it: all of its offer but where its key lies.

    The signed offer is at `Client.get_datasets_id_offer`, for those who may contract; `sha256` is its digest.
    """

    id: str
    version: int
    name: str
    provider: str
    public_rows: int
    state: str
    offer: t.PublicOffer
    sha256: str
    receipt: t.Receipt

    @classmethod
    def of(cls, view: t.DatasetView) -> Dataset:
        offer = view["offer"]
        return cls(
            id=offer["dataset_id"],
            version=offer["version"],
            name=offer["name"],
            provider=offer["provider"],
            public_rows=offer["public_rows"],
            state=view["state"],
            offer=offer,
            sha256=view["sha256"],
            receipt=view["receipt"],
        )

    @property
    def columns(self) -> list[str]:
        """Names of the sealed columns."""
        return [column["name"] for column in self.offer["columns"]]

    def __repr__(self) -> str:
        return f"Dataset({self.id} v{self.version}, {self.name!r}, {self.public_rows} people, {self.state})"

    def _repr_html_(self) -> str:
        cap = self.offer["privacy_cap"]
        facts = [
            ("id", f"{self.id} v{self.version}"), ("provider", self.provider), ("people", self.public_rows),
            ("state", self.state), ("columns", ", ".join(self.columns)),
            ("privacy cap", f"ε {cap['epsilon']}, δ {cap['delta']}"),
        ]  # fmt: skip
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in facts)
        return f"<b>{escape(self.name)}</b><table>{rows}</table>"


DATASET_COLUMNS: list[Column] = [
    ("dataset", lambda d: f"{d.id} v{d.version}"),
    ("name", lambda d: d.name),
    ("people", lambda d: d.public_rows),
    ("columns", lambda d: ", ".join(d.columns)),
    ("ε at most", lambda d: d.offer["privacy_cap"]["epsilon"]),
    ("state", lambda d: d.state),
]

RUN_COLUMNS: list[Column] = [
    ("run", lambda r: r["run_id"]),
    ("state", lambda r: r["state"]),
    ("assurance", lambda r: "SIMULATED" if r["assurance"] == "software" else r["assurance"]),
    ("checked in", lambda r: r["checked_in_at"]),
    ("completed", lambda r: r.get("completed_at") or ""),
]


@dataclass
class Run:
    """A run, as it was when it was read. `refresh` reads it again."""

    client: Client
    view: t.RunView

    @property
    def id(self) -> str:
        return self.view["run_id"]

    @property
    def state(self) -> str:
        return self.view["state"]

    @property
    def simulated(self) -> bool:
        """Whether nobody vouches for the machine: its evidence is software's."""
        return self.view["assurance"] == "software"

    def refresh(self) -> Run:
        """Reads it again."""
        self.view = self.client.get_runs_id(self.id)
        return self

    def events(self) -> Iterator[Event]:
        """What happens to it, until the stream ends."""
        return self.client.get_runs_id_events(self.id)

    def plot(self, forecast: t.Forecast) -> Any:
        """ε over steps, as planned; needs matplotlib (`pip install depa-client[plot]`). There is no loss curve: a loss
        computed on private data without noise would itself be a leak."""
        from matplotlib import pyplot  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

        figure, axes = pyplot.subplots()  # pyright: ignore
        points = forecast["points"]
        axes.plot([p["steps"] for p in points], [p["epsilon_micro"] / 1e6 for p in points])  # pyright: ignore
        axes.set_xlabel("step")  # pyright: ignore
        axes.set_ylabel("ε")  # pyright: ignore
        axes.set_title(f"{self.id}: {self.state}")  # pyright: ignore
        return figure  # pyright: ignore

    def __repr__(self) -> str:
        note = ", SIMULATED evidence" if self.simulated else ""
        return f"Run({self.id}, {self.state}{note})"

    def _repr_html_(self) -> str:
        banner = "<p style='color:#c00'><b>SIMULATED evidence: nobody vouches for the machine</b></p>"
        return f"{banner if self.simulated else ''}<code>{escape(self.id)}</code> is <b>{escape(self.state)}</b>"
