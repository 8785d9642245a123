"""The result of an examination, as it is printed; and what each kind of finding means."""

from __future__ import annotations

import re
from pathlib import Path

from shardstore.doctor.diagnosis import Diagnosis
from shardstore.doctor.findings import HARMLESS, MEANINGS, Finding, Kind
from shardstore.doctor.report import as_plain, report_lines

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"
FOUND = Diagnosis(
    [
        Finding(Kind.LEFTOVER, "segments/00000009", 0, "is of a segment that is not in the map"),
        Finding(Kind.TABLE, "segments/00000001/table-00000003.sst", 4096, "checksum of block 1 does not match"),
    ],
    files=3,
    bytes=1_234_567,
)


def test_text_of_findings() -> None:
    FOUND.sort()
    assert "\n".join(report_lines(FOUND)) == (
        "TABLE  segments/00000001/table-00000003.sst at byte 4096: checksum of block 1 does not match\n"
        "    means  reads of the damaged keys are refused, and the range is not compacted; all others are served\n"
        "    to do  restore the newest copy of this file, or the whole directory from one backup; before that, copy "
        "what can be read with `shardstore scan`\n"
        "harmless  segments/00000009: is of a segment that is not in the map\n"
        "1 finding: 3 tables and logs, 1,234,567 bytes; 1 harmless leftover"
    )
    assert list(report_lines(Diagnosis(files=2, bytes=10))) == ["healthy: 2 tables and logs, 10 bytes"]


def test_plain_values() -> None:
    plain = as_plain(FOUND)
    assert (plain["healthy"], plain["files"], plain["bytes"]) == (False, 3, 1_234_567)
    [finding], [harmless] = plain["findings"], plain["harmless"]
    assert list(finding) == ["kind", "file", "offset", "what", "meaning", "advice"]
    assert (finding["kind"], finding["offset"]) == ("table", 4096)
    assert harmless["kind"] == "leftover"
    assert as_plain(Diagnosis())["healthy"]


def test_each_kind_has_a_meaning_and_a_row_on_the_page() -> None:
    assert MEANINGS.keys() == set(Kind)
    rows = re.findall(r"^\| `([a-z ]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [kind.value for kind in Kind]
    assert MEANINGS.keys() > HARMLESS
