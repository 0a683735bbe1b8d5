"""`make tables`: what stands in several places, written into each from the one place that has it.

A page marks such a region: `<!-- made by: make tables NAME -->` before it, `<!-- end -->` after it.
"""

from __future__ import annotations

import inspect
import json
import os
import posixpath
import re
import subprocess
import sys
from argparse import Action, ArgumentParser, _SubParsersAction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints, is_typeddict

import griffe

from session_manager_permissions import (
    SessionManagerEndpoints,
    SessionManagerFleet,
    SessionManagerOptions,
    SessionManagerPermissions,
    SessionManagerReadiness,
    SessionPreferences,
    _needs,
)
from session_manager_permissions._causes import more
from session_manager_permissions._command import parser as command_line
from session_manager_permissions._readiness.rules import READY, RULES
from session_manager_permissions._verify.answers import NodeAnswer, RoleAnswer
from session_manager_permissions._verify.audit.result import AuditResult
from session_manager_permissions._verify.checks import CHECKS, ORDER, PERMISSIONS, policy_for_audit
from tests.verify import picture

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parent.parent
COMMAND: Final = Path(sys.executable).with_name("session-manager-permissions")
SNAPSHOTS: Final = ROOT / "tests/readiness/__snapshots__"
FINDINGS: Final = SNAPSHOTS / "test_what_findings_say/test_what_each_finding_says.txt"
"""What the check at synthesis says of each cause. A test holds that it does."""
FIXES: Final = SNAPSHOTS / "test_fixes/test_what_the_pages_show.txt"
"""The same of apps, each with a fix that a test has used as it stands."""
ANSWERS_OF_CHECKS: Final = (
    ROOT / "tests/verify/__snapshots__/test_what_checks_say/test_what_each_check_says.txt"
)
"""What each check of `verify` says. A test holds that it does."""
MESSAGES: Final = ROOT / "tests/__snapshots__/test_messages/test_the_messages.txt"
"""Every error and warning, by the heading of its table. A test holds that there is no other."""

ALIAS_SID: Final = "SessionManagerDecryptAlias…"
STATEMENTS: Final = {
    "SessionManagerChannels": ("`*`: the actions have no resource type", "always"),
    "SessionManagerRegistration": ("`*`", "`allow_registration`"),
    "SessionManagerLogEncryption": (
        "the log bucket; `*` if there is none",
        "unless `check_log_encryption=False`, or `preferences` have no log bucket",
    ),
    "SessionManagerLogObjects": ("the objects below the prefix", "`log_bucket`"),
    "SessionManagerLogBucketKey": ("the bucket's key", "`log_bucket` with a key that CDK knows"),
    "SessionManagerLogGroups": ("`*`", "`log_group`"),
    "SessionManagerLogStreams": ("the group", "`log_group`"),
    "SessionManagerLogEvents": ("the group's streams", "`log_group`"),
    "SessionManagerDecrypt": ("the keys", "`encryption_key`, a key"),
    ALIAS_SID: (
        "all keys of the alias's account and region, if `kms:ResourceAliases` has the alias",
        "`encryption_key`, an alias",
    ),
}
"""The resources of each statement, and the option that adds it."""
NOT_OF_THE_AGENT: Final = {"SessionManagerLogBucketKey", ALIAS_SID}
"""S3 uses the key of the bucket; what an alias adds is said by itself."""

CALLABLES: Final[dict[str, Callable[..., Any]]] = {
    "SessionManagerPermissions": SessionManagerPermissions.__init__,
    "SessionManagerFleet": SessionManagerFleet.__init__,
    "SessionManagerEndpoints": SessionManagerEndpoints.__init__,
    "SessionManagerReadiness": SessionManagerReadiness.__init__,
    "SessionPreferences": SessionPreferences.__init__,
    "from_document_name": SessionPreferences.from_document_name,
    "grant_start_session": SessionPreferences.grant_start_session,
}
SHARE_OPTIONS: Final = ("SessionManagerFleet", "SessionManagerEndpoints")
"""Their tables leave out the options of `SessionManagerPermissions`."""

