"""docs/stats.md is the page that scripts/stats_page.py makes from the schema."""

from __future__ import annotations

import pytest
import stats_page


def test_the_page_is_made_of_the_schema() -> None:
    assert stats_page.PAGE.read_text() == stats_page.page(), "run scripts/stats_page.py"


KINDS = [kind for root in stats_page.ROOTS for kind in stats_page.classes_from(root)]


@pytest.mark.parametrize("kind", dict.fromkeys(KINDS), ids=lambda kind: kind.__name__)
def test_every_field_has_a_description_and_what_is_measured_a_unit(kind: type) -> None:
    for field in stats_page.fields_of(kind):
        assert field.text.endswith("."), field.name
        assert field.unit or list(stats_page._classes_in(field.of)), field.name
