# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration. `make docs` builds the pages; tables and drawings come from docs/generate."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

project = "kpconv_ros"
author = "The kpconv_ros authors"
copyright = "2026, The kpconv_ros authors"
version = release = re.search(r"<version>(.*)</version>", (ROOT / "package.xml").read_text())[1]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["generate/*"]
suppress_warnings = ["toc.empty_glob"]  # pages of parts that are still to come are listed by pattern

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"kpconv_ros {version}"
html_static_path: list[str] = []
