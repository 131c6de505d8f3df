"""The page: every number is the report's, nothing comes from elsewhere, and a browser and axe find nothing wrong."""

import ast
import dataclasses
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
from sam3i_edge.benchmarks.html import render_html
from sam3i_edge.benchmarks.markdown import render_markdown
from sam3i_edge.benchmarks.merge import merge
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
    page = render_html(report)
    assert unexplained(page, report) == set()
    assert unexplained(page.replace("</main>", "<p>27.35 ms</p></main>"), report) == {"27.35"}


def test_it_loads_nothing_from_anywhere_and_runs_nothing():
    page = render_html(make_report())
    assert all(link.startswith("data:") for link in Shown(page).loaded)
    assert not re.search(r"https?://|url\(|@import|<script|\son\w+=", page)


def test_names_and_texts_are_escaped():
    page = render_html(make_report())
    assert "conv&lt;1&gt;" in page
    assert "conv<1>" not in page
    assert "mask head &amp; query embedding" in page


EVIL = (
    "\"'></figure><form action=//x.example><meta http-equiv=refresh content=0>![](//x.example/a.png)<img src=//x> {0} "
    "\x1b[31m\u202e\n# h"
)


def with_text(value, text):
    """Every string of a report, or what it is made of, replaced; names stay apart."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: with_text(item, text) for name, item in fields.items()})
    if isinstance(value, dict):
        return {key: with_text(item, text) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(with_text(item, text) for item in value)
    return text if isinstance(value, str) and value != "frame" else value


class Tags(html.parser.HTMLParser):
    """Collects the tags and the names of their attributes."""

    def __init__(self, page):
        super().__init__()
        self.seen = set()
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.seen |= {(tag, *sorted(name for name, _ in attributes))}


def test_no_text_of_a_report_becomes_a_tag_of_the_page_or_acts_on_a_terminal():
    """A preview's data, which stands in an attribute, included; as nobody can have read this, it is not read."""
    report = with_text(make_report(partial=True), EVIL)
    page = render_html(report)
    assert Tags(page).seen <= Tags(render_html(make_report(partial=True))).seen
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)


def test_no_text_of_a_report_becomes_a_tag_or_a_picture_in_markdown(tmp_path):
    text = render_markdown(with_text(make_report(partial=True), EVIL))
    assert "<" not in text and not re.search(r"(?<!\\)\[", text)
    plain = render_markdown(make_report(partial=True))
    assert len(text.splitlines()) == len(plain.splitlines())
    assert [line[:2] == "# " for line in text.splitlines()].count(True) == 1
    assert {line.replace("\\|", "").count("|") for line in text.splitlines()} == {
        line.count("|") for line in plain.splitlines()
    }


@pytest.mark.parametrize("module", ["html", "svg", "charts", "html_style"])
def test_html_is_written_in_templates_alone(module):
    """An f-string with a tag in it, or text called markup that is no constant, would go around what escapes."""
    tree = ast.parse((ROOT / f"benchmarks/{module}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            assert not any("<" in part.value for part in node.values if isinstance(part, ast.Constant)), node.lineno
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Markup":
            assert all(isinstance(x, ast.Constant) or ast.unparse(x) == "style()" for x in node.args), node.lineno


@pytest.mark.parametrize("file", ["benchmarks/markdown.py", "distill/report.py"])
def test_markdown_is_written_in_templates_alone(file):
    """What is yielded is a constant, or made by what escapes."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "_lines"):
        for node in (node for node in ast.walk(function) if isinstance(node, ast.Yield)):
            assert not any(isinstance(part, ast.JoinedStr) for part in [node.value]), node.lineno


def test_it_shows_what_there_is_to_show():
    page = render_html(make_report(partial=True))
    charts = re.findall(r"<title id=\"t\d+\">([^<]+)</title>", page)
    assert charts[::2] == charts[1::2]  # for a wide page and for a narrow one
    assert charts[::2] == [
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
    document, console = open_in_browser(render_html(make_report()), tmp_path)
    assert "</svg>" in document
    assert console == []


def test_a_browser_would_tell_of_a_request(tmp_path):
    page = render_html(make_report()).replace("</main>", '<img src="http://sam3i.invalid/x.png" alt=""></main>')
    _, console = open_in_browser(page, tmp_path)
    assert "Content Security Policy" in "".join(console)


MEASURE = """<script>addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument, found = [];
  for (const svg of page.querySelectorAll("svg")) {
    const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
    if (box.width) for (const text of svg.querySelectorAll("text")) {
      const at = text.getBoundingClientRect(), size = parseFloat(page.defaultView.getComputedStyle(text).fontSize);
      found.push([text.textContent, size * scale, at.left >= box.left - 1 && at.right <= box.right + 1]);
    }
  }
  document.body.dataset.found = JSON.stringify(found);
})</script>"""


@pytest.mark.parametrize("width", [420, 1000])
def test_charts_can_be_read_on_a_narrow_page(width, tmp_path):
    """As the browser lays them out: no letters below 11 pixels, and nothing cut off at the chart's edge."""
    page = re.sub(r"<meta http-equiv[^>]+>", "", render_html(merge([make_report(), make_report()])))
    frame = f'<body><iframe width="{width}" height="900" srcdoc="{html.escape(page)}"></iframe>{MEASURE}</body>'
    document, _ = open_in_browser(frame, tmp_path)
    found = json.loads(html.unescape(re.search(r'<body[^>]* data-found="([^"]*)"', document)[1]))
    assert len(found) > 50
    assert [text for text, size, _ in found if size < 11] == []
    assert [text for text, _, is_inside in found if not is_inside] == []


@pytest.mark.parametrize("report", [make_report(partial=True), merge([make_report(), make_report()])])
def test_axe_finds_nothing_serious(report, tmp_path):
    if not AXE.is_file():
        pytest.skip("no axe-core here: npm install --no-save axe-core, or set AXE_CORE to its axe.min.js")
    run = (
        "axe.run().then(r => { document.body.dataset.found = JSON.stringify(r.violations.map(v => [v.impact, v.id])) })"
    )
    page = re.sub(r"<meta http-equiv[^>]+>", "", render_html(report))
    scripts = f"<script>{AXE.read_text(encoding='utf-8')}</script><script>{run}</script></body>"
    document, _ = open_in_browser(page.replace("</body>", scripts), tmp_path)
    found = json.loads(html.unescape(re.search(r'<body[^>]* data-found="([^"]*)"', document)[1]))
    assert [violation for violation in found if violation[0] in ("serious", "critical")] == []
