"""Workers are added and drained: numbers, refusals, moves, the end, and all this across restarts of the router."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from shardstore.errors import DiskFull
from shardstore.limits import MILLISECOND_NS, SECOND_NS, WORKERS_MAX
from shardstore.router.admin import FORGOTTEN
from shardstore.router.balancer import LOOK_RANGE_NS, POLICY_INTERVAL_NS
from shardstore.router.change_stage import Stage
from shardstore.router.policies import topology_policy
from shardstore.router.policies.history import History
from shardstore.router.policies.loads import StoreLoad
from shardstore.seams.effects import Effect, ReportWorkers, Send, Tick
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.topology_options import TopologyOptions
from shardstore.wire.admin_messages import Action, AdminReply, AdminRequest
from shardstore.wire.load_report import LoadReport
from shardstore.wire.messages import Refusal, Routes, decode, encode
from shardstore.wire.topology import Change, OrderMessage, Progress
from shardstore.wire.wire_format import Flag, Header, Op, Status
from tests.unit.router.router_driver import RouterDriver, answers_to, document_of, header_of, refusal_of, told_routes

OPERATOR = 5_000
"""The client id of the operator."""


class Store:
    """A router, and workers that execute its orders at once."""

    def __init__(self, filesystem: PosixFilesystem, boundaries: Sequence[str] = ("40", "80", "c0")) -> None:
        self._filesystem = filesystem
        self._boundaries = boundaries
        self._sequences = count(1)
        self._up: dict[int, bytes] = {}
        self.restart()

    def restart(self) -> None:
        """Start another router process, which the workers contact."""
        self.router = RouterDriver(self._filesystem, boundaries=self._boundaries)
        for worker in sorted(self._up):
            self.bring_up(worker)

    def bring_up(self, worker: int) -> None:
        """Start a process of the worker, which begins to serve."""
        self._up[worker] = b"w%d" % worker
        self.router.bring_up(worker, self._up[worker])

    def ask(
        self, action: Action, worker: int = 0, dry_run: bool = False, sequence: int = 0, flags: int = 0
    ) -> list[Effect]:
        """Send a request of an operator."""
        sequence = sequence or next(self._sequences)
        header = Header(Op.ADMIN, flags, client=OPERATOR, sequence=sequence, duration_ms=1_000)
        request = AdminRequest(action.value, worker=worker, dry_run=dry_run)
        return self.router.client_sends(b"operator", header, encode(request))

    def pass_time(self, seconds: int) -> list[Effect]:
        """Let time pass; workers send heartbeats and make the ordered changes."""
        effects: list[Effect] = []
        for _ in range(2 * seconds):
            for worker, peer in self._up.items():
                self.router.heartbeat(worker, peer)
            happened = self.router.pass_time(500)
            effects += happened
            for change in orders_in(happened):
                effects += self.do(change)
        return effects

    def drain(self, worker: int, scans: int = 0) -> None:
        """Drain a worker until all its ranges are moved; its last heartbeat before that reported this many scans."""
        self.ask(Action.DRAIN_WORKER, worker)
        moves = orders_in(self.router.pass_time(2_000))
        self.router.heartbeat(worker, self._up[worker], scans=scans)
        for change in moves:
            self.do(change)

    def do(self, change: Change) -> list[Effect]:
        """Let the workers report that a change is done."""
        effects: list[Effect] = []
        for worker in sorted(change.workers & self._up.keys()):
            done = Progress(change.number, materialised=[c.segment for c in change.children if c.worker == worker])
            effects += self.router.worker_sends(self._up[worker], Header(Op.PROGRESS), encode(done))
        return effects

    def owners(self) -> list[int]:
        """The owners of the ranges, in key order."""
        return [int(route.worker) for route in self.router.route_map()]

    def workers_wanted(self) -> tuple[int, ...]:
        """The workers that a router started now wants to be running."""
        [report] = RouterDriver(self._filesystem).first
        assert isinstance(report, ReportWorkers)
        return report.workers


@pytest.fixture
def store(filesystem: PosixFilesystem) -> Store:
    store = Store(filesystem)
    store.bring_up(0)
    store.bring_up(1)
    return store


def orders_in(effects: list[Effect]) -> dict[Change, None]:
    """The ordered changes, each once."""
    orders = [each for each in effects if isinstance(each, Send) and header_of(each).op == Op.CHANGE]
    return dict.fromkeys(decode(OrderMessage, each.frames[1]).order.change for each in orders)


def reply_in(effects: list[Effect]) -> AdminReply:
    [reply] = answers_to(effects, b"operator", Op.ADMIN)
    assert header_of(reply).status == Status.OK, document_of(Refusal, reply)
    answer: AdminReply = document_of(AdminReply, reply)
    return answer


def reports_in(effects: list[Effect]) -> list[tuple[int, ...]]:
    return [effect.workers for effect in effects if isinstance(effect, ReportWorkers)]


def test_a_router_tells_at_its_start_which_workers_are_to_run(store: Store) -> None:
    assert store.router.first == [ReportWorkers((0, 1))]


def test_a_new_worker_has_the_lowest_free_number_is_wanted_and_may_register(store: Store) -> None:
    [refused] = store.router.register(2, b"w2")
    assert refusal_of(refused, Status.INVALID).what == "this store has no worker 2"
    effects = store.ask(Action.ADD_WORKER)
    assert (reply_in(effects).worker, reports_in(effects)) == (2, [(0, 1, 2)])
    assert store.workers_wanted() == (0, 1, 2)
    store.bring_up(2)
    assert store.router.routes().endpoints[2] == "unix://w2"
    assert store.owners() == [0, 0, 1, 1]


def test_an_addition_that_is_asked_for_again_under_its_sequence_is_one(store: Store) -> None:
    assert [reply_in(store.ask(Action.ADD_WORKER, sequence=77)).worker for _ in range(2)] == [2, 2]
    assert store.workers_wanted() == (0, 1, 2)


def test_a_dry_run_tells_and_does_nothing(store: Store) -> None:
    effects = store.ask(Action.ADD_WORKER, dry_run=True)
    assert (reply_in(effects).worker, reports_in(effects)) == (2, [])
    told = reply_in(store.ask(Action.DRAIN_WORKER, 1, dry_run=True)).changes
    assert [(each.parents, each.worker, each.number, each.reason) for each in told] == [
        ([3], 0, 0, "worker 1 leaves"),
        ([4], 0, 0, "worker 1 leaves"),
    ]
    assert store.workers_wanted() == (0, 1)
    store.pass_time(3)
    assert store.owners() == [0, 0, 1, 1]


def test_a_worker_that_is_drained_gives_all_away_and_ends(store: Store) -> None:
    assert store.ask(Action.DRAIN_WORKER, 0) == []
    assert store.router.statistics()["workers"][0]["leaving"]
    effects = store.pass_time(5)
    assert store.owners() == [1, 1, 1, 1]
    assert reports_in(effects) == [(1,)]
    reply = reply_in(effects)
    assert [(each.kind, each.parents, each.worker) for each in reply.changes] == [("move", [1], 1), ("move", [2], 1)]
    assert list(store.router.statistics()["workers"]) == [1]
    last = [each for each in effects if isinstance(each, Send) and header_of(each)[:3] == (Op.ROUTES, 0, Status.OK)][-1]
    assert list(decode(Routes, last.frames[1]).endpoints) == [1], "clients learn that it is gone"
    assert store.workers_wanted() == (1,)


def test_what_was_on_the_way_to_a_worker_that_is_gone_is_not_waited_for(store: Store) -> None:
    store.ask(Action.DRAIN_WORKER, 0)
    effects = store.pass_time(5)
    assert ("workers", b"w1") in told_routes(effects)
    [refused] = store.router.heartbeat(0, b"w0")
    assert header_of(refused).status == Status.STALE_ROUTE
    [refused] = store.router.register(0, b"w0")
    assert refusal_of(refused, Status.INVALID).what == "this store has no worker 0"
    assert store.router.lose_worker(b"w0") == []


def test_who_asks_for_a_departure_that_is_under_way_waits_for_it(store: Store) -> None:
    store.ask(Action.DRAIN_WORKER, 0)
    store.restart()
    assert store.ask(Action.DRAIN_WORKER, 0) == []
    effects = store.pass_time(5)
    assert reports_in(effects) == [(1,)]
    assert [each.parents for each in reply_in(effects).changes] == [[1], [2]]


@pytest.mark.parametrize("action", [Action.ADD_WORKER, Action.DRAIN_WORKER, Action.MERGE])
def test_nothing_is_begun_for_who_may_have_asked_a_former_router(store: Store, action: Action) -> None:
    store.ask(action, sequence=77)
    store.restart()
    before = (store.workers_wanted(), store.router.statistics()["changes"], store.router.statistics()["map_version"])
    [refused] = store.ask(action, sequence=77, flags=Flag.RETRY)
    assert refusal_of(refused, Status.TOO_OLD).what == FORGOTTEN
    assert (
        store.workers_wanted(),
        store.router.statistics()["changes"],
        store.router.statistics()["map_version"],
    ) == before
    assert reply_in(store.ask(Action.RANGES, flags=Flag.RETRY)).ranges, "requests that only read may be repeated"


def test_at_most_two_changes_empty_a_worker_at_a_time(store: Store) -> None:
    store.ask(Action.ADD_WORKER)
    store.bring_up(2)
    store.ask(Action.DRAIN_WORKER, 0)
    store.ask(Action.DRAIN_WORKER, 1)
    begun = orders_in(store.router.pass_time(2_000))
    assert len(begun) == len(store.router.statistics()["changes"]["under_way"]) == 2
    assert all(change.children[0].worker == 2 for change in begun)


def test_who_looks_sees_what_is_under_way_and_why(store: Store) -> None:
    store.ask(Action.DRAIN_WORKER, 0)
    [change, _] = orders_in(store.router.pass_time(2_000))
    store.router.pass_time(500)
    [under_way, _] = store.router.statistics()["changes"]["under_way"]
    assert 500 * MILLISECOND_NS <= under_way.pop("age_ns") < 2_500 * MILLISECOND_NS
    assert under_way == {
        "kind": "move",
        "parents": [change.parents[0].segment],
        "children": [change.children[0].segment],
        "stage": "pending",
        "reason": "worker 0 leaves",
    }
    store.restart()
    [under_way, _] = store.router.statistics()["changes"]["under_way"]
    assert (under_way["stage"], under_way["reason"], under_way["age_ns"]) == ("pending", "", None)


def test_policies_look_after_a_report_less_often_at_many_ranges_and_always_when_a_worker_is_to_leave(
    filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    choose = topology_policy.choose_changes

    def counted(loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int) -> Any:
        looks.append(now_ns)
        return choose(loads, history, options, now_ns)

    monkeypatch.setattr(topology_policy, "choose_changes", counted)
    store = Store(filesystem, [f"{number:04x}" for number in range(1, 1_000)])
    store.bring_up(0)
    store.bring_up(1)
    store.pass_time(5)
    assert looks == []
    for _ in range(10):
        store.router.worker_sends(b"w0", Header(Op.LOAD), encode(LoadReport(0, [])))
        store.pass_time(1)
    assert len(looks) == pytest.approx(10 * SECOND_NS / (POLICY_INTERVAL_NS + 1_000 * LOOK_RANGE_NS), abs=1)
    before = len(looks)
    store.ask(Action.DRAIN_WORKER, 0)
    store.pass_time(5)
    assert len(looks) >= before + 4


def test_departure_goes_on_in_the_next_router_whatever_was_done(store: Store) -> None:
    store.ask(Action.DRAIN_WORKER, 0)
    store.restart()
    begun = [*orders_in(store.router.pass_time(2_000))]
    assert [change.parents[0].worker for change in begun] == [0, 0]
    store.do(begun[0])
    store.restart()
    assert len(store.router.statistics()["changes"]["under_way"]) == 1
    assert reports_in(store.pass_time(5)) == [(1,)]


def test_a_worker_stays_while_a_change_concerns_it(store: Store) -> None:
    store.ask(Action.DRAIN_WORKER, 0)
    begun = orders_in(store.router.pass_time(2_000))
    assert store.owners() == [1, 1, 1, 1], "the map names the children at once"
    assert set(store.router.core._changes.stages().values()) == {Stage.PENDING}
    assert store.workers_wanted() == (0, 1)
    for change in begun:
        store.do(change)
    assert reports_in(store.pass_time(1)) == [(1,)]


def test_a_worker_stays_while_it_may_hold_scans_open(store: Store) -> None:
    store.drain(0)
    assert reports_in(store.router.pass_time(1_000)) == [], "its last report is from before it was empty"
    for _ in range(3):
        store.router.heartbeat(0, b"w0", scans=2)
        assert reports_in(store.router.pass_time(1_000)) == []
    store.router.heartbeat(0, b"w0")
    assert reports_in(store.router.pass_time(1_000)) == [(1,)]


@pytest.mark.fault("R2")
def test_a_router_that_stood_still_hears_the_worker_before_it_lets_it_go(store: Store) -> None:
    store.drain(0)
    assert reports_in(store.router.pass_time(500)) == []
    store.router.now_ns += 3 * SECOND_NS
    assert reports_in(store.router.handle(Tick())) == []
    store.router.heartbeat(0, b"w0")
    assert reports_in(store.router.pass_time(500)) == [(1,)]


def test_a_router_that_starts_waits_for_what_the_worker_tells(store: Store) -> None:
    store.drain(0, scans=2)
    store.restart()
    assert reports_in(store.router.pass_time(3_000)) == [], "it is up, but has not reported"
    store.router.heartbeat(0, b"w0", scans=2)
    assert reports_in(store.router.pass_time(1_000)) == []
    store.router.heartbeat(0, b"w0")
    assert reports_in(store.router.pass_time(1_000)) == [(1,)]


def test_a_router_that_starts_does_not_wait_for_ever(store: Store, filesystem: PosixFilesystem) -> None:
    store.drain(0)
    alone = RouterDriver(filesystem)
    alone.bring_up(1, b"w1")
    assert reports_in(alone.pass_time(4_000)) == []
    alone.heartbeat(1, b"w1")
    assert reports_in(alone.pass_time(2_000)) == [(1,)]


def test_nobody_waits_for_the_scans_of_a_worker_that_is_down(store: Store) -> None:
    store.drain(0, scans=2)
    assert reports_in(store.router.pass_time(1_000)) == []
    store.router.lose_worker(b"w0")
    assert reports_in(store.router.pass_time(1_000)) == [(1,)]


def test_a_worker_that_is_down_keeps_its_ranges_until_it_is_back(store: Store) -> None:
    store.router.lose_worker(b"w0")
    store.ask(Action.DRAIN_WORKER, 0)
    assert not orders_in(store.router.pass_time(2_000))
    store.bring_up(0)
    assert reports_in(store.pass_time(5)) == [(1,)]


def test_a_change_of_who_is_down_is_answered_when_it_is_done_and_not_before(store: Store) -> None:
    store.router.lose_worker(b"w0")
    assert store.ask(Action.MERGE) == [], "there is no worker to order it from"
    store.bring_up(0)
    assert [each.kind for each in reply_in(store.pass_time(2)).changes] == ["merge"]


def test_the_number_of_a_worker_that_is_gone_is_given_again(store: Store) -> None:
    store.ask(Action.DRAIN_WORKER, 0)
    store.pass_time(5)
    effects = store.ask(Action.ADD_WORKER)
    assert (reply_in(effects).worker, reports_in(effects)) == (0, [(0, 1)])
    assert store.router.bring_up(0, b"w0 again") == {}


@pytest.mark.parametrize(
    ("leaving", "worker", "what"),
    [
        ([], 7, "there is no worker 7"),
        ([0], 1, "worker 1 is the last one that stays: add another worker first"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_who_cannot_leave_is_told_why(store: Store, leaving: list[int], worker: int, what: str, dry_run: bool) -> None:
    for number in leaving:
        store.ask(Action.DRAIN_WORKER, number)
    [refused] = store.ask(Action.DRAIN_WORKER, worker, dry_run)
    assert refusal_of(refused, Status.INVALID).what == what


def test_a_store_has_a_bounded_number_of_workers(store: Store) -> None:
    for _ in range(WORKERS_MAX - 2):
        store.ask(Action.ADD_WORKER)
    assert store.workers_wanted() == tuple(range(WORKERS_MAX))
    [refused] = store.ask(Action.ADD_WORKER)
    assert refusal_of(refused, Status.INVALID).what == "a store has at most 256 workers"


def test_nothing_comes_to_a_worker_that_leaves_or_does_not_exist(store: Store) -> None:
    store.ask(Action.ADD_WORKER)
    store.bring_up(2)
    store.ask(Action.DRAIN_WORKER, 2)
    for worker, what in ((2, "worker 2 is leaving"), (9, "there is no worker 9")):
        [refused] = store.ask(Action.MOVE, worker)
        assert refusal_of(refused, Status.INVALID).what == what


def test_a_move_to_a_worker_that_does_not_serve_yet_waits_for_it(store: Store) -> None:
    store.ask(Action.ADD_WORKER)
    [busy] = store.ask(Action.MOVE, 2)
    assert refusal_of(busy, Status.BUSY).what == "worker 2 is down"
    store.bring_up(2)
    assert orders_in(store.ask(Action.MOVE, 2))


def test_a_full_disk_delays_an_addition_and_a_departure_and_loses_nothing(
    store: Store, filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.ask(Action.ADD_WORKER)
    store.bring_up(2)
    store.ask(Action.DRAIN_WORKER, 2)

    def refuse(path: str) -> None:
        raise DiskFull("full")

    with monkeypatch.context() as full:
        full.setattr(filesystem, "create", refuse)
        [refused] = store.ask(Action.ADD_WORKER)
        assert refusal_of(refused, Status.FAILED).what == "full"
        assert reports_in(store.pass_time(1)) == []
    assert reports_in(store.pass_time(1)) == [(0, 1)]
