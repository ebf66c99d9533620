"""Whether an answer has the gold answer's value, by the kind of the gold answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from rlvr.rewards.maths.exact import Budget, exact
from rlvr.rewards.maths.forms import (
    alternatives,
    evaluated,
    infinity,
    is_label,
    literal_integer,
    literal_rational,
    nearly_evaluated,
    without_label,
    worked_out,
)
from rlvr.rewards.maths.intervals import bounded_variable, pieces, same_pieces
from rlvr.rewards.maths.matching import matched
from rlvr.rewards.maths.numeric import rough_value, same_value
from rlvr.rewards.maths.relations import same_relation
from rlvr.rewards.maths.rounding import is_decimal, is_long, near, same_when_rounded
from rlvr.rewards.maths.units import conversion
from rlvr.rewards.maths.values import (
    ARITHMETIC,
    Based,
    Call,
    Finite,
    Group,
    MalformedError,
    Matrix,
    Measure,
    Node,
    Num,
    NumberSet,
    Power,
    Product,
    Quotient,
    Ratio,
    Relation,
    SetTerm,
    Several,
    Sum,
    Var,
    variables,
)

_PAIR_COST = 30_000
_NUMBERS = (*ARITHMETIC, Based)


@dataclass(frozen=True)
class Judge:
    """Compares answers with a gold answer. require_evaluated: None asks for digits only where the gold answer is in digits."""

    require_evaluated: bool | None = None
    budget: Budget = field(default_factory=Budget)

    def right(self, gold: Node, answer: Node) -> bool:
        """Whether the answer is the gold answer. Raises MalformedError for an answer that contradicts itself, or RefusedError."""
        gold = self._settled(gold, of_gold=gold)
        answer = self._settled(answer, of_gold=gold)
        match gold:
            case Measure():
                return self._measure(gold, answer)
            case Several(items) | Finite(items):
                return self._collection(gold, items, answer)
            case Group():
                return self._group(gold, answer)
            case SetTerm() | NumberSet():
                return gold == answer or self._pieces(gold, answer) or self._set_term(gold, answer)
            case Relation():
                return self._relation(gold, answer)
            case Matrix():
                return self._matrix(gold, answer)
            case Ratio():
                return self._ratio(gold, answer)
            case _:
                return self._number(gold, answer)

    def _settled(self, node: Node, *, of_gold: Node) -> Node:
        """A value without ±, matrices worked out; chains of equations checked and made short."""
        if isinstance(node, Measure) and isinstance(node.value, Ratio):
            return node
        if isinstance(node, Relation):
            return self._chain(node, of_gold)
        found = alternatives(self._folded(worked_out(node)) if node != worked_out(node) else node)
        return found[0] if len(found) == 1 else Several(found)

    def _folded(self, node: Node) -> Node:
        """A matrix that was worked out, with its constant entries as numbers."""
        if not isinstance(node, Matrix):
            return node
        values = [[(cell, exact(cell, self.budget)) for cell in row] for row in node.rows]
        return Matrix(tuple(tuple(cell if value is None else Num(value) for cell, value in row) for row in values))

    def _chain(self, node: Relation, gold: Node) -> Node:
        if node.operators[-1] == "~" and "~" not in node.operators[:-1]:
            return self._approximated(node, gold)
        if set(node.operators) != {"="}:
            return node
        label, rest = without_label(node)
        if isinstance(rest, Relation) and (label is not None or not isinstance(gold, Relation) or not variables(rest)):
            rest = self._one_of(rest, gold)
        if isinstance(gold, Relation) and label is not None:
            return Relation((label, rest), ("=",))
        if label is not None and _names(label) & variables(rest):
            return node
        return rest

    def _approximated(self, node: Relation, gold: Node) -> Node:
        """``1/3 ≈ 0.33`` is 1/3, or the decimal where one is asked for. Raises MalformedError if it is not about that."""
        *before, decimal = node.members
        value = before[0] if len(before) == 1 else self._chain(Relation(tuple(before), node.operators[:-1]), gold)
        if is_label(value):
            return decimal if is_decimal(gold) else node
        if not isinstance(value, ARITHMETIC) or not isinstance(decimal, Num):
            return node
        if not near(decimal, value, self.budget):
            raise MalformedError("not about that")
        return decimal if is_decimal(gold) else value

    def _one_of(self, chain: Relation, gold: Node) -> Node:
        """The member of a chain of equals that is most worked out. Raises MalformedError if they are not all equal."""
        first = chain.members[0]
        for member in chain.members[1:]:
            if isinstance(first, (*_NUMBERS, Measure)) and isinstance(member, (*_NUMBERS, Measure)):
                equal = same_value(_bare(first), _bare(member), self.budget)
            else:
                equal = type(first) is type(member) and Judge(False, self.budget).right(first, member)
            if not equal:
                raise MalformedError("a false equation")
        return next((member for member in reversed(chain.members) if evaluated(member)), chain.members[-1])

    def _number(self, gold: Node, answer: Node) -> bool:
        if isinstance(answer, Finite) and len(answer.items) == 1:
            answer = answer.items[0]
        if isinstance(answer, Measure):
            return self._measured_answer(gold, answer)
        if isinstance(gold, Based) or isinstance(answer, Based):
            return self._based(gold, answer)
        if infinity(gold) or (isinstance(answer, _NUMBERS) and infinity(answer)):
            return infinity(gold) == infinity(answer)
        if isinstance(answer, Ratio) and not answer.clock and len(answer.items) == 2 and not literal_integer(gold):
            return self._ratio(answer, gold)
        if not isinstance(gold, ARITHMETIC) or not isinstance(answer, ARITHMETIC):
            return False
        if not self._is_worked_out(gold, answer):
            return False
        return same_value(gold, answer, self.budget) or same_when_rounded(gold, answer, self.budget)

    def _measured_answer(self, gold: Node, answer: Measure) -> bool:
        """An answer with a unit that the gold answer lacks: fine, but a percentage is only its hundredth part."""
        if answer.unit != "percent":
            return self._number(gold, answer.value)
        if not literal_integer(gold) and self._number(gold, Product((answer.value, Num(Fraction(1, 100))))):
            return True
        if variables(gold) or not same_value(gold, answer, self.budget):
            return False
        return evaluated(answer.value) or self.require_evaluated is False

    def _is_worked_out(self, gold: Node, answer: Node) -> bool:
        if self.require_evaluated is False or gold == answer:
            return True
        if literal_integer(gold):
            return evaluated(answer)
        if is_long(gold) and not self.require_evaluated:
            return True
        if literal_rational(gold) or (self.require_evaluated and exact(gold, self.budget) is not None):
            return nearly_evaluated(answer)
        return True

    def _based(self, gold: Node, answer: Node) -> bool:
        if isinstance(gold, Based):
            if isinstance(answer, Based):
                return (gold.base, gold.value) == (answer.base, answer.value)
            return isinstance(answer, Num) and answer.form == "integer" and str(answer.value) == gold.digits.lstrip("0")
        return isinstance(answer, Based) and answer.base == 10 and self._number(gold, Num(Fraction(answer.value)))

    def _measure(self, gold: Measure, answer: Node) -> bool:
        if isinstance(answer, Measure):
            if isinstance(gold.value, Ratio) or isinstance(answer.value, Ratio):
                return gold.unit == answer.unit and self.right(gold.value, answer.value)
            return self._in_same_unit(gold, answer)
        if isinstance(gold.value, Ratio):
            return self.right(gold.value, answer)
        if isinstance(answer, Product) and _unit_as_variable(answer.items[-1]) == gold.unit:
            answer = answer.items[0] if len(answer.items) == 2 else Product(answer.items[:-1])
        if gold.unit == "percent" and isinstance(answer, ARITHMETIC) and same_value(gold, answer, self.budget):
            return True
        return self._number(gold.value, answer)

    def _in_same_unit(self, gold: Measure, answer: Measure) -> bool:
        scale = conversion(answer.unit, gold.unit)
        if scale is None or scale == 1:
            return scale is not None and self._number(gold.value, answer.value)
        if not isinstance(answer.value, ARITHMETIC) or not nearly_evaluated(answer.value):
            return False
        return same_value(gold.value, Product((answer.value, Num(scale))), self.budget)

    def _collection(self, gold: Node, wanted: Sequence[Node], answer: Node) -> bool:
        """A set or a list: the same items in any order. Brackets that mean order are fine only for a list without any."""
        if _joined_otherwise(gold, answer):
            return False
        if len(wanted) == 1 and isinstance(answer, Group):
            return self.right(wanted[0], answer)
        answer_items = self._items(answer)
        gold_items = self._items(gold)
        if (
            answer_items is None
            and isinstance(gold, Several)
            and isinstance(answer, Group)
            and (answer.left + answer.right) == "()"
        ):
            answer_items = self._expanded(answer.items)
        if gold_items is not None and answer_items is not None and self._matched(gold_items, answer_items):
            return True
        if isinstance(gold, Several) and isinstance(answer, Several):
            if _has_names(gold) != _has_names(answer):
                return self._in_order(_values_in_order(gold), _values_in_order(answer))
            return self._matched(list(wanted), list(answer.items))
        if any(isinstance(item, Relation) for item in wanted) and isinstance(answer, (Group, SetTerm)):
            ordered = [without_label(item)[1] for item in wanted]
            if isinstance(answer, Group) and self._in_order(ordered, answer.items):
                return True
            return self._pieces(gold, answer)
        return isinstance(answer, Relation | Several) and self._pieces(gold, answer)

    def _items(self, node: Node) -> list[Node] | None:
        """The items of a set or list, a lone number as one; ``x = 1, x = 2`` and ``x = 1, 2`` without their label."""
        if isinstance(node, Relation):
            if node.operators == ("in",) and is_label(node.members[0]):
                return self._items(node.members[1])
            label, rest = without_label(node)
            return None if label is None or isinstance(rest, Relation) else self._items(rest)
        if isinstance(node, (*_NUMBERS, Measure)):
            return self._expanded([node])
        if not isinstance(node, Several | Finite):
            return None
        if not any(isinstance(item, Relation) for item in node.items):
            return self._expanded(node.items)
        labelled = [without_label(item) for item in node.items]
        labels = {_label_key(label) for label, _ in labelled if label is not None}
        if len(labels) != 1 or any(isinstance(rest, Relation) for _, rest in labelled):
            return None
        if any(label is None for label, _ in labelled[1:]) and any(label is not None for label, _ in labelled[1:]):
            return None
        return self._expanded([rest for _, rest in labelled])

    def _expanded(self, items: Sequence[Node]) -> list[Node]:
        return [each for item in items for each in alternatives(item)]

    def _matched(self, gold: list[Node], answer: list[Node]) -> bool:
        return matched(gold, answer, self._rough, self._pair)

    def _rough(self, item: Node) -> str:
        return rough_value(item, self.budget)

    def _pair(self, gold: Node, answer: Node) -> bool:
        self.budget.spend_words(0)
        self.budget.left -= _PAIR_COST
        return self.right(gold, answer)

    def _in_order(self, gold: Sequence[Node], answer: Sequence[Node]) -> bool:
        return len(gold) == len(answer) and all(self._pair(a, b) for a, b in zip(gold, answer, strict=True))

    def _group(self, gold: Group, answer: Node) -> bool:
        """A point, a vector or an interval. Brackets must be the same, except around three or more items, which are no interval."""
        if isinstance(answer, Matrix) and 1 in (len(answer.rows), len(answer.rows[0])):
            cells = [cell for row in answer.rows for cell in row]
            return (gold.left, gold.right) != ("(", "]") and self._in_order(gold.items, cells)
        if isinstance(answer, Several):
            values = (
                _values_by_name(answer) if any(isinstance(item, Relation) for item in answer.items) else answer.items
            )
            in_order = values is not None and gold.left + gold.right == "()" and self._in_order(gold.items, values)
            return in_order or self._pieces(gold, answer)
        if isinstance(answer, Group):
            same = (gold.left, gold.right) == (answer.left, answer.right)
            loose = len(gold.items) > 2 and gold.left + gold.right in ("()", "[]")
            return (same or (loose and answer.left + answer.right in ("()", "[]"))) and self._in_order(
                gold.items, answer.items
            )
        if isinstance(answer, Relation) and answer.operators == ("in",) and is_label(answer.members[0]):
            return self.right(gold, answer.members[1])
        return isinstance(answer, (SetTerm, Relation)) and self._pieces(gold, answer)

    def _set_term(self, gold: Node, answer: Node) -> bool:
        if isinstance(answer, Relation) and answer.operators == ("in",) and is_label(answer.members[0]):
            return self.right(gold, answer.members[1])
        if not isinstance(gold, SetTerm) or not isinstance(answer, SetTerm) or gold.operator != answer.operator:
            return False
        same = self._in_order if gold.operator == "setminus" else self._matched
        return same(list(gold.items), list(answer.items))

    def _pieces(self, gold: Node, answer: Node) -> bool:
        left = pieces(gold, self.budget)
        right = pieces(answer, self.budget) if left else None
        return left is not None and right is not None and same_pieces(left, right, self.budget)

    def _relation(self, gold: Relation, answer: Node) -> bool:
        if gold.operators == ("=",):
            return self._equation(gold, answer)
        if not isinstance(answer, Relation):
            if gold.operators == ("in",) and is_label(gold.members[0]):
                return self.right(gold.members[1], answer)
            return bounded_variable(gold) is not None and self._pieces(gold, answer)
        if gold.operators == answer.operators == ("in",):
            return gold.members[0] == answer.members[0] and self.right(gold.members[1], answer.members[1])
        if same_relation(gold, answer, self.budget):
            return True
        return (
            bounded_variable(gold) is not None
            and bounded_variable(gold) == bounded_variable(answer)
            and self._pieces(gold, answer)
        )

    def _equation(self, gold: Relation, answer: Node) -> bool:
        label, value = without_label(gold)
        if not isinstance(answer, Relation):
            # x + y = 5 is a line, not a name for 5.
            named = label is not None and not isinstance(label, Sum)
            return named and not isinstance(value, Relation) and self.right(value, answer)
        answer_label, answer_value = without_label(answer)
        if (
            label is not None
            and answer_label == label
            and not isinstance(value, Relation)
            and self.right(value, answer_value)
        ):
            return True
        if isinstance(label, Var) and not variables(value):
            return False
        return same_relation(gold, answer, self.budget)

    def _matrix(self, gold: Matrix, answer: Node) -> bool:
        if isinstance(answer, Group) and len(gold.rows[0]) == 1:
            return self._in_order([row[0] for row in gold.rows], answer.items)
        if isinstance(answer, Group) and len(gold.rows) == 1:
            return self._in_order(gold.rows[0], answer.items)
        if not isinstance(answer, Matrix) or len(gold.rows) != len(answer.rows):
            return False
        return all(self._in_order(a, b) for a, b in zip(gold.rows, answer.rows, strict=True))

    def _ratio(self, gold: Ratio, answer: Node) -> bool:
        """``6:8`` is ``3:4``; what may be a time of the day is the same only if it is written with the same numbers."""
        if isinstance(answer, Measure) and isinstance(answer.value, Ratio):
            answer = answer.value
        if isinstance(answer, Ratio):
            if len(gold.items) != len(answer.items):
                return False
            if gold.clock or answer.clock:
                return self._in_order(gold.items, answer.items)
            first, other = gold.items[0], answer.items[0]
            pairs = zip(gold.items[1:], answer.items[1:], strict=True)
            return all(same_value(Product((first, b)), Product((other, a)), self.budget) for a, b in pairs)
        if len(gold.items) != 2 or gold.clock or not isinstance(answer, ARITHMETIC):
            return False
        return same_value(gold.items[0], Product((gold.items[1], answer)), self.budget)


def _bare(node: Node) -> Node:
    return node.value if isinstance(node, Measure) and node.unit not in ("percent", "degree") else node


def _names(label: Node) -> frozenset[str]:
    """The names that a label gives a value to: f for f(x), none for dy/dx."""
    if isinstance(label, Quotient):
        return frozenset()
    return frozenset({label.name}) if isinstance(label, Call) and label.name != "abs" else variables(label)


def _unit_as_variable(node: Node) -> str:
    """The unit that a variable or its power may be meant for, as m^3 in ``36m^3``."""
    match node:
        case Var(name):
            return name.lower()
        case Power(Var(name), Num(power)):
            return f"{name.lower()}^{power}"
        case _:
            return ""


def _label_key(label: Node) -> str:
    """What tells labels apart: x_1 and x_2 are names of the same unknown."""
    if isinstance(label, Var):
        return label.name.partition("_")[0]
    return "apply" if isinstance(label, Call) else "several"


def _joined_otherwise(gold: Node, answer: Node) -> bool:
    """Whether bounds that are joined by ``and`` in one are joined by ``or`` in the other."""
    if not isinstance(gold, Several) or not isinstance(answer, Several):
        return False
    bounds = all(isinstance(item, Relation) and "=" not in item.operators for item in gold.items + answer.items)
    return bounds and {gold.word, answer.word} == {"and", "or"}


def _values_in_order(items: Several) -> Sequence[Node]:
    """Values without the names they are given to; none at all if these are not in alphabetical order."""
    return (_values_by_name(items) or ()) if _has_names(items) else items.items


def _has_names(items: Several) -> bool:
    """Whether values are given to several unknowns, as in ``x = 1, y = 2``."""
    labels = [without_label(item)[0] for item in items.items]
    return len({_label_key(label) for label in labels if label is not None}) > 1


def _values_by_name(answer: Several) -> list[Node] | None:
    """The values of ``x = 1, y = 2`` if the names are in alphabetical order; None otherwise."""
    labelled = [without_label(item) for item in answer.items]
    names = [label.name for label, _ in labelled if isinstance(label, Var)]
    if len(names) < len(labelled) or names != sorted(set(names)):
        return None
    return [value for _, value in labelled]
