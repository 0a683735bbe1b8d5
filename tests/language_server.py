"""An editor for tests: it asks pyright's language server what to show inside a call."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .conftest import ROOT

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Sequence


class Shown(NamedTuple):
    """What an editor shows if the cursor is before the `)` at the end of a line."""

    parameters: Sequence[str]
    explanation: str
    """What it says about the parameter that is being written, if one is."""
    completions: Sequence[str]


def shown(folder: Path, code: str) -> list[Shown]:
    """Write the settings of a project into a folder, open code in it, and ask about each line."""
    venv = Path(sys.prefix)
    settings = {"extraPaths": [str(ROOT)], "venvPath": str(venv.parent), "venv": venv.name}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    return asyncio.run(asyncio.wait_for(_asked(folder, code), timeout=120))


async def _asked(folder: Path, code: str) -> list[Shown]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pyright.langserver", "--stdio", stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    server = _Server(process.stdin, process.stdout)
    try:
        root = {"uri": folder.as_uri(), "name": folder.name}
        client = {"processId": os.getpid(), "workspaceFolders": [root], "capabilities": {}}
        await server.ask("initialize", client)
        server.tell("initialized", {})
        file = {"uri": (folder / "app.py").as_uri()}
        opened = {**file, "languageId": "python", "version": 1, "text": code}
        server.tell("textDocument/didOpen", {"textDocument": opened})
        return [
            await _shown(server, {"textDocument": file, "position": position})
            for number, line in enumerate(code.splitlines())
            if (position := {"line": number, "character": len(line) - 1}) and line.endswith(")")
        ]
    finally:
        process.stdin.close()  # it ends with its client
        await process.wait()


async def _shown(server: _Server, place: dict[str, Any]) -> Shown:
    helped = await server.ask("textDocument/signatureHelp", place)
    (signature,) = helped["signatures"]
    parameters = {one["label"]: one["documentation"]["value"] for one in signature["parameters"]}
    completed = await server.ask("textDocument/completion", place)
    return Shown(
        [*parameters], "".join(parameters.values()), [one["label"] for one in completed["items"]]
    )


class _Server:
    """Speaks the Language Server Protocol."""

    def __init__(self, requests: StreamWriter, answers: StreamReader) -> None:
        self._requests, self._answers = requests, answers
        self._ids = itertools.count()

    def tell(self, method: str, params: object, **more: object) -> None:
        content = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more})
        self._requests.write(f"Content-Length: {len(content)}\r\n\r\n{content}".encode("ascii"))

    async def ask(self, method: str, params: object) -> Any:  # noqa: ANN401 - any JSON
        number = next(self._ids)
        self.tell(method, params, id=number)
        while True:
            header = await self._answers.readuntil(b"\r\n\r\n")
            length = int(header.partition(b"Content-Length: ")[2].split()[0])
            message = json.loads(await self._answers.readexactly(length))
            if message.get("id") == number:
                return message["result"]
