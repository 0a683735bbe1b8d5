"""Judge each deployment that a template could have, by evaluators of other projects.

MiniStack's evaluator tells what the policies allow, and moto's validator which documents IAM
refuses.
"""

import json
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from ministack.core.iam_evaluator import (
    EvalContext,
    ParsedStatement,
    evaluate,
    parse_policy_document,
)
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.policy_validation import IAMPolicyDocumentValidator

from .deployments import ACCOUNT, REGION, deployed
from .drawn import PARAMETERS
from .statements import ACTIONS, REGISTER

ROLE: Final = f"arn:aws:sts::{ACCOUNT}:assumed-role/Role/i-0ab"
INSTANCES: Final = (
    f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/i-0ab",
    f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/i-1cd",
)
"""The ARNs on one of which an agent registers its instance."""

BUCKET: Final = {"Bucket": "logs", "Bucket.Arn": "arn:aws:s3:::logs"}


class Request(NamedTuple):
    """The origin and the context of a request. It uses TLS, and goes to the stack's region."""

    address: str
    context: dict[str, Any]


REQUESTS: Final = (
    Request("10.1.2.3", {"aws:sourcevpc": "vpc-12"}),
    Request("198.51.100.1", {"ssm:sourceinstancearn": INSTANCES[0],
        "aws:principalorgpaths": ["o-1/r-1"], "aws:principaltag/instance": "i-0ab"}),
    Request("10.1.2.3", {"aws:sourcevpc": "vpc-2", "ssm:sourceinstancearn": INSTANCES[1]}),
)  # fmt: skip


@cache
def aws_managed() -> dict[str, Any]:
    """The AWS managed policies as moto has them."""
    found = json.loads(aws_managed_policies_data).items()
    return {name: {"PolicyDocument": one["Document"]} for name, one in found}


@lru_cache(maxsize=100_000)
def is_refused(document: str) -> bool:
    """Whether IAM refuses the document, by moto's validator.

    moto differs from the grammar that AWS documents in three rules, which are judged here. It
    requires the Version of 2012, although that of 2008 is the default. It accepts a Principal,
    which a policy of a role can't have. It accepts more than letters and digits in a Sid.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    body = json.loads(document)
    if body.get("Version") == "2008-10-17" or "Version" not in body:
        body["Version"] = "2012-10-17"
    written = body.get("Statement")
    for entry in written if isinstance(written, list) else [written]:
        if isinstance(entry, dict) and (
            {"Principal", "NotPrincipal"} & entry.keys()
            or (isinstance(entry.get("Sid"), str) and re.search("[^0-9A-Za-z]", entry["Sid"]))
        ):
            return True
    try:
        IAMPolicyDocumentValidator(json.dumps(body)).validate()
    except MalformedPolicyDocument:
        return True
    return False


@lru_cache(maxsize=100_000)
def _parsed(document: str) -> list[ParsedStatement]:
    return list(parse_policy_document(document))


class Policies(NamedTuple):
    """The documents of a role in a deployment, as texts."""

    identity: tuple[str, ...]
    boundary: tuple[str, ...]


def asks(action: str, resource: str, request: Request) -> EvalContext:
    """A request of the role, as the evaluator takes it."""
    return EvalContext(
        principal_arn=ROLE,
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource,
        region=REGION,
        source_ip=request.address,
        secure_transport=True,
        service_context=request.context,
    )


def outcomes(template: dict[str, Any]) -> Iterator[bool]:
    """For each world, whether the instance is allowed all actions that it needs.

    There is no outcome if IAM refuses a document of the template, as IAM says so itself.
    """
    found = map(_policies, deployed(template, PARAMETERS, BUCKET))
    several = dict.fromkeys(one for one in found if one is not None)
    documents = {document for one in several for documents in one for document in documents}
    if any(map(is_refused, documents)):
        return
    for policies in several:
        written = "".join((*policies.identity, *policies.boundary))
        depends = "Condition" in written or "${" in written
        for request in REQUESTS if depends else REQUESTS[:1]:
            yield from _of_request(policies, request)


def _policies(resources: dict[str, Any]) -> Policies | None:
    """The policies of the role, None where the deployment does not have it."""
    if "Role" not in resources:
        return None
    role = resources["Role"]

    def managed(arn: str) -> object:
        return (resources.get(arn) or aws_managed()[arn.rpartition("/")[2]])["PolicyDocument"]

    written = [one["PolicyDocument"] for one in role["Policies"]]
    written += map(managed, role["ManagedPolicyArns"])
    attached = (one for one in resources.values() if one.get("Roles") or one.get("RoleName"))
    written += [one["PolicyDocument"] for one in attached if "PolicyDocument" in one]
    boundary = role.get("PermissionsBoundary")
    limits = [] if boundary is None else [managed(boundary)]
    return Policies(tuple(map(json.dumps, written)), tuple(map(json.dumps, limits)))


def _of_request(policies: Policies, request: Request) -> Iterator[bool]:
    """For each ARN that the instance may have, whether it may do all that it needs."""

    def parsed(documents: tuple[str, ...]) -> list[list[ParsedStatement]]:
        known = [re.sub(r"\$\{(aws:[^}]+)\}", variable, one) for one in documents]
        return [_parsed(one) for one in known]

    def variable(found: re.Match[str]) -> str:
        return str(request.context.get(found[1].lower(), "none"))

    def allowed(action: str, resource: str) -> bool:
        asked = asks(action, resource, request)
        return bool(evaluate(asked, identity, *limits).decision == "Allow")

    identity = parsed(policies.identity)
    limits = [parsed(policies.boundary)] if policies.boundary else []
    channels = all(allowed(action, "*") for action in ACTIONS if action != REGISTER)
    for instance in INSTANCES:
        yield channels and allowed(REGISTER, instance)
