"""Simple instructions: a noun with attributes, place, relations, numbers; each maker tries one sort of them."""

from __future__ import annotations

from collections.abc import Callable

from sam3i_edge.data.tabletop import lexicon, noun_phrases, templates
from sam3i_edge.data.tabletop.catalogue import CATALOGUE
from sam3i_edge.data.tabletop.draft import Draft
from sam3i_edge.data.tabletop.noun_phrases import OBJECT, Attributes, LandmarkPhrase, Phrase
from sam3i_edge.data.tabletop.templates import Position
from sam3i_edge.data.tabletop.text_request import (
    TextRequest,
    bits,
    filled,
    is_requestable,
    located,
    plausible,
    related,
    requested,
    some_related,
    some_relation,
)
from sam3i_edge.data.tabletop.truth_set import NOTHING, TruthSet

REQUESTED = 0.35
"""So many are requests or questions."""
REDUNDANT = 0.4
"""So many relations are kept where the noun alone would do."""


def _head(ask: TextRequest, attributed: float = 0.35) -> Phrase:
    """The noun phrase a text is about: one that fits its target, or may fit nothing."""
    if ask.target is not None:
        return noun_phrases.describing(ask.view, ask.target, ask.dice, attributed, wider=0.12)
    if ask.view.things and ask.dice.chance(0.55):
        index = int(ask.dice.uniform() * len(ask.view.things))
        return noun_phrases.describing(ask.view, index, ask.dice, attributed, wider=0.12)
    return noun_phrases.absent(ask.view, ask.dice, attributed, wider=0.08)


def _asked(ask: TextRequest, noun_phrase: str, be: str) -> str:
    """A noun phrase as it is, in a request, or in a question."""
    if ask.dice.chance(REQUESTED * 0.25) and is_requestable(noun_phrase):
        return ask.pick(templates.QUESTIONS).replace("{x}", noun_phrase).replace("{is}", be)
    return requested(ask, noun_phrase, REQUESTED)


def _numbered(ask: TextRequest, singular: str, plural: str, be: str, count: int) -> str:
    """The phrase with a determiner that agrees with how many it means, asked for."""
    if count <= 1 and not (count == 0 and ask.dice.chance(0.12)):
        return _asked(ask, ask.pick(templates.ONE).replace("{n}", singular), be)
    if count == 2 and ask.dice.chance(0.6):
        text = ask.pick(templates.BOTH).replace("{ns}", plural)
        return _asked(ask, text, "are")
    if 3 <= count < len(templates.NUMBERS) and ask.dice.chance(0.25):
        text = ask.pick(templates.COUNTED).replace("{k}", templates.NUMBERS[count]).replace("{ns}", plural)
        return _asked(ask, text, "are")
    text = ask.pick(tuple(words for words in templates.ALL if "{ns}" in words) if be == "are" else templates.ALL)
    return _asked(ask, text.replace("{ns}", plural).replace("{n}", singular), "is" if "{n}" in text else "are")


def _positioned(
    ask: TextRequest, head: Phrase, position: Position, landmarks: tuple[LandmarkPhrase, ...], verdict: TruthSet
) -> str:
    """The phrase with a place after it."""
    singular = f"{head.singular} {located(ask, position, landmarks, head.noun.paired)}"
    plural = f"{head.plural} {located(ask, position, landmarks, False, many=True)}"
    return _numbered(ask, singular, plural, head.be, verdict.number)


def _circular(head: Phrase, *landmarks: LandmarkPhrase) -> bool:
    """The phrase means the landmark itself, or is the same: "the mug next to the red mug", with no other mug there."""
    return any(
        landmark.words == f"the {head.singular}" or (landmark.at >= 0 and head.verdict.yes == 1 << landmark.at)
        for landmark in landmarks
    )


def _dull(ask: TextRequest, head: Phrase) -> bool:
    """The noun alone means the target, and there are enough texts that say more than they must."""
    alone = ask.target is not None and head.verdict == TruthSet(1 << ask.target, 0)
    return alone and not ask.dice.chance(REDUNDANT)


def attributes(ask: TextRequest) -> Draft | None:
    """ "the red mug", "both striped bowls", "the scissors with a green handle"."""
    if ask.target is not None:
        said = noun_phrases.attributes_of(ask.view, ask.target, ask.dice, least=1)
        noun = noun_phrases.random_noun(ask.view.things[ask.target].kind, ask.dice, wider=0.12)
        head = noun_phrases.phrase(ask.view, noun, said, ask.dice)
    else:
        head = noun_phrases.absent(ask.view, ask.dice, 0.8)
    if not ask.fulfilled(head.verdict) or (head.singular == head.noun.singular and not ask.dice.chance(0.3)):
        return None
    text = _numbered(ask, head.singular, head.plural, head.be, head.verdict.number)
    return None if text == head.singular else Draft(text, head.verdict, unseen=head.unseen)


