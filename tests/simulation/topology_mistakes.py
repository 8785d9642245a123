"""Mistakes in topology changes, to be planted like those of mistakes.py."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest

import shardstore.client.session.requests_of_calls
import shardstore.router.admin
import shardstore.router.change_plan
import shardstore.router.route_table
import shardstore.router.topology_changes
import shardstore.workers.jobs.clipped_record
import shardstore.workers.jobs.materialise
import shardstore.workers.topology.local_changes
from shardstore import router, workers
from shardstore.client.calls.calls import EndScan, ScanPage
from shardstore.client.session.lane_map import LaneMap
from shardstore.client.session.lanes import Request
from shardstore.files import documents
from shardstore.files.file_names import SEGMENTS, manifest
from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.router.change_stage import Stage, stage_of
from shardstore.router.policies.together import with_prefix
from shardstore.router.route_table import RouteTable, Topology
from shardstore.router.topology_changes import TopologyChanges
from shardstore.seams.effects import Effect
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.open_tables import OpenTables
from shardstore.tables.table_format import TableRecord
from shardstore.wire.topology import Change, Order
from shardstore.wire.wire_format import Header, Op
from shardstore.workers.jobs.specs import MaterialiseSpec
from shardstore.workers.overlay.overlay import fill
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.inheritance import Inheritance
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.role import FINAL, WAITING
from shardstore.workers.serving.reply import Asker
from shardstore.workers.topology.holdings import Holdings
from shardstore.workers.topology.local_changes import LocalChanges
from tests.simulation import servers
from tests.simulation.mistakes import Mistake
from tests.simulation.sim_filesystem import SimFilesystem
from tests.simulation.swarm import Patch


def _serve_the_fenced(holdings: Holdings, asker: Asker, frames: list[bytes]) -> OwnedRange | None:
    """A parent serves all requests, including writes."""
    owned = holdings.ranges.get(asker.header.segment)
    is_served = owned is not None and owned.epoch == asker.header.epoch and owned.role is not WAITING
    return owned if is_served else None


def _windows_known(changes: LocalChanges, order: Order, child: OwnedRange) -> list[DedupWindow]:
    """The child adopts what is known at once, and does not wait until all parents are fenced."""
    parents = order.change.parents_over(child.key_range)
    here = [changes._ranges[parent.segment].dedup for parent in parents if parent.segment in changes._ranges]
    told = [DedupWindow.from_document(order.windows[each.segment]) for each in parents if each.segment in order.windows]
    return [*here, *told]


def _adopt_without_windows(changes: LocalChanges, order: Order, lsn_durable: int) -> None:
    """The child does not know the requests that its parents applied until it is opened again."""
    waiting = [(child, child.dedup) for child in changes._here(order.change.children) if child.role is WAITING]
    _adopt(changes, order, lsn_durable)
    for child, dedup in waiting:
        child.dedup = dedup


_adopt = LocalChanges._adopt


def _spec_without_window(*arguments: Any) -> MaterialiseSpec:
    """The manifest of the child lacks the requests that its parents applied."""
    return replace(MaterialiseSpec(*arguments), dedup={})


class PublishesChildrenFirst(SimFilesystem):
    """The names of tables in a new directory are not synced before the manifest is published."""

    def sync_directory(self, path: str) -> None:
        if not path.startswith(SEGMENTS + "/") or self.exists(manifest(int(path.rpartition("/")[2], 16))):
            super().sync_directory(path)


def _fence_at_once(changes: LocalChanges, change: Change, *arguments: Any) -> list[Effect]:
    """A scan that isolates a parent does not keep writes out of the child."""
    for parent in changes._here(change.parents):
        parent.end_isolation()
    return _fence(changes, change, *arguments)


_fence = LocalChanges._fence


def _page_by_the_map(page: ScanPage, lane_map: LaneMap, op: Op, call: ScanPage | EndScan) -> Request:
    """The next page is requested from the present owner of its keys, as if it were the first."""
    if call is not page:
        return _of_page(page, lane_map, op, call)
    anew = replace(page, cursor=b"", owner=None)
    request = _of_page(anew, lane_map, op, anew)
    request.calls = [page]
    return request


_of_page = shardstore.client.session.requests_of_calls._of_page


def _materialised_when_drained(*arguments: Any) -> Stage:
    """Children count as materialised as soon as they could be."""
    stage = stage_of(*arguments)
    return Stage.MATERIALISED if stage is Stage.DRAINED else stage


def _retire_when_drained(
    changes: TopologyChanges, peer: bytes, request: Header, frames: Sequence[bytes], now_ns: int
) -> tuple[list[Effect], Change | None]:
    """Parents may be removed once they are drained; the children's manifests and ROUTES follow later."""
    effects, ended = _progress(changes, peer, request, frames, now_ns)
    member = changes._membership.of_peer(peer)
    for under_way in changes._under_way.values():
        if member is not None and under_way.is_drained:
            parents = [parent.segment for parent in under_way.change.parents if parent.worker == member.worker]
            effects = [*effects, changes._retire(peer, under_way.change.number, parents)]
    return effects, ended


_progress = TopologyChanges.progress


