"""A store that a former release left behind, killed, opens with all that was in it."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from shardstore import LocalCluster
from tests.golden.stores.made_store import BOUNDARIES, COUNTED, COUNTER, contents

STORES = Path(__file__).parent


@pytest.mark.parametrize("file", sorted(STORES.glob("*.tar.xz")), ids=lambda file: file.name)
def test_a_store_of_a_former_release_opens(file: Path, tmp_path: Path) -> None:
    with tarfile.open(file) as packed:
        packed.extractall(tmp_path, filter="data")
    with LocalCluster(tmp_path) as cluster, cluster.connect() as db:
        assert dict(db.scan()) == contents()
        assert [row.start for row in db.admin.ranges()] == [b"", *BOUNDARIES]
        assert db.increment(COUNTER) == COUNTED + 1
        db.put(b"k/new", b"")
        db.compact()
    with LocalCluster(tmp_path) as cluster, cluster.connect() as db:
        assert dict(db.scan()) == contents() | {COUNTER: b"%d" % (COUNTED + 1), b"k/new": b""}
