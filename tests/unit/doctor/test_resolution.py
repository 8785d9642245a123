"""Changes that are cancelled or completed while the store is not served."""

from __future__ import annotations

import pytest

from shardstore.doctor.findings import Finding, Kind
from shardstore.doctor.resolution import plan_resolution
from shardstore.doctor.survey import Survey, survey_of
from shardstore.errors import InvalidRequest
from shardstore.router import route_table
from shardstore.router.route_table import read_topology
from shardstore.seams.filesystem import Filesystem
from shardstore.wire.topology import Resolution
from tests.unit.doctor.test_survey import SPLIT, SPLITTING, STORE
from tests.unit.faulty_filesystem import FaultyFilesystem

CANCEL, COMPLETE = Resolution.CANCEL, Resolution.COMPLETE
DAMAGED = Finding(Kind.MANIFEST, "segments/00000002/MANIFEST", 16, "checksum does not match")
DAMAGED_LOG = Finding(Kind.LOG, "workers/0000/wal-0000000000000001.log", 9, "LSN 3 is missing")


@pytest.fixture
def filesystem() -> FaultyFilesystem:
    filesystem = FaultyFilesystem()
    filesystem.make_directory("router")
    route_table.documents.publish(filesystem, "router/ROUTES", route_table.encode(STORE, SPLITTING))
    return filesystem


def surveyed(filesystem: Filesystem) -> Survey:
    return survey_of(filesystem, STORE)


@pytest.mark.parametrize("finding", [DAMAGED, DAMAGED_LOG])
def test_a_change_is_completed_without_the_parent_that_is_damaged(
    filesystem: FaultyFilesystem, finding: Finding
) -> None:
    planned = plan_resolution(surveyed(filesystem), [finding], SPLIT.number, COMPLETE)
    assert [(each.segment, each.start, each.is_counted) for each in planned.losses] == [(2, b"m", False)]
    planned.publish(filesystem, surveyed(filesystem))
    [change] = read_topology(filesystem, STORE).changes
    assert (change.number, change.resolution, change.given_up) == (SPLIT.number, "complete", (2,))
    assert planned.settles(DAMAGED)
    assert not planned.settles(DAMAGED_LOG), "the log has records of other ranges"


def test_a_change_is_cancelled(filesystem: FaultyFilesystem) -> None:
    planned = plan_resolution(surveyed(filesystem), [], SPLIT.number, CANCEL)
    assert [each.segment for each in planned.losses] == [child.segment for child in SPLIT.children]
    planned.publish(filesystem, surveyed(filesystem))
    topology = read_topology(filesystem, STORE)
    [change] = topology.changes
    assert (change.instead_of, change.parents, change.discarded) == (SPLIT.number, SPLIT.parents, SPLIT.children)
    assert [int(route.segment) for route in topology.map] == [1, change.children[0].segment]


def test_what_cannot_be_resolved(filesystem: FaultyFilesystem) -> None:
    survey = surveyed(filesystem)
    needless = "nothing was found that keeps change 1 from going on; it needs no resolution"
    with pytest.raises(InvalidRequest, match=needless):
        plan_resolution(survey, [], SPLIT.number, COMPLETE)
    with pytest.raises(InvalidRequest, match="there is no change 9 under way that can be read"):
        plan_resolution(survey, [DAMAGED], 9, COMPLETE)
    with pytest.raises(InvalidRequest, match="no change 1 under way"):
        plan_resolution(None, [DAMAGED], SPLIT.number, COMPLETE)
