"""Witnesses: a measured figure refutes many pairs, upward; without it nothing is refuted."""

import pytest

from flowrl_kb.kb.contradictions import contradictions
from flowrl_kb.kb.findings import findings
from flowrl_kb.kb.relations import knowledge


@pytest.fixture
def three(world):
    world.card("ball", "round", "red")
    world.card("cube", "square", "red")
    world.card("disc", "flat", "red")
    world.witness("w", "shape=round", "shape in (square, flat)", level="same-target-field")
    return world


def kinds(kb):
    return {(f.kind, f.subject) for f in findings(kb)}


def test_a_measured_witness_refutes_every_pair_it_names_upward(three):
    three.verdicts(witnesses=[three.seen("w")])
    kb = three.load()
    known = knowledge(kb)
    for other in ("cube", "disc"):
        for level in ("same-target-field", "same-update", "same-loss"):
            proof = known.refutation(other, "ball", level)
            assert proof.refuting.source == "w" and proof.refuting.figure == 0.3
        assert not known.refutation("ball", other, "same-update-at-old")
    assert not known.refutation("cube", "disc", "same-loss")
    answer = kb.query("differs(ball, at=same-update)")
    assert answer.satisfies == ("cube", "disc")
    assert answer.why["cube"] == "different from ball at same-target-field, witness w (figure 0.3, at least 0.1)"
    assert kb.query("equiv(ball)").does_not == ("cube", "disc")


def test_a_conditional_arrow_also_limits_what_a_witness_refutes(three):
    """Between green things the same update does not imply the same target, so other targets say nothing of updates."""
    three.card("lawn", "round", "green")
    three.card("leaf", "flat", "green")
    three.verdicts(witnesses=[three.seen("w")])
    known = knowledge(three.load())
    assert known.refutation("lawn", "leaf", "same-target-field")
    assert not known.refutation("lawn", "leaf", "same-update")


@pytest.mark.parametrize(
    ("results", "finding"),
    [([], "witness not measured"), ([{"id": "w", "figure": 0.01, "passed": False}], "witness failed")],
)
def test_without_a_passed_figure_nothing_is_refuted(three, results, finding):
    three.verdicts(witnesses=results)
    kb = three.load()
    assert not knowledge(kb).refutation("ball", "cube", "same-loss")
    assert (finding, "w") in kinds(kb)


def test_a_witness_against_a_proved_pair_is_a_contradiction_that_names_both(three):
    three.rule("r", "shape=round", "shape=square", level="same-update", free=["shape"])
    three.verdicts(witnesses=[three.seen("w")])
    (problem,) = contradictions(three.load())
    assert "taxonomy/rules/r.yaml:1" in str(problem) and "taxonomy/witnesses/w.yaml:1" in str(problem)


def test_a_witness_outside_the_assumptions_of_a_proof_shows_that_they_matter(three):
    three.rule("r", "shape=round", "shape=square", level="same-update", free=["shape"], assumptions=["exact"])
    three.verdicts(witnesses=[three.seen("w")])
    kb = three.load()
    assert not list(contradictions(kb))
    (found,) = [f for f in findings(kb) if f.kind == "assumption matters"]
    assert (found.subject, found.detail) == ("ball ~ cube", "actor at same-target-field, witness w: exact")


def test_a_witness_at_a_stronger_level_contradicts_nothing(three):
    three.rule("r", "shape=round", "shape=square", level="same-update-at-old", free=["shape"])
    three.verdicts(witnesses=[three.seen("w")])
    assert not list(contradictions(three.load()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"separates": [{"a": "shape=rund", "b": "any()", "level": "same-loss"}]}, "did you mean round?"),
        ({"separates": [{"a": "any()", "b": "any()", "level": "same-los"}]}, "did you mean same-loss?"),
        ({"separates": [{"a": "any()", "b": "any()", "level": "same-loss", "slot": "actr"}]}, "mean actor?"),
        ({"separates": []}, "separates"),
        ({"atleast": 1}, "did you mean at_least?"),
    ],
)
def test_bad_witnesses_are_reported_with_their_line(three, change, says):
    three.witness("bad", "any()", "any()", **change)
    (problem,) = three.problems()
    assert problem.startswith("taxonomy/witnesses/bad.yaml:") and says in problem


def test_a_verdict_of_no_witness_is_a_warning(three):
    three.verdicts(witnesses=[three.seen("v")])
    assert any("no such witness" in str(w) for w in three.load().warnings)
