"""Errors and outcome tokens of calls that were not fully answered, and of writes that consist of several calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shardstore.client.calls.calls import (
    Administer,
    AtomicBatch,
    Call,
    DeleteRange,
    GetStats,
    Many,
    Single,
    Take,
    is_write,
)
from shardstore.client.calls.outcome_token import UNKNOWABLE, OutcomeToken, PartInDoubt, from_bytes
from shardstore.client.session.lane_map import LaneMap
from shardstore.client.session.lanes import Request
from shardstore.client.session.replies import place_of
from shardstore.client.session.writer_pace import PRESSURE_MAX
from shardstore.errors import AccessDenied, Busy, InvalidRequest, OutcomeUnknown, ShardstoreError, Unavailable
from shardstore.wire.link_names import ROUTER

LOWEST_KEY = b"\0"
_MAY_BE_APPLIED = "the write, or a part of it, may have been applied"
_NOT_APPLIED = Busy | Unavailable | InvalidRequest | AccessDenied
_MAY_GO_ON = "the change may go on, or be done"


def error_of(call: Call, error: Exception, client: int, requests: Sequence[Request]) -> Exception:
    """The error with which a call ends: this one, or OutcomeUnknown if some of the call may have been applied.

    `requests`: its requests that were sent and are not DONE.
    """
    if not is_write(call) or not isinstance(error, _NOT_APPLIED | OutcomeUnknown):
        return error
    is_partly_applied = isinstance(call, Many | DeleteRange) and bool(call.applied)
    if not is_partly_applied and not any(request.unanswered for request in requests):
        return error
    what = _MAY_GO_ON if type(call) is Administer else _MAY_BE_APPLIED
    return _unknown_outcome(what, error, token_of(call, client, requests))


def _unknown_outcome(what: str, cause: Exception, token: OutcomeToken) -> OutcomeUnknown:
    """The error for a write that may have been applied, with the error that caused this."""
    last_word = cause.cause if isinstance(cause, Busy) else cause
    words = cause.what if isinstance(cause, OutcomeUnknown) else f"{what}; the latest error was: {last_word}"
    unknown = OutcomeUnknown(words, token.encode())
    unknown.__cause__ = cause
    return unknown


def error_when_interrupted(call: Call, what: str, client: int, requests: Sequence[Request]) -> ShardstoreError:
    """The error for a call whose session is discarded, perhaps in the middle of a step."""
    return OutcomeUnknown(what, token_of(call, client, requests).encode()) if is_write(call) else Unavailable(what)


def token_of(call: Call, client: int, requests: Iterable[Request]) -> OutcomeToken:
    """The token of a write of this client. `requests`: its requests that were sent and are not DONE."""
    if isinstance(call, Many | DeleteRange):
        applied = set(call.applied)
        parts = [
            _part_of(request, client, _key_in(request, call))
            for request in requests
            if (request.sequence, request.lane.segment) not in applied
        ]
        return OutcomeToken(parts, len(applied), call.parts - len(applied) - len(parts))
    if isinstance(call, Take):  # any key of the range will do
        parts = [_part_of(request, client, request.lane.key_range.start or b"\0") for request in requests]
        return OutcomeToken(parts, 0, 1 - len(parts))
    if not isinstance(call, Single | AtomicBatch):  # an operator's change: the ranges show what became of it
        return UNKNOWABLE
    parts = [_part_of(request, client, call.key) for request in requests]
    return OutcomeToken(parts, 0, 1 - len(parts))


def _key_in(request: Request, call: Many | DeleteRange) -> bytes:
    """A key of one part of a write."""
    if isinstance(call, DeleteRange):
        return request.body[0] or LOWEST_KEY
    key: bytes = call.keys.items[0 if request.positions is None else request.positions[0]]
    return key


def _part_of(request: Request, client: int, key: bytes) -> PartInDoubt:
    own, whole = request.lane.key_range, request.shared or request.lane.key_range
    elsewhere = []
    if whole.start < own.start:
        elsewhere += [whole.start, own.start]
    if own.end and (not whole.end or own.end < whole.end):
        elsewhere += [own.end, whole.end]
    return PartInDoubt(client, request.sequence, key, elsewhere)


def error_at_deadline(
    call: Call, why_silent: str, url: str, lane_map: LaneMap, requests: Sequence[Request]
) -> Exception:
    """The error for a call at its deadline: the latest refusal of one of its requests, or why nobody answered.

    `why_silent`: why the router at `url` does not answer; empty if it may.
    """
    seconds = f"{call.timeout_ns / 1e9:g} s"
    if why_silent:
        return Unavailable(f"no answer within {seconds}: {why_silent}")
    lanes = [request.lane for request in requests if request.failures or not request.sends]  # others met only silence
    if isinstance(call, Single | AtomicBatch) and lane_map.known and not requests:
        lanes.append(lane_map.lane_of(call.key))
    refusals = [lane.refusal for lane in lanes if lane.refusal]
    if refusals:
        return refusals[0].error()
    slowed = [lane for lane in lanes if lane.paused and is_write(call)]
    if slowed:
        return Busy("writes are slowed down", slowed[0].pressure, PRESSURE_MAX, 0, place_of(slowed[0]))
    if not lane_map.known:
        return Unavailable(f"no answer within {seconds}: no router answered at {url}")
    return Unavailable(f"no answer within {seconds}{_from_whom(requests)}")


def _from_whom(requests: Sequence[Request]) -> str:
    workers = sorted({request.route.worker for request in requests if request.route is not None})
    if not workers:
        return ""
    return f" from worker{'s' if workers[1:] else ''} {', '.join(map(str, workers))}"


def with_missing_workers(call: GetStats, lane_map: LaneMap) -> dict[Any, dict[str, Any]]:
    """The statistics of all that answered, with an entry for each process that did not."""
    silent = {"unavailable": f"no answer within {call.timeout_ns / 1e9:g} s"}
    return dict.fromkeys([ROUTER, *lane_map.lane_of_each_worker()], silent) | call.results


def token_of_all(ends: Iterable[BaseException | None], applied: int) -> OutcomeToken:
    """The token of a write of several calls. `ends`: their errors, or None; `applied` earlier ones succeeded."""
    parts: list[PartInDoubt] = []
    not_applied = 0
    for error in ends:
        if error is None:
            applied += 1
        elif isinstance(error, OutcomeUnknown):
            token = from_bytes(error.token)
            parts += token.parts
            applied += token.applied
            not_applied += token.not_applied
        else:
            not_applied += 1
    return OutcomeToken(parts, applied, not_applied)


def error_of_all(ends: Sequence[ShardstoreError | None], applied: int) -> ShardstoreError:
    """The error of a write of several calls. `ends` are the errors of its latest calls, None for success.

    The first of them failed; `applied` earlier calls succeeded. An error other than Busy, Unavailable,
    AccessDenied and OutcomeUnknown takes precedence.
    """
    first = ends[0]
    assert first is not None, "a write without an error needs none"
    if len(ends) == 1 and not applied:
        return first
    for error in ends:
        if error is not None and not isinstance(error, Busy | Unavailable | AccessDenied | OutcomeUnknown):
            return error
    token = token_of_all(ends, applied)
    if not token.parts and not token.applied:
        return first
    return _unknown_outcome("some of the pairs or keys may have been applied", first, token)
