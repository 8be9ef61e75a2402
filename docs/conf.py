"""The course as a site: README, lessons as they are stored, glossary, and the package's docstrings. `make site`."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from pathlib import Path
from textwrap import indent

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.addnodes import desc_signature, pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.util.nodes import make_refnode
from sphinx.writers.html5 import HTML5Translator

ROOT = Path(__file__).resolve().parent.parent  # the source folder: links between its files stay as they are
sys.path.insert(0, str(ROOT))

import dip_lessons  # noqa: E402

project = "dip_lessons"
author = "the authors of dip_lessons"
version = release = dip_lessons.__version__
root_doc = "README"
include_patterns = ["*.md", "data/README.md", "tests/README.md", "tests/bench/README.md", "docs/claims.md"]
include_patterns += [
    "docs/reference/**.rst",
    "notebooks/*.ipynb",
    "notebooks/glossary.md",
    "notebooks/gallery.md",
]
exclude_patterns = ["docs/build", ".*", "dip_lessons"]  # not to be searched for pages
html_math_renderer = "mathml"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode", "myst_nb"]
templates_path = [str(ROOT / "docs" / "templates")]
nitpicky = True
suppress_warnings = ["ref.python"]  # bytes, the type, is also the name of a field

html_theme = "furo"
html_title = "dip_lessons"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style, pygments_dark_style = "friendly", "monokai"

nb_execution_mode = "off"  # what is shown is what is stored
nb_render_markdown_format = "myst"  # captions are Markdown, with formulas
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

autodoc_default_options = {"members": True, "ignore-module-all": True}  # each where it is defined
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # torch's, for each forward()
autodoc_preserve_defaults = True  # as they are written: √3, not 1.7320508075688772
add_module_names = False
python_use_unqualified_type_names = True


# --- notebooks --------------------------------------------------------------------------------------------

BADGE = re.compile(r"(<br>)?\[!\[Open in Colab\]\(\S+?\)\]\((\S+?)\)")
WIDGET = "application/vnd.jupyter.widget-view+json"


def without_badges(text: str) -> str:
    """Badges are pictures from elsewhere: a link says the same, once the repository has an address."""
    return BADGE.sub(lambda b: "" if "/OWNER/" in b[2] else f"{b[1] or ''}[Open in Colab]({b[2]})", text)


def read_source(app: Sphinx, name: str, source: list[str]) -> None:
    """Make of a file what Sphinx can read; the files stay as they are."""
    if not name.startswith("notebooks/") or name in ("notebooks/gallery", "notebooks/glossary"):
        source[0] = without_badges(source[0])
        if name == root_doc:
            source[0] += contents()
        if name == "docs/reference/generated/dip_lessons.course.check":
            source[0] += f"\nThe exercises\n-------------\n\n{exercises()}\n"
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        text = without_badges("".join(cell["source"]))
        for attached, data in cell.pop("attachments", {}).items():
            ((kind, content),) = data.items()
            text = text.replace(f"attachment:{attached}", f"data:{kind};base64,{content}")
        cell["source"] = text
        outputs = [without_widget(output) for output in cell.get("outputs", ())]
        if "outputs" in cell:
            cell["outputs"] = [output for output in outputs if output]
    source[0] = json.dumps(notebook)


def without_widget(output: dict) -> dict | None:
    """An output that is a widget is the picture that stands in for it; without a kernel there is no widget."""
    if WIDGET not in output.get("data", {}):
        return output
    data = {kind: content for kind, content in output["data"].items() if kind != WIDGET}
    return {**output, "data": data} if set(data) - {"text/plain"} else None


def contents() -> str:
    """The tables of contents that GitHub's readers of the README do without."""
    lessons = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
        title = first.splitlines()[0].removeprefix("# ").partition(":")[0]
        lessons.append(f"{path.stem[:2]} {title} <notebooks/{path.stem}>")
    about = ["TEACHING", "CONTRIBUTING", "data/README", "tests/README", "tests/bench/README", "docs/claims"]
    parts = {
        "Lessons": [*lessons, "notebooks/gallery", "notebooks/glossary"],
        "Reference": ["docs/reference/index"],
        "About": about,
    }
    return "".join(
        "\n\n```{{toctree}}\n:hidden:\n:caption: {}\n\n{}\n```\n".format(caption, "\n".join(pages))
        for caption, pages in parts.items()
    )


