"""A routed request reaches the owner of its segment or is refused with a reason; its reply reaches the client."""

from __future__ import annotations

import pytest

from shardstore.limits import (
    CREDITS,
    DEADLINE_MS_MAX,
    KEY_BYTES_MAX,
    REQUEST_BYTES_MAX,
    REQUEST_ENTRIES_MAX,
)
from shardstore.router import dispatch
from shardstore.seams.effects import Send
from shardstore.wire.messages import Routes, decode
from shardstore.wire.wire_format import HEADER_BYTES, REQUEST_FRAMES, ROUTED, Flag, Header, Op, Status
from tests.unit.router.router_driver import RouterDriver, get, header_of, refusal_of

CLIENT = 5


@pytest.fixture
def router(router: RouterDriver) -> RouterDriver:
    """Two workers are up: segments 1 and 2 at worker 0 (peer w0), 3 and 4 at worker 1 (peer w1), all at epoch 1."""
    router.bring_up(0, b"w0")
    router.bring_up(1, b"w1")
    return router


@pytest.mark.parametrize("op", sorted(ROUTED - {Op.STATS}))
@pytest.mark.parametrize(("segment", "peer"), [(1, b"w0"), (2, b"w0"), (3, b"w1"), (4, b"w1")])
def test_a_request_goes_to_the_owner_of_its_segment_as_it_came(
    router: RouterDriver, op: Op, segment: int, peer: bytes
) -> None:
    header = get(segment, 1, CLIENT, 1)._replace(op=op)
    body = [b"frame %d" % number for number in range(REQUEST_FRAMES[op] - 1)]
    assert router.client_sends(b"a", header, *body) == [Send("workers", peer, [header.encode(), *body])]


def test_figures_are_asked_of_a_worker_by_its_number(router: RouterDriver) -> None:
    of_worker_1 = get(0, 2, CLIENT, 1)._replace(op=Op.STATS, entries=0, flags=0)
    assert router.client_sends(b"a", of_worker_1) == [Send("workers", b"w1", [of_worker_1.encode()])]
    [refused] = router.client_sends(b"a", of_worker_1._replace(epoch=10))
    assert refusal_of(refused, Status.UNAVAILABLE).what == "worker 9 is down"


@pytest.mark.parametrize("status", [Status.OK, Status.BUSY])
def test_the_answer_goes_to_who_waits_as_it_came(router: RouterDriver, status: Status) -> None:
    router.client_sends(b"a", get(1, 1, CLIENT, 1), b"key")
    router.client_sends(b"b", get(1, 1, CLIENT + 1, 1), b"key")
    reply = get(1, 1, CLIENT, 1).reply(status, credits=3, pressure=200)
    assert router.worker_sends(b"w0", reply, b"body") == [Send("clients", b"a", [reply.encode(), b"body"])]


@pytest.mark.fault("C4")
def test_an_answer_is_passed_on_once_and_only_from_the_worker_that_was_asked(router: RouterDriver) -> None:
    router.client_sends(b"a", get(1, 1, CLIENT, 1), b"key")
    reply = get(1, 1, CLIENT, 1).reply(Status.OK)
    assert router.worker_sends(b"w1", reply, b"value") == []
    assert router.worker_sends(b"stranger", reply, b"value") == []
    assert len(router.worker_sends(b"w0", reply, b"value")) == 1
    assert router.worker_sends(b"w0", reply, b"value") == []
    assert router.statistics()["replies_unmatched"] == 3


def test_a_retry_is_passed_on_again_and_its_answer_goes_to_the_newest_peer(router: RouterDriver) -> None:
    request = get(1, 1, CLIENT, 1)
    router.client_sends(b"a", request, b"key")
    retry = request._replace(flags=request.flags | Flag.RETRY)
    [passed] = router.client_sends(b"b", retry, b"key")
    assert passed == Send("workers", b"w0", [retry.encode(), b"key"])
    assert router.statistics()["requests_in_flight"] == 1
    [answered] = router.worker_sends(b"w0", request.reply(Status.OK), b"value")
    assert answered.peer == b"b"
    assert router.statistics()["bytes_in_flight"] == 0


