"""The words of the broad text: nouns of many domains, attributes, relations, functions, situations. Plain data."""

from __future__ import annotations


def _list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.replace("\n", ",").split(",") if item.strip())


NOUNS = _list("""
mug, cup, bowl, plate, saucer, frying pan, saucepan, kettle, teapot, toaster, blender, cutting board, kitchen knife
spoon, fork, ladle, whisk, spatula, rolling pin, colander, wine glass, bottle, jar, can, fridge, oven, microwave, sink
dishwasher, napkin, tablecloth, salt shaker, pepper mill, corkscrew, bottle opener, tray, thermos, lunch box, candle
apple, banana, orange, lemon, pear, grape, strawberry, pineapple, watermelon, carrot, tomato, onion, potato, pepper
cucumber, mushroom, loaf of bread, sandwich, pizza, burger, hot dog, cake, cupcake, donut, cookie, egg, cheese, salad
car, taxi, bus, school bus, truck, van, fire engine, ambulance, police car, motorcycle, scooter, bicycle, tram, train
airplane, helicopter, boat, sailboat, ferry, canoe, tractor, excavator, forklift, trailer, wheel, tire, headlight
license plate, windshield, side mirror, bumper, steering wheel, traffic light, stop sign, street lamp, crosswalk
fire hydrant, parking meter, bench, mailbox, trash can, billboard, bridge, fence, bollard, phone booth, manhole cover
dog, cat, horse, cow, sheep, goat, pig, chicken, duck, goose, rabbit, mouse, hamster, squirrel, fox, wolf, bear, deer
elephant, giraffe, zebra, lion, tiger, monkey, penguin, seagull, owl, parrot, eagle, pigeon, swan, turtle, frog, snake
butterfly, bee, spider, fish, shark, whale, dolphin, crab, octopus, kitten, puppy, foal, collar, leash, bird cage
shirt, t-shirt, sweater, hoodie, jacket, coat, dress, skirt, jeans, shorts, sock, shoe, sneaker
boot, sandal, hat, cap
helmet, scarf, glove, belt, tie, bow tie, sunglasses, watch, ring, necklace, earring, handbag, backpack, suitcase
umbrella, wallet, apron, uniform, raincoat, swimsuit, hammer, screwdriver, wrench, pliers, saw, drill, tape measure
toolbox, ladder, nail, screw, bolt, paint brush, paint roller, bucket, shovel, rake, axe, wheelbarrow, lawn mower
watering can, flower pot, garden hose, broom, mop, dustpan, vacuum cleaner, workbench, clamp, soldering iron, chisel
laptop, computer, keyboard, computer mouse, monitor, printer, desk, office chair, notebook, book, pen, pencil, eraser
ruler, stapler, paper clip, scissors, envelope, folder, bookshelf, whiteboard, phone, smartphone, tablet, charger
headphones, speaker, microphone, camera, tripod, television, remote control, game controller, router, cable, lamp
desk lamp, ceiling fan, clock, calendar, globe, backpack strap, sofa, armchair, couch
coffee table, dining table, chair
stool, bed, pillow, blanket, curtain, rug, mirror, wardrobe, drawer, door, window, picture frame, vase, potted plant
houseplant, bathtub, toilet, shower, towel, toothbrush, toothpaste, soap, hair dryer, comb, razor, perfume bottle
tree, palm tree, bush, flower, rose, tulip, sunflower, leaf, branch, log, rock, mountain, hill, river, lake, waterfall
beach, cloud, sun, moon, cactus, mossy stone, pond, path, house, barn, church, tower, castle
skyscraper, roof, chimney
balcony, staircase, garage, windmill, lighthouse, tent, ball, football, basketball, tennis ball, tennis racket
baseball bat, baseball glove, golf club, hockey stick, skateboard, surfboard, snowboard, ski, frisbee, kite, goal
net, dumbbell, yoga mat, bow, arrow, trophy, medal, swimming pool, man, woman, boy, girl, child, baby, toddler, player
goalkeeper, referee, driver, pilot, cyclist, runner, skier, surfer, chef, waiter, nurse, doctor, teacher, student
policeman, firefighter, soldier, farmer, dancer, singer, guitarist, drummer, bride, groom, tourist, spectator, worker
person, guitar, piano, violin, drum, trumpet, flute, toy car, teddy bear, doll, puzzle, chessboard, dice, balloon
gift box, cardboard box, crate, barrel, basket, bag, shopping cart, stroller, wheelchair, crutch, bandage, pill bottle
syringe, thermometer, stethoscope, mask, flag, statue, fountain, sculpture, poster, painting, sign, banner, key, lock
padlock, coin, banknote, credit card, ticket, map, newspaper, magazine, letter, parcel, battery
light bulb, flashlight
lighter, ashtray, rope, chain, hook, screen, button, knob, handle, lid, trivet, coaster, hot plate, tin, tumbler, pot
drone, robot, robot arm, gripper, conveyor belt, pallet, gear, pipe, valve, sensor, circuit board
antenna, solar panel
""")

