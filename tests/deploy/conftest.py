from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from local_aws import LocalAws, local_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .diagnoser import Diagnoser


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with local_aws() as running:
        yield running


@pytest.fixture(scope="session")
def diagnoser(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Diagnoser]:
    from .diagnoser import diagnosing  # noqa: PLC0415 # it loads moto, which few tests need

    with diagnosing(aws, tmp_path_factory.mktemp("diagnosis")) as running:
        yield running
