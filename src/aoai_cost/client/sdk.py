"""`watch`: the SDK's side of it, by what every major version has in common.

A client sends all its requests through its method ``request``, which holds the loop of retries, and each attempt
through ``send`` of an HTTP client of httpx or httpx2. An exception is raw and final only outside the loop, so that is
where the budget is checked; what was billed is seen best at each attempt, so the log is written around ``send``. Both
are replaced in the copy that `watch` makes; the HTTP client itself, which the copy shares with the original, is left
alone.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from ..catalog import Deployment, Deployments, read_deployments
from ..errors import RequestError
from ..prices import PriceBook
from .budget import Budget
from .calls import Attempt, Call, Poll, Watch
from .ledger import Ledger

__all__ = ["watch"]

_Client = TypeVar("_Client")
_CALL: ContextVar[Call | Poll | None] = ContextVar("aoai_cost_call", default=None)
# Where the SDK opens a websocket (realtime and the like): nothing on it can be priced before it is sent.
_WEBSOCKETS = (
    "_configure_realtime",
    "_configure_realtime_with_api_key",
    "_websocket_query_params",
    "_websocket_query_params_fallback",
)
# What a client of one deployment needs to find the routes past it; up to 2.x its own copy does not take it over.
_FORGOTTEN = ("_azure_deployment", "_azure_endpoint")


def watch(
    client: _Client,
    *,
    deployments: Deployments | Deployment | str | os.PathLike[str] | None = None,
    budget: Budget | None = None,
    log: str | os.PathLike[str] | None = None,
    prices: PriceBook | None = None,
    resource: str | None = None,
    clock: Callable[[], datetime] | None = None,
) -> _Client:
    """Return a copy of an OpenAI SDK client that checks each request against a budget and logs what it used.

    The client given stays as it is. The copy shares its connections and is of its class; what ``with_options`` and
    ``copy`` make of it is watched too. A request over the budget raises before anything is sent, outside the SDK's
    retries: nothing is wrapped and nothing repeated. The request itself is never changed.

    After each answer, and each attempt that failed, one line is appended to the log, which `read_usage` reads. The
    bytes of a stream are read as they pass; a stream without usage (no ``stream_options={"include_usage": True}``, or
    not read to its end) is counted here and marked ``estimated``; of one whose end was not seen the reservation stands.
    Close streams, or read them to their end: before that
    no line is written and the reservation stands. No prompt, answer or key enters the log or the ledger.

    Parameters
    ----------
    client : AzureOpenAI, AsyncAzureOpenAI, OpenAI or AsyncOpenAI
        Of the ``openai`` package from 1.66 on.
    deployments : Deployments, Deployment or path, optional
        What each deployment is; a budget needs it.
    budget : Budget, optional
        Without one nothing is estimated and nothing refused.
    log : path, optional
        A file of JSON lines on a local disk; several clients and processes may share it.
    prices : PriceBook, optional
        By default `PriceBook.current`.
    resource : str, optional
        The account, where the host of the endpoint does not begin with its name, as behind a gateway.
    clock : callable, optional
        Gives the time, with a time zone; by default the system's.

    Raises
    ------
    RequestError
        For no budget and no log, one file for both, a budget without deployments or in another currency than the
        prices, something that is no client of the SDK, or a client that is watched already.
    LedgerError
        If the ledger is no regular file, or its folder does not exist.
    OSError
        If the log cannot be written.

    Warns
    -----
    RuntimeWarning
        If after an answer its line or its cost could not be written: the answer still reaches the caller.

    Notes
    -----
    What cannot be priced before (images, speech, websockets, ...) is refused under a budget: see `Budget`. The fees of
    tools that the service runs, such as searches, are in no estimate and in no ledger. Where the SDK repeats an attempt
    that timed out, the first one may be billed too and counts in full, but the second is not checked again. Websockets
    are not logged.

    Examples
    --------
    >>> from openai import AzureOpenAI
    >>> chat = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
    >>> client = AzureOpenAI(azure_endpoint="https://contoso.openai.azure.com", api_key="...", api_version="2024-10-21")
    >>> watched = watch(
    ...     client,
    ...     deployments=chat,
    ...     budget=Budget(per_call="0.001"),
    ...     clock=lambda: datetime(2026, 10, 1, tzinfo=UTC),
    ... )
    >>> watched.chat.completions.create(
    ...     model="chat", messages=[{"role": "user", "content": "Hello"}], max_tokens=1000
    ... )
    Traceback (most recent call last):
        ...
    aoai_cost.errors.BudgetExceeded: estimated 0.01002 is over the budget of 0.001 for one call
    """
    base = type(client)
    if not callable(getattr(base, "copy", None)) or not callable(getattr(base, "request", None)):
        raise RequestError("client", f"must be a client of the openai package, found a {base.__name__}")
    if getattr(base, "_aoai_cost_watch", None) is not None:
        raise RequestError("client", "is watched already; watch the client that it was made from")
    if budget is None and log is None:
        raise RequestError("budget", "neither a budget nor a log is given, so there is nothing to do")
    if budget is not None and deployments is None:
        raise RequestError("deployments", "a budget needs to know what each deployment is")
    if isinstance(deployments, Deployment):
        deployments = Deployments((deployments,))
    elif deployments is not None and not isinstance(deployments, Deployments):
        deployments = read_deployments(deployments)
    book = prices if prices is not None else PriceBook.current(budget.currency if budget is not None else "USD")
    if budget is not None and book.currency != budget.currency:
        raise RequestError("currency", f"the prices are in {book.currency}, the budget is in {budget.currency}")
    # Absolute, as the process may go to another folder.
    log_path = Path(log).absolute() if log is not None else None
    ledger = None
    if budget is not None and budget.ledger is not None:
        ledger_path = Path(budget.ledger).absolute()
        if log_path is not None and _is_same(log_path, ledger_path):
            raise RequestError("log", "is the ledger of the budget; they are two files")
        ledger = Ledger(ledger_path, budget.currency)
    if log_path is not None:
        log_path.open("ab").close()  # what cannot be written is found now, and not after the first answer
    shared = Watch(
        deployments=deployments if deployments is not None else Deployments(()),
        prices=book,
        budget=budget,
        ledger=ledger,
        log=log_path,
        resource=resource,
        clock=clock if clock is not None else lambda: datetime.now(UTC),
    )
    copy: Any = client.copy()  # type: ignore[attr-defined]
    http = copy._client
    for name in _FORGOTTEN:
        if name in vars(client):
            setattr(copy, name, vars(client)[name])
    copy.__class__ = _watched_class(base, shared)
    copy._client = http
    watched: _Client = copy
    return watched


def _is_same(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one file, or would."""
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))


