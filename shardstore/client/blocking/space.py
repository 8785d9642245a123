"""What `Client.space` and `Client.mapping` return."""

from __future__ import annotations

from typing import TypeVar

from shardstore.client.blocking.space_mapping import SpaceMapping
from shardstore.estimate import Estimate
from shardstore.spaces import registry
from shardstore.spaces.key_bounds import whole
from shardstore.spaces.steps import run_steps

K = TypeVar("K")
V = TypeVar("V")


class Space(SpaceMapping[K, V]):
    """A named part of the store, with types: a MutableMapping in the order of its keys.

    It holds nothing of its own. It works in threads, and after a fork, as its client does. Methods take a `timeout`, as
    those of the client; `space[key]` and the others of a mapping have 30 seconds for each request.

    A key of another type is in no space: `in` says so. Every method refuses it with InvalidRequest.

    Warning: if another program drops the space, this object does not notice. What it writes then is lost. `stats`
    raises InvalidRequest once the space is dropped.
    """

    def __repr__(self) -> str:
        name = repr(self.name) if self.name else "of raw bytes"
        return f"<shardstore.Space {name:.60}, {self.key_type:.60} to {self.value_type}>"

    def stats(self, *, timeout: float | None = None) -> Estimate:
        """Return about how much is in the space, without looking at its keys, as `estimate` of the client does.

        Args:
            timeout: Seconds for each request; None is 30.

        Returns:
            The numbers of keys and bytes, and how far that of the keys may be off.

        Raises:
            InvalidRequest: The space was dropped.
            The other errors of `get` of the client.
        """
        if self.name:
            run_steps(self._db, registry.check_current(self._codec, timeout))
        return self._db.estimate(*whole(self._codec), timeout=timeout)
