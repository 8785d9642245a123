"""numpy, loaded when it is used first: a program that asks for single keys, as most commands do, needs none of it.

Loading it takes about as long as all the rest of a client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["np"]

if TYPE_CHECKING:
    import numpy as np
else:

    class _Numpy:
        """Has what numpy has; each name is looked up once."""

        def __getattr__(self, name: str) -> object:
            import numpy  # noqa: PLC0415

            value = getattr(numpy, name)
            setattr(self, name, value)
            return value

    np = _Numpy()
