"""mkdocs' hooks: the site holds whatever its pages link to, wherever in the repository it lies.

A link is written as GitHub follows it: relative to the file that it stands in. Here a file or a
folder outside of docs/ becomes a page below repository/, so that the site needs no address of the
repository.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[3]
DOCS: Final = "docs/"
OUTSIDE: Final = "repository/"
HOME: Final = "README.md"
ALWAYS: Final = (HOME, "CONTRIBUTING.md", "CHANGELOG.md", "charts/olive-operator/README.md")
"""Pages that the navigation has though no page may link to them."""

_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)((?:#[^)\s]*)?)(?=\))")
_CELL = re.compile(r"<td\b.*?</td>", re.S)
_FENCE = re.compile(r"^ *(```|~~~)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """In the navigation a folder stands for its pages, in order."""
    config.nav = _unfolded(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is linked to outside of docs/, and what that links to."""
    todo = [*ALWAYS, *(DOCS + file.src_uri for file in files.documentation_pages())]
    known = set(todo)
    while todo:
        path = todo.pop()
        if not path.startswith(DOCS):
            files.append(_page(path, config))
        new = {p for p in _needed(path) if (ROOT / p).exists() and not p.startswith(DOCS)} - known
        known |= new
        todo += new
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links as the site has them."""
    uri = page.file.src_uri
    path = repository_path(uri)
    if not path.endswith(".md"):
        return markdown

    def moved(target: str, anchor: str) -> str:
        there = site_uri(normpath(PurePosixPath(path).parent / target))
        return relpath(there, PurePosixPath(uri).parent) + anchor

    return _with_links(markdown, moved)


def on_page_content(html: str, **_: Any) -> str:
    """In a table GitHub reads `\\|` in code as a bar, too."""
    return _CELL.sub(lambda found: found[0].replace("\\|", "|"), html)


def site_uri(path: str) -> str:
    """Where a file of the repository is in the site; what is no Markdown is shown by a page."""
    if path == HOME:
        return "index.md"
    if path.startswith(DOCS):
        return path.removeprefix(DOCS)
    return OUTSIDE + path + ("" if path.endswith(".md") else ".md")


def repository_path(uri: str) -> str:
    """The inverse of `site_uri`."""
    if uri == "index.md":
        return HOME
    if not uri.startswith(OUTSIDE):
        return DOCS + uri
    path = uri.removeprefix(OUTSIDE)
    shown = path.removesuffix(".md")
    return shown if (ROOT / shown).exists() else path


def links(path: str, markdown: str) -> Iterator[str]:
    """The paths that a page links to, from the repository's root."""
    found: list[str] = []

    def note(target: str, anchor: str) -> str:
        found.append(normpath(PurePosixPath(path).parent / target))
        return target + anchor

    _with_links(markdown, note)
    yield from found


def _with_links(markdown: str, change: Callable[[str, str], str]) -> str:
    """The text with every relative link changed, but those within code blocks."""
    lines, code = [], False
    for line in markdown.split("\n"):
        if _FENCE.match(line):
            code = not code
        lines.append(line if code else _LINK.sub(lambda found: change(found[1], found[2]), line))
    return "\n".join(lines)


def _needed(path: str) -> Iterator[str]:
    """What a page cannot be without: what it links to, or the files of a folder."""
    if path.endswith(".md"):
        yield from links(path, (ROOT / path).read_text())
    elif (ROOT / path).is_dir():
        yield from (f"{path}/{file.name}" for file in _files(path))


def _files(folder: str) -> list[Path]:
    found = (ROOT / folder).iterdir()
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def _page(path: str, config: MkDocsConfig) -> File:
    uri = site_uri(path)
    if path.endswith(".md"):
        content = (ROOT / path).read_text()
    elif (ROOT / path).is_dir():
        names = (file.name for file in _files(path))
        there = {
            name: relpath(site_uri(f"{path}/{name}"), PurePosixPath(uri).parent) for name in names
        }
        content = "\n".join([f"# {path}", "", *(f"- [{n}]({uri})" for n, uri in there.items())])
    else:
        language, text = PurePosixPath(path).suffix[1:], (ROOT / path).read_text()
        content = f"# {path}\n\n```{language}\n{text}```\n"
    return File.generated(config, uri, content=content, inclusion=InclusionLevel.NOT_IN_NAV)


def _unfolded(nav: Any) -> Any:
    if isinstance(nav, list):
        return [_unfolded(entry) for entry in nav]
    if isinstance(nav, dict):
        return {title: _unfolded(inner) for title, inner in nav.items()}
    if isinstance(nav, str) and nav.endswith("/"):
        return sorted(nav + path.name for path in (ROOT / DOCS / nav).glob("*.md"))
    return nav
