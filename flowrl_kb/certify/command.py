"""`flowrl-kb certify`: run certificates and, with --write, store their verdicts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowrl_kb.errors import UserError
from flowrl_kb.kb.code import executable, published
from flowrl_kb.kb.load import KB, load
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.verdicts import card_hash
from flowrl_kb.side_by_side import JOBS, Task, results


def certify(
    methods: Annotated[list[str] | None, typer.Argument(help="Ids to certify; all when none is given.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Store the verdicts in taxonomy/verdicts.json.")] = False,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Also change every coordinate in turn, put objects where they should rest and, when no id is given, "
            "compare all pairs of updates (much longer where nothing is stored).",
        ),
    ] = False,
    laws: Annotated[bool, typer.Option("--laws", help="Train on three bandits and measure the reached laws.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Repeat what is still fresh.")] = False,
    atlas: Annotated[bool, typer.Option("--atlas", help="Compute only what `audit` compares with (hours).")] = False,
    minutes: Annotated[float | None, typer.Option(help="With --atlas: stop computing after so many minutes.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = JOBS,
) -> None:
    """Test classifications: published against composed updates; with options what takes longer."""
    from flowrl_kb.certify import store
    from flowrl_kb.certify.doctor import require_sound_numerics

    kb = load()
    chosen = executable(kb, methods or (), variants=bool(methods) or not laws)
    for node in chosen:
        if not published(node.id):  # its cell would be compared with itself
            raise UserError(f"{node.id}: found no losses of its own, so that there is nothing to compare its cell with")
    require_sound_numerics()
    if atlas:
        from flowrl_kb.certify.audit.build import build

        return print(build(kb, float("inf") if minutes is None else 60.0 * minutes, write))
    data = store.read(kb)
    in_pairs = deep and not methods and not laws and (force or data.get("pairs_hash") != _pairs_hash(kb))
    tasks = _tasks(kb, chosen, data, deep, laws, force, in_pairs)
    failed: list[str] = []
    try:
        failed += _identities(data) + _witnesses(kb, data)
        for function, result in results(tasks, jobs):
            failed += _taken(function.__name__, result, data)
            if write and result:
                store.write(kb, data)
        if in_pairs:
            _pairs(kb, data)
        if not (methods or laws or deep):
            _tell_what_is_stale(kb, chosen, data)
    except KeyboardInterrupt:
        print("interrupted; " + ("what is above was stored" if write else "nothing was stored"))
        raise typer.Exit(130) from None
    if write:
        store.write(kb, data)
        print(f"wrote {store.path(kb).relative_to(kb.root)}")
    if failed:
        print(f"failed: {', '.join(failed)}")
        raise typer.Exit(1)


def _tasks(
    kb: KB, chosen: list[Node], data: dict[str, Any], deep: bool, laws: bool, force: bool, in_pairs: bool
) -> list[Task]:
    """What is left to measure; the longest first, so that the processes end together."""
    from flowrl_kb.certify import measure
    from flowrl_kb.certify.pairs import may_be_one_loss

    if laws:
        return [(measure.law, (node.id, force)) for node in chosen]
    asked = [("certificates", measure.certificates, measure.certificates_are_fresh)]
    if deep:  # a field by quadrature in every step of a chain takes minutes, and pairs read what rests
        asked.insert(0, ("stationarity", measure.at_rest, measure.rest_is_fresh))
        asked.append(("mutations", measure.mutations, measure.mutations_are_fresh))
    tasks: list[Task] = []
    for what, measured, is_fresh in asked:
        stored = {node.id: _stored(data, what, node) for node in chosen}
        stale = (node for node in chosen if force or not is_fresh(node, stored[node.id]))
        tasks += [(measured, (node.id, stored[node.id])) for node in stale]
    if in_pairs:
        tasks += [(measure.one_loss, (row,)) for row in data["pairs"] if may_be_one_loss(row)]
        tasks += [(measure.for_pairs, (node.id,)) for node in executable(kb)]
    return tasks


def _stored(data: dict[str, Any], what: str, node: Node) -> list[dict[str, Any]]:
    return [row for row in data[what] if row["method"] == node.id]


def _tell_what_is_stale(kb: KB, chosen: list[Node], data: dict[str, Any]) -> None:
    from flowrl_kb.certify import measure

    counts = {
        "mutations": sum(not measure.mutations_are_fresh(n, _stored(data, "mutations", n)) for n in chosen),
        "objects at rest": sum(not measure.rest_is_fresh(n, _stored(data, "stationarity", n)) for n in chosen),
    }
    stale = [f"{what} of {n} methods and variants" for what, n in counts.items() if n]
    stale += ["pairs"] * (data.get("pairs_hash") != _pairs_hash(kb))
    if stale:
        print(f"not looked at again since cards or code changed: {', '.join(stale)} (certify --deep)")


def _taken(what: str, result: Any, data: dict[str, Any]) -> list[str]:
    """Print a result and put it among the verdicts; what failed in it."""
    take = {
        "certificates": _certificates,
        "mutations": _mutations,
        "at_rest": _at_rest,
        "law": _law,
        "one_loss": _one_loss,
    }.get(what)
    return take(data, *result) if take else []


def _replace(data: dict[str, Any], what: str, id: str, rows: list[dict[str, Any]]) -> None:
    from flowrl_kb.certify.store import replaced

    data[what] = replaced(data[what], rows, lambda row: row["method"] == id)


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


def _certificates(data: dict[str, Any], id: str, rows: list, seconds: float) -> list[str]:
    for row in rows:
        bound = row.get("upper_bound", row["margin"])
        note = f"{row['level']}, residual {row['worst_residual']:.2g} < {bound:.2g}, scale {row['scale']:.3g}"
        control = f"; control {row['control']['what']}: {row['control']['verdict']}" if row["control"] else ""
        print(f"{id} {row['slot']}: {row['verdict']} ({note}){control}")
    print(f"{id}: {seconds:.0f} s", flush=True)
    _replace(data, "certificates", id, rows)
    return [f"{id}:{row['slot']}" for row in rows if row["verdict"] == "different"]


def _mutations(data: dict[str, Any], id: str, rows: list, seconds: float) -> list[str]:
    for row in rows:
        if row["verdict"] != "different":
            change = f"{row['slot']} {row['axis']}: {row['from']} -> {row['to']}"
            print(f"  {change}: {row['verdict']} {row.get('note', '')}")
    print(f"{id}: {len(rows)} mutations, {seconds:.0f} s", flush=True)
    _replace(data, "mutations", id, rows)
    return []


def _at_rest(data: dict[str, Any], id: str, rows: list) -> list[str]:
    for row in rows:
        note = f"residual {row['worst_residual']:.3f} < {row['upper_bound']:.3f}; control {row['control']['verdict']}"
        print(f"{id} {row['slot']} at the {row['field']}: {row['verdict']} ({note})", flush=True)
    _replace(data, "stationarity", id, rows)
    return [f"{id}:stationarity" for row in rows if row["verdict"] == "moving"]


def _one_loss(data: dict[str, Any], row: dict[str, Any]) -> list[str]:
    named = ("a", "b", "slot", "made_from")
    data["pairs"] = [
        row if all(old.get(k) == row[k] for k in named) and old["verdict"] == "equal" else old for old in data["pairs"]
    ]
    return []


def _pairs_hash(kb: KB) -> str:
    from flowrl_kb.certify.pairs import MATCHING
    from flowrl_kb.certify.store import code_hash

    cards = "".join(card_hash(kb.cards[id])[:4] for id in sorted(kb.cards))
    return code_hash(*sorted(node.id for node in executable(kb)), more=MATCHING) + cards


def _pairs(kb: KB, data: dict[str, Any]) -> None:
    from flowrl_kb.certify import pairs, targets

    rows = list(targets.pairs(kb, data["stationarity"]))
    for row in pairs.table(kb, data["pairs"]):
        rows.append(row)
        if row["verdict"] != "different":
            bound = row.get("upper_bound", row["margin"])
            note = f"{row['worst_residual']:.2g} < {bound:.2g}; variance ratio {row['variance_ratio']:.3g}"
            print(f"{row['a']} and {row['b']}, {row['slot']}, {row['level']}: {row['verdict']} ({note})", flush=True)
    counts = {v: sum(r["verdict"] == v for r in rows) for v in ("equal", "different", "undecided")}
    print("pairs: " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
    data["pairs"], data["pairs_hash"] = rows, _pairs_hash(kb)


def _law(data: dict[str, Any], id: str, rows: list) -> list[str]:
    for row in rows:
        measured = "diverged" if row["gain"] is None else f"reward gain {row['gain']:.3f}"
        if row["distance"] is not None:
            exact = row["reference_distance"]  # a bound of the loss has none
            beside = f"data {row['behaviour_distance']:.4f}"
            beside = beside if exact is None else f"exact samples {exact:.4f}, {beside}"
            measured = f"{row['metric']} {row['distance']:.4f} ({beside}), {measured}"
        print(f"{id} on {row['task']}: {row['kind']}, {measured} {row['note']}", flush=True)
    _replace(data, "laws", id, rows)
    return []
