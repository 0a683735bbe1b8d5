"""Tells whether a role may do what the agent does, what denies it and what would allow it."""

from __future__ import annotations

from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from session_manager_permissions import _limits, _needs
from session_manager_permissions._conditions import NOT_OF_PROFILE, OF_ANY_CALLER, RequestContext
from session_manager_permissions._quoting import fitting

from .asking import CannotAsk, answered, tried
from .lines import deployment
from .resource_policy import Admission, policy_of
from .simulator import Call, is_allowed, lacks_resource_policy, missing_keys, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from .answers import SimulatorAnswer
    from .live_roles import LiveRole
    from .questions import Agent, Question
    from .session import Session


class CallVerdict(NamedTuple):
    """What is known of one call from IAM, and from the policy of the key or the bucket."""

    call: Call
    answer: SimulatorAnswer
    """What IAM says."""
    admission: Admission
    """What the policy of the key or the bucket decides; `account` if it was not read."""
    missing: tuple[str, ...]
    """The condition keys that the call may have, and for which IAM was given no value."""

    @property
    def by_iam(self) -> bool:
        """Tell whether the policies of IAM allow the call."""
        return is_allowed(self.answer)

    @property
    def allowed(self) -> bool:
        """Tell whether the call is allowed."""
        by_account = self.by_iam and self.admission.answer == "account"
        return by_account or self.admission.answer == "named"

    @property
    def is_open(self) -> bool:
        """Tell whether an unknown fact may reverse a denial."""
        if self.admission.is_shut:
            return False
        return self.admission.answer == "unknown" or bool(self.missing)

    @property
    def deciding(self) -> tuple[str, ...]:
        """The condition keys that may reverse a denial."""
        return self.missing if self.is_open else ()

    def unless_open(self, fix: list[str]) -> list[str]:
        """Return a remedy; if condition keys decide, what to find out, as a grant bypasses them."""
        keys = ", ".join(self.deciding)
        met = f"find out whether the value of {keys} in the call meets the condition"
        return [met] if keys else fix


def unless(keys: Collection[str]) -> str:
    """Say, as the end of a sentence, that a denial depends on condition keys; "" without keys."""
    return f", unless a condition on {', '.join(keys)} decides otherwise" if keys else ""


def by_absent(denied: Iterable[CallVerdict], of: str) -> list[str]:
    """Say on which condition keys policies have conditions that the denied calls do not have.

    Args:
        denied: the calls.
        of: whose policies these are, such as `role`.
    """
    keys = {key for one in denied for key in missing_keys([one.answer]) if key not in one.missing}
    on = f"the {of}'s policies have conditions on {', '.join(sorted(keys))}"
    return [f"{on}, which these calls do not have"] if keys else []


def decided(
    session: Session | None,
    principal: str,
    call: Call,
    answer: SimulatorAnswer,
    lacks: Collection[str],
    *,
    has: Collection[str] = (),
    if_allowed: bool = True,
    each: RequestContext = OF_ANY_CALLER,
) -> CallVerdict:
    """Combine what is known of a call from IAM policies and from the resource's own policy.

    Args:
        session: reads the policy of the key or the bucket. None: it is not read.
        principal: who makes the call.
        call: the call.
        answer: what IAM says.
        lacks: the prefixes of the keys that the call certainly does not have, in lower case.
        has: the keys with such a prefix that the call does have, in lower case.
        if_allowed: whether the resource's policy is read even if IAM policies allow the call.
        each: the condition keys of each call of the principal, for the resource's policy.
    """
    by_iam = is_allowed(answer)
    # A resource's policy in the same account can allow a user what the boundary does not allow.
    limited = answer["allowed_by_permissions_boundary"] is False and ":user/" not in principal
    blocked = limited or answer["allowed_by_organizations"] is False
    admission = Admission("account", "")
    if session and (if_allowed if by_iam else answer["decision"] == "implicitDeny" and not blocked):
        policy = policy_of(session, principal, call, by_iam=by_iam)
        if policy is not None:
            admission = policy.admits(principal, call, each, by_iam=by_iam)
    return CallVerdict(call, answer, admission, tuple(missing_keys([answer], lacks, has)))


