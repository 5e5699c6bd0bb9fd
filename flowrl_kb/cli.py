"""The command line. Read commands never import jax; heavy ones import their module only when invoked."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from flowrl_kb.errors import DataError, MissingExtra, UserError, unknown
from flowrl_kb.kb import ROOT

# pydantic would look for plugins in the metadata of every installed package, which takes longer than most answers.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

READ, COMPUTE = "Read", "Compute (optional extras)"
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer(
    name="flowrl-kb",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A knowledge base of reinforcement learning with diffusion and flow policies.",
)
_root: Path | None = None


def _kb():
    from flowrl_kb.kb.load import load

    return load(_root)


def _version(wanted: bool) -> None:
    if wanted:
        from flowrl_kb import __version__

        print(f"flowrl-kb {__version__}")
        raise typer.Exit


@app.callback()
def options(
    root: Annotated[Path | None, typer.Option(help="Folder with taxonomy/ and methods/.", show_default=False)] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    global _root
    _root = root


@app.command("list", rich_help_panel=READ)
def list_(json: Json = False) -> None:
    """List the catalogued methods."""
    from flowrl_kb.kb import terminal

    kb = _kb()
    main = [a for a in ("operator", "reference", "route", "space") if a in kb.axes]
    cards = sorted(kb.cards.values(), key=lambda c: (c.date, c.id))
    if json:
        return terminal.emit(
            [
                {
                    "id": c.id,
                    "name": c.name,
                    "title": c.title,
                    "date": c.date,
                    "role": c.role,
                    "status": c.status,
                    "coordinates": dict(kb.nodes[c.id].coordinates),
                    "variants": [v.id for v in c.variants],
                }
                for c in cards
            ]
        )
    rows = [(c.id, c.name, c.date, c.role, *(kb.nodes[c.id][a] for a in main)) for c in cards]
    terminal.table(("id", "name", "date", "role", *main), rows)


@app.command(rich_help_panel=READ)
def show(id: str, json: Json = False) -> None:
    """Show a method or variant (`sdac`, `dql:core`) on one screen; also a rule or a projection by its id."""
    from flowrl_kb.kb import one_screen, show, terminal

    kb = _kb()
    if id in kb.rules:
        terminal.emit(kb.rules[id]) if json else show.rule(kb, id)
    elif id in kb.projections:
        terminal.emit(show.placements(kb, id)) if json else show.projection(kb, id)
    else:
        node = kb.resolve(id, (*kb.rules, *kb.projections))
        terminal.emit({**one_screen.record(kb, node), "card": node.card}) if json else one_screen.method(kb, node)


@app.command(rich_help_panel=READ)
def axes(axis: Annotated[str | None, typer.Argument()] = None, json: Json = False) -> None:
    """List the axes, or the values of one."""
    from flowrl_kb.kb import show, terminal

    kb = _kb()
    if axis is not None and axis not in kb.axes:
        raise unknown("axis", axis, kb.axes)
    if json:
        return terminal.emit(kb.axes[axis] if axis else kb.axes)
    show.axis(kb, axis) if axis else show.axes(kb)


@app.command(rich_help_panel=READ)
def cell(cell: Annotated[str, typer.Argument(metavar="ID|AXIS=VALUE,...")], json: Json = False) -> None:
    """Show a cell: its members, why it is impossible, what lies one step away."""
    from flowrl_kb.kb import around, terminal

    kb = _kb()
    terminal.emit(around.cell_record(kb, cell)) if json else around.cell(kb, cell)


@app.command(rich_help_panel=READ)
def query(
    text: str,
    variants: Annotated[bool, typer.Option("--variants", help="Include stripped cores and code variants.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Explain every candidate.")] = False,
    json: Json = False,
) -> None:
    """Answer a query: route=pathwise & ~space=path, equiv(sdac, at=same-target-field), near(qvpo, 1)."""
    from flowrl_kb.kb import answers, terminal

    found = _kb().query(text, variants)
    terminal.emit(found) if json else answers.answer(found, verbose)


@app.command(rich_help_panel=READ)
def relate(a: str, b: str, json: Json = False) -> None:
    """Say how two methods differ, what is proved or certified the same, and what was not compared."""
    from flowrl_kb.kb import answers, terminal

    kb = _kb()
    found = kb.relate(a, b)
    terminal.emit(answers.relation_record(found)) if json else answers.relation(kb, found)


@app.command(rich_help_panel=READ)
def classes(
    at: Annotated[str, typer.Option(help="Level of agreement.")] = "same-target-field",
    slot: Annotated[
        str, typer.Option(help="What is compared: actor, acting, critic, ...; `method` for all together.")
    ] = "",
    json: Json = False,
) -> None:
    """List the classes of methods that are the same at a level."""
    from flowrl_kb.kb import answers, terminal
    from flowrl_kb.kb.evaluate import WHOLE
    from flowrl_kb.kb.levels import CLASSED
    from flowrl_kb.kb.schema import SLOTS

    if at not in CLASSED:
        raise unknown("level", at, CLASSED)
    if slot and slot not in (*SLOTS, WHOLE):
        raise unknown("slot", slot, (*SLOTS, WHOLE))
    kb = _kb()
    terminal.emit(answers.class_list(kb, at, slot)) if json else answers.classes(kb, at, slot)


@app.command(rich_help_panel=READ)
def ledger(json: Json = False) -> None:
    """List the methods by date, each with what it was the first to use or which earlier one it is the same as."""
    from flowrl_kb.kb import terminal
    from flowrl_kb.kb.ledger import ledger, words

    found = ledger(_kb())
    if json:
        return terminal.emit(found)
    for entry in found.entries:
        terminal.heading(f"{entry.date}  {entry.id}")
        for line in words(entry):
            terminal.wrapped(line, "  ")
    terminal.wrapped(found.completeness)


@app.command("open", rich_help_panel=READ)
def open_(
    all: Annotated[bool, typer.Option("--all", help="Every finding, not only the first of each kind.")] = False,
    json: Json = False,
) -> None:
    """List what no proof and no certificate settles, what settles most first, and what surprises."""
    from flowrl_kb.kb import terminal
    from flowrl_kb.kb.findings import findings, first

    found = findings(_kb())
    if json:
        return terminal.emit(found)
    shown, more = (found, {}) if all else first(found)
    rows = [(f.kind, f.subject, f.detail, f.reason) for f in shown]
    head = ("finding", "subject", "detail", "stays open because")
    reasons = any(f.reason for f in shown)
    terminal.table(head if reasons else head[:3], rows if reasons else [row[:3] for row in rows])
    for kind, count in more.items():
        print(f"{count} more of kind {kind!r}: --all")
    if not found:
        print("nothing is open")


@app.command(rich_help_panel=READ)
def check(strict: Annotated[bool, typer.Option(help="Fail on warnings too.")] = False, json: Json = False) -> None:
    """Check all cards, axes, constraints, rules and verdicts; print every problem."""
    from flowrl_kb.kb import terminal
    from flowrl_kb.kb.contradictions import contradictions
    from flowrl_kb.kb.explained import stale_reasons
    from flowrl_kb.kb.findings import findings
    from flowrl_kb.kb.load import known

    kb, problems = known(_root)
    if not problems:
        problems = contradictions(kb)
        kb.warnings += stale_reasons(kb, findings(kb))
    if json:
        terminal.emit({"errors": problems, "warnings": kb.warnings, "cards": len(kb.cards)})
    else:
        for warning in kb.warnings:
            print(f"warning: {warning}")
        for line in DataError(problems).lines:
            print(line, file=sys.stderr)
        nodes = len(kb.nodes) - len(kb.cards)
        print(
            f"{len(kb.cards)} cards, {nodes} variants, {len(kb.axes)} axes, "
            f"{len(kb.constraints)} constraints, {len(kb.rules)} rules, {len(kb.witnesses)} witnesses: "
            f"{len(problems)} errors, {len(kb.warnings)} warnings"
        )
    if problems or (strict and kb.warnings):
        raise typer.Exit(2)


@app.command(rich_help_panel=READ)
def export(
    format: Annotated[str, typer.Argument(metavar="json|csv|bibtex|schema")],
    out: Annotated[Path | None, typer.Option(help="File to write; standard output by default.")] = None,
) -> None:
    """Export the knowledge base."""
    from flowrl_kb.kb.export import FORMATS

    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    content = FORMATS[format](_kb())
    if out is None:
        sys.stdout.write(content)
        return
    try:
        out.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}") from None


@app.command("new-card", rich_help_panel=READ)
def new_card(
    id: str,
    folder: Annotated[Path | None, typer.Option(help="Where to write; methods/ by default.")] = None,
) -> None:
    """Write the scaffold of a method card."""
    from flowrl_kb.kb.scaffold import write

    print(f"wrote {write(_kb(), id, folder)}")


def _lazy(name: str, target: str, extra: str, help: str) -> None:
    """Register a command whose typer application or function `module:name` is imported when it is invoked."""

    @app.command(
        name,
        help=help,
        rich_help_panel=COMPUTE,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def forward(context: typer.Context) -> None:
        raise typer.Exit(_invoke(name, target, extra, context.args))


def _invoke(name: str, target: str, extra: str, arguments: list[str]) -> int:
    gc.enable()  # what computes collects again
    module, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "flowrl_kb":
            raise UserError(f"{name} is not part of this installation (no module {error.name})") from None
        raise MissingExtra(f"{name} needs {error.name}: pip install 'flowrl-kb[{extra}]'") from None
    except ImportError as error:
        raise MissingExtra(f"{name} cannot start ({error}): pip install 'flowrl-kb[{extra}]'") from None
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        found.command()(function)
    command = typer.main.get_command(found)
    before = os.environ.get(ROOT)
    if _root is not None:
        os.environ[ROOT] = str(_root)  # what computes has subprocesses, which must read the same data
    try:
        code = command.main(args=arguments, prog_name=f"flowrl-kb {name}", standalone_mode=False)
    finally:
        if before is None:
            os.environ.pop(ROOT, None)
        else:
            os.environ[ROOT] = before
    return code if isinstance(code, int) else 0


_lazy("run", "flowrl_kb.train.command:run", "run", "Train a method or a cell on a task.")
_lazy("swap", "flowrl_kb.train.swap:swap", "run", "Exchange one component of a method at a time.")
_lazy(
    "certify",
    "flowrl_kb.certify.command:certify",
    "run",
    "Compare published and composed updates numerically.",
)
_lazy("audit", "flowrl_kb.certify.audit.command:audit", "run", "Find the cells that a given loss matches.")
_lazy("data", "flowrl_kb.data_command:app", "envs", "Collect offline data sets (Minari), list those on this machine.")
_lazy("doctor", "flowrl_kb.certify.doctor:doctor", "run", "Check that this machine computes correctly.")
_lazy("site", "flowrl_kb.site_command:app", "site", "Build or serve the site.")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; user errors become lines on standard error and exit code 2."""
    try:
        code = app(args=arguments, prog_name="flowrl-kb", standalone_mode=False)
    except UserError as error:
        print(*error.lines, sep="\n", file=sys.stderr)
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except Exception as error:
        # Usage errors of the command-line parser; anything else is a defect and keeps its traceback.
        describe = getattr(error, "format_message", None)
        if describe is None:
            raise
        if message := describe():  # empty where the parser printed its help instead
            print(f"flowrl-kb: {message}", file=sys.stderr)
        code = getattr(error, "exit_code", 2)
    finally:
        gc.enable()
    sys.exit(code if isinstance(code, int) else 0)
