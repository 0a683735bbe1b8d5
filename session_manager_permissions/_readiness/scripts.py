"""Finds what may change how the agent works in the scripts that instances run when they boot."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions._network.facts import Unknown

from .parts import Parts, decider
from .templates import functions
from .templates.texts import as_text

if TYPE_CHECKING:
    from .templates.model import Resource

_ACTIVATES: Final = re.compile(
    r"(?=.*ssm)(?=.*-register\b)(?=.*-(?:code|id)\b)|"
    r"(?=.*SSMAgentSetup)(?=.*\bCODE=)(?=.*\bID=)|"
    r"(?=.*\bactivation-?code\b)",
    re.DOTALL | re.IGNORECASE,
)
"""The words in scripts that register the agent with an activation instead of a profile.

The second one is the installer for Windows. The third is Amazon ECS Anywhere, or a hybrid node of
Amazon EKS. Each word is looked for by itself, so that the time is linear in the length of a text.
https://docs.aws.amazon.com/systems-manager/latest/userguide/hybrid-multicloud-ssm-agent-install-linux.html
https://docs.aws.amazon.com/systems-manager/latest/userguide/hybrid-multicloud-ssm-agent-install-windows.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-anywhere-registration.html
https://docs.aws.amazon.com/eks/latest/userguide/hybrid-nodes-join.html
"""

_ACTIVATION: Final = Unknown("the hybrid activation that a script registers the agent with")

_AGENT: Final = (
    r"(?:amazon[ .-]?ssm-?(?:agent|\\?[*%])|[*%](?:amazon )?ssm[ -]?(?:agent)?[*%]|"
    r"(?<=['\"])(?:amazon )?ssm agent(?=['\"])|com\.amazon\.aws\.ssm)"
)
"""The agent's name or a pattern of it, its display name on Windows, or its name on macOS."""
_WORDS: Final = r"[^\n;&|]{0,500}"
"""Words of one command. The bounds here and below keep the time linear in the length of a text."""
_NAMED: Final = rf"{_AGENT}(?:\.service)?['\"]?"
"""The agent as an argument of a command."""

_REMOVES: Final = rf"{_WORDS}(?:[\s'\"]/x|uninstall)\b"
"""The arguments by which a Windows installer removes the package that it names."""
_STARTING: Final = (
    r"\b(?:(?:re)?start|enable\s+--now|(?:re|local)?install|rpm\s+-[hv]*i[hv]*|dpkg\s+-i)\b"
)
"""The beginnings of commands that start or install the service or package that they name."""
_STARTS: Final = (
    rf"{_STARTING}(?!{_REMOVES}){_WORDS}{_AGENT}",
    rf"{_NAMED}(?:[ \t]+|{_WORDS}\|\s*)(?:re)?start\b(?!\s*=)",
)
"""The commands after which the agent runs, even if an earlier command has stopped it."""

_TO_TERMINAL: Final = (
    r"(?=[^\n;&|<>()`]{0,500}(?:[12]?>\s*(?:&[12]|/dev/null)\s*)*\"?(?:\|\||[\n;&]|$))"
)
"""The command ends without a pipe, writes no file, and gives its output to no other command."""
_REPORTS: Final = (
    r"(?:(?<!\.)\b(?:status|show|snap\s+services|journalctl|is-active|is-enabled|list|info|"
    r"dpkg-query|rpm\s+-q|dpkg\s+-[sW]|test\s+-[efx]|Test-Path)|\[\s+(?:!\s+)?-[efx])[ \t]"
)
"""The beginnings of commands that print or test the agent's state, and not its path or process id.

In PowerShell, `.Status` is a property.
"""
_FILTERED: Final = (
    rf"(?={_WORDS}(?:\|\s*(?:grep|awk|cut|head|tail|wc)\b{_WORDS})?(?:\|\||[\n;&]|$))"
)
"""No command reads the output, except for one filter, which only prints a part of it."""
_FILE: Final = r"\.(?:log|rpm|deb|snap|pkg|msi|zip|tar\.gz|gpg|json|assert)\b"
"""The ends of the names of files from which the agent does not run."""
_KEEPING: Final = r"\b(?:enable|unmask|update(?!-rc)|upgrade|refresh|rpm\s+-[ufhv]+)\b|\bpackages:"
"""The beginnings of commands that enable or update a service, and do not start a stopped one."""
_HARMLESS: Final = (
    rf"(?:^|[\s\"])#[^\n]{{0,500}}{_AGENT}",
    rf"\b(?:echo|printf|logger|Write-Host|Write-Output)\b[^\n;&|<>]{{0,500}}{_AGENT}{_TO_TERMINAL}",
    rf"(?:\bp?grep|\bcommand\s+-v|(?:^\s*|\")Get-Service)[ \t]{_WORDS}{_AGENT}{_TO_TERMINAL}",
    rf"{_REPORTS}{_WORDS}{_AGENT}{_FILTERED}",
    rf"(?:{_KEEPING}){_WORDS}{_AGENT}",
    rf"\b(?:apt-mark\s+hold|versionlock){_WORDS}{_AGENT}",
    rf"{_NAMED}[ \t]+(?:enable|on|status)\b",
    rf"{_AGENT}{_WORDS}(?:\bAutomatic|\bstart=\s*\S*auto)",
    rf"{_AGENT}Setup(?!{_REMOVES})",
    rf"{_AGENT}{_FILE}",
    rf"{_AGENT}(?:\.exe)?['\"]?\s+--?(?:register|version)\b",
    rf"(?:https?:/|\bpublic\.ecr\.aws)/[^\s'\"]{{0,500}}{_AGENT}",
    # The agent that the plug-in `aws:updateSsmAgent` updates, and a document's description.
    rf"\b(?:agentName|description)['\"]?:\s*['\"]?[^'\"\n;&|]{{0,500}}{_AGENT}",
    # A package in a list of cloud-init, or of a service of cfn-init.
    rf"^\s*-\s+['\"]?{_AGENT}['\"]?\s*$",
    rf'"(?:apt|yum)":\s*\[[^\]]{{0,500}}"{_AGENT}"',
    # A package or a service of cfn-init.
    rf'"{_AGENT}(?:\.service)?":\s*(?:\[|"|\{{(?![^}}]{{0,500}}false))',
)
"""The other commands and texts that name the agent and leave it running."""

