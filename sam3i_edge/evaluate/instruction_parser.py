"""What the rule agent reads out of an English instruction: noun phrases, landmarks, order and number."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sam3i_edge.evaluate.functions import FUNCTIONS, NOUNS, THINGS

NUMBERS = {"one": 1, "two": 2, "both": 2, "pair": 2, "three": 3, "four": 4, "five": 5}
ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4}

ORDERS: tuple[tuple[str, str, int], ...] = (
    (
        r"from the left|^(the )?left of the two|leftmost|furthest to the left|far left|on the left|"
        r"left[- ]hand|to the left$",
        "x",
        1,
    ),
    (
        r"from the right|^(the )?right of the two|rightmost|furthest to the right|far right|on the right|"
        r"right[- ]hand|to the right$",
        "x",
        -1,
    ),
    (r"biggest|largest|bigger|larger", "area", -1),
    (r"smallest|tiniest|littlest|smaller", "area", 1),
    (r"tallest|highest|taller", "height", -1),
    (r"shortest|lowest|shorter", "height", 1),
    (r"widest|longest|wider|longer", "width", -1),
    (r"narrowest|thinnest", "width", 1),
    (
        r"(closest|nearest|closer|nearer)( to (the camera|the viewer|me|you|us))?$|at the front|in the foreground",
        "bottom",
        -1,
    ),
    (
        r"(farthest|furthest)( away)?( from (the camera|the viewer|me|you|us))?$|at the back|in the background",
        "bottom",
        1,
    ),
    (r"at the top|topmost|uppermost", "y", 1),
    (r"at the bottom|bottommost", "y", -1),
    (r"in the (middle|cent(er|re))|cent(er|re)most|middle", "off_centre", 1),
)
"""Words, the measure of ``agent.Shapes`` they order by, and whether small (1) or large (-1) comes first."""

RELATIONS: tuple[tuple[str, str], ...] = (
    (r"(directly |just |immediately )?(to the |on the )?(left|left-hand side|left side) of|left than", "left"),
    (r"(directly |just |immediately )?(to the |on the )?(right|right-hand side|right side) of|right than", "right"),
    (r"(directly |just |right |immediately )?(behind|in back of|beyond|past)", "behind"),
    (r"(directly |just |right |immediately )?in front of", "front"),
    (r"(in )?between", "between"),
    (r"(farthest|furthest)( away)? from|far from", "far"),
    (r"(closest|nearest|nearer|closer|next|close|right next|adjacent) to|nearest|near|beside|by|alongside", "near"),
    (r"(resting |lying |sitting |standing |placed )?(on top of|on|onto|in|inside|within)", "on"),
    (r"above|over", "above"),
    (r"below|beneath|underneath|under", "below"),
)

WRAPPER = re.compile(
    r"^(please |kindly |now |just |hey |ok |could you |can you |would you |will you |i want you to |i need you to "
    r"|i would like you to |help me |try to )*"
    r"((segment|find|show|mark|highlight|select|point|pick|get|give|grab|hand|pass|bring|locate|detect|identify|"
    r"outline|mask|look|fetch|take|choose|spot|indicate|where is|where are|i want|i need|i would like|i'd like|"
    r"i see|see|there is|is there|are there|do you see|can you see|"
    r"where do you see|what is|which one is|which is)\b( out| up| for| at| to| over| me| us| it)*)? *"
)
ARTICLES = {
    "the",
    "a",
    "an",
    "this",
    "that",
    "these",
    "those",
    "my",
    "your",
    "its",
    "some",
    "any",
    "of",
    "such",
    "very",
    "just",
}
QUANTIFIERS = {"all", "every", "each", *NUMBERS, *ORDINALS, "other", "single", "only", "last"}
COMPARISONS = re.compile(r"^(\w+est|\w+most|middle|bigger|larger|smaller|left|right|front|back|top|bottom)$")
BREAK = re.compile(
    r"\b(and|made|on|in|into|over|by|near|between|behind|under|above|below|as|than|counted|further|farther|that|which|"
    r"who|where|with|without|from|of|to|at|for|is|are|has|have|but|standing|lying|sitting|resting|placed|located|"
    r"positioned|flanked|surrounded|closest|nearest|farthest|furthest)\b|[,;:.?!]"
)
PLACEHOLDERS = {"one", "ones", "thing", "things", "object", "objects", "item", "items", "something", "everything",
                "anything", "what", "whatever", "which", "it", "them", "stuff", "visual", "visuals"}  # fmt: skip
CLAUSE_WORDS = {
    "i", "you", "we", "they", "he", "she", "nobody", "somebody", "someone", "anybody", "people", "not", "no", "do",
    "does", "did", "don't", "doesn't", "would", "could", "should", "might", "must", "will", "want", "wants", "need",
    "needs", "have", "has", "had", "me", "us", "be", "am", "was", "were", "let",
}  # fmt: skip
"""Where a noun phrase would hold one of these, it is no noun phrase but a clause."""

NEGATION = re.compile(r"\b(not|\w+n't|never|nobody|no one|cannot|no|except|apart from|other than)\b")
REVERSED = re.compile(r"\b(?:with|that has|which has|having) ((?:the|a|an) [\w' -]+?) (?:on|to|at) its (left|right)\b")
COUNTING = re.compile(r"^(?:counting |starting |counted )?((?:on|from) the (?:left|right)),? (?:the )?(.+)$")
SIDE_OF = re.compile(r"^(the )?(left|right) of the (two|three|pair)\b")
OPPOSITE = {"left": "right", "right": "left"}
SINGULAR_S = ("ss", "us", "is")


@dataclass(frozen=True)
class Landmark:
    """Another thing that the instruction speaks of, and how the target stands to it."""

    relation: str
    """One of the names in ``RELATIONS``."""
    phrases: tuple[str, ...]
    """One; two for "between"."""


@dataclass(frozen=True)
class Instruction:
    """What was understood."""

    phrases: tuple[str, ...]
    landmarks: tuple[Landmark, ...] = ()
    order: str = ""
    """The measure to put instances in order by; "" for the model's own order, by score."""
    sign: int = 1
    skip: int = 0
    """How many to pass over in this order: 1 for "second from the left"."""
    count: int | None = None
    """How many are meant; None: all."""


