"""Laws of the relation graph on random facts, and the lists that rank what is open."""

from itertools import combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from flowrl_kb.kb.explained import stale_reasons
from flowrl_kb.kb.facts import Fact, Proof
from flowrl_kb.kb.findings import findings
from flowrl_kb.kb.levels import CLASSED, Arrows
from flowrl_kb.kb.reduction import redundant_rules, shown
from flowrl_kb.kb.relations import Knowledge, knowledge
from flowrl_kb.kb.statements import Arrow
from flowrl_kb.kb.unsettled import open_pairs

NODES = tuple("abcde")
ARROWS = Arrows(
    [
        Arrow.model_validate({"id": f"{x}-{y}", "from": x, "to": y, "slots": ("actor",), "because": "b"})
        for x, y in (
            ("same-loss", "same-update"),
            ("same-update", "same-update-at-old"),
            ("same-update", "same-target-field"),
        )
    ],
    {"same-update-same-target-field": frozenset("abc")},
)


@st.composite
def worlds(draw, kinds=("proved", "certified", "refuted")):
    facts = []
    for _ in range(draw(st.integers(0, 8))):
        a, b = draw(st.sampled_from(list(combinations(NODES, 2))))
        kind, level = draw(st.sampled_from(kinds)), draw(st.sampled_from(CLASSED[:4]))
        assumptions = tuple(sorted(draw(st.sets(st.sampled_from("pqr"), max_size=2))))
        facts.append(Fact(a, b, kind, level, "r" if kind == "proved" else "certificate", assumptions=assumptions))
    return Knowledge(facts, NODES, ARROWS)


def closure(known):
    """What is provable: pair, level and each minimal set of assumptions, by brute force over all their subsets."""
    found = {}
    for a, b in combinations(NODES, 2):
        for level in CLASSED[:4]:
            sets = [s for n in range(4) for s in combinations("pqr", n) if known.proved_within(a, b, level, "actor", s)]
            found[a, b, level] = {s for s in sets if not any(set(t) < set(s) for t in sets)}
    return found


@settings(deadline=None)
@given(worlds())
def test_classes_are_partitions_that_contain_the_proved_classes(known):
    for level in CLASSED:
        classes = known.classes(level)
        assert sorted(x for members in classes for x in members) == sorted(NODES)
        for node in NODES:
            assert {node, *known.proofs(node, level)} <= known.home(node, level)


@settings(deadline=None)
@given(worlds())
def test_equality_closes_downward_and_difference_upward(known):
    for fact in known.facts:
        for level in known.arrows.implied(fact.level, "actor", fact.a, fact.b):
            if fact.kind == "proved":
                assert fact.b in known.proofs(fact.a, level)
        for level in CLASSED:
            if fact.kind == "refuted" and fact.level in known.arrows.implied(level, "actor", fact.a, fact.b):
                assert known.refutation(fact.b, fact.a, level)


@settings(deadline=None)
@given(worlds(("proved",)))
def test_a_proof_is_a_path_whose_assumptions_are_the_union_and_fewest(known):
    minimal = closure(known)
    for (a, b, level), sets in minimal.items():
        proof = known.proofs(a, level).get(b)
        assert bool(proof) == bool(sets)
        if proof:
            at = a
            for fact in proof.facts:
                assert level in known.implied(fact)
                at = fact.other(at)
            assert at == b
            assert set(proof.assumptions) == {x for fact in proof.facts for x in fact.assumptions}
            assert len(proof.assumptions) == min(map(len, sets))


@settings(max_examples=60, deadline=None)
@given(worlds(("proved",)))
def test_the_transitive_reduction_has_the_same_closure_and_nothing_to_spare(known):
    kept = shown(known)
    assert closure(Knowledge(kept, NODES, ARROWS)) == closure(known)
    for i in range(len(kept)):
        assert closure(Knowledge(kept[:i] + kept[i + 1 :], NODES, ARROWS)) != closure(known)


@settings(deadline=None)
@given(worlds())
def test_a_difference_between_equals_is_a_difference(known):
    for level, a, b in product(CLASSED[:4], NODES, NODES):
        proof = known.refutation(a, b, level)
        if proof:
            assert proof.kind == "refuted" and proof.refuting in known.facts
            ends = known.proved_class(a, level, "actor"), known.proved_class(b, level, "actor")
            fact = proof.refuting
            assert (fact.a in ends[0] and fact.b in ends[1]) or (fact.b in ends[0] and fact.a in ends[1])
            direct = [f for f in known.between(a, b) if f.kind == "refuted" and known.excludes(f, level)]
            assert len(proof.facts) == 1 if direct else set(proof.assumptions) <= set(fact.assumptions)


def test_a_difference_is_not_passed_on_through_assumptions_that_its_comparison_broke():
    equal = Fact("a", "b", "proved", "same-update", "r", assumptions=("p",))
    for kept, passed_on in (((), False), (("p",), True)):
        apart = Fact("b", "c", "refuted", "same-update", "certificate", assumptions=kept)
        known = Knowledge([equal, apart], NODES, ARROWS)
        assert bool(known.refutation("a", "c", "same-update")) == passed_on


def test_what_a_comparison_kept_is_no_assumption_of_the_difference():
    proved = Fact("a", "b", "proved", "same-update", "r", assumptions=("p",))
    refuted = Fact("b", "c", "refuted", "same-update", "certificate", assumptions=("q",))
    assert Proof((proved, refuted)).assumptions == ("p",) and Proof((proved, refuted)).kind == "refuted"


def four(world):
    for id, shape in (("ball", "round"), ("cube", "square"), ("disc", "flat")):
        world.card(id, shape, "red")
    world.card("orb", "round", "green")
    return world


