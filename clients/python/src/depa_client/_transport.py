"""One HTTP call: address rules, time-outs, size limits, access tokens (bearer or DPoP), refusals out of problem documents."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote as _quote

import httpx

from ._bytes import b64, fresh, sha256
from ._errors import DepaError
from .keys import Key, now

CONNECT, TOTAL, STREAM = 5.0, 30.0, 90.0
LIMIT = 64 * 1024 * 1024
EVENT_LIMIT = 1024 * 1024
ATTEMPTS = 3
LONGEST_WAIT = 5.0
# A token is replaced so many seconds before it ends.
MARGIN = 30
ASSERTION_SECONDS = 120
AGAIN = (429, 503)
LINE_END = re.compile(rb"\r\n|\r|\n")


def quote(segment: str) -> str:
    """One segment of a path."""
    return _quote(segment, safe="")


@dataclass(frozen=True)
class Event:
    """One event of a stream."""

    id: str
    kind: str
    data: Any


@dataclass
class Request:
    """What is asked, in words of the interface."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str | int | None] = field(default_factory=dict[str, "str | int | None"])
    body: Any = None
    media: str = "application/json"
    token: bool = False
    keyed: bool = False

    def target(self) -> str:
        """Path and query, without what was left out; a space travels as `%20`."""
        pairs = [f"{quote(name)}={quote(str(value))}" for name, value in self.query.items() if value is not None]
        return self.path + ("?" + "&".join(pairs) if pairs else "")

    def content(self) -> bytes | None:
        """The body as it travels."""
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _base(url: str) -> str:
    parsed = httpx.URL(url)
    loopback = parsed.host in ("localhost", "127.0.0.1", "::1")
    if parsed.scheme != "https" and not (parsed.scheme == "http" and loopback):
        raise DepaError("CONFIG_INVALID", "address of the service: https is needed; plain http only on loopback")
    return url.rstrip("/")


class _Session:
    """What the two transports share: the token, its key, and what a call carries."""

    def __init__(self, url: str, key: Key | None) -> None:
        self.url = _base(url)
        self.key = key
        self._token: tuple[str, Key | None, float] | None = None
        self._bind: Key | None = None

    def access(self) -> tuple[str, Key | None] | None:
        """The kept token, if it lives."""
        return self._token[:2] if self._token and time.monotonic() < self._token[2] else None

    def keep(self, answer: Any) -> tuple[str, Key | None]:
        """Keeps a fresh token."""
        try:
            token, seconds = str(answer["access_token"]), int(answer["expires_in"])
        except (KeyError, TypeError, ValueError) as e:
            raise DepaError("PEER_FAULT", "the service answered with no token") from e
        self._token = (token, self._bind, time.monotonic() + seconds - MARGIN)
        return token, self._bind

    def forget(self, bind: bool) -> None:
        """Drops the token that the service does not take any more; the next one is bound to a key if `bind`."""
        self._token = None
        if bind and self._bind is None:
            self._bind = Key.generate()

    def token_request(self) -> Request:
        """Asks for a token with an assertion of the caller's own key (RFC 7523); each counts once."""
        if self.key is None:
            raise DepaError("UNAUTHENTICATED", "this call needs a key to act for")
        iat = now()
        did = self.key.did
        claims: dict[str, object] = {
            "aud": self.url, "exp": iat + ASSERTION_SECONDS, "iat": iat, "iss": did, "jti": fresh(), "sub": did,
        }  # fmt: skip
        assertion = self.key.compact({"alg": "EdDSA", "kid": self.key.kid, "typ": "client-authentication+jwt"}, claims)
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        body = {"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": assertion}
        return Request("POST", "/oauth/token", body=body)

    def proof(self, request: Request, bound: Key, token: str | None) -> str:
        """A proof of possession for one call (RFC 9449)."""
        url = self.url + request.path
        claims: dict[str, object] = {"htm": request.method, "htu": url, "iat": now(), "jti": fresh()}
        if token is not None:
            claims["ath"] = b64(sha256(token.encode("ascii")))
        return bound.compact({"alg": "EdDSA", "jwk": bound.jwk, "typ": "dpop+jwt"}, claims)

    def headers(self, request: Request, access: tuple[str, Key | None] | None, key: str) -> dict[str, str]:
        """The headers of one attempt."""
        out = {name: str(value) for name, value in request.headers.items() if value is not None}
        if request.body is not None:
            out["content-type"] = request.media
        if request.keyed:
            out["idempotency-key"] = key
        if access is not None:
            token, bound = access
            out["authorization"] = f"{'DPoP' if bound else 'Bearer'} {token}"
            if bound:
                out["dpop"] = self.proof(request, bound, token)
        elif request.path == "/oauth/token" and self._bind:
            out["dpop"] = self.proof(request, self._bind, None)
        return out

    def refusal(self, response: httpx.Response, content: bytes) -> DepaError:
        """The refusal in an answer."""
        try:
            document: Any = json.loads(content)
        except ValueError:
            document = None
        return DepaError.of_problem(response.status_code, document)

    def mended(self, error: DepaError, request: Request, tried: int) -> bool:
        """Whether a fresh token may help, once; the old one is dropped."""
        if tried > 1 or not (request.token or request.path == "/oauth/token"):
            return False
        if error.code == "DPOP_INVALID":
            self.forget(bind=True)
            return True
        if error.code == "UNAUTHENTICATED" and request.token:
            self.forget(bind=False)
            return True
        return False

    @staticmethod
    def wait(response: httpx.Response | None, attempt: int) -> float:
        """Seconds before a repetition."""
        asked = response.headers.get("retry-after", "") if response is not None else ""
        return min(float(asked) if asked.isdigit() else 0.2 * 2**attempt, LONGEST_WAIT)


