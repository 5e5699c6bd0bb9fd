"""`flowrl-kb run` as a user types it: files written, bad input, interruption and resumption."""

import json
import os
import signal
import subprocess
import sys

import pytest

SMALL = ["--task", "bandit/two-modes-1d", "--set", "hidden=[8]", "--set", "batch=8"]


def start(folder, *words):
    command = [sys.executable, "-m", "flowrl_kb", "run", *words]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


def run(folder, *words):
    process = start(folder, *words)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.mark.parametrize(
    "words, message",
    [
        (["sdak"], "did you mean sdac"),
        (["sdac", "--task", "bandit/8gausians"], "did you mean bandit/8gaussians"),
        (["sdac", "--set", "temperatur=1"], "did you mean temperature"),
        (["sdac", "--steps", "0"], "steps"),
        (["--cell", "rout=pathwise"], "did you mean route"),
        (["--cell", "route=pathwize"], "did you mean pathwise"),
        ([], "expected a method"),
        (["--resume", "nowhere"], "no config.json"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, words, message):
    code, out, err = run(tmp_path, *words)
    assert code == 2 and message in err and "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_resumes_and_ends(tmp_path):
    process = start(tmp_path, "idql", *SMALL, "--steps", "100000", "--out", "here")
    try:
        for line in process.stderr:
            if "updates/s" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "continue: flowrl-kb run --resume here" in out and "Traceback" not in err
    reached = int(next((tmp_path / "here" / "checkpoint").iterdir()).name)
    more = reached + 400
    code, out, err = run(tmp_path, "--resume", "here", "--steps", str(more))
    assert code == 0, err
    assert f"resumed here at {reached} updates" in out
    assert "distance of the executed actions to the exact best-of-n law" in out
    names = {p.name for p in (tmp_path / "here").iterdir()}
    assert {"config.json", "metrics.jsonl", "tensorboard", "checkpoint", "samples.png", "result.json"} <= names
    config = json.loads((tmp_path / "here" / "config.json").read_text())
    assert config["versions"]["jax"] and config["card_sha256"] and config["asked"]["method"] == "idql"
    steps = [json.loads(line)["step"] for line in (tmp_path / "here" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)) and steps[-1] == more
    code, out, err = run(tmp_path, "idql", *SMALL, "--out", "here")
    assert code == 2 and "holds a run already" in err


@pytest.mark.slow
def test_a_gymnasium_run_evaluates_and_ends(tmp_path):
    pytest.importorskip("mujoco")
    words = ["--set", "hidden=[16]", "--set", "batch=16", "--set", "random_steps=200", "--set", "candidates=4"]
    code, out, err = run(tmp_path, "sdac", "--task", "gym/HalfCheetah-v5", "--steps", "600", *words, "--out", "here")
    assert code == 0, err
    assert "return" in out
