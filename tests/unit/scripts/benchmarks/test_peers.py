"""The measurement of peers, with a dict as peer: complete figures, and none for wrong data."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from benchmarks import peers
from benchmarks.peers import catalogue
from benchmarks.peers.peer import AwaitedGet
from benchmarks.peers.runner import WORK, Runner, WrongAnswer
from benchmarks.records import HEX, records_of

RECORDS = records_of(HEX, 2_500)
SECONDS_WAITED = 0.2


class DictPeer:
    """A dict with at most one fault: the name of a wrong method, or "order", or "wait"."""

    servers = ()

    def __init__(self, directory: Path, synced: bool, fault: str = "", opened: list[bool] | None = None) -> None:
        assert not list(directory.iterdir()), "a store is opened in a directory that is not its own"
        self._table: dict[bytes, bytes] = {}
        self._fault = fault
        if opened is not None:
            opened.append(synced)

    def put(self, key: bytes, value: bytes) -> None:
        """Lose the key, or keep it."""
        if (self._fault, key) != ("put", RECORDS.keys[7]):
            self._table[key] = value

    @asynccontextmanager
    async def reading_tasks(self) -> AsyncIterator[AwaitedGet]:
        """Read as `get` does."""

        async def get(key: bytes) -> bytes | None:
            return self.get(key)

        yield get

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Lose the last of a batch, or keep all."""
        kept = len(keys) - (self._fault == "put_many")
        self._table.update(zip(keys[:kept], values[:kept], strict=True))

    def get(self, key: bytes) -> bytes | None:
        """Find nothing, or what is there."""
        return None if self._fault == "get" else self._table.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Omit missing keys, or return a result for each key."""
        answers = map(self._table.get, keys)
        return [answer for answer in answers if answer is not None or self._fault != "get_many"]

    def scan(self) -> Iterator[tuple[bytes, bytes]]:
        """Return records unordered, or one too few, or all in order."""
        match self._fault:
            case "order":
                return iter(self._table.items())
            case "scan":
                return iter(sorted(self._table.items())[1:])
        return iter(sorted(self._table.items()))

    def settle(self) -> float:
        """Wait without a reason, if that is the fault."""
        if self._fault != "wait":
            return 0.0
        started = time.perf_counter()
        time.sleep(SECONDS_WAITED)
        return time.perf_counter() - started

    def compact(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def runner(directory: Path, fault: str = "", ordered: bool = True, opened: list[bool] | None = None) -> Runner:
    return Runner(partial(DictPeer, fault=fault, opened=opened), ordered, RECORDS, directory, runs=2)


@pytest.mark.slow
def test_every_work_gives_its_figures(tmp_path: Path) -> None:
    figures = runner(tmp_path).measure(WORK)
    assert list(figures) == list(WORK)
    always = {"per_second", "seconds", "client_cpu_s_per_million", "server_cpu_s_per_million"}
    for work in ("put_many", "put_many_synced"):
        assert figures[work].keys() == always | {"settled_per_second"}
    for work in ("get_many", "scan", "get_threads", "get_tasks"):
        assert figures[work].keys() == always
    for work in ("get", "put", "put_synced"):
        assert figures[work].keys() == always | {"p50_us", "p99_us"}
    assert figures["disk"] == {"bytes_per_entry": 0.0}
    assert not list(tmp_path.iterdir())


def test_what_a_peer_waits_to_find_out_that_it_is_at_rest_is_not_counted(tmp_path: Path) -> None:
    figures = runner(tmp_path, "wait").measure(["put_many"])["put_many"]
    assert len(RECORDS.keys) / SECONDS_WAITED * 2 < figures["settled_per_second"] < figures["per_second"]


@pytest.mark.slow
def test_only_synced_work_is_synced(tmp_path: Path) -> None:
    opened: list[bool] = []
    runner(tmp_path, opened=opened).measure(WORK)
    assert opened == [name.endswith("_synced") for name in WORK[:4] for _ in range(2)] + [False]


@pytest.mark.parametrize(
    ("fault", "work"),
    [
        ("put", "put"),
        ("put", "put_synced"),
        ("put_many", "put_many"),
        ("put_many", "put_many_synced"),
        ("put_many", "scan"),
        ("get", "get"),
        ("get", "get_threads"),
        ("get", "get_tasks"),
        ("get_many", "get_many"),
        ("scan", "scan"),
        ("scan", "put"),
        ("order", "scan"),
    ],
)
def test_wrong_answers_give_no_figures(tmp_path: Path, fault: str, work: str) -> None:
    with pytest.raises(WrongAnswer):
        runner(tmp_path, fault).measure([work])


def test_order_is_not_asked_of_a_peer_without(tmp_path: Path) -> None:
    assert runner(tmp_path, "order", ordered=False).measure(["scan"])["scan"]["per_second"] > 0


def test_every_peer_is_installed_or_missing() -> None:
    installed = [peer.name for peer in peers.installed()]
    assert sorted([*installed, *peers.missing()]) == sorted(peers.PEERS)
    assert "sqlite" in installed


def test_a_missing_package_or_server_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_SERVER", "/nowhere/redis-server")
    monkeypatch.setattr(catalogue, "find_spec", lambda package: None if package == "plyvel" else package)
    assert peers.missing() == {
        "redis": catalogue.INSTALL_REDIS_SERVER,
        "redis-tcp": catalogue.INSTALL_REDIS_SERVER,
        "leveldb": catalogue.INSTALL_PACKAGES,
        "leveldb-tuned": catalogue.INSTALL_PACKAGES,
    }
