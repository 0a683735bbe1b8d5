"""The documentation site: what is in it, and that it works in a browser without any other host."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import pytest

from .browser import complaints, served
from .conftest import ROOT, run

if TYPE_CHECKING:  # it is not installed beside the lowest CDK
    from playwright.sync_api import Browser

pytestmark = pytest.mark.site


EACH_KIND_OF_PAGE: Final = (
    *("", "404.html", "benchmarks/RESULTS/", "causes/no-instance-profile/", "confirm-on-aws/"),
    *("organizations/", "preferences/", "recipes/", "reference/"),
)
OF_THE_THEME: Final = "landmark-unique"
"""Material has a nav without a name in each block of code, and two of one name around a section."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` makes: it fails on a dead link, and on a page that is left out."""
    folder = tmp_path_factory.mktemp("site")
    done = run("make", "docs", f"SITE={folder}", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


WITH_AN_ADDRESS: Final = """
import sys
from mkdocs.config import load_config
from session_manager_permissions import _address

_address.REPOSITORY, _address.SITE = sys.argv[1:]
config = load_config("mkdocs.yml")
config.plugins.run_event("config", config)
print(config.site_url, config.repo_url, config.repo_name)
page = type("Page", (), {"file": None})
print(config.plugins.run_event("post_page", '<a data-md-component="source">', page=page))
"""


def test_with_an_address_the_site_has_its_own_and_asks_no_other_host(site: Path) -> None:
    assert not re.search(r'rel="canonical"', (site / "index.html").read_text("utf-8"))
    address = "https://github.com/owner/name", "https://owner.github.io/name/"

    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    python = ROOT / ".venv-docs/bin/python"
    done = run(python, "-c", WITH_AN_ADDRESS, *address, cwd=ROOT, env=environment)

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{address[1]} {address[0]} name\n<a>\n"


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    host = r"""["']?(?:https?:)?//"""
    loads = rf"<(?:script|img|iframe|source)\b[^>]*?\bsrc(?:set)?={host}|<link\b[^>]*?\bhref={host}"
    styles = rf"(?:url\(|@import ){host}"

    pages = [*site.rglob("*.html")]
    assert len(pages) > 50
    for path in pages:
        assert not re.search(loads, path.read_text("utf-8")), path
    for path in site.rglob("*.css"):
        assert not re.search(styles, path.read_text("utf-8")), path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(site: Path, browser: Browser, scheme: Literal["light", "dark"]) -> None:
    """axe finds no violation in contrast, heading order, names and keyboard access."""
    rules = (ROOT / "node_modules/axe-core/axe.min.js").read_text("utf-8")
    with served(site) as address, browser.new_context(color_scheme=scheme) as context:
        page = context.new_page()
        for path in EACH_KIND_OF_PAGE:
            page.goto(f"{address}/{path}")
            page.evaluate(rules)
            found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
            assert [one for one in found if one["id"] != OF_THE_THEME] == [], path


def test_it_works_in_a_browser_that_reaches_no_other_host(site: Path, browser: Browser) -> None:
    with served(site) as address:
        page = browser.new_page(color_scheme="dark")
        found = complaints(page, address)
        page.goto(f"{address}/preferences/")

        # a picture of Mermaid is drawn, in the colours of the dark scheme
        page.locator("div.mermaid").wait_for()
        background = "getComputedStyle(document.body).backgroundColor"
        assert max(map(int, re.findall(r"\d+", page.evaluate(background))[:3])) < 80
        page.locator("form[data-md-component=palette] label:not([hidden])").click()
        page.wait_for_function(f"Math.min(...{background}.match(/\\d+/g)) > 200")

        # the search finds the page of a cause
        query = page.locator("input[name=query]")
        query.click()
        query.press_sequentially("no-network-path")
        page.locator(".md-search-result__link[href*='causes/no-network-path/']").first.click()
        page.wait_for_url("**/causes/no-network-path/**")

        for path in ("", "reference/", "causes/", "errors/"):
            page.goto(f"{address}/{path}")
            assert page.locator("h1").count() == 1
        assert found == []
        page.close()
