"""A worker whose log cannot be opened: it registers with the router, and refuses every request with the reason.

So all other workers serve, clients of its keys learn at once which file is damaged and where, and none of its files is
changed. It stops, to be started again, when another try is worth it: after damage when the files of the log have
changed, after a failed file operation when some time has passed.
"""

from __future__ import annotations

from typing import TypeAlias

from shardstore.checksum import checksum
from shardstore.errors import Corruption, StorageFailure
from shardstore.files.file_names import worker_directory
from shardstore.limits import SECOND_NS
from shardstore.options import WorkerOptions
from shardstore.seams.effects import Effect, Event, Received, Stop, StopRequested, Tick
from shardstore.seams.filesystem import Filesystem
from shardstore.wire.columns import InvalidColumn
from shardstore.wire.link_names import ROUTER
from shardstore.wire.messages import Assignments, Refusal
from shardstore.wire.wire_format import Header, MalformedMessage, Op, Status, decode_message
from shardstore.workers.ranges.range_opener import known_segments, readable_manifests
from shardstore.workers.registration import Registration
from shardstore.workers.serving.buffer_lease import BufferLease
from shardstore.workers.serving.reply import Asker

TRY_AGAIN_NS = 11 * SECOND_NS
"""Longer than a life that counts as a quick death; see cluster/restart_policy.py."""
Fingerprint: TypeAlias = tuple[list[str], int]


class RefusingCore:
    """A worker process that serves nothing because of `failure`. `endpoint` is where clients reach it directly."""

    def __init__(
        self, filesystem: Filesystem, options: WorkerOptions, endpoint: str, failure: Corruption | StorageFailure
    ) -> None:
        self._filesystem = filesystem
        self._worker = options.worker
        self._failure = failure
        known = known_segments(filesystem, readable_manifests(filesystem, options.store))
        self._registration = Registration(options.worker, endpoint, known, 0, str(failure))
        self._lease = BufferLease(options.memory, 0)
        self._found = self._fingerprint()
        self._try_again_ns = 0

    def start(self, now_ns: int) -> list[Effect]:
        """Ask the router for ranges."""
        self._try_again_ns = now_ns + TRY_AGAIN_NS
        return self._registration.register(now_ns)

    def end_turn(self, now_ns: int) -> list[Effect]:
        """Nothing: every event does what it makes due."""
        return []

    def wakeup_ns(self) -> int | None:
        """When the next message to the router, or the next look at the files, is due."""
        return min(self._registration.due_ns, self._try_again_ns)

    def handle(self, event: Event, now_ns: int) -> list[Effect]:
        """Handle one event. Returns the effects."""
        match event:
            case Received():
                return self._received(event, now_ns)
            case Tick():
                return self._tick(now_ns)
            case StopRequested():
                return [Stop()]
        return []

    def _received(self, event: Received, now_ns: int) -> list[Effect]:
        try:
            header = decode_message(event.frames)
            if header.status or header.op in (Op.CHANGE, Op.RETIRE):
                return self._heard_router(header, event.frames, now_ns) if event.link == ROUTER else []
        except (MalformedMessage, InvalidColumn):
            return []
        return [self._reply(Asker(event.link, event.peer, header))]

    def _heard_router(self, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        given, effects = self._registration.take_reply(header, frames, now_ns)
        if not isinstance(given, Assignments):
            return effects
        serving = {assignment.segment: assignment.epoch for assignment in given.ranges}
        ready = self._registration.ready(serving)
        return [*effects, *ready]

    def _reply(self, asker: Asker) -> Effect:
        header, serving = asker.header, self._registration.serving or {}
        if header.op != Op.STATS and serving.get(header.segment) != header.epoch:
            stale = f"segment {header.segment} is not served here at epoch {header.epoch}"
            return asker.refuse(Status.STALE_ROUTE, Refusal(stale, routes=self._registration.routes))
        return asker.fail(self._failure)

    def _tick(self, now_ns: int) -> list[Effect]:
        if now_ns >= self._try_again_ns:
            self._try_again_ns = now_ns + TRY_AGAIN_NS
            if isinstance(self._failure, StorageFailure) or self._fingerprint() != self._found:
                return [Stop(f"tries again what failed before: {self._failure}")]
        if not self._registration.is_due(now_ns):
            return []
        if self._registration.serving is None:
            return self._registration.register(now_ns)
        return self._registration.beat(0, self._lease.report(0, 0, 0), 0, "", False, now_ns)

    def _fingerprint(self) -> Fingerprint:
        """What changes when the files of the log change: their names, and the checksum of the damaged one."""
        names = self._filesystem.list_directory(worker_directory(self._worker))
        if not isinstance(self._failure, Corruption) or not self._filesystem.exists(self._failure.file):
            return names, 0
        return names, checksum(self._filesystem.map(self._failure.file))
