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
adult animal apple arrangement bag ball banana battery bead bean bee bike bird block boat book bottle box boy bread brick bulb
bus bushel cake candle candy car card cat chair chicken child chip class classroom coconut coin color combination cookie copy
cow crayon cube cupcake customer digit dog doll donut doughnut duck edge egg employee envelope face factor family fish
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
