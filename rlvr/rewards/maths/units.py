"""Units by their spellings, and which of them are an exact multiple of another. A word that is not here is no unit in a response: it may as well be a denial."""

from fractions import Fraction

_SPELLINGS = {
    "mm": "millimeter millimeters millimetre millimetres",
    "cm": "centimeter centimeters centimetre centimetres",
    "dm": "decimeter decimeters",
    "m": "meter meters metre metres",
    "km": "kilometer kilometers kilometre kilometres",
    "in": "inch inches",
    "ft": "foot feet",
    "yd": "yard yards yds",
    "mi": "mile miles",
    "mg": "milligram milligrams",
    "g": "gram grams gm",
    "kg": "kilogram kilograms kgs kilo kilos",
    "lb": "lbs pound pounds",
    "oz": "ounce ounces",
    "ton": "tons tonne tonnes",
    "ms": "millisecond milliseconds",
    "s": "sec secs second seconds",
    "min": "mins minute minutes",
    "h": "hr hrs hour hours",
    "day": "days",
    "week": "weeks",
    "month": "months",
    "year": "years yr yrs",
    "ml": "milliliter milliliters millilitre millilitres",
    "l": "liter liters litre litres",
    "gal": "gallon gallons",
    "cup": "cups",
    "quart": "quarts",
    "pint": "pints",
    "tablespoon": "tablespoons tbsp",
    "teaspoon": "teaspoons tsp",
    "acre": "acres",
    "hectare": "hectares",
    "mph": "",
    "kph": "kmh",
    "hz": "hertz",
    "n": "newton newtons",
    "j": "joule joules",
    "kj": "kilojoule kilojoules",
    "w": "watt watts",
    "kw": "kilowatt kilowatts",
    "kwh": "",
    "pa": "pascal pascals",
    "v": "volt volts",
    "ohm": "ohms",
    "mol": "mole moles mols",
    "k": "kelvin kelvins",
    "celsius": "",
    "fahrenheit": "",
    "radian": "rad rads radians",
    "degree": "deg degs degrees °",
    "percent": "percents %",
    "usd": "dollar dollars bucks $ buck",
    "eur": "euro euros €",
    "gbp": "£",
    "jpy": "yen ¥",
    "rupee": "rupees",
    "yuan": "rmb",
    "cent": "cents ¢",
    "penny": "pennies pence",
    "nickel": "nickels",
    "dime": "dimes",
    "am": "a.m. a.m",
    "pm": "p.m. p.m",
    "": "unit units",
}
_COUNTED = """
account acorn action actor adult album alien animal ant apartment apple application appointment arrangement arrow article artist
athlete attempt aunt author bag baker ball balloon banana bar barrel basket bat battery bead bean beaver bee beer bell berry bench
bike bill binder bird biscuit blanket block blossom blouse boat bolt book bookmark boot bottle bouquet bowl box boy bracelet
branch bread brick bride brother brownie bucket bug building bulb bunch bunny burger burrito bus bush bushel business butterfly
button cabinet cactus cage cake calculator calendar calf calorie camel camera camp camper candle candy canoe capsule car caramel
card carnation carrot carton case cashier castle cat caterpillar ceiling cell cereal chain chair chapter chart cheese chef
cherry chick chicken child chip chocolate chore church cigar circle city clam class classroom client clip clock cloud clown club
coach coat cob cockroach coconut coin color column combination commercial competitor computer concert cone container contestant
conversation cook cookie cooler copy corner costume couch country course court cousin cow cracker crate crayon cream creature
crew cricket crocodile croissant cube cucumber cupboard cupcake curtain cushion customer cycle daisy daughter deer dentist desk
dessert detective diamond diaper dictionary digit dinner dinosaur dish diver divisor doctor document dog doll dolphin donation
donkey donut door dot doughnut dragon drawer drawing dress drink driver drum duck eagle ear earring edge egg eggplant element
elephant elf employee engineer envelope episode equation eraser event exam exercise experiment eye face factor family farmer
feather fence ferry field fig file film finger fire fireman firework fish fixture flag flea flight floor flour flower fly foal
folder follower football forest fork fort fossil fox frame freshman fridge friend frog fruit function game garden gardener gem
gene ghost giant gift giraffe girl glass glove glue goal goat gold goose grade grain granddaughter grape grapefruit graph
grasshopper group guard guest guitar gumball gumdrop gun guppy gym hamburger hammer hamster hand handshake hat head hedgehog
helmet hen herb hill hippo hive hole homework hook horse hotdog hotel house human husband idea image infant insect instrument
integer invitation island item jacket jar jellybean jet job juice jump key kid king kite kitten kiwi knot label lady ladybug
lake lamb lamp lane language lap laptop lawn lawyer leaf leg lemon lesson letter lettuce level librarian license lid lilac lily
limb lime line lion liquid lizard lobster lock log lollipop lunch machine magazine magnet man mango map marble marker mask match
meal medal meeting melon member memory menu message mile minute mirror mitten model monitor monkey monster motorcycle mountain
mouse movie muffin mug mushroom nail napkin necklace neighbor nest net newspaper night ninja note notebook novel nurse nut oak
octopus office officer onion opening orange orbit orchid order ornament otter outcome outfit oven owl owner oyster pack package
packet pad paddle page paint painting pair pan pancake panda panel paper parade parent park parrot part participant partition
party passage passenger password pastry patch path patient pattern paw peach peanut pear pebble peg pen pencil penguin penny
people pepper permutation person pet phone photo photograph pickle picnic picture pie piece pig pigeon pile pill pillow pilot
pin pine pineapple pipe pirate pitcher pizza plan plane planet plank plant plate player playground plum pocket poem poet point
pole polygon pond pony pool poster pot potato present president price prime prize problem professor program project prune
pumpkin pup puppet puppy purchase purse puzzle quail queen question quilt rabbit race racer radio raisin raspberry rat ray
reader receipt recipe record rectangle red refrigerator relative reptile request resident restaurant review ribbon ride ring
river robe robin robot rock roll roof room rooster root rope rose round route row runner sack salad sale salesman sandwich
satellite saucer sausage scarf school scientist scoop scout screw seal seashell seat section seed segment sentence session shape
shark sheep sheet shelf shell ship shirt shoe shoelace shop shot show shower shrimp shrub sibling side sign singer sister
skateboard skater sketch ski skirt skunk slave slice slide slipper slot smoothie snack snail snake sneaker snowball snowflake
snowman soccer sock soda sofa soldier solution song soup spider spoon spot spray spring sprinkle squad square squirrel stack
stall stamp star starfish state station statue stem step stick sticker stone stop store story strand strap straw strawberry
street string strip stripe structure student stuff subject subset suit suitcase sunflower supervisor surfer sweater sweatshirt
sweet swimmer symbol table tablet taco tail tank tape target tart taxi taxpayer teacher team technician teddy telephone
television tenant tent term test text theater thing thread throw ticket tie tiger tile time tin tire toe tomato tool tooth
tourist towel tower town toy track tractor trader trail trailer train trainer trapezoid traveler tray treat tree triangle trip
trophy trouser truck trumpet tub tube tulip turn turtle twin umbrella uncle uniform user vacation value van vase vegetable
vehicle verse vertex video villager villain vine violin virus visit visitor vitamin volunteer vote wagon waiter waitress walk
wall wallet walnut walrus warrior washer watch watermelon way weed weekend whale wheel window wing winner wish wolf woman word
worker world worm yarn zebra zone zoo
"""
_IRREGULAR = {
    "children": "child", "men": "man", "women": "woman", "firemen": "fireman", "salesmen": "salesman", "knives": "knife",
    "wolves": "wolf", "mice": "mouse", "geese": "goose", "teeth": "tooth", "vertices": "vertex", "cacti": "cactus",
    "octopi": "octopus", "quizzes": "quiz", "shelves": "shelf", "leaves": "leaf", "scarves": "scarf", "loaves": "loaf",
    "calves": "calf", "elves": "elf",
}  # fmt: skip