class Verdict(NamedTuple):
    """Whether the role may do what a question asks about."""

    question: Question
    role: LiveRole
    decisions: tuple[CallVerdict, ...]
    """What is known of each call."""
    deployment: str = ""
    """The command that deploys all permissions that IAM was asked about; "" if no command can."""

    @property
    def answers(self) -> list[SimulatorAnswer]:
        """What IAM says of each call."""
        return [one.answer for one in self.decisions]

    @property
    def _denied(self) -> list[CallVerdict]:
        """List the calls that are denied; empty if all that matters is allowed."""
        return [] if self.allowed else [one for one in self.decisions if not one.allowed]

    @property
    def allowed(self) -> bool:
        """Tell whether all calls but those in `spared` are allowed, or one call if one is enough.

        If one is enough, the last call is on the instance itself, and a Deny on instances applies
        to it, whatever is allowed on `*`.
        """
        allowed = [one.allowed or one.call.action in self.question.spared for one in self.decisions]
        if self.question.is_either:
            return any(allowed) and self.answers[-1]["decision"] != "explicitDeny"
        return all(allowed)

    @property
    def denied(self) -> set[str]:
        """The actions that are denied."""
        return {one.call.action for one in self._denied}

    @property
    def why(self) -> list[str]:
        """Say which actions are denied, the certain ones first, and by what; empty if none is."""
        denied: dict[str, list[str]] = {}
        for one in sorted(self._denied, key=lambda one: one.is_open):
            causes = " and ".join(why for why, _ in self._causes(one)) + unless(one.deciding)
            denied.setdefault(causes, []).append(one.call.action)
        return [f"{', '.join(dict.fromkeys(found))}: {by}" for by, found in denied.items()]

    @property
    def fix(self) -> list[str]:
        """Say what would allow the denied actions; empty if all are allowed."""
        fixes = [one.unless_open(fix) for one in self._denied for _, fix in self._causes(one)]
        return list(dict.fromkeys(chain.from_iterable(fixes)))

    @property
    def unread(self) -> list[CannotAsk]:
        """Why the policies of keys and buckets, which may allow the call, could not be read."""
        return [one.admission.error for one in self._denied if one.admission.error]

    @property
    def is_open(self) -> bool:
        """Tell whether an unknown fact may reverse the denial."""
        open_ = [one.is_open or one.call.action in self.question.in_doubt for one in self._denied]
        if self.question.is_either and not self.decisions[1:]:  # IAM was asked about one call only
            open_ += [one.answer["decision"] == "implicitDeny" for one in self._denied]
        return any(open_) and (self.question.is_either or all(open_))

    @property
    def notes(self) -> list[str]:
        """Say what IAM could not judge, and what a denial leads to."""
        notes = []
        if unknown := sorted({key for one in self.decisions for key in one.missing}):
            on = f"the role's policies have conditions on {', '.join(unknown)}"
            notes.append(f"{on}: not judged, as their values are not known")
        notes += by_absent(self._denied, "role")
        if any(map(lacks_resource_policy, self.answers)):
            notes.append(
                "the resource belongs to another account, whose own policy must allow the action "
                "too: not judged"
            )
        told = [one.admission for one in self.decisions if not one.by_iam]
        open_ = (one for one in told if one.error or one.answer in ("named", "unknown"))
        notes += dict.fromkeys(one.why for one in open_)
        lacking = (one for one in self.decisions if not one.allowed)
        sure = (one for one in lacking if not (one.is_open and one.by_iam))
        denied = {one.call.action for one in sure}
        notes += [note for action, note in self.question.notes.items() if action in denied]
        return notes

    def _causes(self, denied: CallVerdict) -> list[tuple[str, list[str]]]:
        """List the causes of a denial, each with what to do about it."""
        of_resource = [(denied.admission.why, [*denied.admission.fix])]
        if denied.by_iam:
            return of_resource
        of_iam = blocks(denied.answer, "role", self.role.boundary)
        if not of_iam:
            by_construct = f"in a CDK app, give SessionManagerPermissions {self.question.grant}"
            granting = [*filter(None, [self.deployment, by_construct])]  # without code first
            of_iam = [("implicit deny: no policy of the role allows it", granting)]
        return [*of_iam, *(of_resource if denied.admission.is_shut else ())]


