"""What things are for: the rule agent's plain knowledge of the world, as anybody would write it down.

It is made without a look at any dataset's own wording or kinds, so that the agent is a fair baseline.
"""

from __future__ import annotations

FUNCTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"wash|dishwasher|dirty|rinse", ("plate", "bowl", "mug", "cup", "glass", "fork", "knife", "spoon", "pan", "pot")),
    (r"(you|one|nobody|could|can|to) eat$|edible|tasty|peckish|appetite", ("apple", "banana", "orange")),
    (r"eat (a meal |dinner |lunch )?with|my hands|cutlery|silverware", ("fork", "spoon", "knife")),
    (r"water|milk|liquid|leak|fill", ("mug", "cup", "glass", "bottle", "bowl", "jar", "jug", "vase", "pot")),
    (r"drink|sip|coffee|tea\b|beverage|thirst|espresso|latte|cocoa", ("mug", "cup", "glass", "bottle")),
    (r"cut|slic|chop|carv|blade|sharp|peel|butter|spread", ("knife", "scissors")),
    (r"soup|stir|scoop|cereal|porridge|broth|sugar", ("spoon",)),
    (r"stab|spear|twirl|prong|tines|pasta|spaghetti|noodle", ("fork",)),
    (r"screw|tighten|loosen|bolt", ("screwdriver", "wrench")),
    (r"nails?\b|pound|bang|hit|drive in|knock|hammer", ("hammer",)),
    (r"call|ring|text|dial|selfie|message|talk to", ("phone",)),
    (r"type|typing|email|report|essay|code|program|surf|browse|work on|keyboard|website|internet", ("laptop",)),
    (r"charg|plug|battery|power|screen|electr|current|switch|wi-?fi", ("laptop", "phone", "lamp")),
    (r"light|dark|bright|illuminat|glow|lit\b|shade", ("lamp", "candle")),
    (r"read|pages|novel|story|chapter|library|bookmark|studying|learn", ("book",)),
    (r"fruit|vitamin|healthy|snack|bite|eat up|edible|orchard|ripe|juice|peel|pip|core", ("apple", "banana", "orange")),
    (r"monkey", ("banana",)),
    (r"kick|throw|catch|bounc|game|sport|play", ("ball",)),
    (r"roll", ("ball", "apple", "orange", "can")),
    (r"hot pan|hot pot|under (a|something) hot|protect the table", ("trivet", "coaster", "board")),
    (r"pour|refill|spill", ("bottle", "jug", "mug", "glass")),
    (r"cap\b|cork|wine|message in", ("bottle",)),
    (r"soda|beer|tin|aluminium|recycl|opener", ("can", "bottle")),
    (r"jam|honey|pickle|lid\b|preserve|cookies", ("jar",)),
    (r"salad|mix|batter|bowl|dip", ("bowl",)),
    (r"serv|dinner|meal|dish\b|sandwich|steak|pizza|eat off|eat from", ("plate", "bowl")),
    (r"eat|mouth", ("fork", "spoon", "knife")),
    (r"store|pack|ship|parcel|post|mail|cardboard|unwrap|gift|contain|keep things", ("box", "jar")),
    (r"tools?$", ("hammer", "screwdriver", "wrench")),
    (r"repair|fix|build|toolbox|diy|assembl|handyman", ("hammer", "screwdriver", "wrench")),
    (r"write|draw|sketch|sign|note down|ink", ("pen", "pencil")),
    (r"flower|bouquet|bloom", ("vase", "jar", "bottle")),
    (r"cook|boil|fry|simmer|heat up|stove", ("pan", "pot", "kettle")),
    (r"time|late|clock|wake", ("clock", "watch", "phone")),
    (r"break|shatter|fragile", ("glass", "bottle", "plate", "bowl", "jar")),
    (r"clean|wipe|sink", ("sponge", "cloth", "towel")),
    (r"hold|fill|pour into|put .* in", ("bowl", "mug", "jar", "box")),
    (r"drop|heavy|weigh", ("hammer", "book", "laptop")),
)
"""Words of a function, and what serves it; the first that fits."""

THINGS = (
    "mug", "cup", "glass", "bottle", "bowl", "plate", "can", "jar", "box", "book", "ball", "apple", "banana", "orange",
    "knife", "spoon", "fork", "screwdriver", "hammer", "laptop", "phone", "lamp", "pen", "vase", "pot", "clock",
    "candle", "pan", "toy", "teapot", "kettle", "scissors", "pencil", "wrench",
)  # fmt: skip
"""Asked for where a text names neither a noun nor a function ("the thing left of the laptop")."""

NOUNS = {*THINGS, "board", "vessel", "container", "computer", "holder", "bulb", "case", "tray", "mat", "stand", "tin",
         "trivet", "pad", "dish", "cutlery"}  # fmt: skip
"""What ends in one of these is the name of a thing, whatever stands before it ("cutting board", "drinking vessel")."""
