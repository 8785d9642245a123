"""A store that a former release left behind, killed, opens with all that was in it."""

from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import pytest

from shardstore import Client, LocalCluster
from shardstore.cli.store_status import health_of
from tests.golden.stores.made_store import BOUNDARIES, COUNTED, COUNTER, contents

STORES = Path(__file__).parent


def old_files(db: Client) -> Counter[str]:
    """How many files of a former format version each kind has."""
    return sum((Counter(each["old_files"]) for name, each in db.stats().items() if name != "router"), Counter())


@pytest.mark.fault("L16")
@pytest.mark.parametrize("file", sorted(STORES.glob("*.tar.xz")), ids=lambda file: file.name)
def test_a_store_of_a_former_release_opens(file: Path, tmp_path: Path) -> None:
    with tarfile.open(file) as packed:
        packed.extractall(tmp_path, filter="data")
    with LocalCluster(tmp_path) as cluster, cluster.connect() as db:
        assert dict(db.scan()) == contents()
        assert [row.start for row in db.admin.ranges()] == [b"", *BOUNDARIES]
        assert db.increment(COUNTER) == COUNTED + 1
        assert old_files(db) > Counter()
        assert "in a former format, which compact rewrites" in health_of(db.stats()).line
        db.put(b"k/new", b"")
        db.compact()
        assert old_files(db) == Counter()
        assert "former" not in health_of(db.stats()).line
    with LocalCluster(tmp_path) as cluster, cluster.connect() as db:
        assert dict(db.scan()) == contents() | {COUNTER: b"%d" % (COUNTED + 1), b"k/new": b""}
