"""One call: its reservation before, its attempts over HTTP, and its line in the log and its cost after each."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from ..catalog import TIERS, Deployment, Deployments, get_model, is_fine_tuned, split_model_name
from ..errors import AoaiCostError, BudgetExceeded, DeploymentsError, RequestError, UnknownNameError
from ..estimate import Estimate, estimate_request
from ..prices import PriceBook
from ..tokens import count_request, get_encoding
from ..usage import Usage
from .answers import Answer, BodyReader, EventReader
from .budget import Budget
from .ledger import Ledger, append_line
from .routes import Route, asks_for_audio, body_of, carries_audio, find_route, has_fees, polled_response

__all__ = ["Attempt", "Call", "Poll", "Watch"]

# Refused before a model was asked, as the readers of logs have it; a failure of the service (5xx) is not billed either.
_REFUSED = frozenset((401, 403, 404, 429))
# What httpx and httpx2 raise before a byte of the request is sent.
_UNSENT = frozenset(("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"))
# Responses in the background of which the usage is awaited; of older ones the reservation stands.
_MOST_AWAITED = 10_000


@dataclass(frozen=True, slots=True)
class Watch:
    """What all calls of a watched client share."""

    deployments: Deployments
    prices: PriceBook
    budget: Budget | None
    ledger: Ledger | None
    log: Path | None
    resource: str | None
    clock: Callable[[], datetime]
    # The attempts whose usage a later look at their response will tell, by the id of the response.
    awaited: dict[str, Attempt] = field(default_factory=dict)

    def now(self) -> datetime:
        """Return the time in UTC."""
        now = self.clock()
        if now.tzinfo is None:
            raise RequestError("clock", "must give a time with a time zone")
        return now.astimezone(UTC)

    def begin(self, client: Any, options: Any) -> Call | Poll | None:
        """Check a request against the budget and reserve its cost; None where nothing is billed or told.

        Raises
        ------
        BudgetExceeded, LedgerError
            If it may cost more than is left, or what is left cannot be told.
        AoaiCostError
            If its cost cannot be told, and the budget refuses such requests.
        """
        call = self._checked(client, options)
        if isinstance(call, Call):
            call.reserve()
        return call

    async def begin_async(self, client: Any, options: Any) -> Call | Poll | None:
        """As `begin`, but waits for the ledger in a thread: another process may hold it."""
        call = self._checked(client, options)
        if not isinstance(call, Call) or call.to_reserve is None:
            return call
        try:
            reserving = asyncio.get_running_loop().run_in_executor(None, call.reserve)
        except RuntimeError:  # the loop is not one of asyncio, or ends
            call.reserve()
            return call
        try:
            await asyncio.shield(reserving)
        except asyncio.CancelledError:
            # The thread goes on: what it reserves is for a request that is never sent.
            reserving.add_done_callback(lambda done: None if done.cancelled() or done.exception() else call.returned())
            raise
        return call

    def _checked(self, client: Any, options: Any) -> Call | Poll | None:
        polled = polled_response(options) if self.awaited else None
        begun = self.awaited.get(polled) if polled is not None else None
        if polled is not None and begun is not None:
            return Poll(begun, polled)
        body = body_of(options)
        route = find_route(client, options, body)
        if route is None:
            return None
        call = Call(self, route if self.resource is None else route._replace(resource=self.resource), body)
        if self.budget is not None:
            call.check(self.budget)
        return call


class Call:
    """One call of the SDK, with all its attempts."""

    def __init__(self, watch: Watch, route: Route, body: Mapping[str, Any] | None) -> None:
        self.watch, self.route, self.body = watch, route, body
        self.call_id = uuid.uuid4().hex
        self.stream = body is not None and body.get("stream") is True
        self.background = route.operation == "responses" and body is not None and body.get("background") is True
        self._has_fees = body is not None and has_fees(body)
        self.day = watch.now().date()
        self.deployment = watch.deployments.find(route.resource, route.deployment, self.day)
        self.estimate: Estimate | None = None
        self.to_reserve: Decimal | None = None
        self.reserved: Decimal | None = None
        self._cost = Decimal(0)
        self._attempts = self._running = 0
        self._returned = False

    def check(self, budget: Budget) -> None:
        """Estimate the call, or raise what `Watch.begin` says."""
        try:
            self.estimate = estimate = self._estimated()
        except AoaiCostError:
            if budget.unpriced == "send":
                return
            raise
        amount = estimate.high if budget.against == "high" else estimate.low
        for limit, period in ((budget.per_call, "one call"), (budget.per_day, self.day.isoformat())):
            if limit is not None and (amount is None or amount > Decimal(limit)):
                raise BudgetExceeded(amount, Decimal(limit), period)
        if budget.per_day is not None:
            self.to_reserve = amount

    def reserve(self) -> None:
        """Reserve what was estimated, or raise what `Watch.begin` says."""
        budget, ledger, amount = self.watch.budget, self.watch.ledger, self.to_reserve
        if budget is not None and budget.per_day is not None and ledger is not None and amount is not None:
            ledger.reserve(self.day, self.call_id, amount, Decimal(budget.per_day))
            self.reserved = amount

    def _estimated(self) -> Estimate:
        operation = self.route.operation
        if not self.route.counted or self.body is None:
            raise RequestError(
                "url", f"{operation} is billed, and its cost cannot be told before; Budget(unpriced='send') sends it"
            )
        if self.deployment is None:
            why = self.watch.deployments.why(self.route.resource, self.route.deployment, self.day)
            raise DeploymentsError("", "", f"{why}; its cost cannot be told")
        return estimate_request(self.body, self.deployment, prices=self.watch.prices, on=self.day)

    def attempt(self) -> Attempt:
        """Begin to send the request once more."""
        self._attempts += 1
        self._running += 1
        return Attempt(self, self._attempts)

    def ended(self, cost: Decimal | None) -> None:
        """Take what one attempt cost; None where that is not known."""
        self._running -= 1
        if self.reserved is not None:
            self._cost += self.reserved if cost is None else cost
        self._settle()

    def wait_for(self, response: str, attempt: Attempt) -> None:
        """Keep an attempt until somebody looks at its response, which runs in the background."""
        # What was asked may be large, and is of no use any more.
        self.body = self.estimate = None
        awaited = self.watch.awaited
        awaited[response] = attempt
        with contextlib.suppress(StopIteration, RuntimeError):  # of two threads one may find it emptied or changed
            while len(awaited) > _MOST_AWAITED:
                awaited.pop(next(iter(awaited)), None)

    def ended_later(self, cost: Decimal | None) -> None:
        """Take what the call cost after all, of which only the reservation was known."""
        if cost is not None and self.reserved is not None and self._cost == self.reserved:
            self._cost = cost
            self._settle()

    def returned(self) -> None:
        """Note that the SDK makes no further attempt."""
        self._returned = True
        self._settle()

    def _settle(self) -> None:
        ledger, reserved = self.watch.ledger, self.reserved
        if ledger is None or reserved is None or self._running or not self._returned:
            return
        # With nothing to put in the reservation's place, the line would only say the same again.
        if self._cost != reserved:
            with _as_warning("the budget's ledger was not settled, so the reservation stands"):
                ledger.settle(self.day, self.call_id, self._cost)
            self.reserved = None

    def cost(self, status: int | None, usage: Mapping[str, Any] | None, answer: Answer | None) -> Decimal | None:
        """Return what an attempt cost, in the currency of the prices; None where that is not known."""
        if usage is not None and self.deployment is not None:
            cost = self._priced(usage, answer, self.deployment)
            if cost is not None and self.reserved is not None and not self._told_all(answer):
                return max(cost, self.reserved)
            return cost
        if status is not None and (status in _REFUSED or status >= 500):
            return Decimal(0)
        if status is not None and status >= 400 and self.estimate is not None:
            # Refused by a filter after it was read: the input is billed. What was malformed costs less than that.
            return self.estimate.low
        return None

    def _told_all(self, answer: Answer | None) -> bool:
        """Tell whether the tokens of an answer are all that is billed: its end was seen, and no tool has a fee."""
        if self._has_fees:
            return False
        if answer is None or not answer.streamed or answer.ended:
            return True
        answers = (self.body or {}).get("n") or 1
        return self.route.operation == "chat/completions" and len(answer.finished) >= answers

    def _priced(self, usage: Mapping[str, Any], answer: Answer | None, deployment: Deployment) -> Decimal | None:
        try:
            if any(usage.get(name, 0) is None for name in ("prompt_tokens", "completion_tokens")):
                return None
            billed = Usage.from_api(usage)
            served = _served(deployment, answer)
            prompt = sum(quantity for key, quantity in billed.items() if key.meter != "output")
            band = get_model(served.model, served.version).band(prompt)
            cost = self.watch.prices.price(billed, served, on=self.day, band=band)
        except AoaiCostError:
            return None
        return cost.amount if cost.complete else None

    def estimated_usage(self, answer: Answer) -> dict[str, int | None]:
        """Count what a stream did not tell: the input of the request and the texts that came; None where it cannot be.

        What a model reasons is billed and never shown, so of such a model the output is not known; nor is it how many
        tokens audio has.
        """
        found, prompt, completion = self.deployment, None, None
        body = self.body or {}
        name, version = (answer.model, None) if found is None else (found.model, found.version)
        try:
            model = get_model(name or "", version)
            spoken = answer.spoke or asks_for_audio(body)
            if not model.reasoning and model.encoding is not None and not spoken:
                encoding = get_encoding(model.encoding)
                completion = sum(encoding.count("".join(pieces)) for pieces in answer.texts.values())
            count = self.estimate or (count_request(self.body, model=model) if self.body is not None else None)
            if count is not None and count.certainty != "lower_bound" and not carries_audio(body):
                prompt = count.input_tokens
        except AoaiCostError:
            pass  # no model is named, or one that nobody knows, or a body that cannot be counted
        return {"prompt_tokens": prompt, "completion_tokens": completion}


class Attempt:
    """One request over HTTP, until its answer has passed by. Nothing that goes wrong here reaches the caller."""

    def __init__(self, call: Call, number: int) -> None:
        self.call, self.number = call, number
        self.time, self._started_s = call.watch.now(), time.perf_counter()
        self._status: int | None = None
        self._headers: Mapping[str, str] = {}
        self._reader: EventReader | BodyReader | None = None
        self._ended = False
        self._line: dict[str, Any] = {}

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the head of the answer."""
        self._status, self._headers = status, headers
        kind = headers.get("content-type", "")
        if status < 400:
            self._reader = EventReader() if "event-stream" in kind else BodyReader() if "json" in kind else None

    def feed(self, piece: bytes) -> None:
        """Read the next decoded bytes of the answer."""
        if self._reader is not None and not self._ended:
            with _as_warning("the usage of an answer was not read"):
                self._reader.feed(piece)

    def not_seen(self) -> None:
        """Note that the answer is read past this one."""
        self._reader = None

    def failed(self, error: BaseException) -> None:
        """Note that no answer came."""
        self.end(sent=_UNSENT.isdisjoint(one.__name__ for one in type(error).__mro__))

    def end(self, *, sent: bool = True) -> None:
        """Write the line of the log and tell the call what was spent; only the first time."""
        if self._ended:
            return
        self._ended = True
        cost: Decimal | None = None if sent else Decimal(0)
        answer = self._reader.end() if self._reader is not None else None
        usage: Mapping[str, Any] | None = answer.usage if answer is not None else None
        source = "service" if usage is not None else None
        response = answer.id if answer is not None and usage is None and self.call.background else None
        counted = self.call.route.counted and response is None
        if usage is None and answer is not None and answer.streamed and counted:
            with _as_warning("a stream without usage was not counted"):
                usage, source = self.call.estimated_usage(answer), "estimated"
        if sent:
            with _as_warning("what an answer cost was not told, so the reservation stands"):
                cost = self.call.cost(self._status, usage, answer)
        self._line = self._told(answer, usage, source, sent)
        self._log()
        self.call.ended(cost)
        if response is not None:
            self.call.wait_for(response, self)

    def told_later(self, answer: Answer) -> None:
        """Take the usage of a response that ran in the background: a second line of the same id, which readers join."""
        self._line |= {
            "model": answer.model,
            "service_tier": answer.service_tier,
            "usage": answer.usage,
            "usage_source": "service",
        }
        with _as_warning("what a response cost was not told, so the reservation stands"):
            self.call.ended_later(self.call.cost(self._status, answer.usage, answer))
        self._log()

    def _log(self) -> None:
        if self.call.watch.log is not None:
            with _as_warning("a line of the usage log was not written"):
                append_line(self.call.watch.log, self._line)

    def _told(
        self, answer: Answer | None, usage: Mapping[str, Any] | None, source: str | None, sent: bool
    ) -> dict[str, Any]:
        call, header = self.call, self._headers.get
        found, served_by = call.deployment, header("x-ms-deployment-name")
        spilled = header("x-ms-spillover-from-deployment") is not None
        return {
            "aoai_cost_log": 1,
            "id": f"{call.call_id}-{self.number}",
            "time": self.time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "resource": found.resource if found is not None else call.route.resource,
            "deployment": call.route.deployment,
            "served_by": served_by,
            # Older services name no deployment in their answers, spilled or not.
            "spillover": spilled if spilled or served_by is not None else None,
            "operation": call.route.operation,
            "model": answer.model if answer is not None else None,
            "stream": call.stream,
            "sent": sent,
            "status": self._status,
            "latency_ms": round((time.perf_counter() - self._started_s) * 1000, 3),
            "request_id": header("apim-request-id") or header("x-request-id"),
            "region": header("x-ms-region"),
            "service_tier": answer.service_tier if answer is not None else None,
            "usage": usage,
            "usage_source": source,
        }


