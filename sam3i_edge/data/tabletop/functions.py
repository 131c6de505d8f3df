"""What things are for, and how to ask for it without their names. Data, and the one question it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sam3i_edge.data.tabletop.facts import Thing

Wordings = tuple[str, ...]


@dataclass(frozen=True)
class Function:
    """A use or a property, and the kinds that have it.

    Attributes:
        name: how combinations of it are known (``holdout``).
        fits: the kinds it is surely true of.
        doubtful: the kinds somebody might also mean: with one in view, nothing is asked about this function.
        you: clauses that follow "what" or "the thing": "you would drink from".
        it: clauses that follow "what" or "the thing that": "rings".
        to: infinitives that follow "something to": "drink from".
        do: infinitives that follow "what would you use to": "cut bread".
        one: whole texts that mean one thing.
        any: whole texts that mean whatever fits, one thing or more.
        many: whole texts that mean at least two.
        excludes: whole texts that mean everything it is not true of.
        question: answers for one thing where the kind alone does not tell; None leaves it to the kinds.
    """

    name: str
    fits: frozenset[str]
    doubtful: frozenset[str] = frozenset()
    you: Wordings = ()
    it: Wordings = ()
    to: Wordings = ()
    do: Wordings = ()
    one: Wordings = ()
    any: Wordings = ()
    many: Wordings = ()
    excludes: Wordings = ()
    question: Callable[[Thing], bool | None] | None = None

    def answer(self, thing: Thing) -> bool | None:
        """Whether ``thing`` serves: True, False, or None for doubt."""
        if thing.kind in self.doubtful:
            return None
        if self.question is not None and thing.kind in self.fits:
            return self.question(thing)
        return thing.kind in self.fits


def _kinds(names: str) -> frozenset[str]:
    return frozenset(names.split())


def _rolls(thing: Thing) -> bool | None:
    """Round things roll wherever they lie free; a can, a jar or a bottle only once it has fallen over."""
    if thing.kind in ("bottle", "can", "jar") and not thing.lying:
        return False
    return True if thing.inside is None and thing.resting_on is None else None


FUNCTIONS: tuple[Function, ...] = (
    Function(
        "drink from",
        _kinds("mug cup"),
        _kinds("bottle can jar bowl"),
        you=("you would drink from", "one drinks from", "you could have a hot drink from", "you would take a sip from"),
        to=("drink from", "have tea from", "sip hot cocoa from", "drink coffee out of"),
        do=("drink tea", "have a hot chocolate"),
        any=(
            "where would you pour the coffee?",
            "I am thirsty, where does the tea go?",
            "the coffee is ready, what do I pour it into?",
        ),
        one=("pour my tea into this", "fill this with coffee", "it could hold my morning coffee"),
        excludes=("everything you would not drink from", "whatever nobody would drink from"),
    ),
    Function(
        "comes with a drink",
        _kinds("bottle"),
        _kinds("can jar box mug cup"),
        you=(
            "you would buy lemonade in",
            "you unscrew before you drink",
            "you would take along on a hike against thirst",
        ),
        it=("stands in the cooler at a party", "a cyclist takes along to drink", "you have to open before drinking"),
        to=("take along against thirst", "keep lemonade in"),
        any=("lemonade is sold in it", "what would stand in the cooler at a party?"),
    ),
    Function(
        "slice",
        _kinds("knife"),
        _kinds("scissors"),
        you=("you would cut bread with", "one slices tomatoes with", "you would butter toast with"),
        to=("cut bread with", "slice a tomato with", "carve the roast with", "spread butter with"),
        do=("cut bread", "slice a loaf", "chop an onion", "butter a slice of toast"),
        one=("use this to cut the cake", "with this you slice the bread", "it has a blade and cuts your steak"),
        any=("the bread needs slicing, what do I take?", "I have to chop the onions, what helps?"),
    ),
    Function(
        "cut paper",
        _kinds("scissors"),
        _kinds("knife"),
        you=("you would cut paper with", "a tailor cuts cloth with", "you would trim a ribbon with"),
        to=("cut paper with", "trim a ribbon with", "cut out a coupon with", "give somebody a haircut with"),
        do=("cut out a picture", "cut a thread", "trim some paper"),
        one=("use this to cut the wrapping paper", "it has two blades that close"),
        any=("I am wrapping a present, what cuts the paper?", "what would a hairdresser pick up?"),
    ),
    Function(
        "cuts",
        _kinds("knife scissors"),
        _kinds("fork screwdriver"),
        you=("you could cut a string with", "you had better not run with", "you could cut yourself on"),
        it=("has a blade", "is sharp enough to cut", "could cut your finger"),
        to=("cut a string with", "open a parcel with"),
        any=("keep this away from toddlers, it cuts", "careful, you could cut yourself on it"),
        many=("everything with a blade", "all that is sharp enough to cut"),
    ),
    Function(
        "under a hot pan",
        _kinds("trivet"),
        _kinds("plate book"),
        you=("you would put under a hot pan", "you would set a hot pot on", "you would rest a hot kettle on"),
        it=("protects the table from hot pots", "keeps the table from getting burnt", "goes under a hot pan"),
        to=("put under a hot pan", "set the hot pot on", "save the table from a hot pan"),
        do=("protect the table from heat", "keep a hot pan off the table"),
        one=("put this under a hot pan", "the stew goes on top of this, straight from the stove"),
        any=("the pan is hot, what goes under it?", "the pot comes off the stove, where do I set it down?"),
    ),
    Function(
        "rolls",
        _kinds("ball apple lemon bottle can jar"),
        _kinds("screwdriver banana hammer"),
        it=(
            "would roll off if the table tilted",
            "would roll away if you nudged it",
            "rolls when you push it",
            "could roll over the edge",
        ),
        one=("if the table tilted, this would roll away", "it would not stay put on a slope"),
        any=("what rolls off first if the table tilts?", "if somebody lifts the table, what rolls down?"),
        excludes=("everything that would not roll",),
        question=_rolls,
    ),
    Function(
        "charger",
        _kinds("phone laptop"),
        _kinds("lamp"),
        you=("you have to charge overnight", "you would plug into a charger", "you would take to a video call"),
        it=("needs a charger", "runs on a battery", "has a battery inside", "should be charged from time to time"),
        to=("browse the web with", "answer e-mail with", "watch a video on"),
        do=("read the e-mail", "look something up online"),
        one=("its battery is low, plug it in", "it connects to the wifi"),
        any=("the battery is empty, what has to be charged?", "what did you bring the charger for?"),
    ),
    Function(
        "electricity",
        _kinds("phone laptop lamp"),
        you=("you would switch on and off", "you should keep dry because of the current", "you could turn on"),
        it=("runs on electricity", "needs power", "works only with electricity", "has a switch"),
        any=("the power is out, what does not work any more?",),
        many=("everything electric", "everything that needs power"),
        excludes=("everything that works without power", "everything that needs no electricity"),
    ),
    Function(
        "screen",
        _kinds("phone laptop"),
        it=("has a screen", "has a display", "shows you messages", "runs apps"),
        to=("watch a film on", "play a game on", "check the news on"),
        do=("check the weather online", "watch a clip"),
        one=("it is all screen and apps", "stop staring at it, it is bad for your eyes"),
    ),
    Function(
        "type",
        _kinds("laptop"),
        _kinds("phone"),
        you=("you would write a long report on", "you would do office work on", "you fold open and type on"),
        it=("has a keyboard", "opens like a clam and has keys", "a programmer works on all day"),
        to=("type a letter on", "write code on", "fill in a spreadsheet on"),
        do=("write a long e-mail", "edit a spreadsheet"),
        one=("it opens and you type on it", "it folds shut over its keys"),
        any=("I have to write my thesis, where do I type?", "time to get some office work done, what do I need?"),
    ),
    Function(
        "call",
        _kinds("phone"),
        _kinds("laptop"),
        you=("you would call home with", "you carry in your pocket and talk to", "you would hold to your ear"),
        it=("rings when somebody calls", "fits in your pocket and takes photos", "vibrates when a message comes in"),
        to=("call a taxi with", "send a text message with", "take a selfie with"),
        do=("call my mother", "ring for help", "take a quick picture"),
        one=("it rings, please answer it", "you hold it to your ear and talk"),
        any=("I have to call the office, what do I need?", "what is ringing?"),
    ),
    Function(
        "read",
        _kinds("book"),
        _kinds("phone laptop"),
        you=("you would read in bed", "you would borrow from a library", "you would take along for a quiet hour"),
        it=("tells a story", "keeps a reader busy for hours"),
        to=("read", "read before going to sleep", "leaf through"),
        do=("read for a while", "spend a rainy afternoon with a novel"),
        any=("I want to read for a while, what do I need?", "I am bored on the train, what could I read?"),
    ),
    Function(
        "pages",
        _kinds("book"),
        you=("you leaf through", "you would put a bookmark in", "you would put back on the library shelf"),
        it=("has pages", "is full of printed pages", "has a spine and a cover", "belongs in a library"),
        one=("it has chapters and pages", "you turn its pages one by one", "an author wrote it"),
        any=("what has pages to turn?",),
    ),
    Function(
        "gives light",
        _kinds("lamp candle"),
        _kinds("phone laptop"),
        you=("you would light up a room with", "you would want in a dark room"),
        it=("gives light", "brightens up a dark room", "makes it brighter in here"),
        to=("light up the room with", "see in the dark with"),
        do=("light up the room", "see better in the dark"),
        any=("it is getting dark in here", "it is too dark to see, what would help?", "I need some light"),
        many=("everything that gives light", "all that could light up the room"),
    ),
    Function(
        "bulb",
        _kinds("lamp"),
        _kinds("phone laptop"),
        you=("you switch on to read at night", "you would screw a bulb into", "you turn on when it gets dark"),
        it=("needs a bulb", "shines on your desk at night", "has a shade and a bulb"),
        one=("switch it on, it is too dark to read", "its bulb has to be changed"),
        any=("the bulb is broken, what needs a new one?", "what do I switch on to work at night?"),
    ),
    Function(
        "flame",
        _kinds("candle"),
        you=("you light with a match", "you would blow out before going to bed", "you would put on a birthday cake"),
        it=("burns with a small flame", "drips wax", "melts while it burns", "has a wick", "is made of wax"),
        to=("light with a match", "light for a romantic dinner"),
        one=("blow it out before you leave", "light it with a match", "it gets shorter while it burns"),
        any=("the power is out, I have matches, what do I light?", "what would you light for a romantic evening?"),
    ),
    Function(
        "eat",
        _kinds("apple banana lemon"),
        _kinds("can jar box bottle"),
        you=("you could eat", "you could put in a salad for dessert", "a greengrocer would sell"),
        it=("is edible", "is healthy and full of vitamins", "goes into a smoothie", "has grown on a plant"),
        to=("eat", "put in a smoothie"),
        any=("what here is edible?", "I need vitamins", "it will rot if nobody eats it"),
        many=("everything you could eat", "everything edible", "all that grew on a plant"),
        excludes=("everything you could not eat", "everything that is not edible", "whatever nobody could eat"),
    ),
    Function(
        "grows on a tree",
        _kinds("apple lemon"),
        _kinds("banana"),
        you=("you would pick from a tree", "you would find in an orchard"),
        it=("grows on a tree", "has seeds inside", "fell from a tree"),
        any=("what was picked from a tree?", "what would you harvest with a ladder?"),
        many=("everything that grows on trees",),
    ),
    Function(
        "peel by hand",
        _kinds("banana"),
        _kinds("lemon apple"),
        you=("a monkey would grab first", "you peel before eating", "you would slice over your cereal"),
        it=("has to be peeled before you eat it", "a monkey would love", "grows in bunches in the tropics"),
        to=("peel and eat", "give to a monkey"),
        one=("a snack that needs peeling", "do not slip on its peel", "it is long, sweet and grows in bunches"),
        any=("what would a monkey take?", "what needs peeling?"),
    ),
    Function(
        "sour",
        _kinds("lemon"),
        you=("you would squeeze over fish", "you would squeeze into your tea", "you would find too sour to bite into"),
        it=("tastes sour", "makes your mouth pucker", "is too sour to eat on its own"),
        to=("squeeze over the fish", "make the tea sour with"),
        one=("squeeze this over the salad", "it is sour and full of juice", "a slice of this goes into iced tea"),
        any=("what would taste sour?", "life gave me something sour to squeeze"),
    ),
    Function(
        "crunchy",
        _kinds("apple"),
        _kinds("lemon"),
        you=("you would bake into a strudel", "you would bite into with a crunch", "you would press cider from"),
        it=(
            "keeps the doctor away, one a day",
            "is crunchy, sweet and has a core",
            "Snow White should not have bitten",
        ),
        to=("bake a strudel with", "press cider from"),
        one=("one of these a day keeps the doctor away", "it fell on Newton's head", "a crunchy snack with a core"),
        any=("what would you give a horse as a treat?",),
    ),
    Function(
        "drive nails",
        _kinds("hammer"),
        you=("you would drive in a nail with", "a carpenter hits nails with", "you would knock a peg in with"),
        it=("drives nails into wood", "pounds nails", "a blacksmith swings"),
        to=("drive in a nail with", "hit a nail with", "pound a tent peg in with"),
        do=("drive in a nail", "hang up a picture with a nail", "pound in a nail"),
        one=("use this to drive in a nail", "mind your thumb when you swing it", "it knocks nails into the wall"),
        any=("a nail sticks out of the wall, what do I need?", "there is a nail to drive in, what do I take?"),
    ),
    Function(
        "turn screws",
        _kinds("screwdriver"),
        _kinds("knife"),
        you=("you would tighten a screw with", "you would open a screwed-down lid with", "you turn screws with"),
        it=("turns screws", "fits into the slot of a screw", "tightens loose screws"),
        to=("tighten a screw with", "loosen a screw with", "take the back off a radio with"),
        do=("tighten a loose screw", "assemble flat-pack furniture", "undo a screw"),
        one=("use this to undo the screws", "its tip fits a screw"),
        any=("a screw came loose, what do I need?", "the hinge is loose, what do I tighten it with?"),
    ),
    Function(
        "toolbox",
        _kinds("hammer screwdriver"),
        _kinds("knife scissors lamp box can jar"),
        you=("you would keep in a toolbox", "a handyman would bring along", "you would look for in the workshop"),
        it=("belongs in a toolbox", "a carpenter carries on the belt", "helps with repairs around the house"),
        to=("repair furniture with", "put up a shelf with"),
        do=("put up a shelf", "repair a chair"),
        any=("the shelf is broken, what do I need?", "what belongs in the workshop?"),
        many=("everything that belongs in a toolbox", "all you need for repairs"),
        excludes=("everything that does not belong in a toolbox", "everything you would not keep in a toolbox"),
    ),
    Function(
        "scoop",
        _kinds("spoon"),
        _kinds("fork"),
        you=("you would eat soup with", "you would stir your coffee with", "you would scoop ice cream with"),
        it=("scoops up soup", "stirs sugar into the tea", "feeds a baby its porridge"),
        to=("eat soup with", "stir the tea with", "scoop ice cream with", "taste the sauce with"),
        do=("eat soup", "stir the sauce", "eat yoghurt"),
        one=("use this to stir the coffee", "stir the sugar in with this"),
        any=("soup is served, what do I eat it with?", "the sugar is still at the bottom, what stirs it?"),
    ),
    Function(
        "prongs",
        _kinds("fork"),
        you=("you would twirl spaghetti with", "you would spear a potato with", "you would eat noodles with"),
        it=("has prongs", "picks up spaghetti", "ends in several tines", "spears your salad"),
        to=("twirl spaghetti with", "spear a potato with", "eat salad with"),
        do=("eat spaghetti", "eat a salad", "pierce a potato"),
        one=("use this to twirl the pasta", "it has tines to spear food"),
        any=("pasta for lunch, what do I eat it with?",),
    ),
    Function(
        "eat with",
        _kinds("knife spoon fork"),
        you=("you would eat a meal with", "you lay beside everyone's dinner", "you hold in your hand at dinner"),
        it=("helps you get food into your mouth", "goes in the drawer with the table things", "is laid out for a meal"),
        to=("eat a meal with", "eat dinner with"),
        do=("eat without using my fingers", "have dinner politely"),
        any=("dinner is ready, what do we eat with?", "I do not want to eat with my hands"),
        many=("everything you would eat with", "all that you hold in your hand while you eat"),
    ),
    Function(
        "soup goes in",
        _kinds("bowl"),
        _kinds("mug cup plate jar"),
        you=("you would serve soup in", "you would eat cereal from", "you would toss a salad in"),
        it=("your cereal and milk go into", "soup is served in"),
        to=("serve soup in", "eat cereal from", "mix a batter in"),
        do=("serve a salad", "have some cereal"),
        one=("pour the soup into this", "put the cornflakes and milk in this"),
        any=("if I spilled soup, where should it have been?", "the soup is ready, where does it go?"),
    ),
    Function(
        "serve on",
        _kinds("plate"),
        _kinds("bowl trivet book"),
        you=("you would serve a steak on", "you would put a slice of cake on", "you would eat a pizza from"),
        it=("your main course is served on", "a waiter puts your meal on"),
        to=("serve a steak on", "put a sandwich on", "eat a pancake from"),
        do=("serve the pancakes", "eat a slice of pizza"),
        one=("put the sandwich on this", "it is flat and dinner is served on it"),
        any=("the steak is done, what do I serve it on?", "where would you put a slice of cake?"),
    ),
    Function(
        "bounces",
        _kinds("ball"),
        you=("a dog would chase", "children kick around", "you would throw and catch", "you would play with outdoors"),
        it=("bounces", "bounces when you drop it", "is fun to throw and catch", "a striker kicks into the goal"),
        to=("play catch with", "kick around in the yard", "throw for the dog"),
        do=("play catch", "play in the yard"),
        one=("throw it and the dog brings it back", "it bounces back when you drop it"),
        any=("the children want to play outside, what do they take?", "what would a dog fetch?"),
    ),
    Function(
        "pull tab",
        _kinds("can"),
        you=("you open by pulling a ring", "you would recycle as scrap metal once it is empty", "one opens with a tab"),
        it=("opens with a ring on top", "has a pull tab on top", "keeps in the pantry until you pull its tab"),
        one=("pull the ring to open it", "pull its tab and it is open"),
        any=("what do you open by pulling a tab?",),
    ),
    Function(
        "narrow neck",
        _kinds("bottle"),
        _kinds("jar"),
        you=(
            "you would put a message in and throw into the sea",
            "wine is sold in",
            "you would pour wine from",
            "a genie might live in",
        ),
        it=("has a long narrow neck", "a sailor would put a message in", "wine is poured from"),
        to=("pour wine from", "send a message across the sea in"),
        one=("a message in it could cross the sea", "it has a narrow neck for pouring"),
        any=("what would a ship in a hobby shop be built in?",),
    ),
    Function(
        "jam",
        _kinds("jar"),
        _kinds("can bottle box"),
        you=("you would keep jam in", "you would pickle cucumbers in", "honey is sold in"),
        it=("has a lid to screw on and holds jam", "keeps honey fresh", "grandmother fills with jam"),
        to=("keep jam in", "store honey in", "pickle cucumbers in"),
        do=("store homemade jam", "keep cookies fresh"),
        one=("fill this with jam", "its lid screws on and honey is inside"),
        any=("the jam is cooked, what do I fill it into?", "where is the honey kept?"),
    ),
    Function(
        "pack",
        _kinds("box"),
        _kinds("jar can"),
        you=("you would ship a present in", "you would put shoes in", "a parcel service would deliver"),
        it=("a courier delivers", "has six flat sides", "you would tape shut and mail"),
        to=("pack a present in", "mail a gift in", "move house with"),
        do=("ship a present", "pack up my old toys"),
        one=("pack the gift in this", "tape it shut and mail it"),
        any=("I want to mail a gift, what do I pack it in?", "what would the courier bring?"),
    ),
    Function(
        "holds water",
        _kinds("mug cup bottle bowl jar"),
        _kinds("can plate box"),
        you=("you could fill with water", "you could carry water in", "you could pour milk into"),
        it=("holds water without leaking", "could be filled with water", "catches the drips from a leaky roof"),
        to=("carry water in", "pour milk into", "catch a drip with"),
        do=("carry some water", "catch drips from the ceiling"),
        any=("the roof drips, what could I put there?", "what would still hold water?"),
        many=("everything you could fill with water", "everything that holds water"),
        excludes=("everything that would not hold water",),
    ),
    Function(
        "wash up",
        _kinds("mug bowl plate spoon fork knife"),
        _kinds("cup jar bottle can box trivet scissors"),
        you=("you would wash up after dinner", "you would put in the dishwasher", "you would rinse after a meal"),
        it=("goes into the dishwasher", "gets dirty at every meal"),
        any=("the dishwasher is empty, what goes in?", "dinner is over, what do I wash up?"),
        many=("everything that goes into the dishwasher", "all I have to wash up after dinner"),
        excludes=("everything that must not go into the dishwasher",),
    ),
)
