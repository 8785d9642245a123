"""The texts of errors in the source: what each call of an error class, or of Refusal, is given to say.

A text is a pattern: what is put into it at run time may be anything. A class that is given nothing but such has no
text of its own here; that was made elsewhere.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from shardstore import errors

ROOT = Path(__file__).parent.parent
CLASSES = frozenset(name for name in vars(errors) if name[0].isupper()) | {
    "BadEntry",
    "Failed",
    "Refusal",
    "UsageError",
}
OWN_LETTERS_MIN = 4
"""A text with fewer letters of its own says nothing: another text is put into it."""


class Text(NamedTuple):
    """A text, and where it stands in the source."""

    where: str
    pattern: str

    def is_in(self, listed: str) -> bool:
        """Whether that is this text, or has it."""
        return re.search(self.pattern, listed, re.DOTALL) is not None


def texts_in(files: Iterable[Path]) -> Iterator[Text]:
    """The texts of errors that are made in these modules."""
    for file in files:
        for line, pattern in patterns_of(file.read_text()):
            yield Text(f"{file.relative_to(ROOT)}:{line}", pattern)


def patterns_of(source: str) -> Iterator[tuple[int, str]]:
    """The texts of errors that are made in this source, with their lines."""
    tree = ast.parse(source)
    constants = _constants_of(tree)
    errors_made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name_of(node.func) in CLASSES]
    for made in errors_made:
        for text in chain.from_iterable(_texts_of(argument, constants) for argument in made.args):
            if len(re.findall("[a-z]", "".join(text))) >= OWN_LETTERS_MIN:
                yield made.lineno, ".*".join(map(re.escape, text))


def strings_in(files: Iterable[Path]) -> list[str]:
    """All strings and bytes of these modules; what is put into one at run time is left out."""
    return [
        "".join(text)
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant | ast.JoinedStr)
        for text in _texts_of(node, {})
    ]


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _constants_of(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def _texts_of(node: ast.expr, constants: dict[str, ast.expr]) -> Iterator[list[str]]:
    """The pieces of each text that an expression may be; between two of them anything may stand."""
    match node:
        case ast.Constant(value=str(text)):
            yield [text]
        case ast.Constant(value=bytes(data)):
            yield [data.decode(errors="replace")]
        case ast.JoinedStr(values=parts):
            yield [part.value for part in parts if isinstance(part, ast.Constant)]
        case ast.IfExp(body=one, orelse=other):
            yield from _texts_of(one, constants)
            yield from _texts_of(other, constants)
        case ast.Name(id=name) if name in constants:
            yield from _texts_of(constants[name], constants)
