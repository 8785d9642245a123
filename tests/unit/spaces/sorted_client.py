"""A client on a sorted dict, which other clients may use between two of its calls."""

from __future__ import annotations

from collections.abc import Callable

from sortedcontainers import SortedDict


class SortedClient:
    """The methods that steps call, with their answers. `before` is called before each of them, once per entry."""

    def __init__(self) -> None:
        self.data: SortedDict = SortedDict()
        self.before: list[Callable[[], object]] = []
        self.calls: list[str] = []
        self.together: set[bytes] = set()

    def get(self, key: bytes, *, timeout: float | None = None) -> bytes | None:
        """Return a value."""
        self._begin("get")
        return self.data.get(key)

    def put_if_absent(
        self, key: bytes, value: bytes, *, ttl: float | None = None, timeout: float | None = None
    ) -> bool:
        """Set a value if there is none."""
        self._begin("put_if_absent")
        return self._compare_and_set(key, None, value)

    def compare_and_set(
        self,
        key: bytes,
        expected: bytes | None,
        value: bytes | None,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Set or remove a value if it is the expected one."""
        self._begin("compare_and_set")
        return self._compare_and_set(key, expected, value)

    def increment(self, key: bytes, by: int = 1, *, timeout: float | None = None) -> int:
        """Count up."""
        self._begin("increment")
        self.data[key] = b"%d" % (int(self.data.get(key, b"0")) + by)
        return int(self.data[key])

    def delete_range(self, start: bytes, end: bytes, *, timeout: float | None = None) -> None:
        """Remove keys."""
        self._begin("delete_range")
        for key in list(self.data.irange(start, end, (True, False))):
            del self.data[key]

    def pop_first(self, start: bytes, end: bytes, *, timeout: float | None = None) -> tuple[bytes, bytes] | None:
        """Remove the first key."""
        self._begin("pop_first")
        key = next(self.data.irange(start, end, (True, False)), None)
        return None if key is None else (key, self.data.pop(key))

    def _keep_together(self, prefix: bytes, *, timeout: float | None = None) -> None:
        self._begin("_keep_together")
        self.together.add(prefix)

    def _let_split(self, prefix: bytes, *, timeout: float | None = None) -> None:
        self._begin("_let_split")
        self.together.discard(prefix)

    def _compare_and_set(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        if self.data.get(key) != expected:
            return False
        if value is None:
            self.data.pop(key, None)
        else:
            self.data[key] = value
        return True

    def _begin(self, method: str) -> None:
        if self.before:
            self.before.pop(0)()
        self.calls.append(method)
