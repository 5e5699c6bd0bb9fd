"""Proofs compose, measurements do not; contradictions are found; unknown coordinates prove nothing."""

import pytest

from flowrl_kb.kb.contradictions import contradictions
from flowrl_kb.kb.findings import Finding, findings
from flowrl_kb.kb.levels import LEVELS
from flowrl_kb.kb.load import load
from flowrl_kb.kb.relations import knowledge

ROUND_SQUARE = dict(a="shape=round", b="shape=square", free=["shape"])


def test_arrows_are_exactly_those_of_the_design():
    """Of the catalogue itself; SDAC and iDEM are regressions, DPPO is not."""
    known = knowledge(load())

    def implied(level, slot="actor", a="sdac", b="idem"):
        return known.arrows.implied(level, slot, a, b)

    weak = {"same-update-at-old", "same-target-field", "limit", "same-executed-law"}
    assert implied("same-loss") == set(LEVELS) - {"limit", "same-executed-law"}
    assert implied("same-update") == {"same-update", "same-update-at-old", "same-target-field"}
    assert implied("same-update", b="dppo") == {"same-update", "same-update-at-old"}
    assert implied("same-update", "critic", b="dql") == {"same-update", "same-update-at-old", "same-target-field"}
    assert implied("same-update", "log_temperature") == {"same-update", "same-update-at-old"}
    assert all(implied(level) == {level} for level in weak)
    assert implied("same-update", "acting") == set(LEVELS) - {"limit"}
    (joint,) = known.arrows.joint
    assert (joint.from_, joint.slots, joint.together_with, joint.to) == (
        "same-target-field",
        ("actor",),
        ("acting",),
        "same-executed-law",
    )
    assert joint.assuming


@pytest.fixture
def three(world):
    world.card("ball", "round", "red")
    world.card("cube", "square", "red")
    world.card("disc", "flat", "red")
    return world


def test_a_rule_relates_only_nodes_that_agree_outside_free(three):
    three.card("green-cube", "square", "green")
    three.rule("r", **ROUND_SQUARE)
    facts = knowledge(three.load()).facts
    assert [(f.a, f.b, f.source) for f in facts] == [("ball", "cube", "r")]


def test_unknown_coordinates_prove_nothing(world):
    world.card("ball", "round")
    world.card("cube", "square")
    world.rule("r", **ROUND_SQUARE)
    assert not knowledge(world.load()).facts


def test_acting_is_another_slot(world):
    world.card("ball", "round", "red", acting="rank")
    world.card("cube", "square", "red", acting="identity")
    world.rule("r", **ROUND_SQUARE)
    assert len(knowledge(world.load()).facts) == 1


def test_conditional_axes_that_differ_become_assumptions(world):
    world.card("ball", "round", "red", finish="matte")
    world.card("cube", "square", "red", finish="gloss")
    world.rule("r", **ROUND_SQUARE, assumptions=["x"])
    (fact,) = knowledge(world.load()).facts
    assert fact.assumptions == ("x", "finish does not matter (matte / gloss): capacity is unlimited.")


def test_proofs_chain_and_unite_assumptions(three):
    three.rule("one", **ROUND_SQUARE, assumptions=["p"])
    three.rule("two", "shape=square", "shape=flat", free=["shape"], assumptions=["q"], level="same-loss")
    known = knowledge(three.load())
    proof = known.proofs("ball", "same-target-field")["disc"]
    assert proof.sources == ("one", "two") and proof.assumptions == ("p", "q")
    assert "disc" not in known.proofs("ball", "same-loss")
    assert known.classes("same-update")[0] == {"ball", "cube", "disc"}
    assert {"cube", "disc"} in known.classes("same-loss")


def test_the_cheapest_proof_has_fewest_assumptions(three):
    three.rule("direct", "shape=round", "shape=flat", free=["shape"], assumptions=["p", "q"])
    three.rule("one", **ROUND_SQUARE)
    three.rule("two", "shape=square", "shape=flat", free=["shape"], assumptions=["p"])
    assert knowledge(three.load()).proofs("ball", "same-update")["disc"].sources == ("one", "two")


def test_limits_do_not_chain(three):
    limit = {"parameter": "n", "value": "infinity", "order": 1}
    three.rule("one", **ROUND_SQUARE, level="limit", limit=limit)
    three.rule("two", "shape=square", "shape=flat", free=["shape"], level="limit", limit=limit)
    known = knowledge(three.load())
    assert set(known.equal_to("ball", "limit")) == {"cube"}
    assert not known.proofs("ball", "same-target-field")


def test_measured_equality_is_not_transitive(three):
    three.verdicts(pairs=[three.pair("ball", "cube", "equal"), three.pair("cube", "disc", "equal")])
    assert knowledge(three.load()).classes("same-update")[0] == {"ball", "cube"}
    three.verdicts(
        pairs=[
            three.pair("ball", "cube", "equal"),
            three.pair("cube", "disc", "equal"),
            three.pair("ball", "disc", "equal"),
        ]
    )
    assert knowledge(three.load()).classes("same-update")[0] == {"ball", "cube", "disc"}


def test_measured_equality_joins_a_proved_class_only_as_a_whole(three):
    three.rule("one", **ROUND_SQUARE)
    three.verdicts(pairs=[three.pair("cube", "disc", "equal")])
    assert {"disc"} in knowledge(three.load()).classes("same-update")
    three.verdicts(pairs=[three.pair("cube", "disc", "equal"), three.pair("ball", "disc", "equal")])
    assert knowledge(three.load()).classes("same-update")[0] == {"ball", "cube", "disc"}