SHOWN: Final = {
    "default-host-management": ("default-host-management", "which does not exist, so"),
    "egress-closed": ("path-ssm", "of the security group 'sg-web' allows"),
    "endpoint-missing": ("path-ssmmessages", "no default route, and no VPC endpoint"),
    "endpoint-unreachable": ("path-ssm", "of the endpoint 'vpce-ssm' allows TCP 443 from"),
    "log-group-encryption": ("log-group-encryption", "has no KMS key"),
    "log-to-s3": ("log-to-s3", r"\A  s3:PutObject: implicit deny: no policy of the role"),
    "no-network-path": ("path-ssm", r"\A  the route table .* no VPC endpoint"),
    "run-as": ("run-as", "root"),
}
"""The check and a pattern of the answer that a page shows; others show the first of their check."""

ANSWERS: Final = {kind.__name__: kind for kind in (AuditResult, RoleAnswer, NodeAnswer)}
"""What the commands print as JSON."""
IN_JSON: Final = {bool: "boolean", int: "number", str: "string", dict: "object"}

MEASURED: Final[dict[str, list[dict[str, Any]]]] = json.loads(
    (ROOT / "tests/data/agent_calls.json").read_text("utf-8")
)
"""What was measured of the agent: `with` names the option with which a denial `loses` something."""

REGION: Final = re.compile(
    r"(?P<begin><!-- made by: make tables (?P<name>.*?) -->\n\n)(?P<text>.*?)(?=\n<!-- end -->)",
    re.DOTALL,
)


