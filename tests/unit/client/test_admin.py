"""Requests of an operator through `db.admin` and their ends, in the session and over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shardstore.client.aio.connect import connect_async
from shardstore.client.blocking.connect import connect
from shardstore.client.calls import administration
from shardstore.errors import Busy, InvalidRequest, OutcomeUnknown, Unavailable
from shardstore.limits import SECOND_NS
from shardstore.wire.admin_messages import (
    Action,
    AdminReply,
    AdminRequest,
    Loss,
    PendingChange,
    PlannedChange,
    RangeRow,
)
from shardstore.wire.messages import Refusal, decode, encode
from shardstore.wire.wire_format import Flag, MalformedMessage, Status
from tests.unit.client.session_driver import SessionDriver, put
from tests.unit.fake_cluster import Lose, Refuse
from tests.unit.fake_server import FakeServer

CHANGE = PlannedChange(7, "split", [2], [5, 6], b"m", 1, "asked for")
ROW = RangeRow(b"", b"m", 5, 1, 3, 1_000, 20, "active")


def test_an_action_is_asked_of_the_router_and_settles_with_its_answer(driver: SessionDriver) -> None:
    driver.cluster.admin.append(AdminReply([CHANGE], [ROW], 3))
    assert driver.call(administration.split(b"m", True, None)) == AdminReply([CHANGE], [ROW], 3)
    ((link, header),) = driver.sent
    assert (link, header.segment) == ("router", 0)
    assert [request for _, request in driver.cluster.asked] == [AdminRequest("split", b"m", 0, True)]


def test_an_action_that_takes_long_is_asked_again_under_its_number(driver: SessionDriver) -> None:
    driver.cluster.admin.append(Lose.REPLY)
    call = administration.merge(b"m", False, 60)
    driver.call(call)
    driver.advance(900)
    assert len(driver.cluster.asked) == 1
    driver.advance(200)
    assert driver.ended[call] == AdminReply()
    first, second = (header for header, _ in driver.cluster.asked)
    assert first.sequence == second.sequence
    assert second.flags & Flag.RETRY


def test_other_calls_go_on_while_an_action_takes_long(driver: SessionDriver) -> None:
    driver.cluster.admin.append(Lose.REPLY)
    driver.call(administration.rebalance(False, None))
    assert driver.call(put(b"a")) is None


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (administration.move(b"m", 1, False, 1), OutcomeUnknown),
        (administration.drain_worker(1, False, 1), OutcomeUnknown),
        (administration.move(b"m", 1, True, 1), Unavailable),
        (administration.ranges(1), Unavailable),
    ],
)
def test_an_action_without_an_answer(driver: SessionDriver, call: Any, error: type[Exception]) -> None:
    driver.cluster.admin.append(Lose.REPLY)
    driver.call(call)
    driver.advance(1_100)
    assert type(driver.ended[call]) is error


def test_an_action_that_cannot_be_done_says_why(driver: SessionDriver) -> None:
    driver.cluster.admin.append(Refuse(Status.INVALID, 0, Refusal("a range starts there already")))
    error = driver.call(administration.split(b"m", False, None))
    assert isinstance(error, InvalidRequest)
    assert str(error) == "a range starts there already"


def test_nobody_knows_what_became_of_an_action_that_a_former_router_was_asked(driver: SessionDriver) -> None:
    driver.cluster.admin.extend([Lose.REPLY, Refuse(Status.TOO_OLD, 0, Refusal("the router has ended"))])
    call = administration.merge(b"m", False, 60)
    driver.call(call)
    driver.advance(1_100)
    assert type(driver.ended[call]) is OutcomeUnknown


@pytest.mark.parametrize("ends", [True, False])
def test_an_action_waits_for_another_change_of_its_range(driver: SessionDriver, ends: bool) -> None:
    driver.cluster.admin.extend(
        [Refuse(Status.BUSY, 50, Refusal("a split of the range runs"))] * (3 if ends else 1_000)
    )
    call = administration.move(b"m", 1, False, 1)
    driver.call(call)
    driver.advance(1_100)
    if ends:
        assert driver.ended[call] == AdminReply()
    else:
        assert type(driver.ended[call]) is Busy


@pytest.mark.parametrize(
    "document", [AdminRequest("move", b"k", 2, True), AdminReply([CHANGE], [ROW], 1), AdminReply()]
)
def test_documents_go_there_and_back(document: Any) -> None:
    assert decode(type(document), encode(document)) == document
    with pytest.raises(MalformedMessage):
        decode(type(document), encode(ROW))


def test_actions_are_those_of_the_documents() -> None:
    calls = [
        administration.split(b"k", False, None),
        administration.merge(b"k", False, None),
        administration.move(b"k", 1, False, None),
        administration.rebalance(False, None),
        administration.ranges(None),
        administration.keep_together(b"k", None),
        administration.let_split(b"k", None),
        administration.add_worker(False, None),
        administration.drain_worker(1, False, None),
        administration.changes(None),
        administration.resolve_change(7, "cancel", False, None),
    ]
    assert [call.request.action for call in calls] == list(Action)
    assert {type(call.request.action) for call in calls} == {str}
    assert calls[0].timeout_ns == 30 * SECOND_NS


@pytest.mark.parametrize(
    "make",
    [
        lambda: administration.split("text", False, None),
        lambda: administration.merge(b"", False, None),
        lambda: administration.move(b"k", -1, False, None),
        lambda: administration.move(b"k", "1", False, None),
        lambda: administration.drain_worker(True, False, None),
        lambda: administration.rebalance(1, None),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_refused(make: Any) -> None:
    with pytest.raises(InvalidRequest):
        make()


def test_texts_of_a_resolution() -> None:
    texts = []
    for arguments in ((0, "cancel"), (1, "undo")):
        with pytest.raises(InvalidRequest) as caught:
            administration.resolve_change(*arguments, False, None)
        texts.append(str(caught.value))
    assert texts == [
        "a change is named by its number, as in `changes`, not 0",
        "how is 'cancel' or 'complete', not 'undo'",
    ]


LOSS = Loss(5, b"", b"m", "all")
PENDING = PendingChange(7, "move", [2], [5], "pending", ["segment 2 is fenced"], "asked for", "", [LOSS])
REPLIES = [AdminReply([CHANGE])] * 5 + [AdminReply(ranges=[ROW]), AdminReply(worker=2)]
REPLIES += [AdminReply(pending=[PENDING]), AdminReply(losses=[LOSS])]
ASKED = [
    AdminRequest("split", b"k", 0, True),
    AdminRequest("merge", b"k"),
    AdminRequest("move", b"k", 1),
    AdminRequest("rebalance", dry_run=True),
    AdminRequest("drain_worker", worker=1),
    AdminRequest("ranges"),
    AdminRequest("add_worker"),
    AdminRequest("changes"),
    AdminRequest("resolve", change=7, resolution="complete"),
]


def test_blocking(server: FakeServer) -> None:
    server.cluster.admin.extend(REPLIES)
    with connect(server.url) as db:
        assert db.admin.split(b"k", dry_run=True) == [CHANGE]
        assert db.admin.merge(b"k") == db.admin.move(b"k", 1) == db.admin.rebalance(dry_run=True) == [CHANGE]
        assert db.admin.drain_worker(1, timeout=5) == [CHANGE]
        assert db.admin.ranges() == [ROW]
        assert db.admin.add_worker() == 2
        assert db.admin.changes() == [PENDING]
        assert db.admin.resolve_change(7, "complete") == [LOSS]
    assert [request for _, request in server.cluster.asked] == ASKED


def test_asyncio(server: FakeServer) -> None:
    async def main() -> None:
        server.cluster.admin.extend(REPLIES)
        async with await connect_async(server.url) as db:
            assert await db.admin.split(b"k", dry_run=True) == [CHANGE]
            assert await db.admin.merge(b"k") == await db.admin.move(b"k", 1) == [CHANGE]
            assert await db.admin.rebalance(dry_run=True) == [CHANGE]
            assert await db.admin.drain_worker(1, timeout=5) == [CHANGE]
            assert await db.admin.ranges() == [ROW]
            assert await db.admin.add_worker() == 2
            assert await db.admin.changes() == [PENDING]
            assert await db.admin.resolve_change(7, "complete") == [LOSS]

    asyncio.run(main())
    assert [request for _, request in server.cluster.asked] == ASKED
