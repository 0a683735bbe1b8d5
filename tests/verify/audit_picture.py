"""Make docs/pictures/audit.png: the top of the page of the sample, in Chromium.

`make audit-picture` runs it. The fonts are those of the machine.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import sync_playwright

from session_manager_permissions._verify.audit.page import html
from tests.browser import CHROMIUM, FLAGS
from tests.conftest import ROOT

from .audits import sample

SIZE: Final = (1200, 1066)


def main() -> None:
    with TemporaryDirectory() as folder, sync_playwright() as driver:
        page = Path(folder) / "audit.html"
        page.write_text(html(sample()), encoding="utf-8")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        view = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        view.goto(page.as_uri())
        view.screenshot(path=ROOT / "docs/pictures/audit.png")
        browser.close()


if __name__ == "__main__":
    main()