def relation(ask: TextRequest) -> Draft | None:
    """ "the mug left of the laptop"."""
    head = _head(ask)
    found = None if _dull(ask, head) else some_related(ask)
    if found is None or _circular(head, found[1]):
        return None
    name, landmark = found
    if ask.target is None and not plausible(name, head.noun.head, landmark):
        return None
    verdict = head.verdict & related(ask, name, landmark)
    if not ask.fulfilled(verdict):
        return None
    text = _positioned(ask, head, templates.RELATION_WORDS[name], (landmark,), verdict)
    combination = (name, head.noun.head, landmark.head)
    return Draft(text, verdict, (combination,), head.unseen or landmark.unseen, bits((landmark,)))


def two_relations(ask: TextRequest) -> Draft | None:
    """ "the mug left of the laptop and behind the bowl"."""
    head = _head(ask, 0.15)
    first = None if _dull(ask, head) else ask.landmark()
    second = ask.landmark(first.at) if first else None
    if first is None or second is None or first.words == second.words or _circular(head, first, second):
        return None
    names = some_relation(ask, first), some_relation(ask, second)
    positions = [templates.RELATION_WORDS[name] for name in names if name and templates.RELATION_WORDS[name].places]
    if names[0] is None or names[1] is None or len(positions) < 2 or names[0] == names[1]:
        return None
    if ask.target is None and {"in", "on", "under"} & {*names}:
        return None
    verdict = head.verdict & related(ask, names[0], first) & related(ask, names[1], second)
    if not ask.fulfilled(verdict) or verdict.number > 1:
        return None
    places = [
        filled(ask.pick(position.places), (landmark,))
        for position, landmark in zip(positions, (first, second), strict=True)
    ]
    text = ask.pick(templates.ONE).replace("{n}", f"{head.singular} {places[0]} and {places[1]}")
    combinations = ((names[0], head.noun.head, first.head), (names[1], head.noun.head, second.head))
    unseen = head.unseen or first.unseen or second.unseen
    return Draft(_asked(ask, text, head.be), verdict, combinations, unseen, bits((first, second)))


def between(ask: TextRequest) -> Draft | None:
    """ "the box between the lamp and the can"."""
    if len(ask.view.things) < 3:
        return None
    head, first, second = _head(ask, 0.2), *_flanks(ask)
    if first is None or second is None or first.words == second.words or _circular(head, first, second):
        return None
    there = first.at >= 0 and second.at >= 0
    verdict = head.verdict & (ask.view.between(first.at, second.at) if there else NOTHING)
    if not ask.fulfilled(verdict) or verdict.number > 1:
        return None
    text = _positioned(ask, head, templates.RELATION_WORDS["between"], (first, second), verdict)
    combinations = tuple(("between", head.noun.head, landmark.head) for landmark in (first, second))
    return Draft(text, verdict, combinations, head.unseen or first.unseen or second.unseen, bits((first, second)))


def _flanks(ask: TextRequest) -> tuple[LandmarkPhrase | None, LandmarkPhrase | None]:
    """Two landmarks with the target between them; without a target any two."""
    if ask.target is None:
        first = ask.landmark()
        return first, ask.landmark(first.at) if first else None
    pairs = ask.view.pairs_around(ask.target)
    if not pairs:
        return None, None
    first, second = (noun_phrases.landmark(ask.view, i, ask.dice, ask.split) for i in ask.dice.pick(pairs))
    return (first, second) if ask.dice.chance(0.5) else (second, first)


def closest(ask: TextRequest) -> Draft | None:
    """ "the can closest to the lamp"."""
    head = _head(ask, 0.2)
    if ask.target is None:
        landmark, verdict = ask.landmark(), head.verdict
    else:
        verdict = TruthSet(1 << ask.target, 0)
        landmark = ask.landmark_with(lambda index: ask.view.closest_to(index, head.verdict) == verdict)
    if landmark is None or not ask.fulfilled(verdict):
        return None
    position = templates.RELATION_WORDS["closest to"]
    text = f"the {head.singular} {located(ask, position, (landmark,), head.noun.paired)}"
    combination = ("closest to", head.noun.head, landmark.head)
    unseen = head.unseen or landmark.unseen
    return Draft(_asked(ask, text, head.be), verdict, (combination,), unseen, bits((landmark,)))


