"""A report's files: ``report.json``, and the Markdown and the page that are made from it."""

from __future__ import annotations

from pathlib import Path

from sam3i_edge.benchmarks.markdown import render_markdown
from sam3i_edge.benchmarks.page import render_page
from sam3i_edge.benchmarks.report import Report, write_report
from sam3i_edge.files import write_whole

MARKDOWN_FILE, PAGE_FILE = "report.md", "report.html"


def write_all(path: Path, report: Report) -> list[Path]:
    """Write the three files into the folder ``path``. Returns them."""
    pages = {MARKDOWN_FILE: render_markdown(report), PAGE_FILE: render_page(report)}  # before anything is overwritten
    written = [write_report(path, report)]
    for name, content in pages.items():
        write_whole(path / name, content.encode())
        written.append(path / name)
    return written
