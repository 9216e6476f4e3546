"""A browser on a site that runs, and what it complained about."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from ism.app.wiring import Application
from ism.feedback.orchestrator import AIFeedbackOrchestrator

AXE = Path(__file__).parent / "vendor" / "axe.js"
BOARDS = ("/", "/network", "/feedback", "/models", "/jobs", "/alerts", "/system")
PAGES = (*BOARDS, "/matches", "/matches?request=r", "/docs", "/sign-in")
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Site:
    """Where the site is, and the application behind it."""

    url: str
    application: Application
    complaints: list[str] = field(default_factory=list)


def browser_path() -> str | None:
    """The browser that is installed here."""
    return next(
        (found for name in (os.environ.get("ISM_BROWSER"), *_NAMES) if name and (found := shutil.which(name))), None
    )


def tell(orchestrator: AIFeedbackOrchestrator, events: list[dict[str, object]]) -> None:
    """Hand in feedback, in a thread: Playwright's own loop runs in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(orchestrator.ingest_batch(events))).result(30)


@contextmanager
def browsing() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def signed_in(browser: Browser, site: Site, **how: Any) -> Iterator[Page]:
    """A page of somebody who came in by the printed link; what the browser complains about is kept."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    context.set_default_timeout(10_000)
    page = context.new_page()
    site.complaints.clear()
    page.on("console", lambda said: site.complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: site.complaints.append(str(error)))
    page.goto(f"{site.url}/sign-in?token={site.application.auth.link_token}")
    yield page
    context.close()


def visit(page: Page, site: Site, path: str) -> None:
    """Go to a page and wait until its charts are drawn."""
    page.goto(site.url + path)
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-chart]')].every((box) => box.querySelector('canvas'))"
    )


def violations(page: Page, only_colours: bool = False) -> list[str]:
    """What axe finds wrong by WCAG 2.2 AA and its best practices, in the first rows of long tables."""
    page.evaluate(AXE.read_text())  # through the debugger, which the page's policy does not bind
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    rules = ["color-contrast"] if only_colours else tags
    asked = {"runOnly": {"type": "rule" if only_colours else "tag", "values": rules}, "resultTypes": ["violations"]}
    found = page.evaluate("(asked) => axe.run({exclude: [['tbody tr:nth-child(n + 5)']]}, asked)", asked)["violations"]
    return [f"{each['id']}: {node['html'][:160]} {node['failureSummary']}" for each in found for node in each["nodes"]]
