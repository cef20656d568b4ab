"""Hooks of the documentation site: the page of the command line is made from the command line itself."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.cli import get_docs_for_click

from visual_summaries.cli import app

PAGE = "reference/command-line.md"
MARK = "<!-- commands -->"


def command_pages() -> str:
    """Return the help of every command as Markdown, headings one level down."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="visual-summaries")
    # The page has a title of its own; what stands above the first command is the program's own help.
    return re.sub(r"^(#+) ", r"#\1 ", text.partition("\n")[2], flags=re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in the commands; called by MkDocs for each page."""
    return markdown.replace(MARK, command_pages()) if page.file.src_uri == PAGE else markdown


def on_page_content(html: str, **_: Any) -> str:
    """Take the roles of Sphinx out of docstrings, ``:func:`~a.b.c``` -> ``c``; called by MkDocs for each page."""
    html = re.sub(r":(?:func|class|mod|meth|data|attr|exc):\s*(?=<code)", "", html)
    return re.sub(r"<code>~(?:[\w]+\.)*(\w+)</code>", r"<code>\1</code>", html)
