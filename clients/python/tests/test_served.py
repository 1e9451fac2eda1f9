"""Runs as a notebook uses them, against a server on this machine that the test plays: ordering, events, pictures, HTML."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any, cast

import pytest

from depa_client import AsyncClient, Client, DepaError, Event, Key, Run
from depa_client import _types as t

RUN = "run_0190a000-0000-7000-8000-000000000001"
PROBLEM = "application/problem+json"


@dataclass
class Heard:
    """A call as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


# Status, media type, what is sent piece by piece.
Answer = tuple[int, str, list[bytes]]


@dataclass
class Played:
    """A server that answers as the test says, and what it heard."""

    url: str
    answers: dict[tuple[str, str], Callable[[Heard], Answer]] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)

    def says(self, method: str, path: str, document: Any, status: int = 200) -> None:
        media = "application/json" if status < 400 else PROBLEM
        self.answers[method, path] = lambda _: (status, media, [json.dumps(document).encode()])

    def streams(self, path: str, *pieces: bytes) -> None:
        self.answers["GET", path] = lambda _: (200, "text/event-stream", list(pieces))

    def asked(self, path: str) -> list[Heard]:
        return [one for one in self.heard if one.path == path]


@pytest.fixture
def played() -> Iterator[Played]:
    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            heard = Heard(self.command, self.path, headers, self.rfile.read(length))
            server.heard.append(heard)
            answer = server.answers.get((heard.method, heard.path))
            missing = json.dumps({"code": "NOT_FOUND", "detail": f"{heard.path} is not played"}).encode()
            status, media, pieces = answer(heard) if answer else (404, PROBLEM, [missing])
            self.send_response(status)
            self.send_header("content-type", media)
            self.send_header("connection", "close")
            self.end_headers()
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()

        do_GET = do_POST = do  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Played(f"http://127.0.0.1:{listener.server_address[1]}")
    server.says("POST", "/oauth/token", {"access_token": "token-1", "token_type": "Bearer", "expires_in": 600})
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    listener.shutdown()
    listener.server_close()
    thread.join()


def view(state: str = "training", assurance: str = "software") -> t.RunView:
    return cast(t.RunView, {"run_id": RUN, "state": state, "assurance": assurance})


def read(played: Played, stream: bytes, cut: int | None = None) -> list[Event]:
    """The events of a run out of these bytes, sent in pieces of so many."""
    size = cut or len(stream) or 1
    played.streams(f"/v1/runs/{RUN}/events", *[stream[at : at + size] for at in range(0, len(stream), size)])
    with Client(played.url, key=Key.generate()) as c:
        return list(Run(c, view()).events())