def _begin_without_changes(changes: TopologyChanges, *arguments: Any) -> None:
    """A router that starts does not check whether changes are under way."""
    _begin(changes, *arguments)
    changes._under_way.clear()


_begin = TopologyChanges.__init__


def _get_from_files(inheritance: Inheritance, keys: Sequence[bytes]) -> list[Stored | None]:
    """Only the drained data of parents is read."""
    found: list[Stored | None] = [None] * len(keys)
    for parent in inheritance.parents:
        assert isinstance(parent, OwnedRange)
        fill(found, keys, parent.stored())
    return found


def _unclipped(
    record: TableRecord, key_range: KeyRange, tables: OpenTables
) -> Generator[None, None, TableRecord | None]:
    """A table of which the child owns only some keys is used without bounds."""
    kept = yield from _clipped(record, key_range, tables)
    return record if kept is not None else None


_clipped = workers.jobs.clipped_record.clipped


def _keep_what_has_boundaries(together: Sequence[bytes], prefix: bytes, _starts: Sequence[bytes]) -> tuple[bytes, ...]:
    """Whatever ranges begin within a prefix, it is said to be kept together."""
    return with_prefix(together, prefix, ())


def _forget_together(filesystem: Filesystem, store: str) -> tuple[Topology, bool]:
    """A router that starts lets everything split."""
    topology, is_old = _load(filesystem, store)
    return replace(topology, together=()), is_old


_load = router.route_table._load


def _always_go_on(_changes: LocalChanges) -> str:
    """A worker goes on with a segment that was given up."""
    return ""


def _keep_the_resolution_in_memory(table: RouteTable, change: Change, following: Sequence[Change]) -> None:
    """A resolution is not durable."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(documents, "publish", lambda *arguments: None)
        _publish_resolution(table, change, following)


_publish_resolution = RouteTable.publish_resolution


TOPOLOGY_MISTAKES: dict[str, Mistake] = {
    "lets a fenced parent accept writes": Mistake((Patch(Holdings, "_former_of", _serve_the_fenced),), first_seed=2),
    "adopts before all parents are fenced": Mistake((Patch(LocalChanges, "_windows", _windows_known),)),
    "forgets the dedup window when a child is adopted": Mistake(
        (Patch(LocalChanges, "_adopt", _adopt_without_windows),), needs=("break connection",), first_seed=278
    ),
    "forgets the dedup window in the manifest of a child": Mistake(
        (Patch(workers.topology.local_changes, "MaterialiseSpec", _spec_without_window),),
        needs=("strand answers",),
        first_seed=3,
    ),
    "publishes a child before its tables are durable": Mistake(
        (Patch(servers, "SimFilesystem", PublishesChildrenFirst),),
        needs=("lose power in materialisation", "CHAOS"),
        first_seed=969,
    ),
    "fences an isolated range": Mistake((Patch(LocalChanges, "_fence", _fence_at_once),), first_seed=1),
    "goes on with a held scan by the new map": Mistake(
        (Patch(shardstore.client.session.requests_of_calls, "_of_page", _page_by_the_map),)
    ),
    "ends a change before its children are materialised": Mistake(
        (Patch(router.topology_changes, "stage_of", _materialised_when_drained),)
    ),
    "retires a parent before the change is over": Mistake((Patch(TopologyChanges, "progress", _retire_when_drained),)),
    "materialises from the files of parents that are not drained": Mistake(
        (Patch(workers.topology.local_changes, "_is_drained", lambda parent: parent.role is FINAL),)
    ),
    "forgets changes when the router starts": Mistake(
        (Patch(TopologyChanges, "__init__", _begin_without_changes),), needs=("strike change",), first_seed=14
    ),
    "reads of parents only what is drained": Mistake((Patch(Inheritance, "get_many", _get_from_files),), first_seed=23),
    "splits within what is kept together": Mistake(
        (Patch(router.change_plan, "check_splits", lambda together, keys: None),),
        needs=("kept together",),
        first_seed=34,
    ),
    "keeps together what is in several ranges": Mistake(
        (Patch(router.admin, "with_prefix", _keep_what_has_boundaries),), needs=("kept together",), first_seed=6
    ),
    "forgets what is kept together when the router starts": Mistake(
        (Patch(router.route_table, "_load", _forget_together),),
        needs=("kept together", "kill router"),
        first_seed=55,
    ),
    "takes tables of a parent as they are": Mistake((Patch(workers.jobs.materialise, "clipped", _unclipped),)),
    "adopts a child while an abandoned segment may be open": Mistake(
        (Patch(Order, "is_settled", property(lambda order: True)),), needs=("resolve",), first_seed=185
    ),
    "goes on with a segment that was given up": Mistake(
        (Patch(LocalChanges, "why_to_stop", _always_go_on),), needs=("resolve",), first_seed=185
    ),
    "forgets a resolution when the router starts": Mistake(
        (Patch(RouteTable, "publish_resolution", _keep_the_resolution_in_memory),), needs=("resolve",), first_seed=591
    ),
    "says that a resolution loses nothing": Mistake(
        (Patch(router.topology_changes, "losses", lambda *arguments: []),), needs=("resolve",), first_seed=185
    ),
}
