"""A client that reads while a history goes on, with the real Reader, and checks what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardstore.client.calls.arguments import checked_keys
from shardstore.client.calls.batch_pieces import Boundaries
from shardstore.client.direct.ask import ASK, Ask
from shardstore.client.direct.reader import Reader
from shardstore.limits import MIB
from shardstore.tables.not_ready import NOT_READY
from shardstore.wire.route_map import RouteMap
from tests.interleavings.exploration import Choices
from tests.interleavings.history import History
from tests.interleavings.loads import Loads
from tests.interleavings.read_boards import ReadBoards
from tests.interleavings.read_files import ReadFilesystem
from tests.unit.set_wall import SetWall
from tests.unit.topology_driver import STORE


class Stale(AssertionError):
    """A read returned what no order of reads and writes allows."""


class DirectClient:
    """A client. Its reads come one after the other, and each is checked.

    A read that must ask is answered by the worker, with the newest write that the worker shows at that time.
    """

    def __init__(self, history: History, choices: Choices) -> None:
        self._choices = choices
        self._loads = loads = Loads(history, choices)
        self._reader = Reader(ReadFilesystem(loads), ReadBoards(loads), SetWall(), STORE, MIB, 8)  # type: ignore[arg-type]
        self._routes: RouteMap = history.value(("routes",), 0)
        self._least: dict[bytes, int] = {}
        self.direct = self.asked = 0

    def get_at_once(self, key: bytes) -> None:
        """Read one key before the writers do their next step."""
        self._loads.waits = False
        self._check(key, self._found(key))
        self._loads.waits = True

    def get(self, key: bytes) -> None:
        """Read one key."""
        self._begin([key])
        self._check(key, self._found(key))

    def get_many(self, *keys: bytes) -> None:
        """Read some keys."""
        self._begin(keys)
        found = self._reader.get_many(checked_keys(keys), self._routes, Boundaries(self._routes.starts))
        for key, value, is_read in zip(keys, found.values, found.read.tolist(), strict=True):
            self._check(key, value if is_read else ASK)

    def meet(self) -> None:
        """End here if all that decides what follows was met before."""
        reader: Any = self._reader
        boards = tuple(
            (worker, board.open and board.open.incarnation, board.looks_left, board.moves, *board.slots.items())
            for worker, board in sorted(reader._slots._of_workers.items())
        )
        ranges = tuple(
            (segment, each.route, each.board.incarnation, each._sequence_at, _state_of(each._look))
            for segment, each in reader._ranges.items()
        )
        files = tuple((segment, *each.state) for segment, each in reader._files._segments.items())
        least = tuple(sorted(self._least.items()))
        self._choices.meet((self._loads.now, self._routes.version, least, boards, ranges, files))

    def _found(self, key: bytes) -> Any:
        """What the reader finds, in the order in which clients ask it."""
        found = self._reader.get_ready(key, self._routes)
        return self._reader.get(key, self._routes) if found is NOT_READY else found

    def _begin(self, keys: Sequence[bytes]) -> None:
        loads = self._loads
        self._routes = loads.load_or_keep(self._routes, ("routes",))
        for key in keys:
            self._least[key] = max(self._least.get(key, 0), loads.load(("shown", key)))

    def _check(self, key: bytes, found: Any) -> None:
        loads, least = self._loads, self._least.get(key, 0)
        if isinstance(found, Ask):
            self.asked += 1
            number = loads.load(("shown", key))
        else:
            self.direct += 1
            number = loads.history.latest(("cleared", key), -1) if found is None else int(found)
        newest = loads.history.value(("begun", key), loads.now)
        if not least <= number <= newest:
            raise Stale(f"a read of {key!r} after {loads.now} steps found write {number}, not {least} to {newest}")
        self._least[key] = number


def _state_of(look: Any) -> tuple[object, ...]:
    """What decides what a read makes of a look."""
    return () if look is None else (*look[:-1], *(look.segment.state if look.segment is not None else ()))
