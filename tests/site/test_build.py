"""The built pages as files: nothing missing, no dead link, nothing fetched from elsewhere."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

import pytest

from flowrl_kb.kb import render

EXTERNAL = ("http:", "https:", "mailto:", "data:", "//")


class Page(HTMLParser):
    """Links, sources and anchors of one page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.links, self.sources, self.anchors, self.repeated = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            if found["id"] in self.anchors and not found["id"].startswith("__"):
                self.repeated.append(found["id"])
            self.anchors.add(found["id"])
        if tag == "a" and "name" in found:
            self.anchors.add(found["name"])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag == "link" and found.get("href"):
            self.sources.append(found["href"])
        elif found.get("src"):
            self.sources.append(found["src"])


@pytest.fixture(scope="module")
def pages(root):
    return {str(p.relative_to(root)): Page(p.read_text(encoding="utf-8")) for p in root.rglob("*.html")}


def targets(path, page):
    """Yield the pages (and anchors) of the site that a page links to."""
    folder = path.rpartition("/")[0]
    for link in page.links:
        if link.startswith(EXTERNAL):
            continue
        file, anchor = urldefrag(link)
        parts = [p for p in folder.split("/") if p] if file and not file.startswith("/") else []
        for piece in unquote(file).split("/"):
            if piece == "..":
                parts.pop()
            elif piece not in ("", "."):
                parts.append(piece)
        yield link, "/".join(parts) if file else path, unquote(anchor)


def test_no_dead_link_and_no_dead_anchor(root, pages):
    dead = []
    for path, page in pages.items():
        if path == "404.html":
            continue  # served from any depth, so its links are absolute
        for link, target, anchor in targets(path, page):
            target = target or "index.html"
            if not (root / target).is_file():
                dead.append(f"{path}: {link} (no such file)")
            elif anchor and not anchor.startswith("filter=") and anchor not in pages[target].anchors:
                dead.append(f"{path}: {link} (no such anchor)")
    assert dead == []


def test_every_object_is_on_the_site_and_reachable_from_home(kb, pages):
    missing = []
    for address in render.addresses(kb):
        target, _, anchor = address.partition("#")
        if target not in pages or (anchor and anchor not in pages[target].anchors):
            missing.append(address)
    assert missing == []
    seen, frontier = {"index.html"}, ["index.html"]
    while frontier:
        path = frontier.pop()
        for _, target, _ in targets(path, pages[path]):
            if target in pages and target not in seen:
                seen.add(target)
                frontier.append(target)
    assert pages.keys() - seen - {"404.html"} == set()


def test_anchors_are_unique(pages):
    assert {path: page.repeated for path, page in pages.items() if page.repeated} == {}


def test_nothing_is_loaded_from_elsewhere(root, pages):
    assert [(p, s) for p, page in pages.items() for s in page.sources if s.startswith(EXTERNAL[:2])] == []
    for sheet in root.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_source_pages_name_no_machine(root, pages):
    """Links and texts must not carry a path or an address of the machine that built the site."""
    for path in pages:
        text = (root / path).read_text(encoding="utf-8")
        assert not re.search(r"(/home/|/ro{2}t/|/w[o]rk/|/t[m]p/|localhost|127\.0\.0\.1)", text), path


def test_vendored_files_match_their_list():
    import hashlib
    from pathlib import Path

    folder = Path(__file__).resolve().parents[2] / "site" / "assets" / "vendor"
    listed = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
    present = {
        str(p.relative_to(folder)) for d in ("katex", "iframe-worker") for p in (folder / d).rglob("*") if p.is_file()
    }
    assert listed.keys() == present
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_downloads_are_the_exports(root, kb):
    import json

    assert set(json.loads((root / "data" / "flowrl-kb.json").read_text())["cards"]) == set(kb.cards)
    assert (root / "data" / "flowrl-kb.csv").read_text().startswith("id,name")