def _watched_class(base: Any, shared: Watch) -> type[Any]:
    """Return a class of which every instance is watched: copies are made by the class of what they copy."""
    is_async = inspect.iscoroutinefunction(base.request)
    sender = _AsyncSender if is_async else _Sender

    def set_attribute(self: Any, name: str, value: Any) -> None:
        if name == "_client" and type(value) is not sender:
            value = sender(value)
        base.__setattr__(self, name, value)

    def request(self: Any, cast_to: Any, options: Any, *args: Any, **more: Any) -> Any:
        call = shared.begin(self, options)
        if call is None:
            return base.request(self, cast_to, options, *args, **more)
        token = _CALL.set(call)
        try:
            return base.request(self, cast_to, options, *args, **more)
        finally:
            _CALL.reset(token)
            call.returned()

    async def request_async(self: Any, cast_to: Any, options: Any, *args: Any, **more: Any) -> Any:
        call = await shared.begin_async(self, options)
        if call is None:
            return await base.request(self, cast_to, options, *args, **more)
        token = _CALL.set(call)
        try:
            return await base.request(self, cast_to, options, *args, **more)
        finally:
            _CALL.reset(token)
            call.returned()

    def refuse(self: Any, *args: Any, **more: Any) -> Any:
        raise RequestError(
            "url", "what goes over a websocket cannot be priced before; Budget(unpriced='send') lets it pass"
        )

    members: dict[str, Any] = {
        "__module__": base.__module__,
        "__doc__": base.__doc__,
        "__setattr__": set_attribute,
        "request": request_async if is_async else request,
        "_aoai_cost_watch": shared,
    }
    if shared.budget is not None and shared.budget.unpriced == "refuse":
        members |= {name: refuse for name in _WEBSOCKETS if hasattr(base, name)}
    return type(base.__name__, (base,), members)


