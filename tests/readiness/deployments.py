"""Reads templates as CloudFormation does: each deployment that a template could have.

It reads what `drawn` and `drawn_networks` draw, and shares no code with the package.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final, NamedTuple

NO_VALUE: Final = {"Ref": "AWS::NoValue"}
ACCOUNT: Final = "111122223333"
REGION: Final = "eu-west-1"
PSEUDO: Final = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT}


class Deployment(NamedTuple):
    """One deployment: the values of the conditions, and of what templates refer to."""

    conditions: dict[str, bool]
    names: dict[str, Any]
    """The values of references: those of parameters, and of references such as `Bucket.Arn`."""
    mappings: dict[str, Any] = {}  # noqa: RUF012 # never changed

    def value(self, written: Any) -> Any:  # noqa: ANN401, C901, PLR0911
        """What CloudFormation makes of a part of a template; `NO_VALUE` if it removes the part."""
        if isinstance(written, list):
            return [one for one in map(self.value, written) if one != NO_VALUE]
        if not isinstance(written, dict):
            return written
        match [*written.items()]:
            case [("Ref", "AWS::NoValue")]:
                return NO_VALUE
            case [("Ref", name)]:
                return self.named(name)
            case [("Fn::GetAtt", [name, attribute])]:
                return self.named(f"{name}.{attribute}")
            case [("Fn::If", [name, then, otherwise])]:
                return self.value(then if self.conditions[name] else otherwise)
            case [("Fn::FindInMap", [name, *keys])]:
                first, second = map(self.value, keys)
                return self.mappings[name][first][second]
            case [("Fn::Join", [separator, parts])]:
                return separator.join(self.value(part) for part in parts)
            case [("Fn::Split", [separator, text])]:
                return self.value(text).split(separator)
            case [("Fn::Select", [index, entries])]:
                return self.value(entries)[int(index)]
            case [("Fn::Sub", [text, names])]:
                return self._substituted(text, self.value(names))
            case [("Fn::Sub", text)]:
                return self._substituted(text, {})
        inner = {name: self.value(one) for name, one in written.items()}
        return {name: one for name, one in inner.items() if one != NO_VALUE}

    def named(self, name: str) -> Any:  # noqa: ANN401
        """The value of a reference."""
        return self.names.get(name) or {"Logical": name}

    def _substituted(self, text: str, inner: dict[str, str]) -> str:
        def one(found: re.Match[str]) -> str:
            name = found[1]
            return f"${{{name[1:]}}}" if name[0] == "!" else inner.get(name) or self.named(name)

        return re.sub(r"\$\{([^}]+)\}", one, text)

    def holds(self, condition: Any, declared: dict[str, Any]) -> bool:  # noqa: ANN401
        """Whether a condition holds, as it is written in the section of the conditions."""
        match condition:
            case {"Condition": name}:
                return self.holds(declared[name], declared)
            case {"Fn::Not": [one]}:
                return not self.holds(one, declared)
            case {"Fn::And": several}:
                return all(self.holds(one, declared) for one in several)
            case {"Fn::Or": several}:
                return any(self.holds(one, declared) for one in several)
            case {"Fn::Equals": [one, other]}:
                return bool(self.value(one) == self.value(other))
        raise ValueError(condition)


def deployed(
    template: dict[str, Any], given: Mapping[str, tuple[str, ...]], known: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """The resources of each deployment that the template could have, without functions.

    A parameter has each of its given or allowed values. One that has none has each value that a
    condition compares with, and another.

    Args:
        template: the template.
        given: values of parameters.
        known: the values of references to resources, if they are not the name of the resource.
    """
    resources, declared = template["Resources"], template.get("Conditions", {})
    names = {**PSEUDO, **_made(resources), **known}
    bodies = {name: repr(one["Properties"]) for name, one in resources.items()}
    whole, compared = repr(resources), json.dumps(declared)
    parameters = template.get("Parameters", {})
    direct = [one for one in parameters if repr({"Ref": one}) in whole or f"${{{one}}}" in whole]
    values = [
        (given[name] if name in direct else given[name][:1])
        if name in given
        else one.get("AllowedValues") or [*_compared(name, compared), "else"]
        for name, one in parameters.items()
    ]
    matters = [name for name in declared if repr(name) in whole]
    varies = [*map(repr, matters), *direct]
    always = {
        name: Deployment({}, names).value(one)
        for name, one in resources.items()
        if not any(of in bodies[name] for of in varies)
    }
    seen: set[tuple[object, ...]] = set()
    for several in product(*values):
        chosen = dict(zip(parameters, several, strict=True))
        world = Deployment({}, names | chosen, template.get("Mappings", {}))
        conditions = {name: world.holds(declared[name], declared) for name in matters}
        if (key := (*conditions.values(), *(chosen[name] for name in direct))) in seen:
            continue
        seen.add(key)
        world = world._replace(conditions=conditions)
        made = {
            name: always.get(name) or world.value(one)
            for name, one in resources.items()
            if conditions.get(one.get("Condition"), True)
        }
        yield {name: {"Type": one["Type"], **one["Properties"]} for name, one in made.items()}


def _compared(name: str, conditions: str) -> list[str]:
    """The constants that conditions compare a parameter with."""
    ref = re.escape(json.dumps({"Ref": name}))
    found = re.findall(rf'\[{ref}, "([^"]*)"\]|\["([^"]*)", {ref}\]', conditions)
    return [one or other for one, other in found]


def _made(resources: dict[str, Any]) -> dict[str, Any]:
    """The values of references to resources: the logical id, and the name that is given."""
    made: dict[str, Any] = {}
    for name, one in resources.items():
        made |= {f"{name}{of}": name for of in ("", ".GroupId", ".AllocationId", ".PrefixListId")}
        made[f"{name}.DefaultSecurityGroup"] = f"{name}.DefaultSecurityGroup"
        made[f"{name}.DnsEntries"] = [f"Z1:{name}"]
        made[f"{name}.CidrBlock"] = one["Properties"].get("CidrBlock")
    return made
