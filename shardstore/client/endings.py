"""How a call ends that was not answered in time, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardstore.client.answers import place_of
from shardstore.client.calls import Administer, Call, Many, Single, Statistics, is_write
from shardstore.client.in_flight import Request
from shardstore.client.outcome_token import token_of, unknown_outcome
from shardstore.client.pacing import PRESSURE_MAX
from shardstore.client.routing import ROUTER, Routing
from shardstore.errors import Busy, InvalidRequest, OutcomeUnknown, ShardstoreError, Unavailable

_MAY_BE_APPLIED = "the write, or a part of it, may have been applied"
_MAY_GO_ON = "the change may go on, or be done"


def error_of(call: Call, error: Exception, client: int, requests: Sequence[Request]) -> Exception:
    """The error for a call of this client; if some of it may have been applied, one that says so.

    `requests`: those of it that were sent and are not done.
    """
    if not is_write(call) or not isinstance(error, Busy | Unavailable | InvalidRequest | OutcomeUnknown):
        return error
    if not (type(call) is Many and call.applied) and not any(request.unanswered for request in requests):
        return error
    what = _MAY_GO_ON if type(call) is Administer else _MAY_BE_APPLIED
    return unknown_outcome(what, error, token_of(call, client, requests))


def error_when_interrupted(call: Call, what: str, client: int, requests: Sequence[Request]) -> ShardstoreError:
    """The error for a call whose session is given up, perhaps in the middle of a step."""
    return OutcomeUnknown(what, token_of(call, client, requests).encode()) if is_write(call) else Unavailable(what)


def error_at_deadline(
    call: Call, why_silent: str, url: str, routing: Routing, requests: Sequence[Request]
) -> Exception:
    """Why a call was not answered in time: nobody is there, or the last refusal of what it asked, if there was one.

    `why_silent`: why the router does not answer, which is at `url`.
    """
    seconds = f"{call.timeout_ns / 1e9:g} s"
    if why_silent:
        return Unavailable(f"no answer within {seconds}: {why_silent}")
    lanes = [request.lane for request in requests if request.failures or not request.sends]  # not those of silence
    if type(call) is Single and routing.known and not requests:
        lanes.append(routing.lane_of(call.key))
    refusals = [lane.refusal for lane in lanes if lane.refusal]
    if refusals:
        return refusals[0].error()
    slowed = [lane for lane in lanes if lane.paused and is_write(call)]
    if slowed:
        return Busy("writes are slowed down", slowed[0].pressure, PRESSURE_MAX, 0, place_of(slowed[0]))
    if not routing.known:
        return Unavailable(f"no answer within {seconds}: no router answered at {url}")
    return Unavailable(f"no answer within {seconds}{_from_whom(requests)}")


def _from_whom(requests: Sequence[Request]) -> str:
    workers = sorted({request.route.worker for request in requests if request.route is not None})
    if not workers:
        return ""
    return f" from worker{'s' if workers[1:] else ''} {', '.join(map(str, workers))}"


def with_the_silent(call: Statistics, routing: Routing) -> dict[Any, dict[str, Any]]:
    """The figures of those who answered, and that the others did not."""
    silent = {"unavailable": f"no answer within {call.timeout_ns / 1e9:g} s"}
    return dict.fromkeys([ROUTER, *routing.lane_of_each_worker()], silent) | call.results
