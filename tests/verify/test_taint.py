"""Each text of each answer of AWS, and of a template, made hostile: it stays the text that it is.

What a command prints has no character that a terminal obeys and no line that the text forges. The
lines to paste have the words that they have otherwise, or a placeholder in place of the value.
"""

import ast
import functools
import json
import re
import shlex
import unicodedata
from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

import pytest

from . import causes, running
from .accounts import Account, Machine, Role
from .causes import NEVER, Change, bucket, denying, described_key, instance, setting, trusts, using
from .networks import BOTH_ENDPOINTS, NO_ROUTE, endpoints, groups
from .nodes import ALIAS, HYBRID, NODE, REGISTER, USER, World, both, group
from .running import Run

pytestmark = pytest.mark.untraced

FORGED: Final = "Cause: forged"
BEFORE: Final = (
    *("", "-", "#", "'", '"', "\\", "'; touch P; '", '"; touch P; "', "[red]", "{{P}}"),
)
HOSTILE: Final = (
    *("", "$(touch P)", "`touch P`", "; touch P", "| touch P", "&& touch P", " > P", " --role P"),
    *("'", '"', "\\", "\\'", '"), x("', "'), x('", '""", x("""', "${P}", "{P!r}", "#P", "*", "~"),
    *(f"\n{FORGED}", f"\r{FORGED}", f"\v{FORGED}", f"\x85{FORGED}", f"\u2028{FORGED}"),
    *("\x1b]0;P\x07", "\x1b[2J", "\x9b2J", "\0", "\b", "\x7f", "\t", "\ud800", "\udfff"),
    *("\u061c", "\u200b", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069", "\ufeff"),
    *("\u2060", "\u00ad", "\u180e", "\U000e0041", "秘密", "\U0001f680", "x" * 3000),
)
OBEYED: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}
Path = tuple[str, ...]


class Taint:
    """Makes the text at one path hostile, in every entry of a list, and records all paths."""

    def __init__(self, where: Path = (), begin: str = "", end: str = "") -> None:
        self.where, self.begin, self.end = where, begin, end
        self.texts: dict[Path, None] = {}
        self.tainted: set[str] = set()

    def __call__(self, found: Any, *path: str) -> Any:  # noqa: ANN401 # of any shape
        if isinstance(found, dict):
            return {name: self(value, *path, name) for name, value in found.items()}
        if isinstance(found, list):
            return [self(value, *path) for value in found]
        if not isinstance(found, str):
            return found
        if path[-1] == "Content":
            return json.dumps(self(json.loads(found), *path, "JSON"))
        self.texts[path] = None
        if path != self.where:
            return found
        tainted = f"{self.begin}{found}{self.end}"
        self.tainted.add(tainted)
        return tainted


class Case(NamedTuple):
    """The arguments of a command, and a function that makes the world that answers it."""

    arguments: tuple[str, ...]
    make: Callable[[], World]


def case(*breaks: Change, arguments: tuple[str, ...] = ("--instance-id", NODE)) -> Case:
    return Case(("verify", *arguments), functools.partial(World, *breaks))


def by_endpoints(**parts: object) -> Change:
    """Give the VPC interface endpoints whose security group has no inbound rule."""
    shut = groups(group("sg-web"), group("sg-endpoints"))
    return both(NEVER, NO_ROUTE, endpoints(*(one | parts for one in BOTH_ENDPOINTS)), shut)


BY_KEY: Final = bucket("aws:kms", ALIAS)
OF_LOGS: Final = ("s3:PutObject", "s3:GetEncryptionConfiguration", "logs:PutLogEvents")
LOGS: Final = denying(*OF_LOGS, "kms:Decrypt")
OF_TAG: Final = causes.tagged("web")
NODES: Final = {
    "ready": case(causes.run_as("web"), BY_KEY),
    "denied": case(World.uses, BY_KEY, LOGS, denying("kms:GenerateDataKey")),
    "a role": case(World.uses, LOGS, arguments=("--role", "web-server", "--document", "Sessions")),
    "operator": case(*(using(runAsEnabled=True), OF_TAG, denying(f"{USER} ssm:StartSession")),
        arguments=("--instance-id", NODE, "--operator", "caller")),
    "no log bucket": case(World.uses, bucket("aws:fsx")),
    "no log group": case(World.uses, causes.log_groups()),
    "disabled key": case(World.uses, described_key(KeyState="Disabled")),
    "stopped": case(NEVER, instance(State={"Name": "stopped"})),
    "impaired": case(World.is_lost),
    "empty profile": case(NEVER, setting(of_profile={"Roles": []})),
    "no trust": case(NEVER, trusts("rds.amazonaws.com")),
    "the account's role": case(World.has_host_management, denying(REGISTER)),
    "no way out": case(NEVER, NO_ROUTE),
    "shut": case(NEVER, groups(group("sg-web", IpPermissionsEgress=[]))),
    "no admission": case(by_endpoints()),
    "no private DNS": case(by_endpoints(PrivateDnsEnabled=False)),
    "hybrid": case(World.is_hybrid, World.is_lost, arguments=("--instance-id", HYBRID)),
}  # fmt: skip