def superlative(ask: TextRequest) -> Draft | None:
    """ "the biggest book", "the leftmost object", "the smaller of the two balls"."""
    head = _head(ask, 0.25)
    if ask.target is not None and ask.dice.chance(0.15):
        head = Phrase("object", "objects", OBJECT, ask.view.everything)
    for name in ask.dice.shuffled(tuple(templates.SUPERLATIVE_ADJECTIVES)):
        verdict = NOTHING if ask.target is None else ask.view.superlative(name, head.verdict)
        if verdict is None or not ask.fulfilled(verdict) or (ask.target is None and head.verdict != NOTHING):
            continue
        text = _most(ask, name, head)
        return Draft(_asked(ask, text, head.be), verdict, ((name, head.noun.head, ""),), head.unseen)
    return None


def _most(ask: TextRequest, name: str, head: Phrase) -> str:
    if head.verdict.number == 2 and ask.dice.chance(0.3) and not head.noun.paired:
        adjective, frame = ask.pick(templates.COMPARATIVES[name]), ask.pick(templates.COMPARATIVE_NOUNS)
    elif ask.dice.chance(0.35):
        phrases = templates.SUPERLATIVE_PHRASES[name]
        if head.verdict.number == 2:
            phrases = tuple(words for words in phrases if "others" not in words)
        place = ask.pick(phrases).replace("{is}", head.be)
        return f"the {head.singular} {place}"
    else:
        adjective, frame = ask.pick(templates.SUPERLATIVE_ADJECTIVES[name]), ask.pick(templates.SUPERLATIVE_NOUNS)
    return frame.replace("{a}", adjective).replace("{ns}", head.plural).replace("{n}", head.singular)


def ordinal(ask: TextRequest) -> Draft | None:
    """ "the second apple from the left"; without a target "the third" of two."""
    head = _head(ask, 0.15)
    ordered = ask.view.in_order(head.verdict)
    if ordered is None or head.noun.paired:
        return None
    side = ask.dice.pick(("left", "right"))
    if side == "right":
        ordered.reverse()
    if ask.target is None:
        place, verdict = len(ordered) + (1 if not ordered else 0), NOTHING
    elif ask.target in ordered and len(ordered) > 1:
        place, verdict = ordered.index(ask.target), TruthSet(1 << ask.target, 0)
    else:
        return None
    if place >= len(templates.ORDINALS):
        return None
    text = ask.pick(templates.ORDINAL_WORDS).replace("{o}", templates.ORDINALS[place]).replace("{side}", side)
    text = text.replace("{ns}", head.plural).replace("{n}", head.singular).replace("{is}", head.be)
    combination = (f"{templates.ORDINALS[place]} from {side}", head.noun.head, "")
    return Draft(_asked(ask, text, head.be), verdict, (combination,), head.unseen)


def place(ask: TextRequest) -> Draft | None:
    """ "the mug on the left"."""
    head, name = _head(ask, 0.2), ask.dice.pick(tuple(templates.PLACE_WORDS))
    verdict = head.verdict & ask.view.place(name)
    if not ask.fulfilled(verdict) or _dull(ask, head):
        return None
    text = _positioned(ask, head, templates.PLACE_WORDS[name], (), verdict)
    return Draft(text, verdict, ((name, head.noun.head, ""),), head.unseen)


def negation(ask: TextRequest) -> Draft | None:
    """ "the mug that is not red", where some mug is."""
    same = ask.view.things
    if not same:
        return None
    index = ask.target if ask.target is not None else int(ask.dice.uniform() * len(same))
    noun = noun_phrases.random_noun(same[index].kind, ask.dice, wider=0.1)
    named = ask.view.noun(noun)
    colours = sorted({same[i].colour for i in named.things})
    colour = ask.dice.pick(colours)
    head = noun_phrases.phrase(ask.view, noun, Attributes(), ask.dice)
    verdict = named.without(ask.view.colour(colour))
    if not named.sure or not ask.fulfilled(verdict) or noun.paired:
        return None
    text = ask.pick(templates.NEGATIONS if verdict.number <= 1 else templates.NEGATIONS_MANY).replace("{c}", colour)
    text = text.replace("{ns}", head.plural).replace("{n}", head.singular).replace("{is}", head.be)
    be = "are" if text.startswith(("the " + head.plural, "all ")) else "is"
    unseen = noun_phrases.phrase(ask.view, noun, Attributes(colour), ask.dice).unseen
    return Draft(_asked(ask, text, be), verdict, (("not", noun.head, colour),), unseen)