@pytest.mark.parametrize(
    ("key", "segment", "peer"),
    [(b"\0", 1, b"w0"), (b"\x40", 2, b"w0"), (b"\x7f\xff", 2, b"w0"), (b"\x80", 3, b"w1"), (b"\xff" * 9, 4, b"w1")],
)
@pytest.mark.parametrize("op", [Op.GET, Op.PUT, Op.DELETE])
def test_a_single_key_without_a_segment_is_located(
    router: RouterDriver, op: Op, key: bytes, segment: int, peer: bytes
) -> None:
    header = get(0, 0, CLIENT, 1)._replace(op=op)
    body = [key, b"value"][: REQUEST_FRAMES[op] - 1]
    located = header._replace(segment=segment, epoch=1)
    assert router.client_sends(b"a", header, *body) == [Send("workers", peer, [located.encode(), *body])]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"entries": 2}, b"key"),
        ({"entries": 0}, b"key"),
        ({"flags": 0}, b"key"),
        ({}, b""),
        ({}, b"k" * (KEY_BYTES_MAX + 1)),
        ({"op": Op.SCAN}, b"document"),
    ],
)
def test_only_a_single_key_may_come_without_a_segment(
    router: RouterDriver, changes: dict[str, int], key: bytes
) -> None:
    [refused] = router.client_sends(b"a", get(0, 0, CLIENT, 1, **changes), key)
    assert "segment 0 is for one key" in refusal_of(refused, Status.INVALID).what


@pytest.mark.fault("C8")
@pytest.mark.parametrize(
    ("changes", "body_bytes", "what"),
    [
        ({"client": 0}, 3, "client id"),
        ({"duration_ms": 0}, 3, "deadline"),
        ({"duration_ms": DEADLINE_MS_MAX + 1}, 3, "deadline"),
        ({"entries": REQUEST_ENTRIES_MAX + 1}, 3, "65537 entries"),
        ({}, REQUEST_BYTES_MAX + 1, "16777217 bytes"),
    ],
)
def test_a_request_over_a_limit_is_told_which(
    router: RouterDriver, changes: dict[str, int], body_bytes: int, what: str
) -> None:
    [refused] = router.client_sends(b"a", get(1, 1, CLIENT, 1)._replace(**changes), bytes(body_bytes))
    assert what in refusal_of(refused, Status.INVALID).what
    assert (refused.link, refused.peer) == ("clients", b"a")
    assert router.statistics()["requests_in_flight"] == 0


def test_requests_at_the_limits_are_passed_on(router: RouterDriver) -> None:
    header = get(1, 1, CLIENT, 1, duration_ms=DEADLINE_MS_MAX, entries=REQUEST_ENTRIES_MAX)
    [passed] = router.client_sends(b"a", header, bytes(REQUEST_BYTES_MAX))
    assert passed.link == "workers"


@pytest.mark.parametrize(("segment", "epoch"), [(1, 0), (1, 2), (5, 1), (2**32 - 1, 1)])
def test_an_old_or_unknown_epoch_is_answered_with_the_routes(router: RouterDriver, segment: int, epoch: int) -> None:
    [refused] = router.client_sends(b"a", get(segment, epoch, CLIENT, 1), b"key")
    assert decode(Routes, refusal_of(refused, Status.STALE_ROUTE).routes) == router.routes()
    assert header_of(refused).credits == CREDITS


@pytest.mark.fault("R4")
def test_a_worker_that_is_not_up_is_unavailable_and_the_other_is_not_affected(router: RouterDriver) -> None:
    router.lose_worker(b"w0")
    [refused] = router.client_sends(b"a", get(1, 1, CLIENT, 1), b"key")
    assert refusal_of(refused, Status.UNAVAILABLE).what == "worker 0 is down"
    assert header_of(refused).duration_ms == dispatch.RETRY_UNAVAILABLE_MS
    [passed] = router.client_sends(b"a", get(3, 1, CLIENT, 2), b"key")
    assert passed.peer == b"w1"


def test_a_worker_that_opens_its_ranges_is_unavailable(router: RouterDriver) -> None:
    epochs = router.granted(0, b"w0 again")
    [refused] = router.client_sends(b"a", get(1, epochs[1], CLIENT, 1), b"key")
    assert refusal_of(refused, Status.UNAVAILABLE).what == "worker 0 is joining"