def test_differences_close_upward(three):
    three.verdicts(pairs=[three.pair("ball", "cube", "different", "same-target-field")])
    known = knowledge(three.load())
    assert known.refutation("ball", "cube", "same-loss") and known.refutation("cube", "ball", "same-update")
    assert not known.refutation("ball", "cube", "same-update-at-old")


def test_contradictions_name_both_sides(three):
    three.rule("one", **ROUND_SQUARE, level="same-loss")
    three.verdicts(pairs=[three.pair("ball", "cube", "different", "same-target-field")])
    (problem,) = contradictions(three.load())
    assert "taxonomy/rules/one.yaml:1" in str(problem) and "verdicts.json" in str(problem)


def test_a_difference_outside_the_assumptions_is_a_finding_not_a_contradiction(three):
    three.rule("one", **ROUND_SQUARE, assumptions=["exact"])
    three.verdicts(pairs=[three.pair("ball", "cube", "different")])
    kb = three.load()
    assert not list(contradictions(kb))
    assert Finding("assumption matters", "ball ~ cube", "actor at same-update: exact") in findings(kb)
    three.verdicts(pairs=[three.pair("ball", "cube", "different", assumptions=["exact"])])
    assert list(contradictions(three.load()))


def test_a_stronger_difference_does_not_contradict_a_weaker_proof(three):
    three.rule("one", **ROUND_SQUARE, level="same-target-field")
    three.verdicts(pairs=[three.pair("ball", "cube", "different", "same-update")])
    assert not list(contradictions(three.load()))


def test_a_rule_whose_certificate_fails_proves_nothing(three):
    from flowrl_kb.kb.files import attempt

    three.rule("one", **ROUND_SQUARE, certificate="c", control="k")
    three.verdicts(identities=[{"id": "c", "error": 1.0, "control_error": 1.0, "passed": False}])
    kb, problems = attempt(three.root)
    assert "failed" in str(problems[0]) and not knowledge(kb).facts


def test_equiv_names_the_proof(three):
    three.rule("one", **ROUND_SQUARE, assumptions=["p"])
    three.verdicts(pairs=[three.pair("ball", "disc", "different", "same-target-field")])
    answer = three.load().query("equiv(ball, at=same-target-field)")
    assert answer.satisfies == ("ball", "cube") and answer.does_not == ("disc",)
    assert "rule one, same-update" in answer.why["cube"] and "assuming p" in answer.why["cube"]


def test_differs_reads_certificates(three):
    three.verdicts(pairs=[three.pair("ball", "disc", "different")])
    kb = three.load()
    assert kb.query("differs(ball)").satisfies == ("disc",)
    assert kb.query("differs(ball)").may == ("cube",)
    assert kb.query("differs(ball, disc)").satisfies == ("ball", "disc")


def test_relate_orders_differences_links_core_gaps(world):
    core = [{"id": "core", "kind": "stripped-core", "summary": "s", "coordinates": {"shape": "round"}}]
    world.card("ball", "flat", "red", variants=core)
    world.card("cube", "square", "red", acting="rank", variants=[core[0] | {"coordinates": {"shape": "square"}}])
    world.rule("one", **ROUND_SQUARE, about="stripped-core", assumptions=["exact"], level="same-target-field")
    world.verdicts(
        pairs=[
            world.pair("ball", "cube", "different", "same-target-field"),
            world.pair("ball:core", "cube:core", "equal", variance_ratio=1.8),
        ]
    )
    found = world.load().relate("ball", "CUBE")
    assert [d.axis.id for d in found.differences] == ["shape", "acting"]
    assert [(link.kind, link.level) for link in found.links] == [("refuted", "same-target-field")]
    cores = {(link.a, link.b, link.kind): link for link in found.core}
    assert cores["ball:core", "cube:core", "proved"].assumptions == ("exact",)
    assert cores["ball:core", "cube:core", "certified"].variance_ratio == 1.8
    assert "acting slot" in found.not_compared
    assert "actor at same-update" not in found.not_compared and "actor at same-update-at-old" in found.not_compared


def test_the_graph_has_every_kind_of_edge(three):
    from flowrl_kb.kb.graph import build

    three.card("orb", "round", "red", relations=[{"to": "ball", "kind": "same-as", "evidence": "e"}])
    three.rule("one", **ROUND_SQUARE)
    three.verdicts(pairs=[three.pair("ball", "disc", "different"), three.pair("orb", "cube", "equal")])
    kinds = {data["kind"] for _, _, data in build(three.load()).edges(data=True)}
    assert kinds == {"same-cell", "differs-in", "declared", "proved", "refuted", "certified"}


def test_open_questions(three):
    three.card("mist", None, "red")
    three.card("orb", "round", "red")
    three.verdicts(
        pairs=[
            three.pair("ball", "disc", "undecided"),
            three.pair("ball", "cube", "equal"),
            three.pair("ball", "orb", "different"),
        ],
        mutations=[{"method": "ball", "axis": "color", "from": "red", "to": "blue", "verdict": "not-separated"}],
    )
    kinds = {f.kind for f in findings(three.load())}
    assert kinds == {
        "undecided",
        "discovered equivalence",
        "cell too coarse",
        "open pair",
        "not-separated",
        "unknown coordinates",
    }


def test_a_conditional_axis_that_differs_may_explain_two_updates_of_one_cell(three):
    three.card("orb", "round", "red", finish="gloss")
    three.verdicts(pairs=[three.pair("ball", "orb", "different")])
    found = [f for f in findings(three.load()) if f.subject == "ball ~ orb" and "different" in f.detail]
    assert [f.kind for f in found] == ["conditional axis matters"]
    assert "finish matte / gloss" in found[0].detail