PLURALS = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "mouse": "mice", "goose": "geese",
    "knife": "knives", "leaf": "leaves", "wolf": "wolves", "policeman": "policemen", "sheep": "sheep", "deer": "deer",
    "fish": "fish", "shelf": "shelves", "bookshelf": "bookshelves", "computer mouse": "computer mice",
    "kitchen knife": "kitchen knives", "loaf of bread": "loaves of bread", "scissors": "scissors", "dice": "dice",
    "jeans": "jeans", "shorts": "shorts", "sunglasses": "sunglasses", "headphones": "headphones", "pliers": "pliers",
    "potato": "potatoes", "tomato": "tomatoes", "soap": "soaps", "cheese": "cheeses",
}  # fmt: skip

ATTRIBUTES = _list("""
red, orange, yellow, green, blue, purple, pink, brown, black, white, grey, gray, beige, turquoise, golden, silver
dark blue, light green, dark red, bright yellow, pale pink, wooden, metal, plastic, glass, ceramic, leather, paper
stone, cotton, woolen, rubber, steel, striped, dotted, checkered, plain, patterned, shiny, matte
transparent, old, new
rusty, dirty, clean, broken, empty, full, open, closed, small, big, large, tiny, tall, short, long, thick, thin, round
square, flat, curved, folded, wet, dry, wrinkled, furry, fluffy, spotted, antique, modern, parked, smiling, young
elderly, sleeping, half-eaten, upside-down, floral, electric, used, cheap, expensive, hot, cold
fresh, ripe, soft, heavy, tilted
""")

GROUPS = _list("""
fruit, vegetables, cutlery, tools, furniture, food, clothes, animals, vehicles, people, dishes, toys, electronics
plants, kitchenware, jewelry, footwear, birds, buildings, stationery, luggage, instruments, flowers, snacks, drinks
""")

PARTS = _list("""
handle, lid, wheel, door, roof, tail, ear, front leg, screen, back, seat, label, cap, sleeve, collar, left wing, tip
edge, cover, headlight, rear window, front wheel, left hand, blade, neck, bottom half, upper shelf, branch, keyboard
""")

SIDES = _list("left, right, far left, far right, left side, right side")

RELATIONS = _list("""
left of, to the left of, on the left of, right of, to the right of, on the right side of, behind, in front of, next to
beside, near, close to, under, underneath, below, above, on, on top of, in, inside, between the curtain and, against
leaning against, across from, closest to, nearest to, farthest from, hidden behind, lying on, standing on, sitting on
hanging from, hanging on, attached to, facing, touching, covered by, resting on, sticking out of, right behind
directly below, just above, not far from, outside, opposite, around, further back than, partly hidden by, belonging to
bigger than, smaller than, taller than, immediately to the right of, a bit to the left of, the same color as
""")

PLACES = _list("""
on the left, on the right, in the middle, in the background, in the foreground, at the top, at the bottom
at the top left, in the bottom right corner, in the corner, in the center, at the back, in the front, at the front
on the far left, on the far right, on the table, on the floor, on the wall, on the shelf, in the street, in the sky
in the water, on the grass, by the window, near the door, in the back row, on the left side, in the distance
at the edge of the table, on the counter, in the upper half of the picture, closest to the camera, nearest to us
furthest away, to the left, to the right, at the far end, on its side, lying down, in the shade, by itself
""")

