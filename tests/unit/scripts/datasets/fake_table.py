"""A client over a dict, for scripts that only read and write many keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence


class FakeTable:
    """Raises the error in `failures` for the number of the call, counted from 0, before or after doing its work."""

    def __init__(self) -> None:
        self.content: dict[bytes, bytes] = {}
        self.failures: dict[int, BaseException] = {}
        self.fails_after = False
        self.calls: list[str] = []

    def __enter__(self) -> FakeTable:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def put_many(self, pairs: Sequence[tuple[bytes, bytes]], *, timeout: float | None) -> None:
        self._call("put", lambda: self.content.update(pairs))

    def get_many(self, keys: Sequence[bytes], *, timeout: float | None) -> list[bytes | None]:
        answer: list[bytes | None] = []
        self._call("get", lambda: answer.extend(map(self.content.get, keys)))
        return answer

    def delete_many(self, keys: Iterable[bytes], *, timeout: float | None) -> None:
        self._call("delete", lambda: [self.content.pop(key, None) for key in keys])

    def _call(self, name: str, work: Callable[[], object]) -> None:
        failure = self.failures.pop(len(self.calls), None)
        self.calls.append(name)
        if failure is None or self.fails_after:
            work()
        if failure is not None:
            raise failure