def _forms(noun: str) -> list[str]:
    """A noun and its regular plural.

    >>> _forms("berry"), _forms("box")
    (['berry', 'berries'], ['box', 'boxes'])
    """
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return [noun, noun[:-1] + "ies"]
    es = noun.endswith(("s", "x", "ch", "sh")) or noun in ("potato", "tomato", "mango", "hero")
    return [noun, noun + ("es" if es else "s")]


UNITS: dict[str, str] = {unit: unit for unit in _SPELLINGS if unit}
UNITS |= {word: unit for unit, words in _SPELLINGS.items() for word in words.split()}
_NOUNS = set(_COUNTED.split()) - set(UNITS)
UNITS |= {form: noun for noun in _NOUNS for form in _forms(noun)} | _IRREGULAR
"""Spelling in lower case -> canonical name. A counted noun is its own unit, in the singular."""

CURRENCIES = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "¢": "cent"}
ORDINALS = frozenset({"st", "nd", "rd", "th"})
SHAPES = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
"""Words before a unit that raise it to a power."""
MAGNITUDES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
"""Words behind a number for a power of ten."""
RAISED = {"squared": 2, "cubed": 3}
"""Words after a unit that raise it to a power."""
_LABELS = "answer ans area volume perimeter probability total sum length distance result max min maximum minimum"
LABELS = frozenset(_LABELS.split())
"""Words that may stand left of ``=`` as a variable does."""
NUMBER_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
NUMBER_WORDS |= {"eleven": 11, "twelve": 12, "sixteen": 16}
"""Bases in words, as in ``12_{\\text{nine}}``."""