STREAM = (
    ": how it begins\n\n"
    'id: 7\nevent: run.training\ndata: {"steps": 3,\ndata: "note": "ε, \u2028 and \u0085"}\n\n'
    "data: no JSON\n\n"
    "retry: 10\n\n"
    'id:8\nevent:run.completed\ndata:{"ok":true}\n\n'
)
EVENTS = [
    Event("7", "run.training", {"steps": 3, "note": "ε, \u2028 and \u0085"}),
    Event("7", "message", "no JSON"),
    Event("8", "run.completed", {"ok": True}),
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("cut", [None, 1, 7])
def test_events_are_read_whatever_their_lines_end_with(played: Played, end: str, cut: int | None) -> None:
    # A sender is free in both, and text in the data may hold what other programs take for the end of a line.
    assert read(played, STREAM.replace("\n", end).encode(), cut) == EVENTS


def test_what_others_wrote_begins_no_line_of_its_own(played: Played) -> None:
    forged = 'data: {"reason": "done\u2028\u2028event: run.completed\u2028data: {}\u2028\u2028"}\n\n'
    [event] = read(played, forged.encode())
    assert (event.kind, list(event.data)) == ("message", ["reason"])


def test_an_event_that_breaks_off_is_none(played: Played) -> None:
    assert read(played, b'data: {"a": 1}\n\ndata: {"b": 2}\n') == [Event("", "message", {"a": 1})]
    assert read(played, b"") == []


LONG = b"data: " + b"x" * 2_000_000


@pytest.mark.parametrize("stream", [LONG, LONG + b"\n\n", b"data: x\n" * 600_000], ids=["a line", "an event", "lines"])
def test_an_event_without_end_is_refused(played: Played, stream: bytes) -> None:
    with pytest.raises(DepaError, match="^LIMIT_EXCEEDED:"):
        read(played, stream, 65_536)


def test_events_are_asked_for_as_the_key_s_owner_and_a_refusal_is_one(played: Played) -> None:
    read(played, STREAM.encode())
    [asked] = played.asked(f"/v1/runs/{RUN}/events")
    assert (asked.headers["authorization"], asked.headers["accept"]) == ("Bearer token-1", "text/event-stream")
    played.says("GET", f"/v1/runs/{RUN}/events", {"code": "RUN_UNKNOWN", "detail": "there is no such run"}, 404)
    with Client(played.url, key=Key.generate()) as c, pytest.raises(DepaError, match="^RUN_UNKNOWN:") as refused:
        next(Run(c, view()).events())
    assert refused.value.status == 404


def test_events_come_one_by_one_while_the_stream_goes_on(played: Played) -> None:
    go_on = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b'data: {"n": 1}\n\n'
        assert go_on.wait(60)
        yield b'data: {"n": 2}\n\n'

    played.answers["GET", f"/v1/runs/{RUN}/events"] = lambda _: (200, "text/event-stream", cast(Any, pieces()))
    with Client(played.url, key=Key.generate()) as c:
        events = Run(c, view()).events()
        assert next(events).data == {"n": 1}, "the second one is not waited for"
        go_on.set()
        assert [event.data for event in events] == [{"n": 2}]


def test_asyncio_reads_the_same_events(played: Played) -> None:
    async def all_of_them() -> list[Event]:
        played.streams(f"/v1/runs/{RUN}/events", STREAM.encode())
        async with AsyncClient(played.url, key=Key.generate()) as c:
            return [event async for event in c.get_runs_id_events(RUN)]

    assert asyncio.run(all_of_them()) == EVENTS


def test_a_run_is_ordered_with_its_bundle_and_only_once(played: Played) -> None:
    answer = cast(t.OrderAnswer, {"job_sha256": "00" * 32, "receipt": {"index": 7}})
    tries: list[Heard] = []

    def busy_first(heard: Heard) -> Answer:
        tries.append(heard)
        if len(tries) == 1:
            return 503, PROBLEM, [b'{"code": "UNAVAILABLE", "detail": "try again"}']
        return 200, "application/json", [json.dumps(answer).encode()]

    played.answers["POST", "/v1/run-orders"] = busy_first
    bundle = cast(t.JobBundle, {"job": {"payload": "e30", "signatures": []}, "note": "ε"})
    with Client(played.url) as c:
        assert c.runs.start(bundle) == answer
    assert [json.loads(one.body) for one in tries] == [{"bundle": bundle}] * 2
    keys = {one.headers["idempotency-key"] for one in tries}
    assert len(keys) == 1, "the repetition is the same order"
    assert "authorization" not in tries[0].headers, "the bundle's own signature says who orders"


def test_a_refused_order_says_why_and_is_not_repeated(played: Played) -> None:
    refused = {"code": "ESCROW_NOT_FUNDED", "detail": "a deposit is not blocked", "field": "contracts"}
    played.says("POST", "/v1/run-orders", refused, 409)
    with Client(played.url) as c, pytest.raises(DepaError, match="^ESCROW_NOT_FUNDED:"):
        c.runs.start(cast(t.JobBundle, {}))
    assert len(played.asked("/v1/run-orders")) == 1


def test_a_run_is_read_again(played: Played) -> None:
    path = f"/v1/runs/{RUN}"
    played.says("GET", path, view("training"))
    with Client(played.url, key=Key.generate()) as c:
        run = c.runs.get(RUN)
        played.says("GET", path, view("completed"))
        assert (run.state, run.refresh().state, run.id) == ("training", "completed", RUN)


def test_a_notebook_shows_a_run_and_says_where_nobody_vouches_for_it() -> None:
    with Client("http://127.0.0.1:1") as c:
        software, hardware = Run(c, view()), Run(c, view(assurance="hardware"))
    html = software._repr_html_()
    assert "SIMULATED" in html and f"<code>{RUN}</code> is <b>training</b>" in html
    assert "SIMULATED" not in hardware._repr_html_() + repr(hardware)
    assert repr(software) == f"Run({RUN}, training, SIMULATED evidence)"


def test_what_a_service_says_is_no_markup_in_a_notebook() -> None:
    said = cast(t.RunView, {"run_id": "<script>1</script>", "state": "<img src=x>", "assurance": "hardware"})
    with Client("http://127.0.0.1:1") as c:
        html = Run(c, said)._repr_html_()
    assert "<script>" not in html and "<img" not in html and "&lt;script&gt;" in html


class Axes:
    """What is drawn, as matplotlib would be told."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[Any, ...]] = {}

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given: self.told.__setitem__(name, given)


def test_a_plot_shows_the_planned_epsilon_over_the_steps(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    axes, figure = Axes(), object()
    package, pyplot = ModuleType("matplotlib"), ModuleType("matplotlib.pyplot")
    pyplot.subplots = lambda: (figure, axes)  # type: ignore[attr-defined]
    package.pyplot = pyplot  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "matplotlib", package)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)
    points = [{"steps": 10, "epsilon_micro": 250_000}, {"steps": 20, "epsilon_micro": 400_000}]
    played.says("GET", "/v1/forecast?steps=20", {"points": points})
    with Client(played.url, key=Key.generate()) as c:
        drawn = Run(c, view()).plot(c.runs.forecast(steps=20))
    assert drawn is figure
    assert axes.told["plot"] == ([10, 20], [0.25, 0.4])
    assert axes.told["set_xlabel"] == ("step",) and axes.told["set_ylabel"] == ("ε",)
    assert axes.told["set_title"] == (f"{RUN}: training",)


def test_a_plot_without_matplotlib_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with Client("http://127.0.0.1:1") as c, pytest.raises(ImportError, match="matplotlib"):
        Run(c, view()).plot(cast(t.Forecast, {"points": []}))
