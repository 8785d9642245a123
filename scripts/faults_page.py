"""Writes docs/reliability.md from scripts/fault_list.py, the markers of the tests and docs/reliability.json.

Run it in the environment of the project: `.venv/bin/python scripts/faults_page.py`

docs/reliability.json is a list of the figures that were reached by hand-started runs:

    {"what": "...", "reached": "...", "command": "...", "date": "2026-12-01", "commit": "..."}
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from fault_list import FAULTS, GROUPS, Fault

PROJECT = Path(__file__).parent.parent
PAGE = PROJECT / "docs" / "reliability.md"
FIGURES = PROJECT / "docs" / "reliability.json"
LINE_CHARACTERS_MAX = 100
HEAD = """\
# Faults, and the tests of them

What may go wrong on one host, what the store does then, and which tests show it. A test names its
faults: `@pytest.mark.fault("L1")`. `scripts/faults_page.py` makes this page of those markers and
of its list of faults. [crash.md](architecture/crash.md) tells the same as a story.

What is assumed: a sync that succeeds is on stable storage, and a power cut damages no synced bytes.
"""
FIGURES_HEAD = """\
## What was run

The long forms of the tests, started by hand. `docs/reliability.json` holds what they printed.
"""

Covering = dict[str, dict[str, list[str]]]
"""Of each fault, the tests that cover it, by file."""


def page() -> str:
    """The text of the page."""
    tests = coverage()
    groups = [_group(title, faults, tests) for title, faults in GROUPS.items()]
    return "\n".join([HEAD, _figures(), *groups])


def coverage() -> Covering:
    """The tests of each fault, from the markers in all files of tests."""
    found: Covering = {}
    for path in sorted((PROJECT / "tests").rglob("test_*.py")):
        for test, fault in _marked(ast.parse(path.read_text())):
            found.setdefault(fault, {}).setdefault(str(path.relative_to(PROJECT)), []).append(test)
    return found


def _marked(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each marked test of a file with each fault that it names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from ((node.name, fault) for mark in node.decorator_list for fault in _named_by(mark))


def _named_by(mark: ast.expr) -> Iterator[str]:
    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
        yield from map(ast.literal_eval, mark.args)


def _figures() -> str:
    rows = json.loads(FIGURES.read_text())
    text = "{what}: **{reached}**. `{command}`, {date}, commit {commit}."
    return "\n".join([FIGURES_HEAD, *(_bullet(text.format(**row)) for row in rows)]) + "\n"


def _group(title: str, faults: tuple[Fault, ...], tests: Covering) -> str:
    return "\n".join([f"## {title}\n", *(_fault(fault, tests.get(fault.id, {})) for fault in faults)]) + "\n"


def _fault(fault: Fault, tests: dict[str, list[str]]) -> str:
    lines = [_bullet(f"**{fault.id}** {fault.what} {fault.expected}")]
    lines += [_bullet(f"{file}: {', '.join(f'`{name}`' for name in names)}", "  ") for file, names in tests.items()]
    if fault.gap:
        lines.append(_bullet(f"Not tested: {fault.gap}", "  "))
    return "\n".join(lines)


def _bullet(text: str, indent: str = "") -> str:
    return fill(
        f"{indent}* {text}",
        LINE_CHARACTERS_MAX,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{len(FAULTS)} faults, {len(FAULTS.keys() & coverage().keys())} with tests")
