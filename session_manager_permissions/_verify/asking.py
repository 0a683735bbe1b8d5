"""Explains why AWS gave no answer, and what to do about it."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import unquote

from session_manager_permissions import _limits
from session_manager_permissions._quoting import in_shell

from .lines import profile_option

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator

_Found = TypeVar("_Found")

_DENIED: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_MISSING: Final = (
    *("AWSOrganizationsNotInUseException", "InvalidDocument", "InvalidInstanceId"),
    *("NoSuchBucket", "NoSuchBucketPolicy"),
    *("NoSuchEntity", "NotFoundException", "ServerSideEncryptionConfigurationNotFoundError"),
    "ServiceSettingNotFound",
)
_OLD_REQUEST: Final = "RequestExpired"
"""EC2's error for expired credentials, and also for a request with a wrong time."""
_EXPIRED: Final = ("ExpiredToken", "ExpiredTokenException", _OLD_REQUEST, "TokenRefreshRequired")
_CLOCK: Final = "correct the clock of this machine"
_SIGNED_WRONG: Final = frozenset(
    {"InvalidSignatureException", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
)
"""AWS's errors for a request that is signed with a wrong secret key, or has a wrong time."""
_DENIED_BY: Final = re.compile(
    r"an explicit deny in an? (?:[\w-]+ ){1,3}?(?:policy|boundary)(?::? arn:[\w:/-]+)?"
    r"|no (?!identity)(?:[\w-]+ ){1,3}?(?:policy|boundary) allows"
)
"""How AWS names a policy whose denial the policies of the credentials can't override.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""
_THROTTLED: Final = (
    *("RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException"),
    "TooManyRequestsException",
)
_ERROR_OF_AWS: Final = 500
"""The lowest HTTP status of an error of the server."""
_UNKNOWN_HERE: Final = (
    *("AuthFailure", "InvalidAccessKeyId", "InvalidClientTokenId", "OptInRequired"),
    "UnrecognizedClientException",
)
"""The errors of a region that does not accept the credentials."""
_ACTIONS: Final = {"s3:GetBucketEncryption": "s3:GetEncryptionConfiguration"}
"""The IAM action that an API operation needs, where the two have different names."""
_NO_CREDENTIALS: Final = "no credentials: {error}: "
_PROCESS: Final = "run the credential_process of the profile by itself, and see what it prints"
_WAYS_OUT: Final = {
    "NoCredentialsError": "no credentials: {sign_in}, or give --profile or AWS_PROFILE",
    "EOFError": (
        "no credentials: the profile asks for an MFA code, and there is no terminal to enter it: "
        "sign in with the AWS CLI first, or run this in a terminal"
    ),
    # AWS_ENDPOINT_URL names IAM's endpoint, and no region is set
    "NoRegionError": (
        "the request needs a region, and no region is known: set AWS_REGION, or give --region"
    ),
    "InvalidConfigError": "{error}: correct the profile in the configuration of AWS",
    "InvalidRetryConfigurationError": "{error}: correct AWS_MAX_ATTEMPTS",
    "PartialCredentialsError": "{error}: set what is missing, or remove the rest",
    "ProfileNotFound": "{error}: give one that aws configure list-profiles shows",
    "SSOError": _NO_CREDENTIALS + "run aws sso login{profile}",
    "TokenRetrievalError": _NO_CREDENTIALS + "run aws sso login{profile}",
    "LoginError": _NO_CREDENTIALS + "run aws login{profile}",
    "CredentialRetrievalError": _NO_CREDENTIALS + "{sign_in}",
    "RuntimeError": f"{_NO_CREDENTIALS}{{sign_in}}, or {_CLOCK}",
    "InvalidRegionError": "{error}: correct --region, or the region of the profile",
    "UnknownRegionError": "{error}: correct --region, or the region of the profile",
    "SSLError": (
        "{error}: if a proxy replaces the certificates, set AWS_CA_BUNDLE to a file with the "
        "certificate of its certificate authority"
    ),
    **dict.fromkeys(("ConnectionError", "HTTPClientError"), "{error}: check the network"),
}
"""The messages for errors that botocore raises before AWS answers, by the names of the errors."""
_STILL_EXPIRED: Final = "still expired"
"""Part of the `RuntimeError` that botocore raises for new credentials that have expired."""
_INVALID_HEADER: Final = "Invalid header value"
"""The beginning of Python's error about a header; the value, which may be a secret, follows."""


def _profile_option(profile: str | None) -> str:
    """Return the AWS CLI's option for the profile in use; "" if there is none."""
    named = profile or os.environ.get("AWS_PROFILE")
    return f" {profile_option(named)}" if named else ""


def _sign_in_option(profile: str | None) -> str:
    """Return the AWS CLI's option for the profile that must sign in; "" if none is named.

    A profile with a `source_profile` uses the credentials of its source, and does not sign in.
    """
    from botocore.session import get_session  # noqa: PLC0415 # of an extra

    profiles = get_session().full_config["profiles"]
    chain = [profile or os.environ.get("AWS_PROFILE") or "default"]
    while (source := profiles.get(chain[-1], {}).get("source_profile", chain[-1])) not in chain:
        chain.append(source)
    return _profile_option(chain[-1] if chain[1:] else profile)


def sign_in(profile: str | None = None) -> str:
    """Say how to get credentials for the profile in use."""
    of = _sign_in_option(profile)
    return f"sign in with the AWS CLI, such as by aws sso login{of} or aws login{of}"


def as_clause(text: object) -> str:
    """Return a text of AWS or of botocore without its full stop, as a colon follows it."""
    return str(text).removesuffix(".")


def before_aws(error: Exception, profile: str | None = None) -> str:
    """Describe an error that botocore raises before AWS answers, and the way out."""
    names = {kind.__name__ for kind in type(error).__mro__}
    said = as_clause(error)
    if "ConfigParseError" in names:  # the other ways out are read from that file
        return f"{said}: correct the file"
    way_out = next((text for name, text in _WAYS_OUT.items() if name in names), "{error}")
    if getattr(error, "kwargs", {}).get("provider") == "custom-process":
        way_out = _NO_CREDENTIALS + _PROCESS
    if _INVALID_HEADER in said:
        way_out = (
            "the access key, the session token or the region contains a line break, or another "
            "character that a request can't contain: remove it"
        )
    return way_out.format(error=said, profile=_sign_in_option(profile), sign_in=sign_in(profile))


@cache  # it takes a tenth of a second, and AWS may refuse thousands of calls
def _misspelt(region: str) -> str:
    """Suggest a region for a misspelt one; "" if it is right, or similar to none."""
    from botocore.session import get_session  # noqa: PLC0415 # of an extra

    session = get_session()
    partitions = session.get_available_partitions()
    known = [one for name in partitions for one in session.get_available_regions("ec2", name)]
    similar = [] if region in known else get_close_matches(region.lower(), known, 1)
    return f": there is {similar[0]}" if similar else ""


_USER_OF_URL: Final = re.compile(r"(?:(?<=://)|(?<=Invalid endpoint: ))[^\s\"'<>]*@")
"""The user and the password in a URL; a password may itself have a `@` or a `/`.

For a URL of the AWS configuration without `://`, botocore's error says `Invalid endpoint`.
"""
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
"""The beginnings of the names of variables whose URL may have a password."""


def without_passwords(text: str) -> str:
    """Replace the passwords of URLs. A password from the environment is replaced everywhere.

    An error of botocore quotes the URL that it could not use, or only the invalid part of the URL.
    """
    for name, value in os.environ.items():
        user, at, _ = value.rpartition("@")
        if at and name.upper().startswith(_ENDPOINTS):
            user = user.rpartition("://")[2]
            password = user.partition(":")[2]
            secrets = {user, password, *re.split(r"[:/?#@]", password)}
            for secret in sorted({*secrets, *map(unquote, secrets)} - {""}, key=len, reverse=True):
                text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return _USER_OF_URL.sub("***@", text)


class CannotAsk(Exception):  # noqa: N818 # it is not an error of the program
    """There is no answer. The text says why, and what to do. It contains no passwords."""

    def __init__(self, text: str, *, code: str = "", bucket_region: str | None = None) -> None:
        """Say why there is no answer.

        Args:
            text: what the user reads.
            code: AWS's error code, if it answered.
            bucket_region: the region that S3 says the bucket is in, if it says so.
        """
        super().__init__(without_passwords(text))
        self.code, self.bucket_region = code, bucket_region


def may_not(what: str, by: str) -> str:
    """Say which permission the credentials lack, and which policy of others denies it."""
    said = f"{by} the credentials" if by.startswith("no ") else f"{by} keeps the credentials from"
    return f"{said if by else 'the credentials lack'} {what}"


class NotPermitted(CannotAsk):
    """The credentials may not make a call."""

    def __init__(self, permission: str, resource: str, by: str, **told: Any) -> None:  # noqa: ANN401
        """Say which permission they lack, and which policy other than their own denies it."""
        super().__init__(may_not(f"{permission} on {resource}", by), **told)
        self.permission, self.by = permission, by


class NotThere(CannotAsk):
    """The resource that AWS was asked about does not exist."""


class NotNow(CannotAsk):
    """AWS refuses a call for now: it throttles the call, or has an internal error."""


class NotReached(CannotAsk):
    """There is no connection to AWS."""


PASSING: Final = (NotNow, NotReached)
"""The temporary errors, after which the same call may succeed later."""


class NoNode(NotThere):
    """There is no node of this id, or AWS does not know it yet."""


NO_ANSWER: Final = (KeyError, IndexError, TypeError, AttributeError)
"""What Python raises if an answer lacks a field, or a field has another type."""


def well_formed(text: object, fault: Callable[[str], str | None]) -> str:
    """Return a text that AWS makes, such as an ARN, if it is well formed; use it within `asking`.

    Args:
        text: the text.
        fault: says what is wrong with such a text, as `_limits.role_fault` does.

    Raises:
        TypeError: the text is not well formed.
    """
    if not isinstance(text, str) or fault(text):
        raise TypeError
    return text


def one_of(text: object, known: Collection[str]) -> str:
    """Return a text of an answer if it is one of the known values.

    Raises:
        CannotAsk: it is not one of them.
    """
    if isinstance(text, str) and text in known:
        return text
    what = f"an answer of AWS has {text!r}, which is none of {', '.join(known)}"
    raise CannotAsk(f"{what}: try a newer version of the command")


def not_from_aws(service: str) -> CannotAsk:
    """Return the error about an answer that did not come from AWS."""
    return CannotAsk(
        f"the answer of {service} did not come from AWS: look for a proxy, check AWS_ENDPOINT_URL, "
        "or try again"
    )


class Addressee(NamedTuple):
    """The service and the resource that a call is about, as its errors name them."""

    service: str
    """The prefix of the actions in IAM."""
    region: str | None
    resource: str
    """The resource on which the credentials need the action."""
    missing: str
    """What to say if the resource does not exist."""
    profile: str | None = None
    """The profile of the AWS configuration, if it is given."""


@contextmanager
def asking(asked: Addressee) -> Generator[None, None, None]:
    """Turn an error of AWS, or an answer that did not come from AWS, into a `CannotAsk`.

    Read the answer's fields within the block: if one is missing, the answer is not from AWS.

    Raises:
        NotPermitted: the credentials may not make the call.
        NotThere: the resource does not exist.
        CannotAsk: AWS refuses for another reason, or does not answer, or botocore can't make the
            request.
    """
    from botocore import exceptions  # noqa: PLC0415 # of an extra
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        yield
    except exceptions.ClientError as error:
        raise _refusal(error, asked) from None
    except (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError) as error:
        text = f"{asked.service} in {asked.region} does not answer: {error}: check the network"
        raise NotReached(text) from None
    except exceptions.EndpointConnectionError as error:
        region, similar, of_region = asked.region or "", _misspelt(asked.region or ""), ""
        if similar or f".{region}." in str(error):  # else the address has no region
            of_region = f", and whether there is a region {region}{similar}"
        raise NotReached(f"{as_clause(error)}: check the network{of_region}") from None
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        raise NotReached(before_aws(error)) from None
    # A name or a region from another answer, which no request can contain.
    except (exceptions.InvalidRegionError, exceptions.ParamValidationError, UnicodeError) as error:
        said = " ".join(str(error).split())
        similar = _misspelt(asked.region or "")
        raise CannotAsk(f"{asked.service} can't be asked: {said}{similar}") from None
    # For example, there are no credentials.
    except (exceptions.BotoCoreError, EOFError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and _STILL_EXPIRED not in str(error):
            raise
        raise CannotAsk(before_aws(error, asked.profile)) from None
    # botocore raises a KeyError too, for a page of HTML
    except (ResponseParserError, *NO_ANSWER):
        raise not_from_aws(asked.service) from None


def _refusal(error: Exception, asked: Addressee) -> CannotAsk:
    """Say why AWS refuses a call, and the way out."""
    response, operation = error.response, error.operation_name  # type: ignore[attr-defined]
    code, reason = response["Error"]["Code"], as_clause(response["Error"].get("Message"))
    action = f"{asked.service}:{operation}"
    told = {"code": code, "bucket_region": response.get("BucketRegion")}
    # botocore makes these calls to get the credentials of the profile.
    if operation.startswith(("Assume", "GetRoleCredentials")):
        way_out = sign_in(asked.profile)
        if operation == "AssumeRole" and code in _DENIED:
            way_out = "let the identity assume the role_arn of the profile, or give another profile"
        return CannotAsk(f"no credentials: {operation} failed: {code}: {reason}: {way_out}")
    if code in _DENIED:
        by = _DENIED_BY.search(reason)
        named = _ACTIONS.get(action, action)
        return NotPermitted(named, asked.resource, by[0] if by else "", **told)
    if code in _MISSING or code.endswith(".NotFound"):
        return NotThere(asked.missing, **told)
    if code in _EXPIRED:  # the same text for every call, so that it is reported once
        clock = f", or {_CLOCK}" if code == _OLD_REQUEST else ""
        return CannotAsk(f"the credentials have expired: {code}: {sign_in(asked.profile)}{clock}")
    if code in _UNKNOWN_HERE:
        region = asked.region or ""
        named, similar = in_shell(region, _limits.REGION.fault, "REGION"), _misspelt(region)
        unless = f"check whether there is a region {region}{similar}; or " if similar else ""
        enable = f"aws account enable-region --region-name {named}{_profile_option(asked.profile)}"
        return CannotAsk(
            f"{action} failed: {code}: {reason}: AWS does not accept the credentials there: "
            f"{unless}{sign_in(asked.profile)}, or enable the region: {enable}"
        )
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind = NotNow if code in _THROTTLED or status >= _ERROR_OF_AWS else CannotAsk
    way_out = f": correct the secret access key, or {_CLOCK}" if code in _SIGNED_WRONG else ""
    return kind(f"{action} failed: {code}: {reason}{way_out}", **told)


def read_in(service: str, read: Callable[[], _Found]) -> _Found | CannotAsk:
    """Return what `read` finds in answers of a service, or the error if they are not from AWS."""
    try:
        return read()
    except CannotAsk as error:
        return error
    except (*NO_ANSWER, ValueError):
        return not_from_aws(service)


def tried(ask: Callable[[], _Found]) -> _Found | CannotAsk:
    """Return AWS's answer, or the error if AWS could not be asked."""
    try:
        return ask()
    except CannotAsk as error:
        return error


def answered(found: _Found | CannotAsk) -> _Found:
    """Return AWS's answer, or raise the error."""
    if isinstance(found, CannotAsk):
        raise found
    return found
