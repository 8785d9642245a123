"""Every error text occurs in a test, so that it was read as a user reads it. A new text must be added to a table."""

from __future__ import annotations

import re

import pytest

from tests.error_texts import ROOT, Text, patterns_of, strings_in, texts_in

OF_SERVERS = ("router", "workers", "tables")
"""The texts of these folders are in the tests of the code that refuses; many are for peers that break the protocol."""


def of_users() -> list[Text]:
    files = [file for file in (ROOT / "shardstore").rglob("*.py") if file.relative_to(ROOT).parts[1] not in OF_SERVERS]
    return [*texts_in(files)]


def listed() -> list[str]:
    return strings_in([*(ROOT / "tests").rglob("test_*.py")])


def test_every_error_of_a_user_has_its_text_in_a_test() -> None:
    strings = listed()
    missing = [text for text in of_users() if not any(map(text.is_in, strings))]
    assert not missing, "\n".join(f"{text.where}: {text.pattern}" for text in missing)


@pytest.mark.parametrize(
    ("source", "patterns"),
    [
        ("raise InvalidRequest('no such thing')", ["no such thing"]),
        ("raise Busy(f'{what} of {all} is full', 1, 1)", [" of .* is full"]),
        ("GONE = 'it is gone'\nraise errors.Closed(GONE)", ["it is gone"]),
        ("error = Unavailable('it stands' if still else 'it is down')", ["it stands", "it is down"]),
        ("raise InvalidRequest(f'{name}: {error}')", []),
    ],
)
def test_a_text_is_found_however_it_is_written(source: str, patterns: list[str]) -> None:
    assert [pattern.replace("\\", "") for _, pattern in patterns_of(source)] == patterns


def test_a_text_that_no_test_has_is_noticed() -> None:
    assert not any(map(Text("here", re.escape("an error that " + "is new")).is_in, listed()))
