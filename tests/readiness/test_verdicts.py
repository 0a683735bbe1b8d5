"""No definite verdict is wrong: on drawn templates, in each world that a deployment could have."""

from __future__ import annotations

import pytest

from .verdicts import NOT_READY, READY, UNKNOWN, compare

pytestmark = pytest.mark.untraced

DRAWS = 5_000


def test_no_definite_verdict_is_wrong() -> None:
    figures = compare(range(DRAWS))

    assert figures.wrong == []
    # The draws are of every kind, and few of those that can't be known could be.
    assert all(figures.verdicts[verdict] > DRAWS / 5 for verdict in (READY, NOT_READY, UNKNOWN))
    assert figures.refused > DRAWS / 20
    assert len(figures.needless) < figures.verdicts[UNKNOWN] / 5