def account() -> Account:
    found = Account(
        Machine("i-0123456789abcdef0", tags={"Name": "shop"}),
        Machine("i-0123456789abcdef1", ping=None, connection="notconnected"),
        Machine("i-0123456789abcdef2", profile="lacking", ping=None, connection="notconnected"),
        Machine("i-0123456789abcdef3", metadata="disabled", connection="notconnected"),
        Machine("mi-0123456789abcdef0", role="web", connection="notconnected"),
        roles={"lacking": Role("x.amazonaws.com", (REGISTER,))},
    )
    found.has_document()
    return found


CASES: Final = NODES | {
    "a region": Case(("audit",), account),
    "all regions": Case(("audit", "--all-regions"), account),
}


def run(of: Case, taint: Taint) -> Run:
    world = of.make()
    called = world.call

    def call(service: str, operation: str, asked: dict[str, Any], region: str | None) -> Any:  # noqa: ANN401
        found = called(service, operation, asked, region)
        return taint(found, f"{service}:{operation}", asked.get("Attribute", ""))

    world.call = call  # type: ignore[method-assign, assignment]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        patch.setenv("COLUMNS", "300")
        return running.run(world, *of.arguments)


COMMAND: Final = re.compile(r"(?:^|[ :(])((?:npx|aws|sudo|session-manager-\w+|(?<=: )id) .+)")
PLACEHOLDER: Final = re.compile("[A-Z]+(_[A-Z]+)*")


def words(line: str) -> tuple[str, ...]:
    """The words of a command as a shell reads them; the calls of Python without their texts."""
    if found := re.search(r"give SessionManagerPermissions ([^;]*\(.*)", line):
        tree = ast.parse(f"f({found[1]})")
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant):
                node.value = ""
        return ("python", ast.dump(tree))
    found = COMMAND.search(line)
    said = shlex.split(found[1], comments=True) if found else ()
    parts = [part for one in said for part in _parts(one)]
    return tuple(re.sub("m?i-[0-9a-f]{17}", "ID", one) for one in parts)


def _parts(word: str) -> list[str]:
    """The values in a word; for a policy, its JSON with every text emptied."""
    if word.startswith("{"):
        return [json.dumps(_without_texts(json.loads(word)))]
    if re.match(r"(Name|From|IpProtocol|Rules)=", word):
        return re.split(r"[=,{}\[\]]+", word)
    return word.split("=", 1)


def _without_texts(value: Any) -> Any:  # noqa: ANN401 # of any shape
    if isinstance(value, dict):
        return {name: _without_texts(one) for name, one in value.items()}
    return [*map(_without_texts, value)] if isinstance(value, list) else ""


def commands(said: Run) -> set[tuple[str, ...]]:
    return {words(line) for line in said.out.split("\n")} - {()}


def is_like(said: tuple[str, ...], known: set[tuple[str, ...]], tainted: set[str]) -> bool:
    """Whether a command is a known one, but for words that are tainted or a placeholder."""
    return said in known or any(
        len(said) == len(other)
        and all(
            one == as_known
            or PLACEHOLDER.fullmatch(one)
            or any(one.rpartition("//")[2] in value for value in tainted)
            for one, as_known in zip(said, other, strict=True)
        )
        for other in known
    )


def holds(said: Run) -> None:
    text = said.out + said.err
    assert not [one for one in text if one != "\n" and unicodedata.category(one) in OBEYED]
    assert not [line for line in text.split("\n") if line.lstrip().startswith(FORGED)]
    assert "internal error" not in text


@functools.cache
def untainted() -> frozenset[tuple[str, ...]]:
    return frozenset(said for one in CASES.values() for said in commands(run(one, Taint())))


@pytest.mark.parametrize("name", CASES)
def test_texts_of_an_account_stay_texts(name: str) -> None:
    known = {*untainted()}
    of, draw, plain = CASES[name], Random(name), Taint()  # noqa: S311 # the same cases each time
    run(of, plain)
    for path in plain.texts:
        begin = draw.choice(BEFORE) if draw.random() < 0.3 else ""
        taint = Taint(path, begin, draw.choice(HOSTILE))
        found = run(of, taint)
        holds(found)
        for said in commands(found):
            if not is_like(said, known, taint.tainted):  # as with a harmless text there
                known |= commands(run(of, Taint(path, end="x")))
                known |= commands(run(of, Taint(path, begin="x")))
            assert is_like(said, known, taint.tainted), (path, said)