def several(ask: TextRequest) -> Draft | None:
    """ "both mugs", "all the red fruit", "every book"."""
    head = _head(ask, 0.35)
    if ask.target is None and (head.verdict != NOTHING or not ask.dice.chance(0.3)):
        return None
    masses = [noun for noun in lexicon.MASS_NOUNS if head.noun.means <= noun.means]
    if masses and ask.dice.chance(0.4):
        head = noun_phrases.phrase(ask.view, ask.dice.pick(masses), Attributes(head.colour), ask.dice)
    if not ask.fulfilled(head.verdict) or (ask.target is not None and head.verdict.number < 2):
        return None
    if head.noun in lexicon.MASS_NOUNS:
        text = _asked(ask, ask.pick(templates.MASS).replace("{n}", head.plural), "is")
    else:
        text = _numbered(ask, head.singular, head.plural, head.be, max(head.verdict.number, 2))
    return Draft(text, head.verdict, (("several", head.noun.head, ""),), head.unseen)


def everything(ask: TextRequest) -> Draft | None:
    """ "everything made of metal", "all the red objects", and now and then simply all."""
    if ask.target is not None and ask.dice.chance(0.1):
        combination = ("several", "object", "")
        return Draft(_asked(ask, ask.pick(templates.WHOLE_TABLE), "are"), ask.view.everything, (combination,))
    thing = ask.view.things[ask.target] if ask.target is not None else None
    if ask.dice.chance(0.4):
        material = thing.material if thing else ask.dice.pick(("wooden", "metal", "glass"))
        verdict, value = ask.view.material(material), material
        noun = lexicon.MATERIAL_NOUNS.get(material, material)
        text = ask.pick(templates.EVERYTHING_MADE).replace("{c}", noun).replace("{adjective}", material)
    else:
        value = thing.colour if thing else ask.dice.pick(tuple(CATALOGUE["bowl"].colours))
        verdict = ask.view.colour(value)
        text = ask.pick(templates.EVERYTHING_COLOURED).replace("{c}", value)
    if not value or not ask.fulfilled(verdict) or verdict.number == 1:
        return None
    be = "are" if text.startswith("all") or text.startswith("the") else "is"
    return Draft(_asked(ask, text, be), verdict, (("several", "object", value),))


def union(ask: TextRequest) -> Draft | None:
    """ "the red mug and the laptop"."""
    if ask.target is None:
        return None
    second = ask.landmark()
    first = noun_phrases.landmark(ask.view, ask.target, ask.dice, ask.split, nameless=0.0)
    if first is None or second is None or first.head == second.head:
        return None
    verdict = TruthSet(bits((first, second)), 0)
    text = ask.pick(templates.UNIONS).replace("{x}", first.words).replace("{y}", second.words)
    heads = sorted((first.head, second.head))
    return Draft(_asked(ask, text, "are"), verdict, (("and", heads[0], heads[1]),), first.unseen or second.unseen)


def toppled(ask: TextRequest) -> Draft | None:
    """ "the bottle lying on its side", "the can that is still standing"."""
    head = _head(ask, 0.2)
    if len(head.noun.means) > 1 or not CATALOGUE[head.noun.head].lies:
        return None
    lying = ask.view.lying()
    fallen = bool(lying.yes >> ask.target & 1) if ask.target is not None else ask.dice.chance(0.6)
    verdict = head.verdict & lying if fallen else head.verdict.without(lying)
    if not ask.fulfilled(verdict) or verdict.number > 1 or (not fallen and head.verdict == verdict):
        return None
    text = "the " + ask.pick(templates.LYING if fallen else templates.UPRIGHT).replace("{n}", head.singular)
    combination = ("lying" if fallen else "upright", head.noun.head, "")
    return Draft(_asked(ask, text, head.be), verdict, (combination,), head.unseen)


MAKERS: dict[Callable[[TextRequest], Draft | None], float] = {
    attributes: 0.07,
    relation: 0.28,
    two_relations: 0.05,
    between: 0.16,
    closest: 0.09,
    superlative: 0.11,
    ordinal: 0.06,
    place: 0.12,
    negation: 0.08,
    several: 0.05,
    everything: 0.03,
    union: 0.03,
    toppled: 0.08,
}
"""The makers and how often each is tried."""
