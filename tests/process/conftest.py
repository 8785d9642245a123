"""Fixtures: how the clients of a test reach their cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.process import clusters


@pytest.fixture(scope="module", params=["local", "curve"])
def reached(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run what uses it twice: clients of `cluster_on` connect on this host, and over tcp with a key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHARDSTORE_KEY", "")
        if request.param == "curve":
            patch.setattr(clusters, "kinds", [clusters.KeyedCluster])
        yield request.param
