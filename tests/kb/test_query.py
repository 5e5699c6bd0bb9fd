"""The query grammar, its three truth values, and what an empty answer says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrl_kb.errors import QueryError
from flowrl_kb.kb.grammar import And, Comparison, Not, Or, leaves, parse


@pytest.fixture
def kb(world):
    world.card("ball", "round", "red", date="2021")
    world.card("cube", "square", "red", role="baseline")
    world.card("disc", "flat", "green", acting="rank")
    world.card("blob", None, "red")
    return world.load()


@pytest.mark.parametrize(
    ("text", "satisfies", "may"),
    [
        ("shape=round", ["ball"], ["blob"]),
        ("~shape=round", ["cube", "disc"], ["blob"]),
        ("shape!=round", ["cube", "disc"], ["blob"]),
        ("shape in (round, square) & color=red", ["ball", "cube"], ["blob"]),
        ("shape=round | color=green", ["ball", "disc"], ["blob"]),
        ("~(shape=round | color=green)", ["cube"], ["blob"]),
        ("shape=round | color=red", ["ball", "cube", "blob"], []),
        ("shape=unknown", ["blob"], []),
        ("role=baseline", ["cube"], []),
        ("year<2022", ["ball"], []),
        ("near(ball, 1)", ["ball", "cube", "blob"], []),
        ("id(ball)", ["ball"], []),
        ("any() & color=green", ["disc"], []),
        ("color=red & shape=round | acting=rank", ["ball", "disc"], ["blob"]),
    ],
)
def test_three_groups(kb, text, satisfies, may):
    answer = kb.query(text)
    assert sorted(answer.satisfies) == sorted(satisfies)
    assert list(answer.may) == may
    assert len(answer.satisfies) + len(answer.may) + len(answer.does_not) == 4


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("shap=round", 1, "did you mean shape?"),
        ("shape=rund", 7, "did you mean round?"),
        ("shape=round & ", 14, "the end of the query"),
        ("shape==round", 7, "expected a value"),
        ("shape in round", 10, "expected '('"),
        ("(shape=round", 13, "expected ')'"),
        ("shape=round color=red", 13, "expected & or |"),
        ("equiv(bal)", 7, "did you mean ball?"),
        ("equiv(ball, at=same-updte)", 16, "did you mean same-update?"),
        ("equal(ball)", 1, "did you mean equiv?"),
        ("equiv()", 1, "takes 1 argument"),
        ("near(ball, x)", 12, "expected a number"),
        ("year=new", 6, "a year"),
        ("shape<round", 1, "only be compared"),
        ("shape=round alias", 13, "expected & or |"),
        ("shape=round ? color", 13, "unexpected character"),
        ("", 1, "the end of the query"),
        ("projection.p.f=x", 1, "unknown axis or field"),
        ("id(ball, at=x)", 10, "argument of id"),
    ],
)
def test_errors_have_column_and_nearest_name(kb, text, column, says):
    if text.startswith("projection"):
        says = "unknown projection"
    with pytest.raises(QueryError) as error:
        kb.query(text)
    assert error.value.position + 1 == column and says in str(error.value)
    assert "\n" not in str(error.value)


names = st.sampled_from(["shape=round", "shape=flat", "color=red", "acting=rank", "color in (red, green)"])
queries = st.recursive(
    names,
    lambda q: st.one_of(
        q.map(lambda x: f"~({x})"),
        st.tuples(q, q).map(lambda p: f"({p[0]} & {p[1]})"),
        st.tuples(q, q).map(lambda p: f"({p[0]} | {p[1]})"),
    ),
    max_leaves=8,
)


@given(queries)
def test_parsing_keeps_every_leaf(text):
    assert len(leaves(parse(text))) == text.count("=") + text.count(" in ")


def test_precedence():
    tree = parse("a=1 | b=2 & ~c=3")
    assert isinstance(tree, Or) and isinstance(tree.parts[1], And) and isinstance(tree.parts[1].parts[1], Not)
    assert isinstance(tree.parts[0], Comparison)


def test_deciding_an_unknown_never_flips_a_decided_answer(kb):
    """Monotonicity: whatever the unknown coordinate turns out to be, yes stays yes and no stays no."""
    from flowrl_kb.kb.evaluate import Condition
    from flowrl_kb.kb.truth import MAYBE

    blob = kb.nodes["blob"].coordinates
    for text in ("shape=round & color=red", "~shape=flat | color=blue", "~(shape=round & color=green)"):
        condition = Condition(kb, text)
        before = condition.at(blob)
        after = {condition.at(blob | {"shape": v.id}) for v in kb.axes["shape"].values}
        assert after == {before} or before == MAYBE


def test_impossible_names_the_constraint(kb):
    answer = kb.query("shape=flat & color=blue")
    assert "impossible: constraint no-flat-blue (blue needs volume)" in answer.empty


def test_contradiction_is_not_blamed_on_a_constraint(kb):
    assert kb.query("shape=flat & shape=round").empty == "impossible: the conditions contradict each other"


def test_possible_but_empty_names_the_nearest(kb):
    assert (
        kb.query("shape=round & color=green").empty == "no catalogued method; nearest at distance 1: ball, blob, disc"
    )


def test_undecided_values_are_counted(kb):
    assert "1 undecided value" in kb.query("shape=flat & color=red").empty


def test_completeness_counts(kb):
    assert kb.query("shape=round").completeness.startswith("over 4 catalogued methods; 1 of them undecided on shape")


def test_variants_join_on_request(world):
    world.card(
        "ball",
        "round",
        "red",
        variants=[{"id": "core", "kind": "stripped-core", "summary": "s", "coordinates": {"color": "green"}}],
    )
    kb = world.load()
    assert kb.query("color=green").satisfies == ()
    assert kb.query("color=green", variants=True).satisfies == ("ball:core",)
    assert kb.query("near(ball:core, 0)").satisfies == ("ball:core",)
