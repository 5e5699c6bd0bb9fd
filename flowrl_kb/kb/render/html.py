"""Blocks of a page. Links are written from the site root as `@/axes/route.html` and made relative by `place`."""

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
    words = esc(text or kind)
    return f'<span class="kb-badge kb-{kind}" title="{esc(meaning)}"><span aria-hidden="true">{icon}</span> {words}</span>'


def math(latex: str) -> str:
    return f'<span class="arithmatex">\\({esc(latex)}\\)</span>' if latex else ""


def display(latex: str) -> str:
    return f'<div class="arithmatex kb-display">\\[{esc(latex)}\\]</div>'


def table(
    caption: str, head: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "", key: str = ""
) -> str:
    """Return a table that scrolls when it is too wide; cells are HTML, the first of each row is its header."""
    columns = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = []
    for row in rows:
        first, *others = row
        body.append(
            f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others) + "</tr>"
        )
    name = f' id="{key}"' if key else ""
    lines = "\n".join(body)
    return (
        f'<div class="kb-scroll" tabindex="0" role="region" aria-label="{esc(caption)}">\n'
        f'<table class="kb {kind}"{name}><caption>{esc(caption)}</caption>\n<thead><tr>{columns}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody></table>\n</div>\n"
    )


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
    hidden = ["navigation"] + ([] if toc else ["toc"])
    about = f"description: {json.dumps(describe)}\n" if describe else ""
    front = f"---\ntitle: {json.dumps(title)}\n{about}hide: [{', '.join(hidden)}]\n---\n\n"
    way = " / ".join(link(target, text) for target, text in crumbs)
    back = f'<nav class="kb-crumbs" aria-label="Breadcrumb">{way} / {esc(title)}</nav>\n\n' if way else ""
    return f"{front}{back}# {title}\n\n" + "\n".join(blocks)
