"""The page: every number is the report's, nothing comes from elsewhere, and a browser and axe find nothing wrong."""

import html
import html.parser
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sam3i_edge import schema
from sam3i_edge.benchmarks.merge import merge
from sam3i_edge.benchmarks.page import render_page
from tests.benchmarks.reports import make_report

ROOT = Path(__file__).parent.parent.parent
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
AXE = Path(os.environ.get("AXE_CORE", ROOT / "node_modules/axe-core/axe.min.js"))
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=20000"),
    *("--enable-logging=stderr", "--dump-dom", "--host-resolver-rules=MAP * ~NOTFOUND"),
)


class Shown(html.parser.HTMLParser):
    """Collects what a reader sees or hears: text and descriptions, not styles or coordinates."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.loaded, self._hidden = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self._hidden = tag == "style"
        for name, value in attributes:
            if name in ("alt", "title", "aria-label"):
                self.texts.append(value)
            if name in ("src", "href", "srcset", "data", "action"):
                self.loaded.append(value)

    def handle_endtag(self, tag):
        self._hidden = False

    def handle_data(self, text):
        if not self._hidden:
            self.texts.append(text)


def numbers_and_words(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from numbers_and_words(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers_and_words(item)
    elif isinstance(value, int | float | str) and not isinstance(value, bool):
        yield value


def unexplained(page, report):
    """Numbers that are shown and, at the digits they are shown with, not in the report."""
    known = list(numbers_and_words(json.loads(json.dumps(schema.plain(report)))))
    values = [value for value in known if not isinstance(value, str)]
    told = {number for text in known if isinstance(text, str) for number in NUMBER.findall(text)}
    rounded = {digits: {f"{value:.{digits}f}" for value in values} for digits in range(5)}
    shown = {number for text in Shown(page).texts for number in NUMBER.findall(text)}
    return {n for n in shown - told if n not in rounded[len(n.partition(".")[2])]}


@pytest.mark.parametrize("report", [make_report(), make_report(partial=True), merge([make_report(), make_report()])])
def test_every_number_is_in_the_report(report):
    page = render_page(report)
    assert unexplained(page, report) == set()
    assert unexplained(page.replace("</main>", "<p>27.35 ms</p></main>"), report) == {"27.35"}


def test_it_loads_nothing_from_anywhere_and_runs_nothing():
    page = render_page(make_report())
    assert all(link.startswith("data:") for link in Shown(page).loaded)
    assert not re.search(r"https?://|url\(|@import|<script|\son\w+=", page)


def test_names_and_texts_are_escaped():
    page = render_page(make_report())
    assert "conv&lt;1&gt;" in page
    assert "conv<1>" not in page
    assert "mask head &amp; query embedding" in page


def test_it_shows_what_there_is_to_show():
    page = render_page(make_report(partial=True))
    charts = re.findall(r"<title id=\"t\d+\">([^<]+)</title>", page)
    assert charts == [
        "Time against the reference",
        "Distribution of frame times",
        "Mean time of each stage",
        "Latency and accuracy",
        "Peak memory of the process",
        "From a fresh process to the first masks",
        "Median frame time over a sustained run",
    ]
    for text in ("Partial.", "Left out: jetson", "Precision recipe", "Longest operators", "What the answers look like"):
        assert text in page


def open_in_browser(page, folder):
    """The page's document as the browser leaves it, and its console."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    command = [browser, *FLAGS, f"--user-data-dir={folder / 'profile'}", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_a_browser_has_nothing_to_say(tmp_path):
    """No error, and, as the page's own policy makes a request one, no request."""
    document, console = open_in_browser(render_page(make_report()), tmp_path)
    assert "</svg>" in document
    assert console == []


def test_a_browser_would_tell_of_a_request(tmp_path):
    page = render_page(make_report()).replace("</main>", '<img src="http://sam3i.invalid/x.png" alt=""></main>')
    _, console = open_in_browser(page, tmp_path)
    assert "Content Security Policy" in "".join(console)


@pytest.mark.parametrize("report", [make_report(partial=True), merge([make_report(), make_report()])])
def test_axe_finds_nothing_serious(report, tmp_path):
    if not AXE.is_file():
        pytest.skip("no axe-core here: npm install --no-save axe-core, or set AXE_CORE to its axe.min.js")
    run = (
        "axe.run().then(r => { document.body.dataset.found = JSON.stringify(r.violations.map(v => [v.impact, v.id])) })"
    )
    page = re.sub(r"<meta http-equiv[^>]+>", "", render_page(report))
    scripts = f"<script>{AXE.read_text(encoding='utf-8')}</script><script>{run}</script></body>"
    document, _ = open_in_browser(page.replace("</body>", scripts), tmp_path)
    found = json.loads(html.unescape(re.search(r'<body[^>]* data-found="([^"]*)"', document)[1]))
    assert [violation for violation in found if violation[0] in ("serious", "critical")] == []
