"""Blocks of a page; links start at the site root (`@/axes/route.html`) until `place` makes them relative."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape

STATUS = {
    "tested": ("✓", "a certificate fails when this coordinate is changed"),
    "derived": ("∴", "follows from other coordinates"),
    "asserted": ("¶", "stated by a source, not tested"),
    "unknown": ("?", "nobody has determined it"),
    "variant": ("≠", "changed by this variant"),
    "equal": ("=", "certified equal"),
    "certified": ("=", "certified equal"),
    "proved": ("⊢", "proved by rules"),
    "different": ("≠", "certified different"),
    "refuted": ("≠", "certified different"),
    "undecided": ("?", "the certificate did not decide"),
    "declared": ("¶", "claimed by a card, neither proved nor certified"),
    "not-separated": ("≈", "the certificate cannot tell the values apart"),
    "stationary": ("=", "the expected gradient vanishes at the predicted object"),
    "moving": ("≠", "the expected gradient does not vanish at the predicted object"),
    "passed": ("✓", "the identity holds and its control fails"),
    "failed": ("✗", "the identity does not hold numerically"),
    "agrees": ("✓", "computed and published placement agree"),
    "differs": ("≠", "computed and published placement differ"),
    "unplaced": ("○", "not placed by the source"),
    "stale": ("!", "made for an older version of the card"),
}


def esc(text: object) -> str:
    return escape(str(text), quote=True)


def link(target: str, text: object, hint: str = "") -> str:
    """Return a link to a page of the site; the text is escaped."""
    title = f' title="{esc(hint)}"' if hint else ""
    return f'<a href="@/{esc(target)}"{title}>{esc(text)}</a>'


def place(path: str, text: str) -> str:
    """Make links from the site root relative to the page at `path`."""
    up = "../" * path.count("/")
    return text.replace('href="@/', f'href="{up}').replace('src="@/', f'src="{up}')


def anchored(kind: str, *names: str) -> str:
    """Return the address of an object below the site root."""
    if kind == "term":
        return f"terms.html#{names[0]}"
    return f"{kind}/{names[0]}.html" + (f"#{names[1]}" if names[1:] else "")


def method(id: str) -> str:
    """Return a link to a method, or to a variant on the page of its method."""
    card, colon, variant = id.partition(":")
    return link(anchored("methods", card, f"variant-{variant}") if colon else anchored("methods", card), id)


def value(axis: str, id: str) -> str:
    """Return a link to a value of an axis; the two undetermined values have no definition to link to."""
    if id in ("unknown", "not-applicable"):
        return f'<span class="kb-undetermined">{id}</span>'
    return link(anchored("axes", axis, id), id)


def badge(kind: str, text: str = "") -> str:
    """Return an icon with a word; colour only repeats what the two say."""
    icon, meaning = STATUS[kind]
    mark = f'<span aria-hidden="true">{icon}</span> {esc(text or kind)}'
    return f'<span class="kb-badge kb-{kind}" title="{esc(meaning)}">{mark}</span>'


def math(latex: str) -> str:
    return f'<span class="arithmatex">\\({esc(latex)}\\)</span>' if latex else ""


def display(latex: str) -> str:
    return f'<div class="arithmatex kb-display">\\[{esc(latex)}\\]</div>'


def table(caption: str, head: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "", key: str = "") -> str:
    """Return a table that scrolls when too wide; cells are HTML, the first of each row is its header."""
    columns = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    columns = f"<thead><tr>{columns}</tr></thead>" if columns else ""
    body = []
    for row in rows:
        first, *others = row
        body.append(f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others) + "</tr>")
    name = f' id="{key}"' if key else ""
    lines = "\n".join(body)
    return (
        f'<div class="kb-scroll" tabindex="0" role="region" aria-label="{esc(caption)}">\n'
        f'<table class="kb {kind}"{name}><caption>{esc(caption)}</caption>\n{columns}\n'
        f"<tbody>\n{lines}\n</tbody></table>\n</div>\n"
    )


def facts(caption: str, rows: Iterable[Iterable[str]]) -> str:
    """Return names with values; the caption is read aloud but not shown."""
    return table(caption, (), rows, "kb-facts")


def folded(summary: str, body: str, markdown: bool = False, opened: bool = False) -> str:
    """Return HTML (or Markdown) behind a summary that opens it; works without scripts."""
    state = (' markdown="1"' if markdown else "") + (" open" if opened else "")
    return f'<details class="kb-fold"{state}><summary>{summary}</summary>\n{body}\n</details>\n'


def assumptions(items: Iterable[str]) -> str:
    """Return assumptions: `nothing`, the only one, or a folded list."""
    items = list(items)
    if len(items) < 2:
        return esc(items[0]) if items else "nothing"
    return f"<details><summary>{len(items)} assumptions</summary>{listing(map(esc, items))}</details>"


def listing(items: Iterable[str]) -> str:
    rows = "\n".join(f"<li>{item}</li>" for item in items)
    return f"<ul>\n{rows}\n</ul>\n" if rows else ""


def para(html: str, kind: str = "") -> str:
    return f'<p class="{kind}">{html}</p>\n' if kind else f"<p>{html}</p>\n"


def fence(language: str, source: str, title: str = "", first: int = 0) -> str:
    """Return a fenced code block; four backticks, so that sources may contain three."""
    options = (f' title="{title}"' if title else "") + (f' linenums="{first}"' if first else "")
    return f"\n````{language}{options}\n{source.rstrip()}\n````\n"


def heading(level: int, text: str, id: str) -> str:
    return f"\n{'#' * level} {text} {{#{id}}}\n\n"


def document(
    title: str, *blocks: str, crumbs: Iterable[tuple[str, str]] = (), toc: bool = True, describe: str = ""
) -> str:
    """Return a whole page: front matter, the way back, the title, the blocks."""
    way = " / ".join(link(target, text) for target, text in crumbs)
    hidden = ["navigation"] + ([] if toc else ["toc"])
    about = f"description: {json.dumps(describe)}\n" if describe else ""
    # Pages of single objects come before the indexes that mention them.
    boost = "search: {boost: 3}\n" if way else ""
    front = f"---\ntitle: {json.dumps(title)}\n{about}hide: [{', '.join(hidden)}]\n{boost}---\n\n"
    back = (
        f'<nav class="kb-crumbs" data-search-exclude aria-label="Breadcrumb">{way} / {esc(title)}</nav>\n\n'
        if way
        else ""
    )
    return f"{front}{back}# {title}\n\n" + "\n".join(blocks)