def spell(factors: dict[str, int]) -> str:
    """The canonical spelling of a product of units, from each unit's power.

    >>> spell({"m": 1, "s": -2})
    'm s^-2'
    """
    named = sorted((unit, power) for unit, power in factors.items() if unit and power)
    return " ".join(unit if power == 1 else f"{unit}^{power}" for unit, power in named)


_MULTIPLES = {
    "mm": "1/1000 m", "cm": "1/100 m", "dm": "1/10 m", "km": "1000 m", "in": "127/5000 m", "ft": "381/1250 m",
    "yd": "1143/1250 m", "mi": "201168/125 m", "hectare": "10000 m^2", "l": "1/1000 m^3", "ml": "1/1000000 m^3",
    "mg": "1/1000 g", "kg": "1000 g", "ms": "1/1000 s", "min": "60 s", "h": "3600 s", "day": "86400 s", "week": "604800 s",
    "mph": "1397/3125 m s^-1", "kph": "5/18 m s^-1", "kj": "1000 j", "kw": "1000 w", "cent": "1/100 usd",
}  # fmt: skip
"""Units that are an exact multiple of a product of others."""


def _factors(unit: str) -> list[tuple[str, int]]:
    """The powers in a canonical spelling: the inverse of spell."""
    parted = (factor.partition("^") for factor in unit.split())
    return [(name, int(power or 1)) for name, _, power in parted]


def conversion(unit: str, wanted: str) -> Fraction | None:
    """How many of the wanted unit one unit is, if that is an exact number known here; both in canonical spelling.

    >>> conversion("km h^-1", "m s^-1")
    Fraction(5, 18)
    """
    scale, left = Fraction(1), dict[str, int]()
    for text, sign in ((unit, 1), (wanted, -1)):
        for name, power in _factors(text):
            multiple, _, base = _MULTIPLES.get(name, f"1 {name}").partition(" ")
            scale *= Fraction(multiple) ** (sign * power)
            for part, exponent in _factors(base):
                left[part] = left.get(part, 0) + sign * power * exponent
    return None if any(left.values()) else scale