def read_instruction(text: str) -> Instruction:
    """Read an English instruction. What is not understood is passed over."""
    words = " ".join(re.sub(r"[^\w\s,;:.?!'-]", " ", text.lower()).split()).rstrip(".?!")
    words = WRAPPER.sub("", words, count=1) or words
    words = COUNTING.sub(r"\2 \1", words)
    words, mirrored = _mirrored(words)
    head, landmarks = (words, ()) if SIDE_OF.match(words) else _split_landmarks(words)
    told = head if landmarks else words  # what follows is told of a landmark
    order, sign = next(((name, sign) for pattern, name, sign in ORDERS if re.search(pattern, told)), ("", 1))
    nouns = _nouns(head)
    skip = next((ORDINALS[word] for word in words.split() if word in ORDINALS), 0) if order else 0
    count = _count(words, head, nouns, bool(order))
    return Instruction(nouns or _by_function(words), (*mirrored, *landmarks), order, sign, skip, count)


def _nouns(head: str) -> tuple[str, ...]:
    """The noun phrases that the instruction is about; none where it has no noun."""
    parts = re.split(r",? and (?:also )?|,? as well as | plus ", head)
    listed = [_noun_phrase(part) for part in parts]
    if len(parts) > 1 and all(listed):
        return tuple(listed)
    of = _noun_phrase(f" {head}".partition(" of ")[2])  # "the leftmost of the mugs", "of the mugs, the leftmost"
    noun = listed[0] or of
    # "pour my tea" and "holds water" speak of a function; "water bottle" does not
    return () if not noun or (noun.split()[-1] not in NOUNS and _serving(noun)) else (noun,)


def _mirrored(words: str) -> tuple[str, tuple[Landmark, ...]]:
    """ "the mug with the lamp on its left" stands right of the lamp; the rest of the words without it."""
    hit = REVERSED.search(words)
    phrase = _noun_phrase(hit[1]) if hit else ""
    if not hit or not phrase:
        return words, ()
    return " ".join((words[: hit.start()] + words[hit.end() :]).split()), (Landmark(OPPOSITE[hit[2]], (phrase,)),)