_MAY_STOP: Final = (
    _AGENT,
    rf"\bmsiexec(?={_REMOVES}){_WORDS}{_AGENT}",
    rf"(?:remove|purge)\b{_WORDS}\bsnapd\b",  # snapd runs the agent on Ubuntu
    r"\bUninstallAfterBuild\W+(?!false)\w",  # of a recipe of EC2 Image Builder
    # Bottlerocket runs the agent in a container, which its settings can turn off.
    r"host-containers\W[^\[]{0,500}?\bcontrol\W[^\[]{0,500}?\benabled\W{1,9}false",
)
"""All other commands that name the agent. At one place in a text, the lists above have priority."""

_MENTIONS: Final = (
    rf"(?im)(?P<starts>{'|'.join(_STARTS)})|(?P<leaves>{'|'.join(_HARMLESS)})|"
    rf"(?P<may_stop>{'|'.join(_MAY_STOP)})"
)
"""What scripts do with the agent. It takes long to compile, and few apps have such scripts."""

_CHANGED: Final = "whether the SSM Agent runs, which a script on the instance may change"

_DETACHES: Final = "(?:disassociate|replace)[-_]?iam[-_]?instance|(?:unregister|set)-ec2iaminstance"
"""The names, in scripts, of the calls that remove or replace an instance profile."""
_TAKES_CREDENTIALS: Final = re.compile(rf"(?i)http-?endpoint\W{{1,9}}disabled\b|{_DETACHES}")

_SETS_PROXY: Final = re.compile(
    rf"{_AGENT}\.(service\.d|override)|\bedit\s+\S*{_AGENT}|\bservices\\+{_AGENT}", re.IGNORECASE
)
"""The places where scripts set variables in the environment of the agent's service.

https://docs.aws.amazon.com/systems-manager/latest/userguide/configure-proxy-ssm-agent.html
"""
_PROXY_OF_AGENT: Final = "whether the proxy that a script on the instance sets for the agent works"

_IN_COMMANDS: Final = f"(?:ssm|snapd|uninstall|http-?endpoint|{_DETACHES})"
"""One of these is in each command that matters."""
_MATTERS: Final = re.compile(f"{_IN_COMMANDS}|proxy|host-containers|activation", re.IGNORECASE)
"""One of these is in every script that matters."""
_MATTERS_IN_CHOICE: Final = re.compile(
    rf"{_MATTERS.pattern}|false|-(?:register|code|id)\b|\b(?:code|id)=", re.IGNORECASE
)
_CHOICE: Final = "\1"
"""Stands, in a script, for a choice whose texts have none of these."""
_MATTERS_BESIDE: Final = re.compile(
    rf"{_IN_COMMANDS}[^\n]{{0,500}}{_CHOICE}|{_CHOICE}[^\n]{{0,500}}{_IN_COMMANDS}|"
    rf"host-containers[^{_CHOICE}]{{0,1000}}{_CHOICE}",
    re.IGNORECASE,
)
"""The places where such a choice may matter, such as a pipe in a command about the agent."""
_RUN_BY: Final = ("SsmAssociations", "BootstrapActions", "Steps")
"""The properties of an instance, and of a cluster of Amazon EMR, with commands that run there."""
_JOINED: Final = ("Fn::Join", "Fn::Sub")


class Scripts(NamedTuple):
    """What the scripts that instances run when they boot may do to the agent."""

    activation: Unknown | None = None
    """The hybrid activation that the agent may use instead of a profile, or what decides that."""
    other_way: str = ""
    """What may make the agent bypass the network paths that are judged, as a noun of a message."""
    agent: str = ""
    """What decides whether the agent works, as a noun of a message."""

    def and_(self, other: Scripts) -> Scripts:
        """Combine these scripts with others. If both say something, these take precedence."""
        if other is NO_SCRIPTS:
            return self
        return Scripts._make(own or its for own, its in zip(self, other, strict=True))


