"""The command line as a user meets it: fast, jax-free, one clear line for bad input."""

import json
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO

import pytest

from flowrl_kb import cli
from flowrl_kb.kb import one_screen
from flowrl_kb.kb.load import load

READ = [
    ["--help"],
    ["list"],
    ["show", "sdac"],
    ["axes"],
    ["axes", "route"],
    ["cell", "sdac"],
    ["query", "route=pathwise"],
    ["query", "equiv(sdac, at=same-target-field)"],
    ["query", "projection.flowrl_paper.guidance = weighted-matching"],
    ["relate", "sdac", "sdac:official"],
    ["classes"],
    ["classes", "--at", "same-update", "--slot", "method"],
    ["ledger"],
    ["open"],
    ["check"],
    ["export", "csv"],
]
PROBE = """
import sys
from flowrl_kb.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(code, "jax" in sys.modules, file=sys.stderr)
"""


@pytest.fixture
def call(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


@pytest.mark.parametrize("arguments", READ, ids=" ".join)
def test_read_commands_are_free_of_jax(arguments):
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1] == "0 False", done.stderr


def test_no_module_of_the_knowledge_side_imports_jax():
    probe = (
        "import sys, pkgutil, importlib, flowrl_kb.kb as kb\n"
        "for m in pkgutil.iter_modules(kb.__path__): importlib.import_module('flowrl_kb.kb.' + m.name)\n"
        "print({'jax', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "sdca"], "did you mean sdac?"),
        (["show", "sdac:offical"], "did you mean sdac:official?"),
        (["axes", "rout"], "did you mean route?"),
        (["cell", "rout=pathwise"], "did you mean route?"),
        (["cell", "route=pathwis"], "did you mean pathwise?"),
        (["query", "route=pathwis"], "did you mean pathwise?"),
        (["query", "route=pathwise &"], "the end of the query"),
        (["relate", "sdac", "sdaq"], "did you mean sdac?"),
        (["classes", "--at", "same-updat"], "did you mean same-update?"),
        (["classes", "--slot", "actng"], "did you mean acting?"),
        (["query", "equiv(sdac, slot=actng)"], "did you mean acting?"),
        (["export", "jsn"], "did you mean json?"),
        (["new-card", "sdac"], "nothing was written"),
        (["new-card", "Bad Id"], "expected lower-case"),
        (["lits"], "Did you mean 'list'?"),
        (["show"], "Missing argument"),
        (["show", "sdac", "--jsn"], "No such option"),
        (["--root", "nowhere", "list"], "taxonomy/axes"),
        (["--root", "nowhere", "audit", "--card", "draft.yaml"], "taxonomy/axes"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(call, arguments, says):
    code, out, err = call(*arguments)
    assert code == 2 and out == ""
    assert says in err and len(err.strip().splitlines()) == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["show", "sdac"],
        ["axes"],
        ["axes", "route"],
        ["cell", "sdac"],
        ["query", "equiv(sdac)"],
        ["relate", "sdac", "sdac:official"],
        ["classes"],
        ["classes", "--at", "same-update", "--slot", "method"],
        ["ledger"],
        ["open"],
        ["check"],
    ],
    ids=" ".join,
)
def test_json_is_json(call, arguments):
    code, out, _ = call(*arguments, "--json")
    assert code == 0
    json.loads(out)


def test_show_goes_through_aliases(call):
    assert call("show", "SDAC")[1] == call("show", "Soft Diffusion Actor-Critic")[1]


def test_check_prints_every_error(call, tmp_path, kb):
    import shutil

    shutil.copytree(kb.root / "taxonomy", tmp_path / "taxonomy")
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "a.yaml").write_text("id: a\nname: no\n")
    (tmp_path / "methods" / "b.yaml").write_text("id: b\n  x: [\n")
    code, _, err = call("--root", str(tmp_path), "check")
    assert code == 2
    assert "methods/a.yaml:2" in err and "missing key 'title'" in err and "methods/b.yaml" in err


def test_a_missing_extra_is_one_line(call, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError("No module named 'jax'", name="jax")

    monkeypatch.setattr(cli, "import_module", absent)
    code, out, err = call("run", "sdac")
    assert (code, out) == (2, "") and "pip install 'flowrl-kb[run]'" in err and len(err.splitlines()) == 1


def test_lazy_commands_forward_arguments_and_exit_codes(call, monkeypatch):
    import types

    import typer

    seen = []

    def fake(method: str, steps: int = 1):
        """Pretend."""
        seen.append((method, steps))
        raise typer.Exit(3)

    monkeypatch.setattr(cli, "import_module", lambda name: types.SimpleNamespace(run=fake))
    assert call("run", "sdac", "--steps", "5")[0] == 3 and seen == [("sdac", 5)]
    assert "Pretend." in call("run", "--help")[1]
    code, _, err = call("run", "sdac", "--stps", "5")
    assert code == 2 and "--stps" in err


def test_export_writes_a_file(call, tmp_path):
    code, out, _ = call("export", "csv", "--out", str(tmp_path / "x.csv"))
    assert (code, out) == (0, "") and (tmp_path / "x.csv").read_text().startswith("id,name")
    assert call("export", "csv", "--out", str(tmp_path / "no" / "x.csv"))[0] == 2


def test_importing_the_package_is_cheap():
    probe = "import sys, flowrl_kb; print({'jax', 'pydantic', 'yaml', 'networkx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_a_cell_is_not_certified_against_itself(call):
    """A variant without losses of its own has only its cell."""
    code, _, err = call("certify", "qsm:maxentdp")
    assert code == 2 and err.strip() == (
        "qsm:maxentdp: found no losses of its own, so that there is nothing to compare its cell with"
    )


def test_every_method_fits_on_one_screen_and_says_how_to_run_it():
    """Forty lines of a hundred characters: what it is, what it equals, what is new in it, and how to run it."""
    kb = load()
    for node in kb.nodes.values():
        with redirect_stdout(StringIO()) as out:
            one_screen.method(kb, node)
        lines = out.getvalue().splitlines()
        assert sum(-(-max(len(line), 1) // 100) for line in lines) <= 40, node.id
        assert lines[-1].startswith("run: ") and any(line.startswith(("new", "in the cell of")) for line in lines), (
            node.id
        )