def _split_landmarks(words: str) -> tuple[str, tuple[Landmark, ...]]:
    """The part before the first relation, and the landmark of each relation that has one."""
    starts: list[tuple[int, int, str]] = []
    for pattern, name in RELATIONS:
        for hit in re.finditer(rf"\b(?:{pattern}) (?=(?:the|a|an|my|both|any|that|this|\w+ (?:and|one)) )", words):
            if not any(start < hit.end() and hit.start() < stop for start, stop, _ in starts):
                starts.append((hit.start(), hit.end(), name))
    starts.sort()
    landmarks = []
    for index, (_, stop, name) in enumerate(starts):
        until = starts[index + 1][0] if index + 1 < len(starts) else len(words)
        parts = words[stop:until].split(" and ", 1) if name == "between" else [words[stop:until]]
        phrases = tuple(phrase for phrase in map(_noun_phrase, parts) if phrase)
        if phrases and not set(phrases) & {"camera", "viewer", "left", "right", "middle", "table", "image", "picture"}:
            landmarks.append(Landmark(name, phrases))
    return (words[: starts[0][0]] if starts else words), tuple(landmarks)


def _noun_phrase(part: str) -> str:
    """ "all the big red mugs on": "big red mug"; "" where there is no noun but a placeholder."""
    part = BREAK.split(part.strip(" ,"), maxsplit=1)[0]
    listed = re.findall(r"[\w'-]+", part)
    if not listed or listed[-1] in PLACEHOLDERS or set(listed) & CLAUSE_WORDS:
        return ""
    skipped = ARTICLES | QUANTIFIERS
    kept = [word for word in listed if word not in skipped and not COMPARISONS.match(word)]
    if not kept or kept[0] in PLACEHOLDERS or len(kept) > 4:
        return ""
    return " ".join([*kept[:-1], _singular(kept[-1])])


def _by_function(words: str) -> tuple[str, ...]:
    """The things that serve what a text without a noun speaks of, or those that do not, where it says "not".

    "the green one that ..." asks for green ones alone. Where there is no function either, it asks for everything.
    """
    serving = _serving(words)
    if not serving:
        return THINGS
    if NEGATION.search(words):
        return tuple(thing for thing in THINGS if thing not in serving)
    hit = re.search(r"\bthe ([\w-]+) ones?\b", words)
    if hit and not COMPARISONS.match(hit[1]) and hit[1] not in QUANTIFIERS:
        return tuple(f"{hit[1]} {thing}" for thing in serving)
    return serving


def _serving(words: str) -> tuple[str, ...]:
    return next((things for pattern, things in FUNCTIONS if re.search(rf"\b(?:{pattern})", words)), ())


def _count(words: str, head: str, nouns: tuple[str, ...], is_ordered: bool) -> int | None:
    """How many the text means: all for a plural without a number, and for a bare "what"; one for a singular."""
    listed = re.findall(r"[\w'-]+", head)
    if re.search(r"\bthe [\w-]+ one\b", words):
        return 1
    if {"all", "every", "each", "everything", "anything", "whatever"} & set(listed):
        return None
    if is_ordered and (ORDINALS.keys() & set(listed) or re.search(r"(est|most|left|right) (one )?of\b", words)):
        return 1  # "the leftmost of the three mugs"
    number = next((NUMBERS[word] for word in listed if word in NUMBERS and word != "one"), 0)
    if number:
        return number
    ends = {noun.split()[-1] for noun in nouns}
    is_plural = any(_singular(word) in ends and word != _singular(word) for word in listed)
    if is_plural or re.match(r"^(the |these |those )?(ones|things|objects|items)\b", words):
        return None
    if len(nouns) > 1:
        return len(nouns)
    return 1 if is_ordered or nouns or not re.match(r"^(what|which|whatever)\b", words) else None


def _singular(word: str) -> str:
    irregular = {"knives": "knife", "shelves": "shelf", "scissors": "scissors", "glasses": "glass", "boxes": "box",
                 "dishes": "dish", "brushes": "brush", "watches": "watch", "mice": "mouse"}  # fmt: skip
    if word in irregular:
        return irregular[word]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(SINGULAR_S) else word
