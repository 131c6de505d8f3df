"""One scene, asked: of which things is this said? Answers are kept, for texts ask the same again and again."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from sam3i_edge.data.tabletop import relations
from sam3i_edge.data.tabletop.catalogue import held_out
from sam3i_edge.data.tabletop.facts import SceneFacts, Thing
from sam3i_edge.data.tabletop.functions import Function
from sam3i_edge.data.tabletop.functions_house import HOUSE
from sam3i_edge.data.tabletop.functions_kitchen import KITCHEN
from sam3i_edge.data.tabletop.lexicon import HANDLED, OF_MANY_MATERIALS, SIMILAR_COLOURS, SIMILAR_MATERIALS, Noun
from sam3i_edge.data.tabletop.truth_set import TruthSet, indices, truth_set

FUNCTIONS = (*KITCHEN, *HOUSE)
SECOND_COLOURS = frozenset({"white", "grey", "black", "brown"})


class SceneQuery:
    """``facts`` as verdicts over its things. Attributes: ``facts``, ``things``, ``everything`` (all things, surely)."""

    def __init__(self, facts: SceneFacts) -> None:
        self.facts = facts
        self.things = facts.things
        self.everything = TruthSet((1 << len(facts.things)) - 1, 0)
        self._answers: dict[tuple[object, ...], TruthSet | None] = {}
        self._served: dict[int | None, list[Function]] = {}

    @property
    def held_out(self) -> int:
        """The things whose kind and colour training never shows together, as bits."""
        return self._sure("held out", answer=lambda thing: held_out(thing.kind, thing.colour)).yes

    def noun(self, noun: Noun) -> TruthSet:
        """What is called that."""

        def answer(thing: Thing) -> bool | None:
            return True if thing.kind in noun.means else None if thing.kind in noun.doubtful else False

        return self._sure("noun", noun.singular, answer=answer)

    def colour(self, name: str) -> TruthSet:
        """What is of that colour. A pattern or a blade adds a second one, which the facts do not tell."""

        def answer(thing: Thing) -> bool | None:
            if thing.colour == name:
                return True
            second = thing.pattern != "plain" and name in SECOND_COLOURS
            second |= thing.kind in HANDLED and name == "grey"
            return None if second or frozenset((thing.colour, name)) in SIMILAR_COLOURS else False

        return self._sure("colour", name, answer=answer)

    def material(self, name: str) -> TruthSet:
        """What is made of that."""

        def answer(thing: Thing) -> bool | None:
            if thing.kind in OF_MANY_MATERIALS:
                return None
            if thing.material == name:
                return True
            return None if frozenset((thing.material, name)) in SIMILAR_MATERIALS else False

        return self._sure("material", name, answer=answer)

    def pattern(self, name: str) -> TruthSet:
        """What is plain, striped or dotted."""
        return self._sure("pattern", name, answer=lambda thing: thing.pattern == name)

    def lying(self) -> TruthSet:
        """What lies on its side though it could stand."""
        return self._sure("lying", answer=lambda thing: thing.lying)

    def function(self, function: Function) -> TruthSet:
        """What serves that function."""
        return self._sure("function", function.name, answer=function.answer)

    def served_by(self, target: int | None) -> list[Function]:
        """The functions that a thing serves beyond doubt, or that nothing in view does."""
        known = self._served.get(target)
        if known is None:
            verdicts = [(function, self.function(function)) for function in FUNCTIONS]
            known = [f for f, v in verdicts if v.sure and (not v.yes if target is None else v.yes >> target & 1)]
            self._served[target] = known
        return known

    def place(self, name: str) -> TruthSet:
        """What is in that part of the picture."""
        place = relations.PLACES[name]
        return self._sure("place", name, answer=lambda thing: place(thing, self.facts))

    def relation(self, name: str, landmark: int) -> TruthSet:
        """What stands in that relation to a landmark; never the landmark itself."""
        relation, other = relations.RELATIONS[name], self.things[landmark]

        def answer(thing: Thing) -> bool | None:
            return thing is not other and relation(thing, other, self.facts)

        return self._sure(name, landmark, answer=answer)

    def stands(self, thing: int, landmark: int) -> bool:
        """Whether a thing stands in any relation to a landmark, beyond doubt."""
        return any(self.relation(name, landmark).yes >> thing & 1 for name in relations.RELATIONS)

    def pairs_around(self, thing: int) -> list[tuple[int, int]]:
        """The pairs of landmarks that a thing is surely between."""
        others = [i for i in range(len(self.things)) if i != thing]
        return [pair for pair in itertools.combinations(others, 2) if self.between(*pair).yes >> thing & 1]

    def between(self, first: int, second: int) -> TruthSet:
        """What is between two landmarks."""
        a, b = self.things[first], self.things[second]

        def answer(thing: Thing) -> bool | None:
            return thing is not a and thing is not b and relations.between(thing, a, b, self.facts)

        return self._sure("between", first, second, answer=answer)

    def superlative(self, name: str, among: TruthSet) -> TruthSet | None:
        """The one thing ``among`` at least two that is most so; None where it is in doubt which, or whether."""
        return self._kept(name, among, call=lambda: self._most(relations.SUPERLATIVES[name], among))

    def closest_to(self, landmark: int, among: TruthSet) -> TruthSet | None:
        """The one thing ``among`` at least two that is closest to a landmark, itself left out; None in doubt."""
        rest = among.without(TruthSet(1 << landmark, 0))
        closest = relations.closest_to(self.things[landmark])
        return self._kept("closest", landmark, among, call=lambda: self._most(closest, rest))

    def in_order(self, among: TruthSet) -> list[int] | None:
        """The indices of things from left to right; None where two are too close to tell, or membership is in doubt."""
        if not among.sure:
            return None
        ordered = relations.in_order([self.things[i] for i in among.things], self.facts)
        return None if ordered is None else [next(i for i in among.things if self.things[i] is t) for t in ordered]

    def _most(self, superlative: relations.Superlative, among: TruthSet) -> TruthSet | None:
        members = indices(among.yes)
        if not among.sure or len(members) < 2:
            return None
        for i in members:
            others = [self.things[j] for j in members if j != i]
            if superlative(self.things[i], others, self.facts):
                return TruthSet(1 << i, 0)
        return None

    def _kept(self, *question: object, call: Callable[[], TruthSet | None]) -> TruthSet | None:
        if question not in self._answers:
            self._answers[question] = call()
        return self._answers[question]

    def _sure(self, *question: object, answer: Callable[[Thing], bool | None]) -> TruthSet:
        """What ``answer`` says of each thing."""
        kept = self._kept(*question, call=lambda: truth_set(map(answer, self.things)))
        assert kept is not None
        return kept
