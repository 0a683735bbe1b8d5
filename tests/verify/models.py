"""Checks calls against botocore's models of the AWS APIs."""

import functools
import json
from typing import Any, Final

import botocore.session
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel
from botocore.validate import ParamValidator

SESSION: Final = botocore.session.get_session()


@functools.cache
def service_model(service: str) -> ServiceModel:
    return SESSION.get_service_model(service)


@functools.cache
def _names(service: str, separator: str) -> dict[str, str]:
    return {xform_name(name, separator): name for name in service_model(service).operation_names}


def operation(service: str, name: str, separator: str = "_") -> OperationModel:
    """The operation of this name: in Python's form, or in the AWS CLI's, which separates by `-`."""
    return service_model(service).operation_model(_names(service, separator)[name])


def assert_taken(found: OperationModel, asked: dict[str, Any]) -> None:
    """Assert that botocore accepts the parameters."""
    if found.input_shape is None:
        assert asked == {}
        return
    report = ParamValidator().validate(asked, found.input_shape)
    assert not report.has_errors(), (found.name, asked, report.generate_report())


@functools.cache
def assert_takes(call: str, asked: str) -> None:
    """Assert, once for each call, that `service:operation` accepts the parameters in JSON."""
    service, _, name = call.partition(":")
    assert_taken(operation(service, name), json.loads(asked))