class Poll:
    """A look at a response that was begun in the background: it is not billed, and may tell the usage."""

    def __init__(self, begun: Attempt, response: str) -> None:
        self._begun, self._response = begun, response

    def attempt(self) -> Attempt:
        """Begin to look once more."""
        return _Look(self._begun, self._response)

    def returned(self) -> None:
        """Note that the SDK looks no more."""


class _Look(Attempt):
    def __init__(self, begun: Attempt, response: str) -> None:
        super().__init__(begun.call, begun.number)
        self._begun, self._response = begun, response

    def end(self, *, sent: bool = True) -> None:
        """Tell the usage to the attempt that began the response; only the first that saw it."""
        if self._ended:
            return
        self._ended = True
        answer = self._reader.end() if self._reader is not None else None
        if answer is None or answer.usage is None:
            return
        if self.call.watch.awaited.pop(self._response, None) is not None:
            self._begun.told_later(answer)


def _served(deployment: Deployment, answer: Answer | None) -> Deployment:
    """Return the deployment with what the answer says was served, which is what is billed."""
    if answer is None:
        return deployment
    tier = (answer.service_tier or "").lower()
    served = replace(deployment, tier=tier) if tier in TIERS else deployment
    if answer.model is None or is_fine_tuned(answer.model) or deployment.fine_tuned:
        return served
    model, version = split_model_name(answer.model)
    try:
        get_model(model, version)
    except UnknownNameError:
        return served
    return replace(served, model=model, version=version)


@contextlib.contextmanager
def _as_warning(what: str) -> Iterator[None]:
    """Turn any error into a RuntimeWarning that quotes none of it but the system's reason."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  (the answer is paid for: an error here would lose it, or send it again)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        # Under `-W error` the warning is an exception too.
        with contextlib.suppress(RuntimeWarning):
            warnings.warn(f"{what}: {reason}", RuntimeWarning, stacklevel=3)
