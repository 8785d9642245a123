"""Keys of one length have the same digests together as one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.tables import row_digests
from shardstore.tables.column_items import as_array
from shardstore.tables.digests import digest_of, digests_of
from shardstore.tables.row_digests import LONG_ROW_BYTES, MANY_ROWS, digests_of_rows


@given(st.data(), st.integers(1, LONG_ROW_BYTES))
def test_rows_have_the_digests_of_their_keys(data: st.DataObject, stride: int) -> None:
    keys = data.draw(st.lists(st.binary(min_size=stride, max_size=stride), min_size=1, max_size=20))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(row_digests, "MANY_ROWS", 1)
        digests = digests_of_rows(as_array(keys, stride), ())
    assert list(map(tuple, digests.tolist())) == list(map(digest_of, keys))
    assert digests.flags.c_contiguous, "who looks for tags sees a digest as eight of them"


@pytest.mark.parametrize("stride", [LONG_ROW_BYTES, LONG_ROW_BYTES + 1])
@pytest.mark.parametrize("count", [MANY_ROWS - 1, MANY_ROWS])
def test_few_or_long_rows_have_them_too(count: int, stride: int) -> None:
    keys = [b"%0*d" % (stride, number) for number in range(count)]
    assert np.array_equal(digests_of_rows(as_array(keys, stride), keys), digests_of(keys))
