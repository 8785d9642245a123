"""The worker processes the router knows, and whether they live."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shardstore.identifiers import WorkerId
from shardstore.limits import SECOND_NS

SILENCE_NS_MAX = 5 * SECOND_NS
"""Ten heartbeats: a starved processor or a long pause of a collector is no death."""


class MemberState(StrEnum):
    """How far a worker is."""

    DOWN = "down"
    JOINING = "joining"
    """Registered: it opens its ranges."""
    UP = "up"


@dataclass(slots=True)
class Member:
    """The newest process of one worker. `peer` is empty when it is down."""

    worker: WorkerId
    peer: bytes
    endpoint: str
    heard_ns: int
    state: MemberState = MemberState.JOINING
    pressure: int = 0
    heartbeat_ns: int = 0
    """When its latest heartbeat came; 0 before the first."""
    scans: int = 0
    """How many it held open then."""
    failure: str = ""
    """Why it takes no writes, or serves nothing; empty if that is not so."""
    full_disk: str = ""
    """What fails there for want of room; empty if nothing does."""

    @property
    def may_receive(self) -> bool:
        """Whether ranges may be moved to it, and from it: their children need files."""
        return self.state is MemberState.UP and not self.trouble

    @property
    def trouble(self) -> str:
        """Why it is to take part in no change; empty if it may."""
        return self.failure or self.full_disk


class Membership:
    """Members by worker and by peer. A peer belongs to one worker, a worker that is not down has one peer."""

    def __init__(self) -> None:
        self._members: dict[int, Member] = {}
        self._by_peer: dict[bytes, Member] = {}

    def __bool__(self) -> bool:
        """Whether any worker lives."""
        return bool(self._by_peer)

    def of_worker(self, worker: int) -> Member | None:
        """The member of this number, dead or alive."""
        return self._members.get(worker)

    def of_peer(self, peer: bytes) -> Member | None:
        """The member behind a peer, if it is still the one of its worker."""
        return self._by_peer.get(peer)

    def members(self) -> list[Member]:
        """All members, by number."""
        return [self._members[worker] for worker in sorted(self._members)]

    def peers(self) -> list[bytes]:
        """Everyone to tell of new routes."""
        return list(self._by_peer)

    def endpoints(self) -> dict[int, str]:
        """Where the workers that are up listen."""
        return {member.worker: member.endpoint for member in self.members() if member.state is MemberState.UP}

    def join(self, worker: WorkerId, peer: bytes, endpoint: str, now_ns: int, failure: str = "") -> Member:
        """A process registers. Whoever had this number or this peer before must be down."""
        former = self._members.get(worker)
        assert peer not in self._by_peer
        assert former is None or former.state is MemberState.DOWN
        member = Member(worker, peer, endpoint, now_ns, failure=failure)
        self._members[worker] = self._by_peer[peer] = member
        return member

    def lose(self, member: Member) -> None:
        """A process is gone, or counts as gone: what it says is not heard until it registers again."""
        del self._by_peer[member.peer]
        member.peer = b""
        member.state = MemberState.DOWN

    def forget(self, member: Member) -> None:
        """There is no such worker any more. It must be down."""
        assert member.state is MemberState.DOWN
        del self._members[member.worker]

    def silent(self, now_ns: int) -> list[Member]:
        """Members that were not heard for too long."""
        return [member for member in self._by_peer.values() if now_ns - member.heard_ns > SILENCE_NS_MAX]

    def hear_all(self, now_ns: int) -> None:
        """Start everyone's time anew: it was this process that did not listen."""
        for member in self._by_peer.values():
            member.heard_ns = now_ns
