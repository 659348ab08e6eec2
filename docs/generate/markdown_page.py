# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables in Markdown, and the page that holds them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

NOTICE = "<!-- Written by `python docs/generate`; change the code, or the texts there, not this file. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def code(text: str) -> str:
    """Text as code; nothing for nothing."""
    return f"`{text}`" if text else ""


def write_page(path: Path, parts: Sequence[str]) -> None:
    """Write a page of paragraphs and tables, with the notice below its title."""
    title, *rest = parts
    path.write_text("\n\n".join(part.strip("\n") for part in (title, NOTICE, *rest)) + "\n", encoding="utf-8")
