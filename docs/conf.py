# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration. `make docs` builds the pages; tables and drawings come from docs/generate."""

import dataclasses
import re
import sys
from pathlib import Path

import sphinx.application

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.append(str(HERE / "generate"))
from command_tables import command_sections  # noqa: E402

project = "kpconv_ros"
author = "The kpconv_ros authors"
copyright = "2026, The kpconv_ros authors"
version = release = re.search(r"<version>(.*)</version>", (ROOT / "package.xml").read_text())[1]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["generate/*"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False


def adapt_page(app: object, name: str, source: list[str]) -> None:
    """Bring a page that is meant for readers of the repository too to what Sphinx takes.

    Links to Markdown files above docs/ become downloads: Sphinx looks for pages in docs/ only. Patterns in the index
    that match no page go. The page of commands is filled.
    """
    if name == "index":
        lines = source[0].splitlines()
        source[0] = "\n".join(line for line in lines if not line.endswith("*") or list(HERE.glob(f"{line}.md")))
    if name == "commands":
        source[0] += "\n" + command_sections()
    source[0] = re.sub(r"\[([^\]]+)\]\((\.\./[^)]+\.md)\)", r"{download}`\1 <\2>`", source[0])


def list_fields(app: object, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Fields of a Config that are described by `kpconv_ros.config_io.param`, below its docstring."""
    if what != "class" or not dataclasses.is_dataclass(value):
        return
    described = [field for field in dataclasses.fields(value) if "text" in field.metadata]
    lines += ["", *(f"- ``{field.name}``: {field.metadata['text']}" for field in described)]


def setup(app: sphinx.application.Sphinx) -> None:
    """Register the above."""
    app.connect("autodoc-process-docstring", list_fields)
    app.connect("source-read", adapt_page)


html_theme = "furo"
html_title = f"kpconv_ros {version}"
html_static_path: list[str] = []
