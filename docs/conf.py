"""How Sphinx builds the site: `make docs`."""

import importlib.metadata
import os
import pathlib
import sys

_HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(_HERE / "extensions"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

project = "keras_kd"
author = "The keras_kd authors"
copyright = "The keras_kd authors, Apache License 2.0"
version = release = importlib.metadata.version("keras_kd")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "markdown_docstrings",
    "public_names",
    "borrowed_pages",
    "figures",
]
exclude_patterns = ["_build", "extensions", "evidence/figures"]

# Broken links and missing names are errors. Names of other projects lead nowhere without a network.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!keras_kd).*"),
    (
        "py:.*",
        r"keras_kd\.(typing|distiller\.\w+_term|runtimes\.file_tensor|tuning\.\w+|scale\.\w+)\b.*",
    ),  # in annotations
]

nb_execution_mode = "off"  # notebooks show what `make notebooks` kept
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

default_role = "code"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_custom_sections = [("Call arguments", "params_style")]
napoleon_use_ivar = True  # fields of dataclasses stand once
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries = False

html_theme = "pydata_sphinx_theme"
html_title = "keras_kd"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader has it
html_show_sourcelink = False
html_sidebars = {"index": []}
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}