@pytest.mark.fault("R4", "R7")
def test_bytes_in_flight_to_a_worker_are_bounded(router: RouterDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = HEADER_BYTES + 100 + 1024
    monkeypatch.setattr(router.core._dispatch, "_in_flight_bytes_max", 2 * weight)
    for sequence in (1, 2):
        [passed] = router.client_sends(b"a", get(1, 1, CLIENT, sequence), bytes(100))
        assert passed.link == "workers"
    [refused] = router.client_sends(b"a", get(1, 1, CLIENT, 3), bytes(100))
    refusal = refusal_of(refused, Status.BUSY)
    assert (refusal.used, refusal.limit) == (3 * weight, 2 * weight)
    assert header_of(refused).duration_ms == dispatch.RETRY_BUSY_MS
    [stall] = router.statistics()["stalls"]["events"]
    assert (stall["event"], stall["cause"]) == ("start", "bytes in flight to worker 0")
    [to_other] = router.client_sends(b"a", get(3, 1, CLIENT, 4), bytes(100))
    assert to_other.peer == b"w1"
    router.worker_sends(b"w0", get(1, 1, CLIENT, 1).reply(Status.OK), b"")
    [passed] = router.client_sends(b"a", get(1, 1, CLIENT, 5), bytes(100))
    assert passed.link == "workers"


def test_requests_of_a_worker_that_goes_away_end_unknown(router: RouterDriver) -> None:
    router.client_sends(b"a", get(1, 1, CLIENT, 1), b"key")
    router.client_sends(b"a", get(3, 1, CLIENT, 2), b"key")
    ended = [effect for effect in router.lose_worker(b"w0") if header_of(effect).op == Op.GET]
    assert [header_of(effect).sequence for effect in ended] == [1]
    assert "was lost before it replied" in refusal_of(ended[0], Status.UNKNOWN).what
    assert ended[0].peer == b"a"
    assert router.statistics()["requests_in_flight"] == 1


def test_requests_of_a_worker_whose_connection_ends_end_unknown_at_once(router: RouterDriver) -> None:
    router.client_sends(b"a", get(1, 1, CLIENT, 1), b"key")
    told = router.hear_of_end("workers", b"w0")
    assert header_of(told[0]).status == Status.UNKNOWN
    assert router.hear_of_end("workers", b"w0") == []
    assert header_of(router.client_sends(b"a", get(1, 1, CLIENT, 2), b"key")[0]).status == Status.UNAVAILABLE


@pytest.mark.fault("R7", "B4")
def test_requests_of_one_client_in_flight_are_bounded_and_others_are_passed_on(router: RouterDriver) -> None:
    most = dispatch.PEER_REQUESTS_MAX
    for sequence in range(1, most + 1):
        [passed] = router.client_sends(b"a", get(1, 1, CLIENT, sequence), b"key")
        assert isinstance(passed, Send)
        assert passed.link == "workers"
    [refused] = router.client_sends(b"a", get(1, 1, CLIENT, most + 1), b"key")
    refusal = refusal_of(refused, Status.BUSY)
    assert (refusal.used, refusal.limit) == (most + 1, most)
    for peer, segment, client in ((b"a", 3, CLIENT), (b"b", 1, CLIENT + 1)):
        [passed] = router.client_sends(peer, get(segment, 1, client, 1), b"key")
        assert isinstance(passed, Send)
        assert passed.link == "workers"
    router.worker_sends(b"w0", get(1, 1, CLIENT, 1).reply(Status.OK), b"value")
    [passed] = router.client_sends(b"a", get(1, 1, CLIENT, most + 2), b"key")
    assert isinstance(passed, Send)
    assert passed.link == "workers"


@pytest.mark.fault("C6")
def test_requests_to_the_former_process_of_a_worker_end_unknown(router: RouterDriver) -> None:
    router.client_sends(b"a", get(1, 1, CLIENT, 1), b"key")
    effects = router.register(0, b"w0 again")
    assert next(header_of(effect).status for effect in effects if effect.peer == b"a") == Status.UNKNOWN
    assert router.worker_sends(b"w0", get(1, 1, CLIENT, 1).reply(Status.OK), b"late") == []


def test_a_request_is_forgotten_a_second_after_its_deadline(router: RouterDriver) -> None:
    router.client_sends(b"a", get(1, 1, CLIENT, 1, duration_ms=500), b"key")
    router.heartbeat(0, b"w0")
    router.pass_time(1_400)
    assert router.statistics()["requests_in_flight"] == 1
    router.pass_time(500)
    assert router.statistics()["requests_in_flight"] == 0
    assert router.statistics()["bytes_in_flight"] == 0
    assert router.worker_sends(b"w0", get(1, 1, CLIENT, 1).reply(Status.OK), b"late") == []


def test_a_malformed_answer_is_not_passed_on(router: RouterDriver) -> None:
    router.client_sends(b"a", get(1, 1, CLIENT, 1), b"key")
    reply = Header(Op.GET, status=Status.OK, client=CLIENT, sequence=1)
    assert router.worker_sends(b"w0", reply, b"values", b"and more") == []
    assert router.statistics()["messages_malformed"] == 1
    assert router.statistics()["requests_in_flight"] == 1
