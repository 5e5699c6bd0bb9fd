"""`flowrl-kb certify`: run certificates and, with --write, store their verdicts."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from flowrl_kb.errors import UserError
from flowrl_kb.kb.code import executable, published
from flowrl_kb.kb.load import KB, load
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.verdicts import card_hash


def certify(
    methods: Annotated[list[str] | None, typer.Argument(help="Ids to certify; all when none is given.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Store the verdicts in taxonomy/verdicts.json.")] = False,
    mutations: Annotated[bool, typer.Option(help="Change every coordinate in turn as well.")] = True,
    pairs: Annotated[bool, typer.Option(help="Compare all pairs of updates (only when no id is given).")] = True,
    laws: Annotated[bool, typer.Option("--laws", help="Train on three bandits and measure the reached laws.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Repeat what is still fresh.")] = False,
    atlas: Annotated[bool, typer.Option("--atlas", help="Compute only what `audit` compares with (hours).")] = False,
    minutes: Annotated[float | None, typer.Option(help="With --atlas: stop computing after so many minutes.")] = None,
) -> None:
    """Test classifications: published against composed updates, mutations, pairs, identities, laws."""
    from flowrl_kb.certify import store
    from flowrl_kb.certify.doctor import require_sound_numerics

    kb = load()
    chosen = executable(kb, methods or (), variants=True)
    for node in chosen:
        if not published(node.id):  # its cell would be compared with itself
            raise UserError(f"{node.id}: found no losses of its own, so that there is nothing to compare its cell with")
    require_sound_numerics()
    if atlas:
        from flowrl_kb.certify.audit.build import build

        return print(build(kb, float("inf") if minutes is None else 60.0 * minutes, write))
    data = store.read(kb)
    failed = _identities(data) + _witnesses(kb, data)
    for node in chosen:
        if not laws and (force or not _fresh(data, node, mutations)):
            failed += _certify_one(kb, node, mutations, data)
        if laws:
            _law(kb, node, data, force)
        if write:
            store.write(kb, data)
    for node in [] if laws else chosen:  # last, because a field by quadrature in every step of a chain takes minutes
        failed += _stationary(node, data, force)
        if write:
            store.write(kb, data)
    if pairs and not methods and not laws and (force or data.get("pairs_hash") != _pairs_hash(kb)):
        _pairs(kb, data)
    if write:
        store.write(kb, data)
        print(f"wrote {store.path(kb).relative_to(kb.root)}")
    if failed:
        print(f"failed: {', '.join(failed)}")
        raise typer.Exit(1)


def _identities(data: dict[str, Any]) -> list[str]:
    from flowrl_kb.certify import identities

    data["identities"] = identities.run()
    failed = [row for row in data["identities"] if not row["passed"]]
    for row in failed:
        print(f"identity {row['id']} FAILED: error {row['error']:.1e}, control {row['control_error']:.2g}")
    total = len(data["identities"])
    print(f"identities: {total - len(failed)} of {total} hold and their controls fail")
    return [row["id"] for row in failed]


def _witnesses(kb: KB, data: dict[str, Any]) -> list[str]:
    """Replay every witness; its figure must reach the mark on its file and its control stay below a tenth of it."""
    from flowrl_kb.certify.witnesses import WITNESSES, holds

    data["witnesses"] = []
    for witness in kb.witnesses.values():
        figure, control = WITNESSES[witness.certificate]()
        passed = holds(figure, control, witness.at_least)
        row = {"id": witness.id, "figure": float(figure), "control_figure": float(control), "passed": bool(passed)}
        data["witnesses"].append(row)
        if not passed:
            print(f"witness {witness.id} FAILED: {figure:.3g}, control {control:.2g}, mark {witness.at_least:g}")
    failed = [row["id"] for row in data["witnesses"] if not row["passed"]]
    print(f"witnesses: {len(data['witnesses']) - len(failed)} of {len(data['witnesses'])} stand")
    return failed


def _fresh(data: dict[str, Any], node: Node, mutations: bool) -> bool:
    """Whether the stored certificates of a method were made from its present card and code."""
    from flowrl_kb.certify.store import code_hash

    now = (card_hash(node.card), code_hash(node.id))
    rows = [c for c in data["certificates"] if c["method"] == node.id]
    mutated = any(m["method"] == node.id for m in data["mutations"]) or not mutations
    return bool(rows) and mutated and all((c["card_hash"], c["code_hash"]) == now for c in rows)


def _certify_one(kb: KB, node: Node, mutations: bool, data: dict[str, Any]) -> list[str]:
    from flowrl_kb.certify.certificate import certify as run
    from flowrl_kb.certify.store import code_hash, replaced

    began = time.perf_counter()
    certificates, mutants = run(kb, node, mutations, data)
    for row in certificates:
        row |= {"card_hash": card_hash(node.card), "code_hash": code_hash(node.id)}
        note = f"residual {row['worst_residual']:.3f} < {row['upper_bound']:.3f}, scale {row['scale']:.3g}"
        control = f"; control {row['control']['what']}: {row['control']['verdict']}" if row["control"] else ""
        print(f"{node.id} {row['slot']}: {row['verdict']} ({note}){control}")
    for row in mutants:
        if row["verdict"] != "different":
            print(
                f"  {row['slot']} {row['axis']}: {row['from']} -> {row['to']}: {row['verdict']} {row.get('note', '')}"
            )
    print(f"{node.id}: {len(mutants)} mutations, {time.perf_counter() - began:.0f} s", flush=True)
    data["certificates"] = replaced(data["certificates"], certificates, lambda r: r["method"] == node.id)
    if mutations:
        data["mutations"] = replaced(data["mutations"], mutants, lambda r: r["method"] == node.id)
    return [f"{row['method']}:{row['slot']}" for row in certificates if row["verdict"] == "different"]


def _stationary(node: Node, data: dict[str, Any], force: bool) -> list[str]:
    from flowrl_kb.certify import stationarity
    from flowrl_kb.certify.store import code_hash, replaced

    code = code_hash(node.id, more=(*stationarity.ORACLES, stationarity))
    now = {"card_hash": card_hash(node.card), "code_hash": code}
    stored = [row for row in data["stationarity"] if row["method"] == node.id]
    if not force and stored and all(row[name] == value for row in stored for name, value in now.items()):
        return []
    rows = stationarity.certify(node, stored)
    data["stationarity"] = replaced(data["stationarity"], [row | now for row in rows], lambda r: r["method"] == node.id)
    for row in rows:
        note = f"residual {row['worst_residual']:.3f} < {row['upper_bound']:.3f}; control {row['control']['verdict']}"
        print(f"{node.id} {row['slot']} at the {row['field']}: {row['verdict']} ({note})", flush=True)
    return [f"{node.id}:stationarity" for row in rows if row["verdict"] == "moving"]


def _pairs_hash(kb: KB) -> str:
    from flowrl_kb.certify.store import code_hash

    cards = "".join(card_hash(kb.cards[id])[:4] for id in sorted(kb.cards))
    return code_hash(*sorted(node.id for node in executable(kb))) + cards


def _pairs(kb: KB, data: dict[str, Any]) -> None:
    from flowrl_kb.certify import pairs, targets

    rows = list(targets.pairs(kb, data["stationarity"]))
    for row in pairs.table(kb, data["pairs"]):
        rows.append(row)
        if row["verdict"] != "different":
            note = f"{row['worst_residual']:.3f} < {row['upper_bound']:.3f}; variance ratio {row['variance_ratio']:.3g}"
            print(f"{row['a']} and {row['b']}, {row['slot']}, {row['level']}: {row['verdict']} ({note})", flush=True)
    counts = {v: sum(r["verdict"] == v for r in rows) for v in ("equal", "different", "undecided")}
    print("pairs: " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
    data["pairs"], data["pairs_hash"] = rows, _pairs_hash(kb)


def _law(kb: KB, node: Node, data: dict[str, Any], force: bool) -> None:
    from flowrl_kb.certify.laws import measure
    from flowrl_kb.certify.store import replaced

    rows = measure(kb, node, force)
    for row in rows:
        measured = "diverged" if row["gain"] is None else f"reward gain {row['gain']:.3f}"
        if row["distance"] is not None:
            exact = row["reference_distance"]  # a bound of the loss has none
            beside = f"data {row['behaviour_distance']:.4f}"
            beside = beside if exact is None else f"exact samples {exact:.4f}, {beside}"
            measured = f"{row['metric']} {row['distance']:.4f} ({beside}), {measured}"
        print(f"{node.id} on {row['task']}: {row['kind']}, {measured} {row['note']}", flush=True)
    data["laws"] = replaced(data["laws"], rows, lambda r: r["method"] == node.id)
