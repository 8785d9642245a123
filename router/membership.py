"""The worker processes that the router knows, and whether they are up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shardstore.identifiers import WorkerId
from shardstore.limits import SECOND_NS

SILENCE_NS_MAX = 5 * SECOND_NS
"""A worker that sends nothing for this long counts as down. Ten heartbeats, so that a long pause is no failure."""


class MemberState(StrEnum):
    """Whether a worker process runs and serves its ranges."""

    DOWN = "down"
    JOINING = "joining"
    """It has registered and opens its ranges."""
    UP = "up"


@dataclass(slots=True)
class Member:
    """The newest process of one worker. `peer` is its connection, empty if it is down."""

    worker: WorkerId
    peer: bytes
    endpoint: str
    heard_ns: int
    state: MemberState = MemberState.JOINING
    pressure: int = 0
    heartbeat_ns: int = 0
    """The time of its latest heartbeat; 0 before the first."""
    scans: int = 0
    """The number of scans it held open at its latest heartbeat."""
    failure: str = ""
    """Why it accepts no writes, or serves nothing; empty if it has not failed."""
    full_disk: str = ""
    """What fails because its disk is full; empty if nothing does."""
    processes: int = 1
    """How many of its processes have registered, this one too. Many in a short time: each dies soon after its start."""
    opens_nothing: bool = False
    """Whether this process never opens a range, as it cannot read its log."""

    @property
    def may_receive(self) -> bool:
        """Whether ranges may be moved to it and from it. Both write files for the children."""
        return self.state is MemberState.UP and not self.trouble

    @property
    def trouble(self) -> str:
        """Why it may take part in no topology change; empty if it may."""
        return self.failure or self.full_disk


class Membership:
    """The members, by worker and by peer. A peer belongs to one worker, and a worker that is not down has one peer.

    Invariants: each member is found by its number, and by its peer exactly while it is not down.
    """

    def __init__(self) -> None:
        self._members: dict[int, Member] = {}
        self._by_peer: dict[bytes, Member] = {}

    def __bool__(self) -> bool:
        """Whether any worker is joining or up."""
        return bool(self._by_peer)

    def of_worker(self, worker: int) -> Member | None:
        """The member with this worker number, also if it is down."""
        return self._members.get(worker)

    def of_peer(self, peer: bytes) -> Member | None:
        """The member with this peer, if it is the newest process of its worker."""
        return self._by_peer.get(peer)

    def members(self) -> list[Member]:
        """All members, ordered by worker number."""
        return [self._members[worker] for worker in sorted(self._members)]

    def peers(self) -> list[bytes]:
        """The peers of all members that are not down."""
        return list(self._by_peer)

    def endpoints(self) -> dict[int, str]:
        """The endpoints of the workers that are up, by worker number."""
        return {member.worker: member.endpoint for member in self.members() if member.state is MemberState.UP}

    def join(
        self,
        worker: WorkerId,
        peer: bytes,
        endpoint: str,
        now_ns: int,
        failure: str = "",
        opens_nothing: bool = False,
    ) -> Member:
        """Add the process of a worker, in state JOINING. Any former member with this number or peer must be down."""
        former = self._members.get(worker)
        assert peer not in self._by_peer
        assert former is None or former.state is MemberState.DOWN
        member = Member(worker, peer, endpoint, now_ns, failure=failure, opens_nothing=opens_nothing)
        member.processes += former.processes if former is not None else 0
        self._members[worker] = self._by_peer[peer] = member
        return member

    def lose(self, member: Member) -> None:
        """Mark a member as down. Its messages are ignored until it registers again."""
        del self._by_peer[member.peer]
        member.peer = b""
        member.state = MemberState.DOWN

    def forget(self, member: Member) -> None:
        """Remove a member that is down."""
        assert member.state is MemberState.DOWN
        del self._members[member.worker]

    def silent(self, now_ns: int) -> list[Member]:
        """The members that have sent nothing for more than SILENCE_NS_MAX."""
        return [member for member in self._by_peer.values() if now_ns - member.heard_ns > SILENCE_NS_MAX]

    def hear_all(self, now_ns: int) -> None:
        """Count all members as heard now, because this process did not listen for a while."""
        for member in self._by_peer.values():
            member.heard_ns = now_ns

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        for worker, member in self._members.items():
            assert member.worker == worker, f"worker {member.worker} is found as {worker}"
        here = [member for member in self._members.values() if member.state is not MemberState.DOWN]
        assert all(self._by_peer.get(member.peer) is member for member in here), "a member is not found by its peer"
        assert len(self._by_peer) == len(here), "a peer belongs to a member that is down or was removed"