ACTIONS = _list("""
wearing a hat, wearing glasses, in a red shirt, in blue jeans, with long hair, with a beard, with a backpack
holding a phone, holding an umbrella, carrying a bag, riding a bike, riding a horse, walking a dog, sitting down
standing up, looking at the camera, talking on the phone, playing guitar, eating, running, jumping, throwing a ball
pushing a stroller, with a broken handle, with white stripes, with two wheels, with a lid, with a blue label
made of wood, made of glass, that is open, that is closed, that is red, that is not blue, which is lying on its side
who is sitting, who is wearing a cap, facing away, facing left, without a lid, without a hat, with its door open
full of water, filled with fruit, covered in snow, turned upside down, with the number ten on it, in the white dress
with spots, with a long tail, parked on the street, swimming in the lake, flying in the sky, not wearing a helmet
""")

SUPERLATIVES = _list("""
biggest, largest, smallest, tallest, shortest, longest, leftmost, rightmost, closest, nearest, farthest, furthest
highest, lowest, darkest, brightest, thickest, widest, oldest, topmost, second largest, second tallest, most distant
""")

ORDINALS = _list("first, second, third, fourth, fifth, last, second to last, middle, next")
COUNTS = _list(
    "two, three, four, five, both, all, all the, all of the, both of the, the two, the three, every one of the"
)

FUNCTIONS = _list("""
drink from, drink coffee from, eat soup with, cut bread with, slice vegetables with, stir tea with, pour milk with
boil water in, fry an egg in, bake a cake in, keep food cold in, toast bread with, open a bottle with, serve soup in
eat salad from, mix dough with, measure flour with, peel an apple with, wash the dishes in, dry your hands with
put under a hot pan, wipe a spill with, carry groceries in, write a letter with, draw a line with, cut paper with
staple pages with, erase a mistake with, read for a while, type a message on, call a friend with, listen to music with
take pictures with, watch a film on, print a page with, charge a phone with, light up a dark room with, sit on
sleep in, lie down on, rest your head on, put your feet on, hang a coat on, store clothes in, look at yourself in
brush your teeth with, comb your hair with, shave with, dry your hair with, wash your hands with, keep warm with
stay dry in the rain with, protect your head with, shade your eyes with, carry your books in, tell the time with
drive to work in, carry heavy cargo with, travel across water in, fly in, ride to school on, put out a fire with
cross the street on, stop traffic with, wait for the bus on, throw rubbish into, post a letter in, lock a door with
drive in a nail with, tighten a screw with, loosen a bolt with, saw a plank with
drill a hole with, measure a shelf with
reach the ceiling with, paint a wall with, dig a hole with, rake leaves with, mow the lawn with, water the plants with
sweep the floor with, glue things together with, tie a knot with, chop wood with, lift a car with, hit a ball with
kick around, play catch with, score a goal with, slide down a snowy hill on, ride a wave on, play music on
keep time with, exercise with, hold flowers in, decorate a room with, give as a present, play with, build a tower with
pay for lunch with, find your way with, send by post, treat a wound with
take your temperature with, start a fire with
keep papers together with, stop a door from closing, weigh something with, warm up leftovers in, blow out at a party
catch fish with, feed a baby with, clean your glasses with, hear a heartbeat with, sign a contract with, hide behind
protect the table from heat, spread butter with, eat spaghetti with, squeeze over fish, have as a snack, put on toast
crack a nut with, scoop ice cream with, drain pasta in, carry a drink in, make a phone call with, check your email on
cover your bed with, wear on your feet, wear on your head, wear around your neck
hold up your trousers, swim in, climb
""")

