import numpy as np
import pytest

from models.hsi.strips import padded, rows_needed, windows
from models.hsi.windows import cut


@pytest.mark.parametrize("size", [1, 3, 4, 10])
@pytest.mark.parametrize("rows", [1, 5, 13])
def test_windows_of_parts_are_those_of_the_whole(size: int, rows: int) -> None:
    components = np.random.default_rng(0).normal(size=(13, 11, 2)).astype(np.float32)
    whole = cut(components, np.argwhere(np.ones((13, 11), bool)), size).reshape(13, 11, 2, size, size)
    for start in range(0, 13, rows):
        stop = min(start + rows, 13)
        first, last = rows_needed(start, stop, size, 13)
        part = padded(components[first:last], first, start, stop, size, 13)
        assert (windows(part, size) == whole[start:stop]).all()
        assert last - first <= stop - start + size
