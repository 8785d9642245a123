"""numpy, loaded on first use. A program that reads single keys, as most commands do, does not need it.

Loading it takes about as long as loading the rest of a client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["np"]

if TYPE_CHECKING:
    import numpy as np
else:

    class _Numpy:
        """Has the attributes of numpy; each is looked up once."""

        def __getattr__(self, name: str) -> object:
            import numpy  # noqa: PLC0415

            value = getattr(numpy, name)
            setattr(self, name, value)
            return value

    np = _Numpy()
