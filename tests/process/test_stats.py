"""The result of `stats()` of a running store matches the schema."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, is_typeddict

import pytest
from stats_page import ROOTS, classes_from, fields_of

from shardstore import Busy, Client, LocalCluster, NoStats, OutcomeUnknown, RouterStats, TopologyOptions, WorkerStats
from tests.process.clusters import MEMORY

Seen = dict[type, set[str]]


def check(value: Any, of: Any, where: str, seen: Seen) -> None:
    """Check that the value has this type of the schema, and record the fields seen."""
    if is_typeddict(of):
        fields = {field.name: field for field in fields_of(of)}
        assert value.keys() <= fields.keys(), where
        assert fields.keys() - value.keys() <= {name for name, field in fields.items() if field.is_optional}, where
        seen[of] |= value.keys()
        for name in value:
            check(value[name], fields[name].of, f"{where}.{name}", seen)
    elif isinstance(of, UnionType):
        [kind] = [kind for kind in get_args(of) if kind is not NoneType]
        if value is not None:
            check(value, kind, where, seen)
    elif get_origin(of) is list:
        for item in value:
            check(item, *get_args(of), where, seen)
    elif get_origin(of) is dict:
        for key, item in value.items():
            check(key, get_args(of)[0], where, seen)
            check(item, get_args(of)[1], where, seen)
    else:
        assert type(value) is of, f"{where}: {value!r}"


def check_all(db: Client, seen: Seen) -> None:
    """The statistics of every process now."""
    figures = db.stats(timeout=2)
    assert type(figures) is dict
    for who, each in figures.items():
        kind = NoStats if "unavailable" in each else RouterStats if who == "router" else WorkerStats
        check(each, kind, str(who), seen)


def quiet_cluster(data: Path) -> LocalCluster:
    """A cluster of two ranges that do not change."""
    is_new = not list(data.iterdir())
    topology = TopologyOptions(auto_topology=False)
    return LocalCluster(data, workers=2, memory=MEMORY, ranges=2 if is_new else None, topology=topology)


def fill_a_log(data: Path) -> None:
    """Make a store, and truncate its log within the last record, as a crash may do."""
    with quiet_cluster(data) as cluster, cluster.connect() as db:
        db.put_many({b"%05d" % number: b"v" * 1_000 for number in range(4_000)})
    [log] = sorted((data / "workers" / "0000").glob("wal-*.log"))
    with log.open("ab") as file:
        file.write(b"torn")


@pytest.mark.slow
def test_every_field_that_appears_is_in_the_schema_and_every_field_of_the_schema_appears(tmp_path: Path) -> None:
    seen: Seen = defaultdict(set)
    fill_a_log(tmp_path)
    with quiet_cluster(tmp_path) as cluster, cluster.connect() as db:
        db.flush()
        check_all(db, seen)
        with db.scan(mode="full_isolation") as scan:
            next(scan)
            with pytest.raises(Busy):
                db.put(b"00000", b"a stall", on_busy="fail")
        os.kill(cluster.processes()["worker-1"], signal.SIGSTOP)
        with pytest.raises(OutcomeUnknown):
            db.admin.split(b"\xff\xff", timeout=0.5)
        check_all(db, seen)
        os.kill(cluster.processes()["worker-1"], signal.SIGCONT)
    for kind in [kind for root in ROOTS for kind in classes_from(root)]:
        assert seen[kind] == {field.name for field in fields_of(kind)}, kind.__name__
