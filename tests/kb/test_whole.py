"""Whole methods: the same only if every slot is; acting separates what shares an actor."""

import pytest

from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.whole import classes, everywhere, sentence, whole

LOSSES = {"actor": "l", "critic": "c"}


@pytest.fixture
def shop(world):
    """Plain cloning, ranked and resampled choice among clones: one actor, three rules of acting."""
    world.card("clone", "round", "red", losses=LOSSES)
    world.card("best", "round", "red", acting="rank", losses=LOSSES)
    world.card("twin", "round", "red", losses=LOSSES)
    world.rule("one-actor", "shape=round", "shape=round", level="same-update", assumptions=["p"])
    return world


def state(kb, a, b, level="same-update"):
    return whole(kb, kb.nodes[a], kb.nodes[b], level)


def test_methods_that_share_the_actor_and_differ_in_acting_are_never_the_same(shop):
    shop.verdicts(pairs=[shop.pair("clone", "best", "equal", slot="critic")])
    kb = shop.load()
    assert "best" in knowledge(kb).proofs("clone", "same-update")
    assert state(kb, "clone", "best").state == "different"
    words = sentence(everywhere(kb, kb.nodes["clone"], kb.nodes["best"]))
    assert words == "different (acting differs: identity / rank)"
    assert kb.query("equiv(clone, at=same-update, slot=method)").does_not == ("best",)
    assert kb.query("equiv(clone, at=same-update)").satisfies == ("best", "clone", "twin")


def test_all_slots_make_the_same_method_and_unite_assumptions(shop):
    pairs = [
        shop.pair("clone", "twin", "equal", slot="critic", assumptions=["q"]),
        shop.pair("clone", "twin", "equal", slot="acting"),
    ]
    shop.verdicts(pairs=pairs[:1])
    found = state(shop.load(), "clone", "twin")
    assert found.state == "open" and [s.slot for s in found.slots if s.state == "open"] == ["acting"]
    shop.verdicts(pairs=pairs)
    kb = shop.load()
    found = state(kb, "clone", "twin")
    assert found.state == "same" and found.assumptions == ("p", "q")
    assert classes(kb, "same-update")[0] == {"clone", "twin"}
    assert kb.relate("clone", "twin").whole[1].state == "same"


def test_one_refuted_slot_makes_another_method(shop):
    shop.verdicts(pairs=[shop.pair("clone", "twin", "different", slot="critic")])
    assert state(shop.load(), "clone", "twin").state == "different"


def test_what_only_one_of_them_trains_is_a_difference(shop):
    shop.card("more", "round", "red", losses=LOSSES | {"value": "v"})
    found = state(shop.load(), "clone", "more", "same-target-field")
    assert found.state == "different" and "only more trains value" in [s.reason for s in found.slots]


def test_cards_that_do_not_list_what_they_train_are_never_the_same(world):
    world.card("ball", "round", "red")
    world.card("orb", "round", "red")
    world.rule("r", "shape=round", "shape=round")
    world.rule("act", "acting=identity", "acting=identity", slot="acting")
    kb = world.load()
    assert knowledge(kb).proofs("ball", "same-update", "acting") and state(kb, "ball", "orb").state == "open"


def test_one_target_and_one_acting_give_one_law_under_the_assumptions_of_the_arrow(shop):
    shop.rule("act", "acting=identity", "acting=identity", slot="acting")
    kb = shop.load()
    law = state(kb, "clone", "twin", "same-executed-law")
    assert law.state == "same" and law.assumptions == ("exact solver", "p")
    assert state(kb, "clone", "best", "same-executed-law").state == "open"
    assert classes(kb, "same-executed-law")[0] == {"clone", "twin"}
    shop.verdicts(pairs=[shop.pair("clone", "twin", "different", "same-target-field", slot="critic")])
    assert state(shop.load(), "clone", "twin", "same-executed-law").state == "open"


def test_acting_has_no_levels(shop):
    shop.verdicts(pairs=[shop.pair("clone", "best", "different", "same-executed-law", slot="acting")])
    known = knowledge(shop.load())
    assert known.refutation("clone", "best", "same-update", "acting")
    assert not known.refutation("clone", "best", "same-update")


def test_slots_do_not_leak_into_each_other(shop):
    shop.card("cube", "square", "red", losses=LOSSES)
    shop.verdicts(pairs=[shop.pair("clone", "cube", "equal", slot="critic")])
    known = knowledge(shop.load())
    assert known.equal_to("clone", "same-update", "critic") and "cube" not in known.equal_to("clone", "same-update")


def test_relate_shows_slots_about_place_and_points(shop):
    limit = {"parameter": "n", "value": "infinity", "order": 1, "points": {"4": 0.4, "8": 0.2}}
    shop.card("cube", "square", "red", losses=LOSSES)
    shop.verdicts(
        pairs=[
            shop.pair("clone", "cube", "different", where="scenario 2, log-SNR bin 1", about="as-coded"),
            shop.pair("clone", "cube", "equal", "limit", limit=limit, margin=0.05),
        ]
    )
    kb = shop.load()
    from flowrl_kb.kb.answers import link_words

    lines = [link_words(kb, link) for link in kb.relate("clone", "cube").links]
    assert lines[0].startswith("limit (n -> infinity, order 1), certified equal (worst residual 0.5, margin 0.05)")
    assert "at 4: 0.4, 8: 0.2" in lines[0]
    assert "worst residual 0.5 in scenario 2, log-SNR bin 1" in lines[1] and lines[1].endswith("as coded")
