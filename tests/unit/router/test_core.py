"""The router's own replies, its handling of garbage, and its stop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.access.rights import allows
from shardstore.client_role import ClientRole
from shardstore.limits import CREDITS, WORKERS_MAX
from shardstore.router.core import TICK_NS
from shardstore.seams.effects import PeerGone, Received, Send, SendFailed, Stop
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.wire.link_names import CLIENTS
from shardstore.wire.messages import Hello, Routes, decode, encode
from shardstore.wire.route_map import RouteMap, presplit
from shardstore.wire.wire_format import REQUEST_FRAMES, ROUTED, Header, Op, Status, decode_header
from tests.unit.router.router_driver import STORE, RouterDriver, get, header_of, refusal_of, told_routes

WORKER_OPS = [Op.REGISTER, Op.READY, Op.HEARTBEAT]


def test_hello_is_answered_with_an_own_id_and_the_routes(router: RouterDriver) -> None:
    first, second = router.hello(b"a"), router.hello(b"b")
    assert (first.client, second.client) == (1_002 + WORKERS_MAX, 1_003 + WORKERS_MAX)
    assert first.store == STORE
    routes = decode(Routes, first.routes)
    assert RouteMap.from_document(routes.route_map) == presplit([b"\x40", b"\x80", b"\xc0"], 2)
    assert routes.endpoints == {}


def test_an_answer_names_its_request_and_gives_credits(router: RouterDriver) -> None:
    [welcome] = router.client_sends(b"a", Header(Op.HELLO, sequence=5), encode(Hello("test")))
    assert header_of(welcome) == Header(Op.HELLO, status=Status.OK, credits=CREDITS, sequence=5)
    assert (welcome.link, welcome.peer) == ("clients", b"a")


def test_routes_are_told_with_the_endpoints_of_workers_that_are_up(router: RouterDriver) -> None:
    router.bring_up(1, b"w1")
    router.register(0, b"w0")
    assert router.routes().endpoints == {1: "unix://w1"}


def test_every_change_of_routes_is_told_to_all(router: RouterDriver) -> None:
    router.hello(b"a")
    serving = router.granted(0, b"w0")
    everyone = [("workers", b"w0"), ("clients", b"a")]
    assert told_routes(router.ready(b"w0", serving)) == everyone
    assert told_routes(router.register(1, b"w1")) == [("workers", b"w0"), ("workers", b"w1"), ("clients", b"a")]
    assert told_routes(router.lose_worker(b"w1")) == everyone


@pytest.mark.fault("N1")
def test_a_client_that_cannot_be_reached_is_told_no_more(router: RouterDriver) -> None:
    router.hello(b"a")
    router.hello(b"b")
    assert router.lose_client(b"a") == []
    assert told_routes(router.register(0, b"w0")) == [("workers", b"w0"), ("clients", b"b")]


def test_a_restarted_router_learns_its_clients_from_their_requests(router: RouterDriver) -> None:
    router.client_sends(b"a", Header(Op.ROUTES, client=77))
    assert ("clients", b"a") in told_routes(router.register(0, b"w0"))


def test_figures_tell_of_requests_and_workers(router: RouterDriver) -> None:
    serving = router.bring_up(0, b"w0")
    router.heartbeat(0, b"w0", pressure=9)
    router.granted(1, b"w1")
    client = router.hello(b"a").client
    router.client_sends(b"a", get(1, serving[1], client, 1), b"key")
    router.worker_sends(b"w0", Header(Op.GET, status=Status.OK, client=client, sequence=99), b"")
    router.handle(Received("clients", b"a", [b"garbage"]))
    router.now_ns += 3_000
    figures = router.statistics()
    assert figures == {
        "requests": {"get": 1, "stats": 1, "hello": 1, "register": 2, "ready": 1, "heartbeat": 1},
        "requests_in_flight": 1,
        "bytes_in_flight": 1024 + 48 + 3,
        "messages_malformed": 1,
        "requests_denied": 0,
        "replies_unmatched": 1,
        "clients": 1,
        "store": STORE,
        "map_version": 4,
        "ranges": 4,
        "changes": {"done": 0, "under_way": []},
        "unsplittable": [],
        "budget": router.core._budget.statistics(),
        "stalls": {"now": 0, "events": []},
        "workers": {
            0: {
                "state": "up",
                "failure": "",
                "heard_ago_ns": 3_000,
                "processes": 1,
                "leaving": False,
                "pressure": 9,
                "bytes_in_flight": 1075,
            },
            1: {
                "state": "joining",
                "failure": "",
                "heard_ago_ns": 3_000,
                "processes": 1,
                "leaving": False,
                "pressure": 0,
                "bytes_in_flight": 0,
            },
        },
    }


@pytest.mark.parametrize("op", WORKER_OPS)
def test_operations_of_workers_are_not_for_clients(router: RouterDriver, op: Op) -> None:
    [refused] = router.client_sends(b"a", Header(op), b"")
    assert "not an operation for clients" in refusal_of(refused, Status.INVALID).what


@pytest.mark.parametrize("op", [Op.FLUSH, Op.ROUTES, Op.STATS])
def test_operations_of_clients_are_not_for_workers(router: RouterDriver, op: Op) -> None:
    [refused] = router.worker_sends(b"w", Header(op))
    assert "not an operation for workers" in refusal_of(refused, Status.INVALID).what


@pytest.mark.fault("C4")
@pytest.mark.parametrize("link", ["clients", "workers"])
@pytest.mark.parametrize(
    "frames",
    [[], [b""], [b"x" * 40], [Header(Op.GET, status=Status.OK).encode()], [Header(99, status=Status.BUSY).encode()]],
)
def test_garbage_and_answers_nobody_asked_for_are_ignored(router: RouterDriver, link: str, frames: list[bytes]) -> None:
    assert router.handle(Received(link, b"peer", frames)) == []
    assert router.statistics()["messages_malformed"] == 1


@pytest.mark.parametrize(
    "frames",
    [
        [Header(99, sequence=5).encode()],
        [Header(Op.PUT, sequence=5).encode(), b"no values"],
        [Header(Op.HELLO, sequence=5).encode(), b"no document"],
    ],
)
def test_a_request_that_makes_no_sense_is_told_so(router: RouterDriver, frames: list[bytes]) -> None:
    [refused] = router.handle(Received("clients", b"peer", frames))
    assert refusal_of(refused, Status.INVALID).what
    assert header_of(refused).sequence == 5
    assert refused.peer == b"peer"


U8, U32, U64 = st.integers(0, 30), st.integers(0, 5) | st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
HEADERS = st.builds(Header, U8, U8, st.just(0) | U8, U8, U8, U32, U32, U32, U32, U64, U64, U64)
FRAMES = st.lists(st.one_of(st.binary(max_size=30), HEADERS.map(Header.encode)), max_size=5)
EVENTS = st.one_of(
    st.builds(Received, st.sampled_from(["clients", "workers"]), st.sampled_from([b"a", b"w0"]), FRAMES),
    st.builds(
        lambda link, header, body: Received(link, b"w0", [header.encode(), *body]),
        st.sampled_from(["clients", "workers"]),
        HEADERS,
        st.lists(st.binary(max_size=20), max_size=4),
    ),
    st.builds(SendFailed, st.sampled_from(["clients", "workers"]), st.sampled_from([b"a", b"w0"]), FRAMES),
    st.builds(PeerGone, st.sampled_from(["clients", "workers"]), st.sampled_from([b"a", b"w0"])),
)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> RouterDriver:
    router = RouterDriver(PosixFilesystem(str(tmp_path_factory.mktemp("attacked"))))
    router.bring_up(0, b"w0")
    return router


@pytest.mark.fault("R5")
@given(st.lists(EVENTS, max_size=10))
def test_nothing_a_peer_sends_raises_or_changes_the_map(attacked: RouterDriver, events: list[Received]) -> None:
    for event in events:
        for effect in attacked.handle(event):
            assert isinstance(effect, Send)
    assert attacked.route_map().version == 3


def test_a_stop_with_nothing_in_flight_is_at_once(router: RouterDriver) -> None:
    assert router.stop() == [Stop()]


def test_a_stop_refuses_new_requests_and_waits_for_those_in_flight(router: RouterDriver) -> None:
    serving = router.bring_up(0, b"w0")
    client = router.hello(b"a").client
    request = get(1, serving[1], client, 1)
    router.client_sends(b"a", request, b"key")
    assert router.stop() == []
    [refused] = router.client_sends(b"a", get(1, serving[1], client, 2), b"key")
    refusal_of(refused, Status.CLOSED)
    answered = router.worker_sends(b"w0", request.reply(Status.OK), b"value")
    assert [type(effect) for effect in answered] == [Send, Stop]


@pytest.mark.fault("N12")
def test_a_stop_waits_two_seconds_at_most(router: RouterDriver) -> None:
    serving = router.bring_up(0, b"w0")
    router.client_sends(b"a", get(1, serving[1], 5, 1, duration_ms=60_000), b"key")
    router.stop()
    assert router.pass_time(1_900) == []
    assert Stop() in router.pass_time(400)


def test_ticks_are_wanted_only_while_someone_is_to_be_watched(router: RouterDriver) -> None:
    assert router.core.wakeup_ns() is None
    router.register(0, b"w0")
    assert router.core.wakeup_ns() == router.now_ns + TICK_NS
    router.lose_worker(b"w0")
    assert router.core.wakeup_ns() is None


@pytest.mark.parametrize("op", sorted(ROUTED | {Op.HELLO, Op.ROUTES, Op.ADMIN}))
@pytest.mark.parametrize("role", list(ClientRole))
def test_a_role_is_compared_before_anything_else_is_looked_at(router: RouterDriver, op: int, role: ClientRole) -> None:
    frames = [Header(op, client=1).encode(), *[b"no document"] * (REQUEST_FRAMES[op] - 1)]
    [reply] = router.handle(Received(CLIENTS, b"a", frames, role))
    is_denied = decode_header(reply.frames[0]).status == Status.DENIED
    assert is_denied is not allows(role, op)
    if is_denied:
        assert "use a key that has it" in refusal_of(reply, Status.DENIED).what
    assert router.core._statistics(0)["requests_denied"] == is_denied