class _Sender:
    """An HTTP client in every respect, also to ``isinstance``, that tells the running call of what it sends."""

    __slots__ = ("_http",)

    def __init__(self, http: Any) -> None:
        object.__setattr__(self, "_http", http)

    @property  # type: ignore[misc]
    def __class__(self) -> type[Any]:
        return type(self._http)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._http, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._http, name, value)

    def send(self, request: Any, **how: Any) -> Any:
        call = _CALL.get()
        if call is None:
            return self._http.send(request, **how)
        attempt = call.attempt()
        try:
            response = self._http.send(request, **how)
        except BaseException as error:
            attempt.failed(error)
            raise
        _answered(attempt, response, _tee if how.get("stream") else None)
        return response


class _AsyncSender(_Sender):
    __slots__ = ()

    async def send(self, request: Any, **how: Any) -> Any:
        call = _CALL.get()
        if call is None:
            return await self._http.send(request, **how)
        attempt = call.attempt()
        try:
            response = await self._http.send(request, **how)
        except BaseException as error:
            attempt.failed(error)
            raise
        _answered(attempt, response, _tee_async if how.get("stream") else None)
        return response


def _answered(attempt: Attempt, response: Any, tee: Callable[[Any, Attempt], None] | None) -> None:
    """Tell the attempt its answer: the whole of it, or by `tee` as it will be read."""
    attempt.answered(response.status_code, response.headers)
    if tee is not None:
        tee(response, attempt)
    else:
        attempt.feed(response.content)
        attempt.end()


def _tee(response: Any, attempt: Attempt) -> None:
    """Let an unread response tell the attempt its decoded bytes as somebody reads them, and when that is over.

    Who reads the raw bytes decodes them himself, or not at all: of these it tells only that they were read.
    """
    read, read_raw, close = response.iter_bytes, response.iter_raw, response.close
    reading = False

    def iter_raw(chunk_size: int | None = None) -> Iterator[bytes]:
        if not reading:
            attempt.not_seen()
        raw: Iterator[bytes] = read_raw(chunk_size)
        return raw

    def iter_bytes(chunk_size: int | None = None) -> Iterator[bytes]:
        nonlocal reading
        pieces = read(chunk_size)
        try:
            while True:
                # The response closes itself where its raw bytes end, and the decoder may hold the last of them still.
                reading = True
                piece = next(pieces, None)
                reading = False
                if piece is None:
                    return
                attempt.feed(piece)
                yield piece
        finally:
            reading = False
            try:
                pieces.close()
            finally:
                attempt.end()

    def close_and_end() -> None:
        try:
            close()
        finally:
            if not reading:
                attempt.end()

    response.iter_bytes, response.iter_raw, response.close = iter_bytes, iter_raw, close_and_end


def _tee_async(response: Any, attempt: Attempt) -> None:
    """As `_tee`, for an asynchronous response."""
    read, read_raw, close = response.aiter_bytes, response.aiter_raw, response.aclose
    reading = False

    def aiter_raw(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        if not reading:
            attempt.not_seen()
        raw: AsyncIterator[bytes] = read_raw(chunk_size)
        return raw

    async def aiter_bytes(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        nonlocal reading
        pieces = read(chunk_size)
        try:
            while True:
                reading = True
                piece = await anext(pieces, None)
                reading = False
                if piece is None:
                    return
                attempt.feed(piece)
                yield piece
        finally:
            reading = False
            try:
                await pieces.aclose()
            finally:
                attempt.end()

    async def close_and_end() -> None:
        try:
            await close()
        finally:
            if not reading:
                attempt.end()

    response.aiter_bytes, response.aiter_raw, response.aclose = aiter_bytes, aiter_raw, close_and_end