def table(header: Collection[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    head, *body = (f"| {' | '.join(row)} |\n" for row in (header, *rows))
    return "".join([head, f"|{'---|' * len(header)}\n", *body])


def code(names: Iterable[str]) -> str:
    """Return names as code."""
    return ", ".join(f"`{name}`" for name in names)


def cause_of(name: str) -> str:
    """Return the name of the cause that a rule or a check finds."""
    return CHECKS[name].page if name in CHECKS else name


def checks_of(cause: str) -> list[str]:
    """Return the names of the checks that find a cause."""
    return [check for check in ORDER if cause_of(check) == cause]


def linked(name: str, here: str) -> str:
    """Return the name of a rule or a check as a link, from a page to what is said about it."""
    if name == READY.id:  # which is no cause, and has no page
        return f"`{name}`"
    target = posixpath.relpath(f"docs/causes/{cause_of(name)}.md", posixpath.dirname(here))
    return f"[`{name}`]({target})"


def rules(here: str) -> str:
    """Return what each rule at synthesis finds."""
    rows = (
        (linked(rule.id, here), rule.severity, rule.reported_on, rule.finds)
        for rule in RULES.values()
    )
    return table(("rule", "severity", "reported on", "what it finds"), rows)


def checks(here: str) -> str:
    """Return what each check on the live account passes for, and what it asks."""
    rows = ((linked(check, here), CHECKS[check].passes_if, calls(check)) for check in ORDER)
    return table(("check", "passes if", "the calls that it makes"), rows)


def calls(check: str) -> str:
    """Return the actions without which a check is unknown."""
    if check.startswith("path-"):
        return "`ec2:Describe…` of what is on the way"
    return code(sorted(CHECKS[check].asks)) or "none"


def permissions(_: str) -> str:
    """Return what is unknown without each action."""
    rows = ((f"`{action}`", code(names)) for action, names in PERMISSIONS.items())
    return table(("action", "without it these checks are unknown"), rows)


def audit_policy(_: str) -> str:
    """Return the policy that `audit --print-permissions` prints."""
    return f"```json\n{json.dumps(policy_for_audit(), indent=2)}\n```\n"


def causes(here: str) -> str:
    """Return all causes: what each is called at synthesis and on the live account."""
    found = dict.fromkeys(cause_of(name) for name in (*RULES, *ORDER) if name != READY.id)
    rows = (
        (linked(cause, here), f"`{cause}`" if cause in RULES else "", code(checks_of(cause)))
        for cause in found
    )
    return table(("cause", "rule at synthesis", "checks of `verify`"), rows)


def cause(here: str) -> str:
    """Return how the check at synthesis and the command call the cause of a page."""
    name = Path(here).stem
    rows = [
        (f"live, the check `{check}`", f"passes if {CHECKS[check].passes_if}", "on the node")
        for check in checks_of(name)
    ]
    if rule := RULES.get(name):
        where = f"at synthesis, the rule `{name}`"
        rows.insert(0, (where, f"finds {rule.finds}", f"on {rule.reported_on}"))
    return table(("where", "what", "reported"), rows)


def synthesis(here: str) -> str:
    """Return what the check at synthesis says about the cause of a page."""
    name = Path(here).stem
    text = "\n".join(one.read_text("utf-8") for one in (FIXES, FINDINGS)) + "\n"
    severity_and_place = r", \w+\n  [^\n]+"  # which FINDINGS has, and FIXES has not
    entry = rf"^[^\n]+: {name}(?:{severity_and_place})?\n  (.*?)\n  Fix: (.*?)\n$"
    description, fix = re.findall(entry, text, re.MULTILINE | re.DOTALL)[0]
    severity = RULES[name].severity.partition(";")[0].upper()
    lines = "\n   ".join([*fix.splitlines(), f"# {more(name)}"])
    return (
        f"```text\n{severity} {description} (SessionManagerReadiness)\n"
        f"   Suggested fix: {lines}\n"
        f"   Acknowledge with 'SessionManagerReadiness::{name}'\n```\n"
    )


def live(here: str) -> str:
    """Return what the command says about the cause of a page."""
    name = Path(here).stem
    check, part = SHOWN.get(name) or (checks_of(name)[0], "")
    text = ANSWERS_OF_CHECKS.read_text("utf-8")
    order = re.findall("^  (.*): ", text.partition("\n\n")[0], re.MULTILINE)
    found = []
    for verdict in ("fail", "unknown"):
        section = text.partition(f"\n# {check}: {verdict}\n")[2].partition("\n# ")[0]
        for cause, answer in re.findall(r"^\[(.*)\]\n((?:  .*\n)+)", section + "\n", re.MULTILINE):
            place = order.index(cause) if cause in order else len(order)
            found.append((not re.search(part, answer), verdict, place, answer))
    _, verdict, _, answer = min(found)  # of what fits, what the first cause shows
    text = answer.strip().replace("\n    Fix: ", "\n  ")
    is_symptom = verdict == "fail" and "first fix" in text
    label = "Symptom" if is_symptom else {"fail": "Cause", "unknown": "Unknown"}[verdict]
    return f"```text\n{label}: {check}: {text}\n```\n"


def messages(heading: str) -> str:
    """Return the errors below a heading: what the user did, and the message."""
    rows = (
        (f"{did}, at synthesis" if kind == "synthesis" else did, quoted(text))
        for did, kind, text in said()[heading]
    )
    return table(("what you did", "message"), rows)


def warnings(_: str) -> str:
    """Return the warnings: the id, what it is about, and the message."""
    rows = []
    for about, _kind, text in said()["Warnings"]:
        message, _, warning_id = text.removesuffix("]").partition(" [ack: ")
        rows.append((f"`{warning_id}`", about, quoted(message)))
    return table(("id", "what it is about", "message"), rows)


@cache
def said() -> dict[str, list[tuple[str, str, str]]]:
    """Return what the user did, how the message is told, and its text, by heading."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for section in re.split(r"^# ", MESSAGES.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, entries = section.partition("\n")
        found[heading] = re.findall(r"^(\S.*)\n  (\w+): (.*)$", entries, re.MULTILINE)
    return found


def quoted(message: str) -> str:
    """Return a message as code; `…` is what only the deployment knows, or repeats itself."""
    shortened = re.sub(r"(.)\1{9,}", r"\1\1\1…", message.replace("TOKEN", "…"))
    escaped = shortened.replace("|", "\\|")
    return f"`` {escaped} ``" if "`" in escaped else f"`{escaped}`"


def statements(_: str) -> str:
    """Return the statements: their actions, on what, and the option that adds each."""
    made = {need.sid: list(need.actions) for need in needs(other_account=False)}
    elsewhere = {need.sid: need.actions for need in needs(other_account=True)}
    rows = []
    for sid, (resources, when) in STATEMENTS.items():
        actions = code(made[sid])
        more = [action for action in elsewhere[sid] if action not in made[sid]]
        if more:
            actions += f", and {code(more)} in another account's bucket"
        rows.append((f"`{sid}`", actions, resources, when))
    return table(("Sid", "actions", "resources", "when"), rows)


def measured(name: str) -> str:
    """Return a table of what was measured of the agent."""
    rows = MEASURED[name]
    if "action" in rows[0]:
        rows = [called(call, name) for call in rows]
    return table([*rows[0]], (row.values() for row in rows))


def called(call: Mapping[str, Any], by: str) -> dict[str, str]:
    """Return the row of a call, which was signed with the role or otherwise."""
    row = {"action": f"`{call['action']}`", "when": call["when"]}
    if "on" in call:
        row["resource"] = resource(call["on"])
    row["what a denial does"] = call["denied"]
    if by == "role":
        row["granted by"] = granted_by(call["action"])
    return row


def resource(on: str) -> str:
    """Return the resource of a measured call in the words of the page."""
    if on.endswith(":log-group::log-stream:"):
        return "all log groups: `*`"
    if ":key/" in on:
        return "the key"
    name = on.replace("arn:aws:s3:::session-logs", "BUCKET").replace("/session/logs", "GROUP")
    name = re.sub("^arn:aws:logs:.*?:log-group:", "log-group:", name)
    return name if " " in name else f"`{name}`"


def granted_by(action: str) -> str:
    """Return the options with which the role may make a call of the agent."""
    for where, other_account in (("", False), (", of another account", True)):
        options = [
            STATEMENTS[need.sid][1].removesuffix(", a key") + where
            for need in needs(other_account=other_account)
            if action in need.actions and need.sid not in NOT_OF_THE_AGENT
        ]
        if options:
            return "; ".join(dict.fromkeys(options))
    return "none"


def endpoints(_: str) -> str:
    """Return the endpoints, and what each is for, as the docstring has them."""
    rows = re.findall(r"^\|.*\n", inspect.getdoc(SessionManagerEndpoints) or "", re.MULTILINE)
    return "".join(rows)


def needs(*, other_account: bool) -> Iterator[_needs.NeededStatement]:
    """Find what the role needs with all options."""
    yield from _needs.needed(
        bucket_arn="bucket",
        bucket_key=("key", None),
        prefix="",
        group_arn="group",
        allow_registration=True,
        check_log_encryption=True,
        bucket_of_other_account=other_account,
    )
    yield _needs.decrypt("key", sessions_only=False)
    of_alias = _needs.decrypt("key", "alias", sessions_only=False)
    yield of_alias._replace(sid=ALIAS_SID)


def arguments(name: str) -> str:
    """Return the arguments of a callable, as its docstring says."""
    left_out = {"scope", "construct_id", "grantee"}
    if name in SHARE_OPTIONS:
        left_out |= {*SessionManagerOptions.__annotations__}
    rows = (
        (f"`{argument}`", *meaning_and_default(text))
        for argument, text in documented(CALLABLES[name]).items()
        if argument not in left_out
    )
    return table((f"argument of `{name}`", "meaning", "default"), rows)


def documented(function: Callable[..., Any]) -> dict[str, str]:
    """Return the arguments in a docstring, and what it says about each."""
    docstring = griffe.Docstring(inspect.getdoc(function) or "")
    sections = griffe.parse_google(docstring, warn_missing_types=False, warn_unknown_params=False)
    (described,) = (one.value for one in sections if one.kind.value == "parameters")
    return {one.name: " ".join(one.description.split()) for one in described}


def meaning_and_default(text: str) -> tuple[str, str]:
    """Return what an argument means and its default, as the cells of a table."""
    meaning, _, default = text.partition(" Default: - ")
    default = re.sub("^(True|False)", r"`\1`", default.rstrip("."))
    return meaning.rstrip("."), default or "required"


def options(command: str) -> str:
    """Return the options of a command, as its help says."""
    rows = []
    for group in commands()[command]._action_groups:  # noqa: SLF001 - argparse has nothing public
        purpose = "" if group.title == "options" else str(group.title)
        for action in group._group_actions:  # noqa: SLF001
            if action.option_strings and action.dest != "help":
                meaning = (action.help or "") % vars(action)
                rows.append((f"`{spelled(action)}`", in_code(purpose), in_code(meaning)))
    return table(("option", "for", "meaning"), rows)


def fields(name: str) -> str:
    """Return the fields of an answer as JSON, as its module describes them."""
    return table(("field", "type", "meaning"), _fields(ANSWERS[name], ""))


def _fields(kind: type, path: str) -> Iterator[tuple[str, str, str]]:
    described = griffe.load(kind.__module__)[kind.__name__].all_members
    for name, hint in get_type_hints(kind).items():
        item, in_list = (get_args(hint)[0], "[]") if get_origin(hint) is list else (hint, "")
        value, *others = get_args(item) if type(None) in get_args(item) else [item]
        in_json = (
            "object" if is_typeddict(value) else IN_JSON.get(get_origin(value) or value, "string")
        )
        meaning = " ".join(described[name].docstring.value.split()).rstrip(".")
        meaning = meaning[0].lower() + meaning[1:] if meaning[1].islower() else meaning
        at = f"{path}{name}{in_list}"
        yield f"`{at}`", in_json + (" or null" if others else ""), meaning
        if is_typeddict(value):
            yield from _fields(value, f"{at}.")


def statuses(command: str) -> str:
    """Return the exit statuses of a command, as its help says."""
    found = re.findall(r"^  (\d)  (.*)$", commands()[command].epilog or "", re.MULTILINE)
    return table(("status", "meaning"), found)


def checked(_here: str) -> str:
    """Return what the command `check` prints about the example of a SAM template."""
    done = subprocess.run(
        [COMMAND, "check", "examples/check/sam/template.yaml"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        check=False,  # it finds something
        encoding="utf-8",
    )
    return f"```text\n{done.stdout}```\n"


def commands() -> dict[str, ArgumentParser]:
    """Return the parsers of the commands by their names."""
    actions = command_line()._actions  # noqa: SLF001 - as above
    (found,) = (action for action in actions if isinstance(action, _SubParsersAction))
    return dict(found.choices)


def spelled(action: Action) -> str:
    """Return an option with what it takes."""
    choices = f"{{{','.join(action.choices)}}}" if action.choices else ""
    takes = str(action.metavar or choices)
    if action.nargs == "?":
        takes = f"[{takes}]"
    return f"{action.option_strings[0]} {takes}".strip()


def in_code(text: str) -> str:
    """Return a text with the options that it names as code."""
    return re.sub(r"(?<![`\w-])(--[a-z-]+)(?!.*`)", r"`\1`", text)


MAKERS: Final[dict[str, Callable[[str], str]]] = {
    made.__name__: made
    for made in (
        *(rules, checks, permissions, causes, cause, synthesis, live, statements, endpoints),
        *(warnings, audit_policy, checked),
    )
}
OF_SOMETHING: Final = {
    made.__name__: made for made in (arguments, fields, measured, messages, options, statuses)
}

PICTURES: Final = {ROOT / "docs/pictures/verify.svg": picture.drawn}


@cache
def made(name: str, here: str) -> str:
    """Return the text of a region of a file, both named from the root of the repository."""
    kind, _, of = name.partition(" ")
    return OF_SOMETHING[kind](of) if of else MAKERS[kind](here)


def pages() -> list[Path]:
    """Return the pages that may have regions."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def rewritten(path: Path) -> str:
    """Return a page with its regions as they should be."""
    here = path.relative_to(ROOT).as_posix()

    text = path.read_text("utf-8")
    return REGION.sub(lambda region: region["begin"] + made(region["name"], here), text)


if __name__ == "__main__":
    new = {path: rewritten(path) for path in pages()}
    new |= {path: draw() for path, draw in PICTURES.items()}
    for path, text in new.items():
        if text != path.read_text("utf-8"):
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")  # noqa: T201
