from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from local_aws import LocalAws, local_aws

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with local_aws() as running:
        yield running