def _unreachable(url: str, error: Exception) -> DepaError:
    kind = "answers too slowly" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    return DepaError("PEER_UNREACHABLE", f"{url} {kind}")


def _too_large() -> DepaError:
    return DepaError("LIMIT_EXCEEDED", "the answer is larger than is accepted")


def _timeout(read: float) -> httpx.Timeout:
    return httpx.Timeout(read, connect=CONNECT)


class _Lines:
    """Server-sent events out of bytes. CR, LF or both end a line, and nothing else: what others wrote into the data may hold
    characters that Unicode takes for an end, and would begin a line of its own with them."""

    def __init__(self) -> None:
        self.id, self.kind, self.data = "", "message", list[str]()
        self._rest, self._size, self._after_cr = bytearray(), 0, False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Takes what came; gives the events that it ends."""
        if self._after_cr and chunk:
            # The second half of an end that was cut in two.
            chunk, self._after_cr = chunk.removeprefix(b"\n"), False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        first, *further = LINE_END.split(chunk)
        self._rest += first
        for part in further:
            line, self._rest = self._rest.decode("utf-8", "replace"), bytearray(part)
            if event := self._line(line):
                yield event
        if len(self._rest) > EVENT_LIMIT:
            raise _too_large()

    def _line(self, line: str) -> Event | None:
        if line == "":
            text, kind = "\n".join(self.data), self.kind
            self.kind, self.data, self._size = "message", [], 0
            if not text:
                return None
            try:
                return Event(self.id, kind, json.loads(text))
            except ValueError:
                return Event(self.id, kind, text)
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self.data.append(value)
            # Counted as it comes: a sum over many short lines at each of them would take for ever.
            self._size += len(value) + 1
            if self._size > EVENT_LIMIT:
                raise _too_large()
        elif name == "event":
            self.kind = value
        elif name == "id":
            self.id = value
        return None


class Transport(_Session):
    """Calls the service, one thread at a time."""

    def __init__(self, url: str, key: Key | None = None, *, ca: str | None = None) -> None:
        super().__init__(url, key)
        verify: Any = ssl.create_default_context(cafile=ca) if ca else True
        self._http = httpx.Client(timeout=_timeout(TOTAL), follow_redirects=False, verify=verify, trust_env=False)

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def _access(self, request: Request) -> tuple[str, Key | None] | None:
        if not request.token:
            return None
        return self.access() or self.keep(self._json(self.token_request()))

    def _bytes(self, request: Request) -> bytes:
        key, attempt, mended = fresh(), 0, 0
        while True:
            attempt += 1
            headers, response = self.headers(request, self._access(request), key), None
            try:
                with self._http.stream(
                    request.method, self.url + request.target(), headers=headers,
                    content=request.content(),
                ) as response:  # fmt: skip
                    content = b""
                    for chunk in response.iter_bytes():
                        content += chunk
                        if len(content) > LIMIT:
                            raise _too_large()
                if response.is_success:
                    return content
                error = self.refusal(response, content)
            except httpx.TransportError as e:
                error = _unreachable(self.url, e)
            mended += 1
            if self.mended(error, request, mended):
                if request.path == "/oauth/token":
                    request = self.token_request()
                continue
            again = error.code == "PEER_UNREACHABLE" or error.status in AGAIN
            safe = request.keyed or request.method == "GET"
            if not (again and safe and attempt < ATTEMPTS):
                raise error
            time.sleep(self.wait(response, attempt))

    def _json(self, request: Request) -> Any:
        return json.loads(self._bytes(request))

    def _text(self, request: Request) -> str:
        return self._bytes(request).decode("utf-8")

    def _none(self, request: Request) -> None:
        self._bytes(request)

    def _stream(self, request: Request) -> Iterator[Event]:
        headers = {**self.headers(request, self._access(request), ""), "accept": "text/event-stream"}
        try:
            with self._http.stream(
                request.method, self.url + request.target(), headers=headers,
                timeout=_timeout(STREAM),
            ) as response:  # fmt: skip
                if not response.is_success:
                    raise self.refusal(response, response.read())
                lines = _Lines()
                for chunk in response.iter_bytes():
                    yield from lines.feed(chunk)
        except httpx.TransportError as e:
            raise _unreachable(self.url, e) from e


class AsyncTransport(_Session):
    """The same for asyncio."""

    def __init__(self, url: str, key: Key | None = None, *, ca: str | None = None) -> None:
        super().__init__(url, key)
        verify: Any = ssl.create_default_context(cafile=ca) if ca else True
        self._http = httpx.AsyncClient(timeout=_timeout(TOTAL), follow_redirects=False, verify=verify, trust_env=False)

    async def close(self) -> None:
        """Ends the connections."""
        await self._http.aclose()

    async def _access(self, request: Request) -> tuple[str, Key | None] | None:
        if not request.token:
            return None
        return self.access() or self.keep(await self._json(self.token_request()))

    async def _bytes(self, request: Request) -> bytes:
        key, attempt, mended = fresh(), 0, 0
        while True:
            attempt += 1
            headers, response = self.headers(request, await self._access(request), key), None
            try:
                async with self._http.stream(
                    request.method, self.url + request.target(), headers=headers,
                    content=request.content(),
                ) as response:  # fmt: skip
                    content = b""
                    async for chunk in response.aiter_bytes():
                        content += chunk
                        if len(content) > LIMIT:
                            raise _too_large()
                if response.is_success:
                    return content
                error = self.refusal(response, content)
            except httpx.TransportError as e:
                error = _unreachable(self.url, e)
            mended += 1
            if self.mended(error, request, mended):
                if request.path == "/oauth/token":
                    request = self.token_request()
                continue
            again = error.code == "PEER_UNREACHABLE" or error.status in AGAIN
            safe = request.keyed or request.method == "GET"
            if not (again and safe and attempt < ATTEMPTS):
                raise error
            await asyncio.sleep(self.wait(response, attempt))

    async def _json(self, request: Request) -> Any:
        return json.loads(await self._bytes(request))

    async def _text(self, request: Request) -> str:
        return (await self._bytes(request)).decode("utf-8")

    async def _none(self, request: Request) -> None:
        await self._bytes(request)

    async def _stream(self, request: Request) -> AsyncIterator[Event]:
        headers = {**self.headers(request, await self._access(request), ""), "accept": "text/event-stream"}
        try:
            async with self._http.stream(
                request.method, self.url + request.target(), headers=headers,
                timeout=_timeout(STREAM),
            ) as response:  # fmt: skip
                if not response.is_success:
                    raise self.refusal(response, await response.aread())
                lines = _Lines()
                async for chunk in response.aiter_bytes():
                    for event in lines.feed(chunk):
                        yield event
        except httpx.TransportError as e:
            raise _unreachable(self.url, e) from e