def test_triangles_are_findings_and_not_errors(world):
    from flowrl_kb.kb.contradictions import contradictions

    four(world).verdicts(
        pairs=[
            world.pair("ball", "cube", "equal"),
            world.pair("cube", "disc", "equal"),
            world.pair("ball", "disc", "different"),
        ]
    )
    kb = world.load()
    (found,) = [f for f in findings(kb) if f.kind == "triangle"]
    assert found.subject == "ball ~ disc" and "ball = cube = disc" in found.detail
    assert not list(contradictions(kb))


def test_measured_both_ways(world):
    four(world).verdicts(
        pairs=[
            world.pair("ball", "cube", "equal", "same-update"),
            world.pair("ball", "cube", "different", "same-update-at-old"),
        ]
    )
    assert [f.subject for f in findings(world.load()) if f.kind == "measured both ways"] == ["ball ~ cube"]


def test_open_pairs_are_ranked_by_what_they_would_settle(world):
    """cube differs from ball everywhere, so cube = disc would also decide ball and disc; orb is free."""
    four(world).verdicts(
        pairs=[
            world.pair("ball", "cube", "different", level)
            for level in ("same-update", "same-update-at-old", "same-target-field")
        ]
    )
    found = {(o.a, o.b): o for o in open_pairs(world.load())}
    assert ("ball", "cube") not in found
    # three levels of the pair itself less one, and three of ball ~ disc
    assert found["cube", "disc"].settles == 5 and found["cube", "disc"].level == "same-update"
    # green: same-update implies the old level only; ball ~ orb would decide cube ~ orb at both
    assert found["ball", "orb"].settles == 3
    first = next(f for f in findings(world.load()) if f.kind == "open pair")
    assert first.settles == 5


def test_redundant_rules_are_reported_once(world):
    four(world).rule("one", "shape=round", "shape=square", free=["shape"])
    world.rule("two", "shape=square", "shape=flat", free=["shape"])
    assert redundant_rules(world.load()) == []
    world.rule("long", "shape=round", "shape=flat", free=["shape"], assumptions=["p"])
    assert redundant_rules(world.load()) == [("long", ["one", "two"])]
    world.rule("long", "shape=round", "shape=flat", free=["shape"])
    assert len(redundant_rules(world.load())) == 1
    assert any(f.kind == "redundant rule" for f in findings(world.load()))


def test_a_reason_is_shown_and_a_stale_one_is_a_warning(world):
    entry = {"finding": "undecided", "subject": "ball ~ cube", "reason": "too noisy"}
    four(world).write("taxonomy/open.yaml", [entry])
    world.verdicts(pairs=[world.pair("ball", "cube", "undecided")])
    kb = world.load()
    assert [f.reason for f in findings(kb) if f.kind == "undecided"] == ["too noisy"]
    assert not list(stale_reasons(kb, findings(kb)))
    world.verdicts(pairs=[])
    kb = world.load()
    (problem,) = stale_reasons(kb, findings(kb))
    assert str(problem).startswith("taxonomy/open.yaml:1") and "no such finding" in str(problem)
    world.write("taxonomy/open.yaml", [entry | {"finding": "undecide"}])
    assert "did you mean undecided?" in world.problems()[0]


def test_contradictions_are_found_in_every_slot_and_past_the_cheapest_proof(world):
    """The proof with fewest assumptions was not kept by the measurement, a longer one was."""
    from flowrl_kb.kb.contradictions import contradictions

    four(world).rule("short", "shape=round", "shape=flat", free=["shape"], assumptions=["x"])
    world.rule("one", "shape=round", "shape=square", free=["shape"], assumptions=["p"])
    world.rule("two", "shape=square", "shape=flat", free=["shape"], assumptions=["q"])
    world.verdicts(pairs=[world.pair("ball", "disc", "different", assumptions=["p", "q"])])
    (problem,) = contradictions(world.load())
    assert "one.yaml" in str(problem) and "two.yaml" in str(problem) and "short.yaml" not in str(problem)
    world.rule("act", "acting=identity", "acting=identity", slot="acting")
    world.verdicts(pairs=[world.pair("ball", "disc", "different", slot="acting")])
    (problem,) = contradictions(world.load())
    assert "act.yaml" in str(problem)


def test_limits_contradict_only_limits_of_the_same_parameter(world):
    from flowrl_kb.kb.contradictions import contradictions

    n, k = ({"parameter": p, "value": "infinity"} for p in "nk")
    four(world).rule("r", "shape=round", "shape=square", free=["shape"], level="limit", limit=n)
    world.verdicts(pairs=[world.pair("ball", "cube", "different", "limit", limit=k | {"points": {"4": 0.1}})])
    assert not list(contradictions(world.load()))
    world.verdicts(pairs=[world.pair("ball", "cube", "different", "limit", limit=n)])
    assert list(contradictions(world.load()))


def test_the_shown_graph_leaves_implied_facts_out(world):
    from flowrl_kb.kb.graph import build

    four(world).rule("r", "any()", "any()", free=["shape", "color"])
    world.verdicts(
        pairs=[
            world.pair("ball", "cube", "different", "same-loss"),
            world.pair("ball", "cube", "different", "same-update"),
        ]
    )
    kb = world.load()

    def count(graph, kind):
        return sum(data["kind"] == kind for _, _, data in graph.edges(data=True))

    assert (count(build(kb, reduce=False), "proved"), count(build(kb), "proved")) == (6, 3)
    assert (count(build(kb, reduce=False), "refuted"), count(build(kb), "refuted")) == (2, 1)
    assert len(knowledge(kb).classes("same-update")[0]) == 4
