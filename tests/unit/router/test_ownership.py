"""The rules of epochs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shardstore.key_range import EVERYTHING
from shardstore.router import ownership
from shardstore.wire.messages import Register
from shardstore.wire.route_map import presplit

EPOCHS = st.dictionaries(st.integers(1, 6), st.integers(0, 9), max_size=6)
WORKERS = 2


@given(st.lists(st.tuples(st.integers(0, WORKERS - 1), EPOCHS, EPOCHS), max_size=8))
def test_an_epoch_is_never_granted_twice_and_only_grows(
    registrations: list[tuple[int, dict[int, int], dict[int, int]]],
) -> None:
    route_map = presplit([b"a", b"b", b"c"], WORKERS)
    for worker, serving, known in registrations:
        before = {route.segment: route.epoch for route in route_map}
        granted = ownership.routes_with_new_epochs(route_map, Register(worker, "", serving, known))
        following = route_map.with_routes(granted)
        owned = {route.segment for route in ownership.routes_of(route_map, worker)}
        for route in following:
            highest = max(before[route.segment], known.get(route.segment, 0), serving.get(route.segment, 0))
            if route in granted:
                assert route.segment in owned
                assert route.epoch == highest + 1
            else:
                assert route.epoch == before[route.segment]
        kept = {segment: epoch for segment, epoch in before.items() if segment in owned}
        assert (granted == []) == (serving == kept)
        route_map = following


@given(st.lists(st.binary(min_size=1, max_size=2), unique=True, max_size=9), st.integers(1, 4))
def test_assignments_of_all_workers_cover_every_key_once(boundaries: list[bytes], workers: int) -> None:
    route_map = presplit(sorted(boundaries), workers)
    ranges = [each for worker in range(workers) for each in ownership.assignments(route_map, worker)]  # type: ignore[arg-type]
    assert [each.start for each in ranges] == [EVERYTHING.start, *sorted(boundaries)]
    assert [each.end for each in ranges] == [*sorted(boundaries), EVERYTHING.end]
