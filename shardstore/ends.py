"""When a value expires, as callers say it."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias, TypedDict

Moment: TypeAlias = float | datetime
"""Seconds since the epoch, or a datetime with a time zone."""


class Ends(TypedDict):
    """The arguments of a put: a lifetime in seconds, or a moment; None for both if the value does not expire."""

    ttl: float | None
    expires_at: Moment | None
