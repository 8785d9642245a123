"""docs/reliability.md is made of the list of faults and of the markers, which name faults of the list."""

from __future__ import annotations

import pytest
from fault_list import FAULTS, GROUPS, Fault
from faults_page import PAGE, coverage, page

TESTS = coverage()


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run scripts/faults_page.py"


def test_every_marker_names_a_fault_of_the_list() -> None:
    assert sorted(TESTS.keys() - FAULTS.keys()) == []


def test_every_fault_is_in_the_list_once() -> None:
    assert sum(map(len, GROUPS.values())) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_has_a_test_or_it_says_why_not(fault: Fault) -> None:
    assert fault.gap or fault.id in TESTS
