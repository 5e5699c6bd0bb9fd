"""What of a method can be run: commands, source of the published losses and the parts, and the law reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowrl_kb.kb import code
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.render import evidence, html
from flowrl_kb.kb.render.html import esc
from flowrl_kb.kb.schema import Card

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def picture(kb: KB, id: str) -> Path | None:
    """Return the picture of the law that a method reached, when one has been made."""
    folder = kb.root / "taxonomy" / "laws"
    return next((p for ending in ("svg", "png") if (p := folder / f"{id}.{ending}").is_file()), None)


def run(card: Card) -> str:
    """Return the commands that train a method, or say that it is not executable."""
    if not code.published(card.id):
        return html.para(
            "No losses of its own: see the reason above."
            if card.scope
            else "Not executable yet: the published losses have not been written."
        )
    commands = [
        f"flowrl-kb run {card.id} --task bandit/8gaussians",
        f"flowrl-kb run {card.id} --task bandit/8gaussians --composed",
    ]
    text = "The first line trains the losses of the paper, the second the cell composed from its coordinates."
    return html.para(text) + html.fence("sh", "\n".join(commands))


def source(kb: KB, node: Node) -> str:
    """Return the published losses and the parts of the cell, read from their files."""
    blocks = _losses(node.card.id, "as published")
    for variant in node.card.variants:
        blocks += _losses(f"{node.card.id}:{variant.id}", f"of {esc(variant.id)}")
    parts = []
    for axis in kb.mechanism:
        part = code.part(axis.id, node[axis.id])
        if part:
            parts.append(
                html.fence("python", part.source, f"flowrl_kb/parts/{axis.id.replace('-', '_')}.py", part.line)
            )
    if parts:
        blocks.append(
            html.folded(f"The parts that compose its cell ({len(parts)} axes)", "".join(parts), markdown=True)
        )
    return "\n".join(blocks)


def _losses(id: str, whose: str) -> list[str]:
    file = f"flowrl_kb/published/{code.module(id)}.py"
    return [
        html.folded(
            f"<code>{name}</code>, {whose}",
            html.fence("python", function.source, file, function.line),
            markdown=True,
            opened=name == "actor_loss" and ":" not in id,
        )
        for name, function in code.published(id).items()
    ]


def law(kb: KB, card: Card) -> str:
    """Return the predicted law and what training reached: picture and distances where they exist."""
    found = [one for one in kb.verdicts.laws if one.method == card.id]
    if card.law is None and not found:
        return ""
    blocks = []
    if card.law:
        why = f" {esc(card.law.reason)}" if card.law.reason else ""
        how = f" (predicted by <code>{esc(card.law.predictor)}</code>)" if card.law.predictor else ""
        blocks.append(html.para(f"<b>{card.law.kind.capitalize()}</b>{how}: {esc(card.law.statement)}{why}"))
    if path := picture(kb, card.id):
        words = f"Samples of trained {card.name} beside the law that its card predicts"
        image = f'<img class="kb-law" src="@/laws/{path.name}" alt="{esc(words)}">'
        blocks.append(f"<figure>{image}<figcaption>{esc(words)}.</figcaption></figure>\n")
    if found:
        rows = [
            (
                esc(one.task),
                esc(one.kind),
                esc(one.metric),
                evidence.figure(one.distance),
                evidence.figure(one.reference_distance),
                esc(one.note or ""),
            )
            for one in found
        ]
        head = ("Task", "Prediction", "Distance", "Reached", "Two exact samples", "Note")
        blocks.append(html.table("Law reached in training against the predicted law", head, rows))
    else:
        blocks.append(html.para("No distance has been recorded yet."))
    return "".join(blocks)
