"""The page of a method: what it is, where each coordinate comes from, its code, what is known, what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowrl_kb.kb.evidence import not_separated, status
from flowrl_kb.kb.export import to_bibtex
from flowrl_kb.kb.nodes import Node, differences
from flowrl_kb.kb.render import evidence, executable, html, settings
from flowrl_kb.kb.render.html import esc, link
from flowrl_kb.kb.schema import Card

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

KINDS = {
    "stripped-core": "stripped core",
    "official-code": "official code",
    "peer-code": "code of others",
    "paper": "also in the paper",
}


def page(kb: KB, node: Node) -> str:
    """Return the page of one card; variants are anchors `#variant-ID`."""
    card = node.card
    sections = [
        ("Loss", "loss", settings.losses(kb, card)),
        ("Coordinates", "coordinates", _coordinates(kb, node)),
        ("Run it", "run", executable.run(card)),
        ("Code", "code", executable.source(kb, node)),
        ("Law", "law", executable.law(kb, card)),
        ("Certificates", "certificates", evidence.certificates(kb, card)),
        ("Relations", "relations", evidence.relations(kb, node) + _neighbours(kb, node)),
        ("Variants", "variants", _variants(kb, card)),
        ("Hyper-parameters", "hyper-parameters", settings.hyperparameters(kb, card)),
        ("Errata and doubts", "errata", _errata(card)),
        ("What was not tested", "not-tested", evidence.gaps(kb, node)),
        ("Dispute a placement", "dispute", _dispute(kb, card)),
        ("Cite", "cite", html.fence("bibtex", to_bibtex(replace(kb, cards={card.id: card})))),
    ]
    body = [html.heading(2, title, key) + text for title, key, text in sections if text]
    return html.document(
        card.name, _header(kb, node), *body, crumbs=[("methods/index.html", "Methods")], describe=card.summary
    )


def _header(kb: KB, node: Node) -> str:
    card = node.card
    paper = f'<a href="https://arxiv.org/abs/{esc(card.arxiv)}">arXiv {esc(card.arxiv)}</a>' if card.arxiv else ""
    origin = ", ".join(filter(None, (esc(card.authors), esc(card.date), esc(card.venue or ""), paper)))
    lines = [html.para(f"<cite>{esc(card.title)}</cite><br>{origin}", "kb-paper")]
    if card.status == "deprecated":
        to = html.method(card.revoked_by) if card.revoked_by else "no other card"
        lines.append(html.para(f"This card is deprecated; see {to}.", "kb-warning"))
    main = [a for a in ("operator", "reference", "space", "route") if a in kb.axes]
    chips = "".join(f"<li>{esc(kb.axes[a].name)}: {html.value(a, node[a])}</li>" for a in main)
    lines += [html.para(esc(card.summary), "kb-lead"), f'<ul class="kb-chips">{chips}</ul>\n']
    if card.scope:
        lines.append(html.para(f"At the boundary of the map: {esc(card.scope)}", "kb-warning"))
    facts = [("Id", f"<code>{card.id}</code>" + (" (reference point)" if card.role == "baseline" else ""))]
    if card.aliases:
        facts.append(("Also called", esc(", ".join(card.aliases))))
    for origin in card.code:
        where = "/".join(filter(None, (origin.repo, origin.path))) + (f" at {origin.commit}" if origin.commit else "")
        read = "read for this card" if origin.read else "not read"
        facts.append(
            (
                f"{origin.role.capitalize()} code",
                f"<code>{esc(where)}</code>, {read}" + (f"; {esc(origin.note)}" if origin.note else ""),
            )
        )
    if card.data:
        facts.append(("Data it needs", esc(", ".join(card.data))))
    lines.append(html.facts(f"About {card.name}", facts))
    return "".join(lines)


def _coordinates(kb: KB, node: Node) -> str:
    blocks = []
    for kind in ("mechanism", "conditional"):
        rows = []
        for axis in kb.axes.values():
            if axis.kind != kind:
                continue
            own = node.card.coordinates.get(axis.id)
            loose = not_separated(kb, node.card.id, axis.id)
            source = [esc(own.evidence)] if own and own.evidence else []
            source += [esc(own.note)] if own and own.note else []
            if loose:
                source.append(html.badge("not-separated", "not separated from " + ", ".join(loose)))
            name = link(html.anchored("axes", axis.id), axis.name, axis.question)
            rows.append(
                (
                    name,
                    html.value(axis.id, node[axis.id]),
                    html.badge(status(kb, node.card.id, axis.id)),
                    "<br>".join(source),
                )
            )
        words = {
            "mechanism": "Mechanism axes",
            "conditional": "Conditional axes (cosmetic under the condition that each states)",
        }
        blocks.append(html.table(words[kind], ("Axis", "Value", "Evidence", "Where it comes from"), rows))
    return "\n".join(blocks)


def _neighbours(kb: KB, node: Node, limit: int = 8) -> str:
    """Return the methods that differ on the fewest actor axes, with the axes."""
    near = []
    for other in kb.nodes.values():
        if other.variant is None and other is not node:
            apart = differences(node, other, kb.actor_axes)
            near.append((len(apart), other.id, apart))
    rows = [
        (
            html.method(id),
            str(n),
            "; ".join(f"{d.axis.id}: {html.value(d.axis.id, d.a)} / {html.value(d.axis.id, d.b)}" for d in apart)
            or "same cell",
        )
        for n, id, apart in sorted(near, key=lambda x: x[:2])[:limit]
    ]
    return html.table(
        "Nearest methods by actor mechanism axes", ("Method", "Axes apart", "Differs in (here / there)"), rows
    )


def _variants(kb: KB, card: Card) -> str:
    rows = []
    for variant in card.variants:
        changes = [f"{esc(kb.axes[a].name)}: {html.value(a, v)}" for a, v in variant.coordinates.items()]
        changes += [f"{esc(name)} = {settings.figure(setting)}" for name, setting in variant.hyperparameters.items()]
        rows.append(
            (
                f'<span id="variant-{variant.id}"><code>{card.id}:{variant.id}</code></span>',
                KINDS[variant.kind],
                esc(variant.summary),
                "<br>".join(changes),
            )
        )
    return (
        html.table("Other estimators under the same name", ("Variant", "Kind", "What it does", "Changes"), rows)
        if rows
        else ""
    )


def _errata(card: Card) -> str:
    items = [f"<b>{esc(e.where)}</b>: {esc(e.what)}." for e in card.errata]
    doubts = f"Not confirmed in an opened source: {esc(', '.join(card.unverified))}." if card.unverified else ""
    return html.listing(items) + (html.para(doubts) if doubts else "")


def _dispute(kb: KB, card: Card) -> str:
    path, line = kb.place("card", card.id, "coordinates")
    how = link("contribute/dispute.html", "How a dispute is settled")
    return html.para(
        f"Every value above is one line of <code>{path}</code> (coordinates from line {line}) and is yours to "
        "contest: change the line, name the section, equation or code line that supports you, and run the two "
        "commands. The first refuses combinations that cannot exist; the second says whether the update "
        f"composed from your value still reproduces the published loss. {how}."
    ) + html.fence("sh", "flowrl-kb check\nflowrl-kb certify " + card.id)
