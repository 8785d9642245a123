"""Values as pickles. The one place in the product where bytes may run code, and only for those who ask for it."""

from __future__ import annotations

import pickle
from typing import Any

from shardstore.errors import InvalidRequest

_PROTOCOL = 5


class PickleCodec:
    """Stores any Python object. Use it only for a store that nobody else can write.

    Warning: reading a pickle runs the code that it names. Whoever can write a value of the space, to its files or to
    its sockets, can run any program as every process that reads it.
    """

    name = "Pickle"
    version = 1

    def encode(self, value: Any) -> bytes:
        """Return a pickle. Raises InvalidRequest for an object that has none."""
        try:
            return pickle.dumps(value, _PROTOCOL)
        except Exception as error:  # objects raise what they like
            raise InvalidRequest(f"a value of Pickle cannot be pickled: {error}") from error

    def decode(self, data: bytes) -> Any:
        """Return the object. Runs the code that the bytes name."""
        return pickle.loads(data)  # noqa: S301  the user asked for this codec by name, and its docstring warns
