"""The page of a method: what it is, where each coordinate comes from, its code, what is known about it, what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowrl_kb.kb import code
from flowrl_kb.kb.evidence import not_separated, status
from flowrl_kb.kb.export import to_bibtex
from flowrl_kb.kb.nodes import Node, differences
from flowrl_kb.kb.render import evidence, html
from flowrl_kb.kb.render.html import esc, link, math
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
        ("Loss", "loss", _losses(kb, card)),
        ("Coordinates", "coordinates", _coordinates(kb, node)),
        ("Run it", "run", _run(card)),
        ("Code", "code", _code(kb, node)),
        ("Law", "law", _law(kb, card)),
        ("Certificates", "certificates", evidence.certificates(kb, card)),
        ("Relations", "relations", evidence.relations(kb, node) + _neighbours(kb, node)),
        ("Variants", "variants", _variants(kb, card)),
        ("Hyper-parameters", "hyper-parameters", _hyperparameters(kb, card)),
        ("Errata and doubts", "errata", _errata(card)),
        ("What was not tested", "not-tested", evidence.gaps(kb, node)),
        ("Dispute a placement", "dispute", _dispute(kb, card)),
        ("Cite", "cite", html.fence("bibtex", to_bibtex(replace(kb, cards={card.id: card})))),
    ]
    body = [html.heading(2, title, key) + text for title, key, text in sections if text]
    return html.document(
        card.name, _header(kb, node), *body, crumbs=[("methods/index.html", "Methods")], describe=card.summary
    )


def picture(kb: KB, id: str) -> Path | None:
    """Return the picture of the law that a method reached, when one has been made."""
    folder = kb.root / "taxonomy" / "laws"
    return next((p for ending in ("svg", "png") if (p := folder / f"{id}.{ending}").is_file()), None)


def _header(kb: KB, node: Node) -> str:
    card = node.card
    paper = (
        f'<a href="https://arxiv.org/abs/{esc(card.arxiv)}">arXiv {esc(card.arxiv)}</a>' if card.arxiv else ""
    )
    origin = ", ".join(filter(None, (esc(card.authors), esc(card.date), esc(card.venue or ""), paper)))
    lines = [html.para(f"<cite>{esc(card.title)}</cite><br>{origin}", "kb-paper")]
    if card.status == "deprecated":
        to = html.method(card.revoked_by) if card.revoked_by else "no other card"
        lines.append(html.para(f"This card is deprecated; see {to}.", "kb-warning"))
    main = [a for a in ("operator", "reference", "space", "route") if a in kb.axes]
    chips = "".join(f"<li>{esc(kb.axes[a].name)}: {html.value(a, node[a])}</li>" for a in main)
    lines += [html.para(esc(card.summary), "kb-lead"), f'<ul class="kb-chips">{chips}</ul>\n']
    facts = [("Id", f"<code>{card.id}</code>" + (" (reference point)" if card.role == "baseline" else ""))]
    if card.aliases:
        facts.append(("Also called", esc(", ".join(card.aliases))))
    for origin in card.code:
        where = "/".join(filter(None, (origin.repo, origin.path))) + (
            f" at {origin.commit}" if origin.commit else ""
        )
        read = "read for this card" if origin.read else "not read"
        facts.append(
            (
                f"{origin.role.capitalize()} code",
                f"<code>{esc(where)}</code>, {read}" + (f"; {esc(origin.note)}" if origin.note else ""),
            )
        )
    if card.data:
        facts.append(("Data it needs", esc(", ".join(card.data))))
    lines.append(html.table(f"About {card.name}", ("", ""), facts, "kb-facts"))
    return "".join(lines)


def _losses(kb: KB, card: Card) -> str:
    parts = [
        f"<h3>{esc(slot.capitalize())}</h3>\n{html.display(latex)}" for slot, latex in card.losses.items()
    ]
    if card.stop_gradients:
        parts.append(
            html.para("Constants of the loss (no gradient): " + esc("; ".join(card.stop_gradients)) + ".")
        )
    if card.notation:
        rows = [(_symbol(kb, theirs), _symbol(kb, ours)) for theirs, ours in card.notation.items()]
        parts.append(html.table("Notation", ("In the paper or its code", "Here"), rows, "kb-small"))
    return "".join(parts)


def _symbol(kb: KB, text: str) -> str:
    """Return a symbol as mathematics, a term as a link, words as words."""
    if text in kb.terms:
        return link(html.anchored("term", text), text)
    if "\\" in text or "^" in text or len(text) <= 2:
        return math(text)
    return esc(text)


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


def _run(card: Card) -> str:
    if not code.published(card.id):
        return html.para("Not executable yet: the published losses have not been written.")
    commands = [
        f"flowrl-kb run {card.id} --task bandit/8gaussians",
        f"flowrl-kb run {card.id} --task bandit/8gaussians --composed",
    ]
    return html.para(
        "The first line trains the losses of the paper, the second the cell composed from the coordinates above."
    ) + html.fence("sh", "\n".join(commands))


def _code(kb: KB, node: Node) -> str:
    blocks = []
    file = f"flowrl_kb/published/{node.card.id.replace('-', '_')}.py"
    for name, function in code.published(node.card.id).items():
        opened = " open" if name == "actor_loss" else ""
        blocks.append(
            _folded(
                f"<code>{name}</code>, as published",
                html.fence("python", function.source, file, function.line),
                opened,
            )
        )
    parts = []
    for axis in kb.mechanism:
        part = code.part(axis.id, node[axis.id])
        if part:
            parts.append(
                html.fence(
                    "python", part.source, f"flowrl_kb/parts/{axis.id.replace('-', '_')}.py", part.line
                )
            )
    if parts:
        blocks.append(
            _folded(f"The parts that compose its cell ({len(parts)} mechanism axes)", "".join(parts))
        )
    return "\n".join(blocks)


def _folded(summary: str, body: str, opened: str = "") -> str:
    return f'<details class="kb-code" markdown="1"{opened}><summary>{summary}</summary>\n{body}\n</details>\n'


def _law(kb: KB, card: Card) -> str:
    found = [law for law in kb.verdicts.laws if law.method == card.id]
    if card.law is None and not found:
        return ""
    blocks = []
    if card.law:
        why = f" {esc(card.law.reason)}" if card.law.reason else ""
        how = f" (predicted by <code>{esc(card.law.predictor)}</code>)" if card.law.predictor else ""
        blocks.append(html.para(f"<b>{card.law.kind.capitalize()}</b>{how}: {esc(card.law.statement)}{why}"))
    if path := picture(kb, card.id):
        words = f"Samples of trained {card.name} beside the law that its card predicts"
        blocks.append(
            f'<figure><img class="kb-law" src="@/laws/{path.name}" alt="{esc(words)}"><figcaption>{esc(words)}.</figcaption></figure>\n'
        )
    if found:
        rows = [
            (
                esc(law.task),
                esc(law.kind),
                esc(law.metric),
                evidence.figure(law.distance),
                evidence.figure(law.reference_distance),
                esc(law.note or ""),
            )
            for law in found
        ]
        head = ("Task", "Prediction", "Distance", "Reached", "Two exact samples", "Note")
        blocks.append(html.table("Law reached in training against the predicted law", head, rows))
    else:
        blocks.append(html.para("Not measured yet."))
    return "".join(blocks)


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
            "; ".join(
                f"{esc(d.axis.name)}: {html.value(d.axis.id, d.a)} here, {html.value(d.axis.id, d.b)} there"
                for d in apart
            )
            or "same cell",
        )
        for n, id, apart in sorted(near, key=lambda x: x[:2])[:limit]
    ]
    return html.table("Nearest methods by actor mechanism axes", ("Method", "Axes apart", "Differs in"), rows)


def _variants(kb: KB, card: Card) -> str:
    rows = []
    for variant in card.variants:
        changes = [f"{esc(kb.axes[a].name)}: {html.value(a, v)}" for a, v in variant.coordinates.items()]
        changes += [f"{esc(name)} = {_number(setting)}" for name, setting in variant.hyperparameters.items()]
        rows.append(
            (
                f'<span id="variant-{variant.id}"><code>{card.id}:{variant.id}</code></span>',
                KINDS[variant.kind],
                esc(variant.summary),
                "<br>".join(changes),
            )
        )
    return (
        html.table(
            "Other estimators under the same name", ("Variant", "Kind", "What it does", "Changes"), rows
        )
        if rows
        else ""
    )


def _hyperparameters(kb: KB, card: Card) -> str:
    blocks = []
    for caption, settings in (("Of the losses", card.hyperparameters), ("Of training", card.training)):
        rows = []
        for name, found in settings.items():
            term = kb.terms.get(name)
            title = link(html.anchored("term", name), name, term.definition) if term else esc(name)
            note = f"; {esc(found.note)}" if found.note else ""
            rows.append(
                (title, math(term.symbol) if term else "", _number(found.value), esc(found.source) + note)
            )
        if rows:
            blocks.append(html.table(caption, ("Name", "Symbol", "Published value", "Source"), rows))
    return "\n".join(blocks)


def _number(setting: object) -> str:
    if isinstance(setting, tuple):
        return ", ".join(map(_number, setting))
    return (
        {None: "none", True: "yes", False: "no"}.get(setting, esc(setting))
        if setting is None or isinstance(setting, bool)
        else esc(setting)
    )


def _errata(card: Card) -> str:
    items = [f"<b>{esc(e.where)}</b>: {esc(e.what)}." for e in card.errata]
    doubts = (
        f"Not confirmed in an opened source: {esc(', '.join(card.unverified))}." if card.unverified else ""
    )
    return html.listing(items) + (html.para(doubts) if doubts else "")


def _dispute(kb: KB, card: Card) -> str:
    path, line = kb.place("card", card.id, "coordinates")
    return html.para(
        f"Every value above is one line of <code>{path}</code> (coordinates from line {line}) and is yours to contest: change the line, name "
        "the paper section, equation or code line that supports you, and run the two commands. The first refuses combinations that cannot "
        "exist; the second says whether the update composed from your value still reproduces the published loss. "
        f"{link('contribute/dispute.html', 'How a dispute is settled')}."
    ) + html.fence("sh", "flowrl-kb check\nflowrl-kb certify " + card.id)
