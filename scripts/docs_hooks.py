"""Hooks of the documentation site: the API reference, and links that leave docs/.

The reference has a page for every package folder, with a section for each of its public modules.
"""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("jaxrl", "quant", "sae", "reasoning")
OUTSIDE = re.compile(r"\[([^\]]*)\]\((\.\./)+((?!docs/)[^)#]+)(#[^)]*)?\)")
"""A link that leads out of docs/, to a notebook or to code, which the site does not hold."""


def folders() -> dict[str, list[str]]:
    """Dotted names of the public modules by dotted name of their folder."""
    found: dict[str, list[str]] = {}
    for path in sorted(path for place in PACKAGES for path in (ROOT / place).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__main__" or any(part.startswith("_") for part in parts[:-1]):
            continue
        folder = ".".join(parts[:-1])
        found.setdefault(folder, [])
        if parts[-1] not in ("__init__", "old_names") and not parts[-1].startswith("_"):
            found[folder].append(".".join(parts))
    return found


def page(folder: str, modules: list[str]) -> str:
    """Markdown of the reference page of a folder."""
    own = "    options: {members: false, show_root_heading: false}"
    return "\n".join(
        [f"# {folder}", "", f"::: {folder}", own, "", *(f"::: {m}\n" for m in modules)]
    )


def on_config(config):
    """Add the reference to the navigation."""
    config["nav"].append({"Reference": [{name: f"api/{name}.md"} for name in folders()]})
    return config


def on_files(files, config):
    """Add the generated pages."""
    for folder, modules in folders().items():
        files.append(File.generated(config, f"api/{folder}.md", content=page(folder, modules)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Write links that leave docs/ as text with the path in the repository."""
    return OUTSIDE.sub(r"\1 (`\3`)", markdown)
