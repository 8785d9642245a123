"""The route map: every key has exactly one owner."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import Epoch, SegmentId, WorkerId
from shardstore.limits import KEY_BYTES_MAX, RANGES_MAX
from shardstore.wire.route_map import InvalidRouteMap, Route, RouteMap, even_boundaries, presplit

KEYS = st.binary(max_size=3)
MAPS = st.builds(
    lambda boundaries, workers: presplit(sorted(boundaries), workers),
    st.sets(st.binary(min_size=1, max_size=2), max_size=12),
    st.integers(1, 5),
)


def route(start: bytes, segment: int, **changes: Any) -> Route:
    return replace(Route(start, SegmentId(segment), WorkerId(0), Epoch(0)), **changes)


@given(MAPS, KEYS)
def test_every_key_has_exactly_one_owner(route_map: RouteMap, key: bytes) -> None:
    owners = [each for each in route_map if key in route_map.range_of(each.segment)]
    assert owners == [route_map.route_of(key)]


@given(MAPS)
def test_route_is_found_by_segment(route_map: RouteMap) -> None:
    for each in route_map:
        assert route_map.route_of_segment(each.segment) is each
    assert route_map.route_of_segment(0) is None
    assert route_map.route_of_segment(len(route_map.routes) + 1) is None


@given(MAPS)
def test_map_comes_back_from_its_document(route_map: RouteMap) -> None:
    assert RouteMap.from_document(route_map.to_document()) == route_map


@given(MAPS, st.data())
def test_a_change_makes_the_next_version(route_map: RouteMap, data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(route_map.routes))
    changed = replace(chosen, epoch=Epoch(chosen.epoch + 1), created=True)
    following = route_map.with_routes([changed])
    assert following.version == route_map.version + 1
    assert following.route_of_segment(chosen.segment) == changed
    assert [each for each in following if each != changed] == [each for each in route_map if each != chosen]
    assert route_map.route_of_segment(chosen.segment) == chosen


@given(MAPS)
def test_presplit_gives_workers_contiguous_shares_of_equal_size(route_map: RouteMap) -> None:
    workers = [each.worker for each in route_map]
    assert workers == sorted(workers)
    shares = [workers.count(worker) for worker in set(workers)]
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("ranges", [1, 2, 3, 8, 1_000, RANGES_MAX])
def test_even_boundaries_are_in_order_and_evenly_apart(ranges: int) -> None:
    places = [0, *(int.from_bytes(key, "big") for key in even_boundaries(ranges)), 65_536]
    steps = [end - start for start, end in pairwise(places)]
    assert len(steps) == ranges
    assert min(steps) >= 1
    assert max(steps) - min(steps) <= 1


@pytest.mark.parametrize(
    ("routes", "what"),
    [
        ((), "1 to 65536 routes"),
        ((route(b"a", 1),), "gap"),
        ((route(b"", 1), route(b"b", 2), route(b"a", 3)), "overlap"),
        ((route(b"", 1), route(b"a", 2), route(b"a", 3)), "overlap"),
        ((route(b"", 1), route(b"a", 1)), "twice"),
        ((route(b"", 0),), "out of bounds"),
        ((route(b"", 2**32),), "out of bounds"),
        ((route(b"", 1, epoch=-1),), "out of bounds"),
        ((route(b"", 1, epoch=2**32),), "out of bounds"),
        ((route(b"", 1, worker=-1),), "out of bounds"),
        ((route(b"", 1, worker=True),), "wrong type"),
        ((route(b"", 1, created=1),), "wrong type"),
        ((route(b"", 1), route("a", 2)), "wrong type"),  # type: ignore[arg-type]
        ((route(b"", 1), route(b"a" * (KEY_BYTES_MAX + 1), 2)), "4097 bytes"),
    ],
)
def test_a_map_that_does_not_cover_all_keys_once_is_refused(routes: tuple[Route, ...], what: str) -> None:
    with pytest.raises(InvalidRouteMap, match=what):
        RouteMap(1, routes)


@pytest.mark.fault("M5")
@pytest.mark.parametrize("ranges", [0, -1, RANGES_MAX + 1])
def test_an_impossible_number_of_ranges_is_refused(ranges: int) -> None:
    with pytest.raises(InvalidRouteMap, match="1 to 65536 ranges"):
        even_boundaries(ranges)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"version": 1},
        {"version": 1, "routes": 5},
        {"version": 1, "routes": [[b"", 1, 0, 0]]},
        {"version": 1, "routes": [[b"", 1, 0, 0, True, 0]]},
        {"version": 1, "routes": [5]},
        {"version": "1", "routes": [[b"", 1, 0, 0, True]]},
        {"version": 0, "routes": [[b"", 1, 0, 0, True]]},
        {"version": 1, "routes": [[b"", "1", 0, 0, True]]},
        {"version": 1, "routes": []},
    ],
)
def test_a_document_that_is_no_map_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidRouteMap):
        RouteMap.from_document(document)
