"""A report's files: ``report.json``, and the Markdown and the page that are made from it."""

from __future__ import annotations

from pathlib import Path

from sam3i_edge.benchmarks.html import render_html
from sam3i_edge.benchmarks.markdown import render_markdown
from sam3i_edge.benchmarks.report import REPORT_FILE, Report, write_report
from sam3i_edge.files import write_whole

MARKDOWN_FILE, PAGE_FILE = "report.md", "report.html"


def write_all(path: Path, report: Report) -> list[Path]:
    """Write the three files into the folder ``path``: all, or where one fails none that was not there. Returns them."""
    pages = {MARKDOWN_FILE: render_markdown(report), PAGE_FILE: render_html(report)}  # before anything is overwritten
    files = [path / name for name in (REPORT_FILE, *pages)]
    new = [file for file in files if not file.exists()]
    try:
        write_report(path, report)
        for name, content in pages.items():
            write_whole(path / name, content.encode("utf-8", "backslashreplace"))
    except BaseException:
        for file in new:
            file.unlink(missing_ok=True)
        raise
    return files
