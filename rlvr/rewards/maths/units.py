"""Units by their spellings. A word that is not here is no unit in a response: it may as well be a denial."""

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
adult animal apple arrangement bag ball banana battery bead bean bee bike bird block boat book bottle box boy bread brick bulb
bus bushel cake candle candy car card cat chair chicken child chip class classroom coconut coin color combination cookie copy
cow crayon cube cupcake customer digit dog doll donut doughnut dozen duck edge egg employee envelope face factor family fish
flower friend fruit function game girl glass goal guest horse house infant item kid kitten lamp leaf lemon lesson letter line
man marble member message mile minute monkey mouse muffin mug nail nut orange orchid outcome page pair pancake parent party
passenger path peach pear pen pencil penny people person phone photo picture pie piece pill pizza plane plant plate player
playground point pole pond pot potato present prime puppy question rabbit rectangle red ribbon rock room root rose route row
sandwich scarf scoop seashell seat seed sheep sheet shell shirt shoe side slice sock solution song square stamp star step
sticker stone store student subset sweet table team term ticket tile time toy train tree triangle trip truck user value vase
vertex visitor vote watermelon way window woman word worker world
"""
_IRREGULAR = {
    "children": "child",
    "men": "man",
    "women": "woman",
    "boxes": "box",
    "buses": "bus",
    "classes": "class",
    "families": "family",
    "batteries": "battery",
    "candies": "candy",
    "copies": "copy",
    "glasses": "glass",
    "knives": "knife",
    "leaves": "leaf",
    "mice": "mouse",
    "parties": "party",
    "peaches": "peach",
    "persons": "person",
    "potatoes": "potato",
    "puppies": "puppy",
    "sandwiches": "sandwich",
    "scarves": "scarf",
    "vertices": "vertex",
}

UNITS: dict[str, str] = {unit: unit for unit in _SPELLINGS if unit}
UNITS |= {word: unit for unit, words in _SPELLINGS.items() for word in words.split()}
_NOUNS = set(_COUNTED.split()) - set(UNITS)
UNITS |= {noun: noun for noun in _NOUNS} | {noun + "s": noun for noun in _NOUNS} | _IRREGULAR
"""Spelling in lower case -> canonical name. A counted noun is its own unit, in the singular."""

CURRENCIES = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "¢": "cent"}
ORDINALS = frozenset({"st", "nd", "rd", "th"})
SHAPES = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
"""Words before a unit that raise it to a power."""
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
