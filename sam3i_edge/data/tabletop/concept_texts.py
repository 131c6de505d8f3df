"""Concepts: short noun phrases that mean all they fit."""

from __future__ import annotations

from sam3i_edge.data.tabletop import lexicon, noun_phrases
from sam3i_edge.data.tabletop.draft import Draft
from sam3i_edge.data.tabletop.noun_phrases import Attributes
from sam3i_edge.data.tabletop.text_request import TextRequest

MAX_WORDS = 5


def concept(ask: TextRequest) -> Draft | None:
    """A concept for what is asked; None where the attempt failed."""
    dice, view = ask.dice, ask.view
    if ask.target is None:
        found = noun_phrases.absent(view, dice, attributed=0.35, wider=0.12)
        noun = found.noun
        attributes = Attributes(found.colour)
    else:
        kind = view.things[ask.target].kind
        noun = noun_phrases.random_noun(kind, dice, wider=0.12)
        if dice.chance(0.05):
            noun = dice.pick([n for n in lexicon.MASS_NOUNS if kind in n.means] or [noun])
        attributed = noun_phrases.attributes_of(view, ask.target, dice, least=1)
        attributes = attributed if dice.chance(0.55) else Attributes()
    found = noun_phrases.phrase(view, noun, attributes, dice, after_noun=0.0)
    if not ask.fulfilled(found.verdict):
        return None
    text = found.plural if noun in lexicon.MASS_NOUNS or dice.chance(0.12) else found.singular
    if text == found.singular and not noun.paired and dice.chance(0.04):
        text = lexicon.with_article(text)
    return Draft(text, found.verdict, unseen=found.unseen) if len(text.split()) <= MAX_WORDS else None