# --- formulas ---------------------------------------------------------------------------------------------


def mathml(node: nodes.math | nodes.math_block) -> str:
    """Browsers draw MathML themselves: no script, and nothing to fetch."""
    tex = re.sub(r"\\[bB]igg?(\\[lr]?angle)", r"\1", node.astext())  # which latex2mathml does not know
    return convert(tex, display="block" if isinstance(node, nodes.math_block) else "inline")


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(mathml(node))
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{mathml(node)}</div>\n')
    raise nodes.SkipNode


# --- the package ------------------------------------------------------------------------------------------

FILES = re.compile(
    r"^\w+(?:\.py|/)  +\S.*(?:\n.+)*", re.MULTILINE
)  # a paragraph that begins with a file's name


def read_docstring(
    app: Sphinx, kind: str, name: str, thing: object, options: dict[str, object], lines: list[str]
) -> None:
    """Make reStructuredText of a docstring: Napoleon's sections, a room's table of files, and |x| as it stands."""
    text, prompt, example = "\n".join(lines).partition(">>>")
    if kind == "module":
        text = FILES.sub(lambda table: ".. code-block:: text\n\n" + indent(table[0], "   "), text)
    text = text.replace("|", "\\|") + prompt + example
    if kind not in ("attribute", "property"):  # in which Napoleon takes what precedes a colon for a type
        text = str(GoogleDocstring(text, Config(), app, kind, name, thing))
    lines[:] = text.splitlines()


def find(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Node) -> nodes.Node | None:
    """Where a name leads that is not spelled as the pages have it: ``Network``, from whichever file."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"].lstrip("~.").removeprefix("dip_lessons.").removeprefix("dip.")
    objects = env.domains.python_domain.objects
    ends = sorted((full for full in objects if f".{full}".endswith(f".{name}")), key=len)
    # dip_lessons.networks.Network is dip_lessons.networks.network.Network
    ends += [full for full in objects if name[:1].isupper() and full.endswith(f".{name.rpartition('.')[2]}")]
    if ends:
        full = ends[0]
        found = objects[full]
        return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, text, full)
    above = node.parent
    while above and not isinstance(above, desc_signature):
        above = above.parent
    return text if above else None  # a signature may name a type of others; elsewhere None is a warning


def exercises() -> str:
    """A list of all exercises, by lesson."""
    lines = []
    for path in sorted((ROOT / "dip_lessons/course/check").glob("lesson_*.py")):
        names = importlib.import_module(f"dip_lessons.course.check.{path.stem}").__all__
        (lesson,) = (ROOT / "notebooks").glob(f"{path.stem[-2:]}_*.ipynb")
        listed = ", ".join(f"``{name}``" for name in names)
        lines.append(f"- :doc:`/notebooks/{lesson.stem}`: {listed}")
    return "\n".join(lines)


# ----------------------------------------------------------------------------------------------------------


def without_way_back(
    app: Sphinx, page: str, template: str, context: dict[str, object], tree: nodes.document | None
) -> None:
    """The source pages' links to the reference miss it where a name is not documented under its own module."""
    if page.startswith("_modules/") and "body" in context:
        context["body"] = re.sub(r'<a class="viewcode-back".*?</a>', "", str(context["body"]))


def as_index(app: Sphinx, error: Exception | None) -> None:
    """The README is what a folder's address shows."""
    if error is None and app.builder.format == "html":
        shutil.copyfile(app.outdir / "README.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("source-read", read_source)
    app.connect("autodoc-process-docstring", read_docstring)
    app.connect("missing-reference", find)
    app.connect("html-page-context", without_way_back)
    app.connect("build-finished", as_index)
