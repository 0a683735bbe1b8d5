"""Makes the clients of boto3, each when it is first used."""

from __future__ import annotations

import os
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_USER_AGENT: Final = "session-manager-permissions"
_RETRIES: Final = {"mode": "standard"}
"""In this mode botocore waits and tries again when AWS throttles, AWS_MAX_ATTEMPTS times."""


class AwsSession:
    """Clients of boto3 for a profile and a region, or for those of the environment."""

    def __init__(
        self, profile: str | None, region: str | None, *, retries: Mapping[str, object] = _RETRIES
    ) -> None:
        from boto3 import Session  # noqa: PLC0415 # of an extra
        from botocore.config import Config  # noqa: PLC0415

        # Of all that AWS makes, only boto3 does not read AWS_REGION.
        region = region or os.environ.get("AWS_REGION") or None
        self._session: Any = Session(profile_name=profile, region_name=region)
        self._config = Config(retries={**retries}, user_agent_extra=_USER_AGENT)
        self.region: str | None = self._session.region_name
        """The region, if one is known."""
        self._begin()

    def _begin(self) -> None:
        """Begin with no answer, and with no client."""
        self.answers: dict[object, Any] = {}
        """What AWS has answered, by the question; see `asked_once`."""
        self.bucket_region: str | None = None
        """The region of a bucket, which S3 names when a call goes to another region."""
        self.alike: dict[str, tuple[str, ...]] = {}
        """By the ARN of a node, the nodes with the same role, about which IAM is asked together."""
        self._client = cache(self._make)  # a client takes longer to make than a call does

    def in_region(self, region: str) -> AwsSession:
        """Return a session with the same credentials in another region."""
        other = copy(self)
        other.region = region
        other._begin()  # noqa: SLF001 # of its own class
        return other

    @property
    def partition(self) -> str:
        """The partition of the region."""
        partition: str = self._session.get_partition_for_region(self.region)
        return partition

    def on_call(self, tell: Callable[[str], None]) -> None:
        """Call `tell` before each call to AWS, with its `service:Operation`."""

        def of_model(model: Any, **_: object) -> None:  # noqa: ANN401 # an OperationModel
            tell(f"{model.service_model.service_name}:{model.name}")

        self._session.events.register("before-call", of_model)

    def client(self, service: str, region: str | None = None) -> Any:  # noqa: ANN401 # as boto3's
        """Return the client of a service.

        Args:
            service: the service, as boto3 names it.
            region: the region. Default: - the region of the session
        """
        return self._client(service, region or self.region)

    def _note_bucket_region(self, response_dict: Any, parsed_response: Any, **_: object) -> None:  # noqa: ANN401 # of any shape
        headers = (response_dict or {}).get("headers", {})
        error = (parsed_response or {}).get("Error", {})
        told = headers.get("x-amz-bucket-region") or error.get("Region")
        self.bucket_region = told or self.bucket_region

    def _make(self, service: str, region: str | None) -> Any:  # noqa: ANN401 # as boto3's
        client = self._session.client(service, region_name=region, config=self._config)
        if service == "s3":
            client.meta.events.register("response-received.s3", self._note_bucket_region)
        return client