def blocks(
    answer: SimulatorAnswer, of: str, boundary: str | None = None
) -> list[tuple[str, list[str]]]:
    """List what denies an action whatever the role's policies grant, each with what to do about it.

    Args:
        answer: what IAM says.
        of: whose policies these are, such as `role`.
        boundary: the ARN of the permissions boundary, if it is known.
    """
    kind = "explicit" if answer["decision"] == "explicitDeny" else "implicit"
    names = ", ".join(dict.fromkeys(one["policy"] for one in answer["matched_statements"]))
    found = []
    if kind == "explicit" and names:
        found = [(f"explicit deny in {names}", [f"remove the action from the Deny in {names}"])]
    of_boundary = f"the permissions boundary {boundary or f'of the {of}'}"
    for allows, policies in (
        (answer["allowed_by_organizations"], "the organization's service control policies"),
        (answer["allowed_by_permissions_boundary"], of_boundary),
    ):
        if allows is False:
            fix = f"allow the action in {policies}"
            fix += ", and remove it from each Deny there" if kind == "explicit" else ""
            found.append((f"{kind} deny by {policies}", [fix]))
    if kind == "explicit" and not found:
        why = "explicit deny in a policy that IAM does not name"
        found = [(why, [f"remove the action from the Deny in the {of}'s policies"])]
    return found


def _deployment(role: LiveRole, asked: Iterable[Question]) -> str:
    """Return the command that grants a role all that IAM was asked about; "" if no command can.

    One command has all options, as a deployment without an option removes what the option grants.
    """
    options = [option for one in asked for option in one.options]
    if len({name for name, _ in options}) < len(options):  # a key for each region
        return ""
    target = f"role={fitting(role.name, _limits.ROLE.fault, 'ROLE')}"
    if role.profile is not None:
        name = fitting(role.profile, _limits.INSTANCE_PROFILE.fault, "PROFILE")
        target = f"instance-profile={name}"
    return deployment(target, options)


def ask(agent: Agent) -> list[tuple[str, Callable[[], Verdict | CannotAsk]]]:
    """Ask IAM's simulator about the role's policies, its boundary and the organization's policies.

    This changes nothing. The simulator does not read the policies of keys and buckets. So they are
    read as well if only the role's policies lack an action on a key or a bucket, or if
    `policies_count`. They are read, and IAM is asked about the calls in `apart`, only when somebody
    asks for the verdict.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html

    Returns:
        For each question its capability, and a function that returns the verdict, or why IAM could
        not be asked.
    """
    session, role, asked = agent.session, agent.role, agent.questions()
    at_once = [call for one in asked for call in one.calls]
    answers = simulate(session, role.arn, at_once, agent.alike)
    command = _deployment(role, asked)
    lacks = frozenset() if role.profile is None else NOT_OF_PROFILE

    def verdict(question: Question) -> Verdict:
        reader = None if question.of_another_account else agent.spare
        counts, each = question.policies_count, role.calls_on(agent.node_id)
        by = partial(decided, reader, role.arn, has=question.has, if_allowed=counts, each=each)
        lacking = question.lacks | lacks
        decisions = [by(call, answered(answers[call]), lacking) for call in question.calls]
        apart = question.apart
        if not all(one.allowed for one in decisions):
            headers = _needs.ENCRYPTION_KEY, _needs.ENCRYPTED_WITH
            apart = tuple(call.without(*headers) for call in apart)
        full = [call.with_own for call in apart]
        found = simulate(agent.spare or session, role.arn, full)
        decisions += [by(call, answered(found[call]), lacking) for call in full]
        return Verdict(question, role, (*decisions,), command)

    return [(one.capability, cache(partial(tried, partial(verdict, one)))) for one in asked]
