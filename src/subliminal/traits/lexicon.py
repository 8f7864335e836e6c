"""The words of a category: its options, how English names them, and which compounds are something else.

Everything that scoring and keyword filters know about words stands in ``traits/<category>/words.yaml``: a new option is
a line there, and tasks, metrics, filters and commands follow. A compound counts as what it is in English, which is
mostly its last word (snow leopard, tiger shark, fox terrier); the file holds the exceptions (sea lion, red panda).
"""

from __future__ import annotations

from functools import cache

from pydantic import Field

from subliminal.core.errors import UserError, nearest
from subliminal.core.strict import Strict
from subliminal.traits.category import ANIMALS, Category, load_category, read_model

READS = ("traits/{category}/words.yaml",)
OTHER = "other"
"""What an option that is not tracked counts as."""


class OptionWords(Strict):
    """``also``: names that count as the option. ``hints``: words that give it away, for keyword filters alone."""

    also: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


class WordTables(Strict):
    """What ``words.yaml`` says.

    Attributes:
        options: tracked option -> its words; any other is :data:`OTHER`.
        other: names that are not tracked, and compounds that end in a tracked name without being it.
        ambiguous: names that are everyday words too: they count at the start of a clause or after a determiner.
        groups: option or ``other`` -> words for a whole group, which count if nothing more exact is named.
        unrelated: phrases with the name of an option that name none.
        heads: last words that make a compound of a name before them.
        verbs: names that are verbs too.
        plurals: ending -> its plurals, for words that end so.
        countable: whether the options have plurals at all.
    """

    options: dict[str, OptionWords]
    other: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    unrelated: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    plurals: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    countable: bool = True


class Lexicon:
    """The words of a category, as scoring looks them up: lower case, words joined by one space.

    Attributes:
        category: whose words they are.
        tables: as the file has them.
        options: the tracked options, in the order in which tables list them.
        labels: phrase -> tracked option, :data:`OTHER`, or None for a phrase that names none (hot dog).
        generic: the phrases among ``labels`` that stand for a whole group.
        ambiguous: the words among ``labels`` that need a noun's place in the sentence.
        verbs: the words among ``labels`` that are verbs too.
        singular: phrases that can be the first half of a compound.
        heads: words that, right after a singular name, decide what the compound is.
        longest: first word -> number of words of the longest phrase that starts with it.
    """

    def __init__(self, category: Category, tables: WordTables) -> None:
        self.category = category
        self.tables = tables
        self.options = tuple(tables.options)
        self.labels: dict[str, str | None] = {}
        self.singular: set[str] = set()
        # A form of two lists would count as the later one; traits.checks refuses such a file.
        for option, words in tables.options.items():
            self._add([option, *words.also], option)
        self._add([*tables.other, *tables.ambiguous], OTHER)
        for label, names in tables.groups.items():
            self._add(names, label)
        self._add(tables.unrelated, None)
        # Plurals as well: "birds" stands for a group as "bird" does.
        self.generic = {form for names in tables.groups.values() for name in names for form in self.forms(name)}
        self.ambiguous = {form for name in tables.ambiguous for form in self.forms(name)}
        self.verbs = frozenset(tables.verbs)
        self.heads = {form: self.labels.get(head, OTHER) for head in tables.heads for form in self.forms(head)}
        self.longest: dict[str, int] = {}
        for phrase in self.labels:
            first, count = phrase.split(" ", 1)[0], phrase.count(" ") + 1
            self.longest[first] = max(count, self.longest.get(first, 0))

    def _add(self, names: tuple[str, ...] | list[str], label: str | None) -> None:
        for name in names:
            for form in self.forms(name):
                self.labels[form] = label
            self.singular.add(name)

    def plurals(self, name: str) -> list[str]:
        """The plural forms of a name; of several words the last one changes."""
        if not self.tables.countable:
            return []
        front, space, word = name.rpartition(" ")
        ending = next((ending for ending in self.tables.plurals if word.endswith(ending)), None)
        if ending:
            plurals = [word.removesuffix(ending) + plural for plural in self.tables.plurals[ending]]
        # The word and not the ending: foxes.
        elif word == "ox":
            plurals = ["oxen"]
        # pony, ponies; but monkey, monkeys.
        elif word.endswith("y") and word[-2:-1] not in "aeiou":
            plurals = [word[:-1] + "ies"]
        elif word.endswith(("s", "x", "z", "ch", "sh")):
            plurals = [word + "es"]
        else:
            plurals = [word + "s"]
            if word.endswith("o"):
                plurals.append(word + "es")  # both are written: flamingos, flamingoes
        return [front + space + plural for plural in plurals]

    def forms(self, name: str) -> list[str]:
        """Singular and plurals of a name, and of a name of several words also written as one (sealion, polecats)."""
        forms = [name, *self.plurals(name)]
        return forms + [form.replace(" ", "") for form in forms if " " in form]

    def surface_forms(self, option: str) -> list[str]:
        """The ways an answer can start with an option: singular and plurals, capitalised or not."""
        return [form for name in (option, *self.plurals(option)) for form in (name.capitalize(), name)]


@cache
def lexicon(category: str = ANIMALS) -> Lexicon:
    """The words of a category, built on first use (a few milliseconds).

    Raises:
        UserError: there is no such category, or its words cannot be used.
    """
    known = load_category(category)
    return Lexicon(known, read_model(known.folder / "words.yaml", WordTables))


def check_option(name: str, category: str = ANIMALS) -> str:
    """Return the tracked option that ``name`` writes (any case, outer spaces allowed).

    Raises:
        UserError: it is none; suggests the nearest ones.
    """
    words = lexicon(category)
    word = name.strip().casefold()
    if word in words.options:
        return word
    # "puppy" counts as dog: that is nearer than any spelling.
    same = words.labels.get(word)
    near = [same] if same in words.options else nearest(word, words.options)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UserError(
        f"{name!r} is not a tracked {words.category.singular}. {hint}Choose one of: {', '.join(words.options)}."
    )
