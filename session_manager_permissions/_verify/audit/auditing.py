"""Audit an account: list the nodes of its regions, judge each, and combine the results."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from itertools import chain, zip_longest
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, TypeVar

from session_manager_permissions._verify.asking import PASSING, CannotAsk, NotPermitted, may_not
from session_manager_permissions._verify.node import Node, caller_arn
from session_manager_permissions._verify.path_remedies import Changes
from session_manager_permissions._verify.text import INTERRUPTED

from .inventory import list_nodes, role_source
from .judging import Judged, judge, mended, unjudged
from .merge import combined

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from session_manager_permissions._verify.session import Session

    from .progress import Progress
    from .result import AuditResult, RegionResult

_NODES_PER_REQUEST: Final = 50
"""How many nodes one request to IAM's simulator names."""
MAX_CALLS: Final = 10
"""The most calls that are made at the same time."""
_T = TypeVar("_T")


def enabled_regions(session: Session) -> list[str]:
    """List the regions that are enabled for the account.

    Raises:
        CannotAsk: the credentials may not ask.
    """
    return session.ask(
        "ec2:DescribeRegions", lambda found: sorted(one["RegionName"] for one in found["Regions"])
    )


def _caller_arn(session: Session, regions: Sequence[str]) -> str:
    """Return the ARN of the identity of the credentials, from the first region that answers.

    Raises:
        CannotAsk: no region says.
    """
    first, *others = regions
    try:
        return caller_arn(session.in_region(first))
    except CannotAsk:
        if not others:
            raise
    return _caller_arn(session, others)


def audit(
    session: Session,
    regions: Sequence[str],
    tags: Mapping[str, str],
    document: str | None,
    progress: Progress,
) -> AuditResult:
    """Judge each instance and hybrid node of the regions.

    Calls that AWS throttles, or that don't reach it, are made once more at the end, as such an
    error may pass in minutes.
    After Ctrl-C, the result has what is known so far, and each region that is not complete says so.

    Args:
        session: asks AWS.
        regions: the regions.
        tags: the values, by key, of the tags that a node must have.
        document: the name of the Session document. Default: - `SSM-SessionManagerRunShell`, if it
            exists
        progress: shows how far the audit is.

    Raises:
        CannotAsk: the account is not known.
    """
    asked_at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    who, interrupted = _caller_arn(session, regions), False
    there = map(session.in_region, sorted({*regions}))
    audits = [_RegionAudit(one, who, tags, document) for one in there]
    pool = ThreadPoolExecutor(MAX_CALLS)
    try:
        _list(audits, pool, progress)
        _judge(audits, pool, progress)
        anew = session.anew()
        _list([one for one in audits if one.begin_again(anew)], pool, progress)
        _judge(audits, pool, progress)
        _mend_networks(audits)
    except KeyboardInterrupt:
        INTERRUPTED.set()  # the incomplete result is shown, however long that takes
        interrupted = True
        _mend_networks(audits)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        progress.end()
    judged = [one for region in audits for one in region.judged.values()]
    places = [region.result(asked_at, interrupted=interrupted) for region in audits]
    roles = [one.role for one in judged if one.role]
    result = combined(places, [one.result for one in judged], roles)
    listed = sorted(f"{key}={value}" for key, value in tags.items())
    return {**result, "tags": listed, "document": document}


