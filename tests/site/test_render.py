"""Generated text, without mkdocs: links, escaping, and that pages follow the data rather than a template."""

from dataclasses import replace

import pytest

from flowrl_kb.kb import render
from flowrl_kb.kb.project import placements
from flowrl_kb.kb.render import chart, completeness, evidence, html, matrix, method, relations, rule, settings
from flowrl_kb.kb.statements import Witness
from flowrl_kb.kb.verdicts import Verdicts


def test_links_are_relative_to_their_page():
    assert html.place("a/b.md", html.link("axes/route.html#x", "<x>")) == '<a href="../axes/route.html#x">&lt;x&gt;</a>'
    assert html.place("index.md", html.link("terms.html", "t")) == '<a href="terms.html">t</a>'


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (1, "1"),
        (True, "yes"),
        (0, "0"),
        (False, "no"),
        (None, "none"),
        ((1, 0.5), "1, 0.5"),
        ("a<b", "a&lt;b"),
    ],
)
def test_settings_in_words(setting, words):
    assert settings.figure(setting) == words


def test_displayed_formulas_get_blocks_of_their_own():
    assert rule.derivation("so\n$$x\n=y,$$\nwhence $z$.").split("\n\n") == [
        "so",
        "$$\nx\n=y,\n$$",
        "whence $z$.",
    ]


def verdicts(**records):
    return Verdicts.model_validate(records)


def certificate(card, verdict="equal"):
    return {
        "method": card,
        "slot": "actor",
        "level": "same-update",
        "verdict": verdict,
        "worst_residual": 0.0123,
    }


def test_pages_follow_the_verdicts(kb):
    bare = replace(kb, verdicts=Verdicts())
    assert "None yet: no coordinate" in evidence.certificates(bare, kb.cards["sdac"])
    mutations = [
        {
            "method": "sdac",
            "axis": "route",
            "from": "regression-value",
            "to": "pathwise",
            "verdict": "different",
        },
        {"method": "sdac", "axis": "space", "from": "action", "to": "path", "verdict": "not-separated"},
    ]
    tested = replace(kb, verdicts=verdicts(certificates=[certificate("sdac")], mutations=mutations))
    page = method.page(tested, tested.nodes["sdac"])
    row = {axis: page.split(f'axes/{axis}.html" ')[1].split("</tr>")[0] for axis in ("route", "space")}
    assert "✓</span> tested" in row["route"]
    assert "✓</span> tested" not in row["space"] and "not separated from path" in row["space"]
    assert "0.0123" in page
    assert "<b>1</b> certified" in render.inserts(tested, "index.md")["counts"]
    assert "<b>0</b> certified" in render.inserts(bare, "index.md")["counts"]


def test_a_stale_certificate_is_marked(kb):
    old = replace(kb, verdicts=verdicts(certificates=[certificate("sdac") | {"card_hash": "0"}]))
    assert "kb-stale" in evidence.certificates(old, kb.cards["sdac"])


def test_measured_pairs_are_listed_as_what_they_are(kb):
    pair = {"a": "sdac", "b": "dql", "level": "same-update", "worst_residual": 0.7}
    for verdict, word in (("different", "≠</span> different"), ("equal", "=</span> equal")):
        page = relations.page(replace(kb, verdicts=verdicts(pairs=[pair | {"verdict": verdict}])))
        assert word in page.split("{#certified}")[1].split("{#claimed}")[0]


def test_a_law_is_shown_with_its_numbers(kb):
    law = {
        "method": "sdac",
        "task": "bandit/8gaussians",
        "kind": "density",
        "metric": "energy",
        "distance": 0.0421,
    }
    measured, bare = replace(kb, verdicts=verdicts(laws=[law])), replace(kb, verdicts=Verdicts())
    page = method.page(measured, measured.nodes["sdac"])
    assert "0.0421" in page and "bandit/8gaussians" in page
    assert "No distance has been recorded" in method.page(bare, bare.nodes["sdac"])


def test_the_map_is_the_projection(kb):
    """Each method stands in the cell that `placements` computes, once."""
    page = chart.page(kb, "flowrl-paper")
    body = page.split('id="map"')[1].split("</table>")[0]
    heads = body.split("</thead>")[0].count("<th ")
    places = {}
    for p in placements(kb, "flowrl-paper"):
        places.setdefault(p.method, {})[p.function] = p.computed
    for id, place in places.items():
        rows = [r for r in body.split("<tr>") if f'methods/{id}.html"' in r]
        assert len(rows) == 1 and rows[0].count(f'methods/{id}.html"') == 1
        assert rows[0].count("<td>") == heads - 1
        if place["guidance"] != "none":
            assert f"#guidance-{place['guidance']}" in rows[0].split("</th>")[0]


def test_a_published_placement_that_differs_is_reported(kb):
    """Negative control: a wrong published row must show as a disagreement."""
    source = kb.projections["flowrl-paper"]
    right = tuple(row for row in source.published if row["method"] == "sdac")
    wrong = ({"method": "sdac", "guidance": "policy-gradient", "reference": "uniform"},)
    pages = []
    for rows in (right, wrong):
        changed = replace(kb, projections={"flowrl-paper": source.model_copy(update={"published": rows})})
        pages.append(chart.page(changed, "flowrl-paper").split("{#functions}")[0])
    assert "2 of 2 published" in pages[0] and "Placements that differ" not in pages[0]
    assert "1 of 2 published" in pages[1] and "Placements that differ" in pages[1]