PROPERTIES = _list("""
needs a charger, runs on batteries, has to be peeled first, grows on trees
could roll off the table, can fly, could bite
would break if it fell, would float, melts in the sun, tastes sour, tastes sweet, makes noise
gives light, keeps you warm
keeps you dry, tells the time, holds liquid, is sharp, is dangerous for children, should not get wet, burns well
could hurt you, is about to fall, can be eaten, can be opened, can be folded, belongs in the kitchen, opens doors
belongs in a toolbox, belongs in the fridge, does not belong here, is out of place, lays eggs, gives milk, eats grass
barks at strangers, lives in water, carries passengers, runs on diesel, stops at stations, flies south in winter
is used for cooking, is used for cutting, makes music, shows the news, connects to the internet, needs watering
would taste good with cream, must be washed after dinner, is made by bees, protects from the sun, attracts iron
is meant for more than one person, would be useful on a camping trip, is worth the most, smells nice, could spill
has been used recently, somebody forgot, someone left open, the children would like most, is dangerous to touch
a vegetarian would not eat, a carpenter would need, a doctor would use
helps when the power is out, rings in the morning
would stain the carpet, goes in the dishwasher, can be recycled, can see in the dark
is the healthiest, is the fastest
is likely to start crying, wins the race, looks unhappy, is in charge here, is waiting for someone, might need help
just scored, is not paying attention, is about to serve, keeps order on the field, is going to be late, is having fun
""")

SITUATIONS = _list("""
I am thirsty, I am hungry, I'm cold, my feet hurt, it is getting dark in here
it is raining outside, I have a headache
the sun is blinding me, my hands are dirty, my phone is nearly empty, the floor is wet, the soup is too hot to touch
the screw is loose, a button came off, I spilled my coffee, the grass is too long, it is too loud
it is too warm in here
we are late for school, there is a fire, somebody is hurt, the baby is crying, the door is locked, the plants look dry
I need to wake up early, I want to write something down, I want to go for a swim, I have to hang a picture
I would like some fruit, I fancy something sweet, I can't see a thing, the power went out, my hair is a mess
I want to read for a while, we are having guests tonight, I need to get to the airport, my nose is running
the bread needs slicing, the nail sticks out, the letter has to be sent today, I want to sit down, it smells of smoke
dinner is ready, I forgot what day it is, I am bored, the tire is flat, I need to call home, I'm going out in the snow
my shoes are muddy, the parcel is taped shut, I lost my way, we want to play a game, it's time for tea, I feel sick
the room looks dull, I have to cook for six, the dog wants to go out, he broke his leg, she is getting married
the wine is still closed, my back hurts, the pan is on fire, the picnic is about to begin, it's freezing out there
""")

STUFF = _list("""
metal, wood, glass, plastic, paper, leather, steel, stone, fabric, rubber, gold
cardboard, clay, wool
""")

ROLES = _list(
    "a carpenter, a cook, a child, a thirsty person, a student, a painter, a doctor, a musician, a gardener, a thief"
)

TAKE = _list("""
pick up, take, grab, give me, hand me, bring me, pass me, please pass, get me, get, fetch
reach for, lift, hold, hand over
could you hand me, can you give me, would you pass me, please bring me, can I have, could I get, go get, go and fetch
please give me, may I have, pick, choose, collect, remove, carry over, let me have, put away, I want, I need, I'd like
""")

FIND = _list("""
find, find me, locate, show me, segment, highlight, mark, select, outline, point at, point to, look for, look at, show
can you find, could you show me, can you see, do you see, let me see, detect, identify, spot
go to, touch, label, I see
I am looking for, please find, please segment, cut out, search for, pick out, track, circle, tell me where to find
could you locate, would you mark, is there, have you seen, focus on, draw a mask around, mask
""")

DO = _list(
    "open, close, clean, push, move, throw away, put down, wash, turn, tidy up, look after, switch off, fix, watch"
)

QUALITIES = _list("""
expensive, useful, dangerous, valuable, fragile, healthy, nutritious, comfortable, suitable
refreshing, edible, flammable
tempting, interesting, slippery, poisonous, noisy, important, unusual, out of place, sour, sweet
juicy, delicious, soft
breakable, recyclable, portable, suspicious, cosy, absorbent, bouncy, waterproof, sharp, magnetic, tasty, hot, alive
""")

FEELINGS = _list("""
thirsty, hungry, tired, cold, bored, sick, lost, late, angry, afraid, hurt, in a hurry
soaking wet, sleepy, lonely, curious
""")