@dataclass
class _RegionAudit:
    """The audit of a region, complete or in progress."""

    session: Session
    who: str
    """The ARN of the identity of the credentials."""
    tags: Mapping[str, str]
    document: str | None
    listed: int | None = None
    """How many nodes the region has; None until they are listed."""
    errors: list[CannotAsk] = field(default_factory=list)
    """The errors because of which the region may have more nodes."""
    left: list[Node] = field(default_factory=list)
    """The nodes that are not judged yet."""
    judged: dict[str, Judged] = field(default_factory=dict)
    """The nodes that are judged, by their ids."""

    def list_nodes(self) -> None:
        """List the nodes. Nodes that are already known are not judged again."""
        nodes, self.errors = list_nodes(self.session, self.who, self.tags)
        known = {name for name, one in self.judged.items() if not one.again}
        left = {one.id: one for one in (*self.left, *nodes) if one.id not in known}
        self.left = _with_alike(left.values())
        self.listed = len(known) + len(left)

    def begin_again(self, anew: Session) -> bool:
        """Queue the nodes that have to be judged again; tell whether to list the nodes again, too.

        Args:
            anew: a session that keeps no answers yet.
        """
        self.session = anew.in_region(str(self.session.region))
        again = (one.again for one in self.judged.values() if one.again)
        self.left = [replace(one, session=self.session, spare=self.session) for one in again]
        return any(isinstance(one, PASSING) for one in self.errors)

    def result(self, asked_at: str, *, interrupted: bool) -> RegionResult:
        """Return how many nodes are judged, and what is not known."""
        return {
            "account": self.who.split(":")[4],
            "region": str(self.session.region),
            "asked_at": asked_at,
            "instances": len(self.judged),
            "error": self._error(interrupted=interrupted),
        }

    def _error(self, *, interrupted: bool) -> str | None:
        """Say in one line what is not known of the region."""
        errors = [*self.errors, *(error for one in self.judged.values() for error in one.errors)]
        denied: dict[str, set[str]] = {}
        for one in errors:
            if isinstance(one, NotPermitted):
                denied.setdefault(one.by, set()).add(one.permission)
        said = [may_not(", ".join(sorted(denied[by])), by) for by in sorted(denied)]
        said += [str(one) for one in errors if not isinstance(one, NotPermitted)]
        if interrupted and len(self.judged) != self.listed:
            of = "all" if self.listed is None else self.listed
            said.append(f"the audit was interrupted: this is {len(self.judged)} of {of}")
        return "; ".join(" ".join(one.split()) for one in dict.fromkeys(said)) or None


def _list(audits: Sequence[_RegionAudit], pool: ThreadPoolExecutor, progress: Progress) -> None:
    """List the nodes of all regions."""
    asked = [pool.submit(region.list_nodes) for region in audits]
    for done, one in enumerate(_as_done(asked), 1):
        one.result()
        progress.listed(done, len(asked))


def _judge(audits: Sequence[_RegionAudit], pool: ThreadPoolExecutor, progress: Progress) -> None:
    """Judge all nodes, taking the regions in turn, as AWS limits the calls in each region.

    Only the thread that judges a node holds it, so that the memory is free afterwards.
    """
    by_turns = zip_longest(*([(region, node) for node in region.left] for region in audits))
    asked = {
        pool.submit(_judged, node, partial(judge, node, region.document)): region
        for region, node in filter(None, chain.from_iterable(by_turns))
    }
    del by_turns
    for region in audits:
        region.left.clear()
    total = len(asked)
    for done, one in enumerate(_as_done(asked), 1):
        judged = one.result()
        asked.pop(one).judged[judged.result["id"]] = judged
        progress.judged(done, total)


def _mend_networks(audits: Iterable[_RegionAudit]) -> None:
    """Find the remedies of closed networks together, as several nodes may need the same change.

    They are found twice: what the last node needs is known to the first one the second time.
    """
    for region in audits:
        changes = Changes()
        for _, judged in sorted(region.judged.items()) * 2:
            if judged.cut_off:
                remedies = replace(judged.cut_off, changes=changes)
                find = partial(mended, judged, remedies)
                region.judged[remedies.node.id] = _judged(remedies.node, find)


def _as_done(asked: Collection[Future[_T]]) -> Iterator[Future[_T]]:
    """Yield each call when it is done.

    Ctrl-C can interrupt this wait. If it interrupted `as_completed`, a lock might stay held.
    """
    done: SimpleQueue[Future[_T]] = SimpleQueue()
    for one in asked:
        one.add_done_callback(done.put)
    yield from (done.get() for _ in range(len(asked)))


def _with_alike(nodes: Iterable[Node]) -> list[Node]:
    """Give each node the ARNs of those with the same role, as one request to IAM names them all."""
    with_role: dict[str | None, list[Node]] = {}
    for node in nodes:
        with_role.setdefault(role_source(node), []).append(node)
    together = []
    for alike in with_role.values():
        for start in range(0, len(alike), _NODES_PER_REQUEST):
            some = alike[start : start + _NODES_PER_REQUEST]
            arns = tuple(node.arn for node in some)
            together += [replace(node, alike=arns) for node in some]
    return together


def _judged(node: Node, find: Callable[[], Judged]) -> Judged:
    """Judge a node. If that fails, the result says why."""
    try:
        judged = find()
    except CannotAsk as error:  # such as without the document
        judged = Judged(unjudged(node, str(error)), errors=(error,))
    except Exception as error:  # noqa: BLE001 # the results of the other nodes stay
        why = CannotAsk(f"an internal error, {type(error).__name__}: {error}: report it")
        judged = Judged(unjudged(node, str(why)), errors=(why,))
    is_passing = any(isinstance(one, PASSING) for one in judged.errors)
    return judged._replace(again=node) if is_passing else judged