def test_empty_cells_are_impossible_exactly_when_a_constraint_says_so(kb):
    source = kb.projections["flowrl-paper"]
    assert chart._emptiness(kb, source, "policy-gradient", "uniform")[1] == "impossible"
    free = replace(kb, constraints={})
    assert chart._emptiness(free, source, "policy-gradient", "uniform")[1] == "not catalogued"


def test_completeness_counts_the_survey(kb):
    from flowrl_kb.kb.source import read

    scope = read(kb.root / "taxonomy" / "scope.yaml", "scope").data
    ids = {entry["id"] for entry in scope["surveyed"]}
    page = completeness.page(kb)
    assert f"Of {len(scope['surveyed'])} surveyed approaches {len(ids & kb.cards.keys())} have a card" in page
    assert all(f">{html.esc(e['name'])}<" in page for e in scope["surveyed"])


def test_every_generated_page_is_self_contained_text(kb):
    for path, text in render.pages(kb).items():
        assert path.endswith(".md") and text.startswith("---\ntitle:"), path
        assert '"@/' not in text, path


def world_of_witnesses(kb, figure=0.25, passed=True):
    witness = {
        "id": "two-modes",
        "name": "Two <modes>",
        "statement": "They differ.",
        "problem": "One state:\n$$p=1-2^{-N}$$\nof $N$.",
        "measure": "Total variation.",
        "separates": ({"a": "acting=rank", "b": "acting=noise", "level": "same-executed-law", "slot": "acting"},),
        "at_least": 0.2,
        "certificate": "two_modes",
    }
    result = {"id": "two-modes", "figure": figure, "control_figure": 0.0, "passed": passed}
    witnesses = {"two-modes": Witness.model_validate(witness)}
    return replace(kb, witnesses=witnesses, verdicts=verdicts(witnesses=[result]))


def test_a_witness_has_a_page_with_its_figure_and_pairs(kb):
    made = render.pages(world_of_witnesses(kb))
    page = made["witnesses/two-modes.md"]
    assert "0.25, at least 0.2" in page and "$$\np=1-2^{-N}\n$$" in page and "<code>acting=rank</code>" in page
    ranked, noisy = (kb.query(f"acting={value}").satisfies for value in ("rank", "noise"))
    assert page.count('<th scope="row"><a href="../methods/') == len(ranked) * len(noisy) > 0
    assert "two-modes" in made["witnesses/index.md"] and "two-modes" in made["relations.md"]
    assert "../witnesses/two-modes.html" in made[f"methods/{ranked[0]}.md"]
    assert "witnesses/two-modes.html" in render.addresses(world_of_witnesses(kb))
    assert "No <a" in render.pages(replace(kb, witnesses={}))["witnesses/index.md"]


def test_a_failed_witness_separates_nothing(kb):
    made = render.pages(world_of_witnesses(kb, 0.1, passed=False))
    assert "No pair of catalogued methods" in made["witnesses/two-modes.md"]
    assert "witness failed" in made["relations.md"]


def test_the_matrix_shows_the_verdicts(kb):
    pairs = [
        {"a": "sdac", "b": "dql", "level": "same-update-at-old", "verdict": "different"},
        {"a": "sdac", "b": "qsm", "level": "same-update", "verdict": "equal"},
        {"a": "sdac", "b": "dac", "level": "same-update", "verdict": "undecided"},
    ]
    shown = replace(kb, rules={}, verdicts=verdicts(pairs=pairs))

    def words(a, b):
        return matrix.cell(shown, shown.nodes[a], shown.nodes[b], "actor")

    assert words("sdac", "dql") == ("different", "different at same-update-at-old")
    assert words("sdac", "qsm") == ("same-update", "certified equal at same-update")
    assert words("dac", "sdac").kind == "undecided" and words("dql", "qsm").kind == "not-compared"
    assert words("sdac", "sac").kind == "not-comparable"
    svg = matrix.picture(shown, "actor")
    n = sum(kb.nodes[id]["policy"] != "flat" for id in kb.cards)  # the others train no actor
    assert svg.split("kb-matrix-legend")[0].count("<title>") == n * (n - 1) // 2
    assert "<title>sdac and dql, actor: different at same-update-at-old</title>" in svg
    assert "\n\n" not in svg  # a blank line would end the block of HTML
    for kind in ("undecided", "same-update", "different", "not-compared"):
        assert svg.count(f"kb-cell-{kind}") == svg.split("</svg>\n</div>")[0].count(f"kb-cell-{kind}") + 1, kind


def test_the_ledger_never_calls_a_method_another_name_for_an_earlier_one(kb):
    page = render.pages(kb)["ledger.md"]
    assert "renamed" not in page and all(f"methods/{card}.html" in page for card in kb.cards)
    assert f"{len(kb.cards)} cards of" in page
