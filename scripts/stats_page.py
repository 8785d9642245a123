"""Writes docs/stats.md from shardstore/stats_schema.py.

Run it in the environment of the project: `.venv/bin/python scripts/stats_page.py`
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple, get_args, get_type_hints, is_typeddict

from shardstore.stats_schema import NoStats, RouterStats, WorkerStats

ROOTS = (RouterStats, WorkerStats, NoStats)
PAGE = Path(__file__).parent.parent / "docs" / "stats.md"
LINE_CHARACTERS_MAX = 100
HEAD = """\
# What stats() returns

`Client.stats()` and `AsyncClient.stats()` return a dict. The router is under `"router"`, and each
worker that has ranges or is up is under its number. A process that does not answer in time has
only the field `unavailable`. `shardstore stats` prints the same.

Each class below is a `TypedDict` of `shardstore/stats_schema.py`: type checkers know its fields,
and at run time it is a plain dict. Counters are 0 when the process starts.

`scripts/stats_page.py` makes this page from the schema. Change the descriptions there.
"""


class Field(NamedTuple):
    """One field of a class of the schema: its type, its unit, and its description."""

    name: str
    of: Any
    unit: str
    text: str
    is_optional: bool


def fields_of(kind: type) -> list[Field]:
    """The fields of a class of the schema; those of its bases come first."""
    optional = vars(kind)["__optional_keys__"]
    hints = get_type_hints(kind, include_extras=True)
    return [_field(name, hint, name in optional) for name, hint in hints.items()]


def classes_from(kind: type) -> list[type]:
    """This class of the schema and all classes its fields use, in reading order."""
    named = [each for field in fields_of(kind) for each in _classes_in(field.of)]
    return list(dict.fromkeys([kind, *(found for each in named for found in classes_from(each))]))


def page() -> str:
    """The text of the page."""
    kinds = [kind for root in ROOTS for kind in classes_from(root)]
    return "\n".join([HEAD, *map(_section, dict.fromkeys(kinds))])


def _field(name: str, hint: Any, is_optional: bool) -> Field:
    of, unit, text = get_args(hint)
    return Field(name, of, unit, text, is_optional)


def _classes_in(of: Any) -> Iterator[type]:
    if is_typeddict(of):
        yield of
    for argument in get_args(of):
        yield from _classes_in(argument)


def _name_of(of: Any) -> str:
    return of.__name__ if not get_args(of) else str(of).replace(f"{RouterStats.__module__}.", "")


def _section(kind: type) -> str:
    assert kind.__doc__
    paragraphs = [fill(" ".join(text.split()), LINE_CHARACTERS_MAX) for text in kind.__doc__.split("\n\n")]
    return "\n\n".join([f"## {kind.__name__}", *paragraphs, "\n".join(map(_bullet, fields_of(kind)))]) + "\n"


def _bullet(field: Field) -> str:
    notes = [
        f"`{_name_of(field.of)}`",
        *([field.unit] if field.unit else []),
        *(["may be missing"] if field.is_optional else []),
    ]
    return fill(f"* **{field.name}** ({', '.join(notes)}): {field.text}", LINE_CHARACTERS_MAX, subsequent_indent="  ")


if __name__ == "__main__":
    PAGE.write_text(page())