NO_SCRIPTS: Final = Scripts()


def of_user_data(parts: Parts, origin: Resource, written: object) -> Scripts:
    """Read the user data of a resource, which is encoded unless `Fn::Base64` encodes it."""
    if written is None:
        return NO_SCRIPTS
    script = functions.mapping(written).get("Fn::Base64", written)
    as_written = functions.as_written(script)
    if script is written or functions.intrinsic(as_written)[0] not in _JOINED:
        return _read_script(parts, origin, script, is_encoded=script is written)
    once, key = parts.worlds.once, (origin, json.dumps(as_written))
    read_script = partial(_read_script, parts, origin, is_encoded=False)
    matters = once(("what matters", *key), partial(_without_choices, parts, origin, as_written))
    found = once(("script", *key), partial(read_script, matters))
    # A choice that was left out may decide whether the agent runs.
    if found.agent == _CHANGED:
        return once(("whole script", *key), partial(read_script, script))
    return found


def _read_script(parts: Parts, origin: Resource, script: object, *, is_encoded: bool) -> Scripts:
    known = parts.text(origin, script)
    if is_encoded:
        known = _decoded(known)
    if known == functions.UNKNOWN and functions.intrinsic(script)[0] not in _JOINED:
        return Scripts(Unknown(f"whether {decider(script, 'user data')} has an activation"))
    encoded = (one["Fn::Base64"] for one in functions.mappings_in(script) if "Fn::Base64" in one)
    commands = "\n".join([known, *(parts.text(origin, one) for one in encoded)])
    return _read(commands, commands + functions.quoted(script))


def of_init(resource: Resource) -> Scripts:
    """Read the scripts that a resource's instances run by `cfn-init` and by its properties."""
    by_init = functions.mapping(resource.body.get("Metadata")).get("AWS::CloudFormation::Init")
    scripts = [by_init, *map(resource.written.get, _RUN_BY)]
    return of_written(scripts) if any(scripts) else NO_SCRIPTS


def of_written(value: object) -> Scripts:
    """Read the commands in a part of a template, such as a document of Systems Manager."""
    lines = json.dumps(value, indent=0)
    return _read(lines.replace(r"\n", "\n").replace(r"\"", '"'), lines)


def _without_choices(parts: Parts, origin: Resource, script: object) -> object:
    """Return a part of a script in which `_CHOICE` replaces each choice that can't matter.

    So no world is asked about such a choice. Functions that pick one of several texts stay.
    """
    if isinstance(script, list):
        return [_without_choices(parts, origin, one) for one in script]
    if not isinstance(script, dict):
        return script
    function, _ = functions.intrinsic(script)
    if function in {"Fn::If", "Fn::FindInMap"}:
        texts = functions.texts_in(script)
        for one in functions.mappings_in(script):
            several = functions.parts_of_sub(one["Fn::Sub"]) if "Fn::Sub" in one else [one]
            for part in several or []:
                texts += map(as_text, parts.assembly.possible(origin.template, part))
        if not any(map(_MATTERS_IN_CHOICE.search, texts)):
            return _CHOICE
    if function not in {"", "Fn::Base64", "Fn::If", *_JOINED}:
        return script
    return {name: _without_choices(parts, origin, one) for name, one in script.items()}


@lru_cache  # in most worlds the scripts are the same
def _read(commands: str, text: str) -> Scripts:
    """Return what commands may do to the agent.

    `text` has the commands, and everything that is written with them.
    """
    if not _MATTERS.search(text):
        return NO_SCRIPTS
    commands = re.sub(r"(?:\\|\s`)\n", " ", commands)  # in a shell or PowerShell, a line goes on
    last = {one.lastgroup: one.start() for one in re.finditer(_MENTIONS, commands)}
    other_way = agent = ""
    if last.get("may_stop", -1) > last.get("starts", -1) or _MATTERS_BESIDE.search(commands):
        agent = _CHANGED
    elif _TAKES_CREDENTIALS.search(commands):
        agent = "whether a script on the instance takes the agent's credentials away"
    if "proxy" in text.lower():
        other_way = "whether the agent uses the proxy that the user data mentions"
        agent = _PROXY_OF_AGENT if _SETS_PROXY.search(text) else agent
    elif "amazon-ssm-agent.json" in text:
        other_way = "the configuration of the agent, which a script on the instance writes"
    return Scripts(_ACTIVATION if _ACTIVATES.match(text) else None, other_way, agent)


def _decoded(script: str) -> str:
    """Decode user data. Compressed user data is unknown."""
    try:
        return b64decode("".join(script.splitlines()), validate=True).decode()
    except UnicodeDecodeError:
        return functions.UNKNOWN
    except ValueError:
        return script
