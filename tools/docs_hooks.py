"""What MkDocs does besides for this site: pages that are not in `docs/`, their links, the pictures.

The README is the site's first page, and the changelog and the examples are pages as well. A link
leads to the same place on the site as in the repository.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from session_manager_permissions._address import REPOSITORY, SITE  # noqa: E402
from session_manager_permissions._verify.checks import CHECKS  # noqa: E402

MERMAID: Final = "node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"
SCRIPT: Final = "assets/mermaid.js"
AS_THEY_ARE: Final = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/RESULTS.md")
SOURCES: Final = {"index.md": "README.md"} | {name: name for name in AS_THEY_ARE}
"""The pages that are not in `docs/`, each with its file of the repository."""
LANGUAGES: Final = {".py": "python", ".json": "json", ".txt": "text"}
"""The files of an example that its page shows."""
EXAMPLES: Final = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())

NAMES_CHECKS: Final = ("troubleshooting.md", "verify.md")
"""The pages whose tables name checks, which lead to the pages of their causes."""

_CHECK: Final = re.compile(r"(?<!\[)`([a-z0-9-]+)`")
_LINK: Final = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the project's address, and to the navigation the page of each cause and each example."""
    if REPOSITORY:
        config.site_url, config.repo_url = SITE, REPOSITORY
        config.repo_name = REPOSITORY.rpartition("/")[2]
    names = sorted(path.name for path in (ROOT / "docs/causes").glob("*.md"))
    causes = [f"causes/{name}" for name in names if name != "index.md"]
    sections = {title: pages for entry in config.nav or () for title, pages in entry.items()}
    for section, title, pages in (
        ("Checks", "Causes", causes),
        ("Project", "Examples", [f"examples/{name}.md" for name in EXAMPLES]),
    ):
        (listed,) = (entry[title] for entry in sections[section] if title in entry)
        listed.extend(pages)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and the files that are not in `docs/`."""
    for path, source in (SOURCES | {"LICENSE": "LICENSE", SCRIPT: MERMAID}).items():
        files.append(File.generated(config, path, abs_src_path=str(ROOT / source)))
    for name in EXAMPLES:
        files.append(File.generated(config, f"examples/{name}.md", content=example(name)))
    return files


def example(name: str) -> str:
    """Return the page of an example: its files, the app first."""
    files = sorted(
        (path for path in (ROOT / "examples" / name).iterdir() if path.suffix in LANGUAGES),
        key=lambda path: (path.name != "app.py", path.name),
    )
    shown = (
        f'```{LANGUAGES[path.suffix]} title="{path.name}"\n{path.read_text("utf-8")}```\n'
        for path in files
    )
    return "\n".join([f"# examples/{name}\n", *shown])


def site_path(path: str) -> str:
    """The page of the site that a file of the repository is."""
    if path == "README.md":
        return "index.md"
    if path.startswith("examples/"):
        return f"examples/{path.split('/')[1]}.md"
    return path.removeprefix("docs/")


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Have links to files of the repository lead to their pages, and names of checks to theirs."""
    here = page.file.src_uri
    if here in NAMES_CHECKS:
        markdown = re.sub(
            r"^\|.*", lambda row: _CHECK.sub(cause, row[0]), markdown, flags=re.MULTILINE
        )
    folder = posixpath.dirname(SOURCES.get(here, f"docs/{here}"))

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[0]))
        return posixpath.relpath(site_path(target), posixpath.dirname(here) or ".")

    return _LINK.sub(moved, markdown)


def cause(name: re.Match[str]) -> str:
    """Return the name of a check with a link to its page, and any other as it is."""
    target = f"causes/{CHECKS[name[1]].page if name[1] in CHECKS else name[1]}.md"
    return f"[{name[0]}]({target})" if (ROOT / "docs" / target).is_file() else name[0]


def on_post_template(output: str, **_: object) -> str:
    """Adapt the page that a server shows for one that does not exist."""
    return adapted(output)


def on_post_page(output: str, *, page: Page, **_: object) -> str:
    """Adapt a page, and load what draws Mermaid if it has some."""
    output = adapted(output)
    if 'class="mermaid"' not in output:
        return output
    script = posixpath.relpath(SCRIPT, posixpath.dirname(page.file.dest_uri) or ".")
    return output.replace("</head>", f'<script src="{script}"></script></head>', 1)


def adapted(output: str) -> str:
    """Return what the theme makes with a name for its search, and without what asks GitHub."""
    # The API of GitHub would be asked for the stars of the repository: another host.
    output = output.replace(' data-md-component="source"', "")
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"', 1)
