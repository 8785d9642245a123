"""Changes of ranges as a session sees them, and the messages it has sent."""

from __future__ import annotations

from shardstore.wire.wire_format import Flag, Op
from tests.unit.client.session_driver import SessionDriver
from tests.unit.fake_cluster import Frames

KEYS = [bytes([at]) for at in range(0x40, 0x80, 4)]
VALUES = [b"value of " + key for key in KEYS]


def split(driver: SessionDriver) -> None:
    """Split segment 2 (40 to 80, worker 0) into 5 and, from 60 on, 6 at the other worker, and inform the session."""
    driver.cluster.split(2, b"\x60", [0, 1])
    driver.cluster.fence()
    driver.receive(driver.cluster.broadcast())


def merge(driver: SessionDriver, segment: int, worker: int = 1) -> None:
    """Merge a segment with its right neighbour, and inform the session."""
    driver.cluster.merge(segment, worker)
    driver.cluster.fence()
    driver.receive(driver.cluster.broadcast())


def sent(driver: SessionDriver, op: Op) -> list[tuple[str, int, int, bool]]:
    """Link, segment and sequence of the messages sent, and whether they were retries."""
    return [
        (link, header.segment, header.sequence, bool(header.flags & Flag.RETRY))
        for link, header in driver.sent
        if header.op == op
    ]


def late(driver: SessionDriver) -> Frames:
    """Deliver the first message; its reply is under way."""
    (reply,) = driver.cluster.receive(*driver.wire.popleft())
    return reply
