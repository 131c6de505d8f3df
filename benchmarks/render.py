"""A report's files: ``report.json``, and the Markdown and the page that are made from it."""

from __future__ import annotations

from pathlib import Path

from sam3i_edge.benchmarks.markdown import render_markdown
from sam3i_edge.benchmarks.page import render_page
from sam3i_edge.benchmarks.report import Report, write_report

MARKDOWN_FILE, PAGE_FILE = "report.md", "report.html"


def write_all(path: Path, report: Report) -> list[Path]:
    """Write the three files into the folder ``path``. Returns them."""
    file = write_report(path, report)
    markdown, page = path / MARKDOWN_FILE, path / PAGE_FILE
    markdown.write_text(render_markdown(report), encoding="utf-8")
    page.write_text(render_page(report), encoding="utf-8")
    return [file, markdown, page]
