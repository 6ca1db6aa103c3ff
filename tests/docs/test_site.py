"""The documents as a site: every link leads somewhere, and nothing is loaded from elsewhere."""

import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from olive_docs import hooks
from programs import ROOT

FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src"}
"""What a browser loads by itself, and where its address is."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as strictly as can be: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = (ROOT / ".venv/bin/mkdocs", "build", "--strict", "--site-dir", folder)
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return folder


class Reader(HTMLParser):
    """What a page loads, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.text = ""
        self.paragraphs: list[str] = []
        self._code = 0
        self._paragraph = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "p":
            self._paragraph = True
            self.paragraphs.append("")
        self._code += tag in ("code", "pre", "script")
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loads.append(given.get("href") or "")
        elif tag in FETCHED:
            self.loads.append(given.get(FETCHED[tag]) or "")

    def handle_endtag(self, tag: str) -> None:
        self._paragraph = self._paragraph and tag != "p"
        self._code -= tag in ("code", "pre", "script")

    def handle_data(self, data: str) -> None:
        self.text += "" if self._code else data
        if self._paragraph:
            self.paragraphs[-1] += data


def pages(site: Path) -> dict[str, Reader]:
    found = {str(p.relative_to(site)): Reader(p.read_text()) for p in site.rglob("*.html")}
    assert len(found) > 20
    return found


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    outside = re.compile(r"(?:[a-z]+:)?//")
    for name, page in pages(site).items():
        assert page.loads or name == "404.html"
        assert [address for address in page.loads if outside.match(address)] == [], name
    for sheet in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?https?:", sheet.read_text()) == [], sheet
    for picture in site.rglob("pictures/*.svg"):
        assert "url(http" not in picture.read_text()


def test_no_markup_is_left_over(site: Path) -> None:
    """What GitHub takes for a table or a block of code the site does, too."""
    for name, page in pages(site).items():
        assert "```" not in page.text, name
        assert "|---" not in page.text, name
        assert not re.search(r"\]\([^)\s]+\)", page.text), name
        lists = [p for p in page.paragraphs if re.search(r"^(?:\d+\.|[-*]) ", p, re.M)]
        assert lists == [], f"{name}: no list here, though GitHub has one"


def test_a_bar_in_a_table_is_a_bar(site: Path) -> None:
    assert "bash|zsh" in (site / "kubectl-olive.html").read_text()
    assert "\\|" not in (site / "kubectl-olive.html").read_text()


def test_files_outside_of_the_documents_are_pages_of_the_site(site: Path) -> None:
    for name in ("examples/queued.yaml", "bench/index", "CONTRIBUTING", "renovate.json"):
        assert (site / "repository" / f"{name}.html").is_file(), name
    text = (site / "how-to" / "kueue.html").read_text()
    assert 'href="../repository/examples/queued.yaml.html"' in text


WRITTEN = {
    "beside it": ("docs/manifest.md", "[a](sources.md#x)", "sources.md#x"),
    "outside": ("docs/how-to/gpus.md", "[a](../../bench/README.md#x)", "bench/README.md#x"),
    "from outside": ("README.md", "[a](docs/run.md)", "docs/run.md"),
    "to the first page": ("docs/tutorial.md", "[a](../README.md#install)", "README.md#install"),
    "with code as its text": ("docs/run.md", "[`a`](run.md)", "run.md"),
}


@pytest.mark.parametrize(("path", "text", "leads"), WRITTEN.values(), ids=WRITTEN)
def test_links_are_found_as_github_follows_them(path: str, text: str, leads: str) -> None:
    expected = leads.partition("#")[0]
    known = {"sources.md": "docs/sources.md", "run.md": "docs/run.md"}
    assert list(hooks.links(path, text)) == [known.get(expected, expected)]


@pytest.mark.parametrize(
    "text",
    ["[a](https://example.com)", "[a](#below)", "`x`", "```sh\n[a](b.md)\n```", "a (b.md)"],
    ids=["an address", "an anchor", "code", "a block of code", "no link"],
)
def test_what_is_no_link_into_the_repository(text: str) -> None:
    assert list(hooks.links("docs/run.md", text)) == []


@pytest.mark.parametrize(
    "path", ["README.md", "docs/run.md", "docs/adr/0001-artifact-records.md", "renovate.json"]
)
def test_a_place_in_the_site_is_one_in_the_repository(path: str) -> None:
    assert hooks.repository_path(hooks.site_uri(path)) == path


def test_a_folder_is_shown_by_its_files(site: Path) -> None:
    text = (site / "repository" / "examples" / "argocd.html").read_text()
    assert 'href="argocd/application.yaml.html"' in text
    assert (site / "repository" / "examples" / "argocd" / "application.yaml.html").is_file()
