"""No definite verdict is wrong: on drawn templates, in each world that a deployment could have."""

import pytest

from .verdicts import KINDS, NOT_READY, READY, UNKNOWN, compare

pytestmark = pytest.mark.untraced

DRAWS = 5_000


@pytest.mark.parametrize(("kind", "needless"), [
    ("policies", 0.03),
    ("networks", 0.03),
    ("networks with conditions", 0.05),
])  # fmt: skip
def test_no_definite_verdict_is_wrong(kind: str, needless: float) -> None:
    """Of all draws, at most the share `needless` can't be known though all worlds agree."""
    figures = compare(KINDS[kind], range(DRAWS))

    assert figures.wrong == []
    assert len(figures.needless) <= needless * DRAWS
    # The draws are of every kind.
    assert all(figures.verdicts[verdict] > DRAWS / 10 for verdict in (READY, NOT_READY, UNKNOWN))
