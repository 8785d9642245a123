"""The texts of errors in the source: the messages passed to error classes and to Refusal.

A text is a pattern: parts inserted at run time match anything. A call whose message is only inserted has no text
here, since that text is made elsewhere.
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
"""A text with fewer letters is ignored: it only wraps another text."""


class Text(NamedTuple):
    """A text and its place in the source."""

    where: str
    pattern: str

    def is_in(self, listed: str) -> bool:
        """Whether the string contains this text."""
        return re.search(self.pattern, listed, re.DOTALL) is not None


def texts_in(files: Iterable[Path]) -> Iterator[Text]:
    """The texts of errors made in these modules."""
    for file in files:
        for line, pattern in patterns_of(file.read_text()):
            yield Text(f"{file.relative_to(ROOT)}:{line}", pattern)


def patterns_of(source: str) -> Iterator[tuple[int, str]]:
    """The texts of errors made in this source, with their lines."""
    tree = ast.parse(source)
    constants = _constants_of(tree)
    errors_made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name_of(node.func) in CLASSES]
    for made in errors_made:
        for text in chain.from_iterable(_texts_of(argument, constants) for argument in made.args):
            if len(re.findall("[a-z]", "".join(text))) >= OWN_LETTERS_MIN:
                yield made.lineno, ".*".join(map(re.escape, text))


def strings_in(files: Iterable[Path]) -> list[str]:
    """All strings and bytes in these modules, without the parts inserted at run time."""
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
    """The possible texts of an expression, each as fixed pieces with anything between them."""
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
