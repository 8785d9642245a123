"""A space of a real cluster passes CPython's own tests of mappings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

import pytest

from shardstore import Client, Space, connect, keys, values
from shardstore.keys import KeyType
from tests.process.clusters import cluster_on

mapping_tests = pytest.importorskip("test.mapping_tests", reason="some systems install Python without its own tests")


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with cluster_on(tmp_path_factory.mktemp("mapping"), ranges=1) as cluster, connect(cluster.url) as client:
        yield client


class AnyKeys(KeyType[Any]):
    """Keys of all types that a tuple may have, mixed, as the tests of CPython have them."""

    description = "AnyKeys()"
    _tuples = keys.AnyTuple()

    def _encode(self, key: Any) -> bytes:
        return self._tuples.encode((key,))

    def _decode(self, data: bytes) -> Any:
        return self._tuples.decode(data)[0]

    def _encode_columns(self, keys: Any) -> None:
        return None

    _decode_columns = _encode_columns


class FreshSpace(Space[Any, Any]):
    """A new space for each mapping that a test makes. It has what a mapping with a name of its own cannot have."""

    made = count()
    client: Client

    def __init__(self, *initial: Any, **more: Any) -> None:
        name = f"mapping {next(self.made)}"
        made = self.client.space(name, key=AnyKeys(), value=values.Pickle())
        super().__init__(made._db, made._codec)
        self.update(*initial, **more)

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], value: Any = None) -> Any:
        """Make one of keys."""
        made = cls()
        for key in iterable:
            made[key] = value
        return made

    def copy(self) -> Any:
        """Make one with the same entries."""
        return type(self)(super().copy())


class TestMapping(mapping_tests.TestMappingProtocol):  # type: ignore[misc]
    """What CPython asks of a mapping, its BasicTestMappingProtocol included."""

    type2test = FreshSpace

    @pytest.fixture(autouse=True)
    def _settings(self, db: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        FreshSpace.client = db
        monkeypatch.setattr(mapping_tests, "range", lambda size: range(min(size, 32)), raising=False)

    @pytest.mark.slow
    def test_popitem(self) -> None:
        """Ask for some thousand entries one by one."""
        super().test_popitem()

    def test_setdefault(self) -> None:
        """Ask what can be asked of a store: it does not see that a list it returned is changed."""
        mapping_tests.BasicTestMappingProtocol.test_setdefault(self)
        space = self._empty_mapping()
        assert space.setdefault("key0") is None
        assert space.setdefault("key0", []) is None
        assert space.setdefault("key", [3]) == [3]
        assert space.setdefault("key", [4]) == [3]
