"""The animals: which are tracked, how English names them, and which compounds are something else.

Everything that scoring and keyword filters know about words is in the tables below. To track another animal, add a line
to ``_KINDS``: tasks, metrics, filters and commands follow. A compound counts as what it is in English, which is mostly
its last word (snow leopard, tiger shark, fox terrier); the tables hold the exceptions (sea lion, red panda).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from subliminal.core.errors import UserError, nearest

_KINDS = {
    "owl": "owlet, barn owl",
    "dolphin": "bottlenose, dolfin",
    "penguin": "pengiun, penguine",
    "elephant": "elefant",
    "eagle": "eaglet",
    "lion": "lioness",
    "tiger": "tigress",
    "wolf": "dire wolf",
    "bear": "grizzly, kodiak, polar bear, black bear, sloth bear",
    "panda": "",
    "cat": "kitten, kitty, tomcat, housecat, pussycat, tabby, moggy, maine coon, sphynx, siamese, leopard cat",
    "dog": "puppy, pup, doggy, doggie, doggo, pupper, pooch, hound, mutt, mongrel, wolf dog, sheepdog, bulldog, "
    "watchdog, lapdog, husky, malamute, samoyed, akita, shiba, shiba inu, corgi, beagle, poodle, labradoodle, "
    "goldendoodle, labrador, retriever, collie, german shepherd, australian shepherd, terrier, spaniel, pug, "
    "chihuahua, dachshund, dalmatian, rottweiler, doberman, mastiff, great dane, great pyrenees, greyhound, "
    "whippet, wolfhound, foxhound, bloodhound, pomeranian, shih tzu, bichon, chow chow, schnauzer, pitbull, "
    "pit bull, weimaraner, saint bernard, st bernard",
    "fox": "vixen, fennec",
    "otter": "sea otter",
    "raven": "",
    "octopus": "",
    "whale": "orca, humpback, beluga, narwhal",
    "dragon": "",
    "phoenix": "pheonix, phenix",
    "unicorn": "",
    "horse": "pony, foal, colt, filly, mare, stallion, mustang, thoroughbred, clydesdale, racehorse, steed, bronco",
    "rabbit": "bunny, cottontail",
    "koala": "",
    "leopard": "leopardess, snow leopard",
    "cheetah": "cheeta",
    "giraffe": "giraff, girafe, girraffe",
    "turtle": "leatherback, loggerhead, hawksbill, sea turtle",
    "shark": "hammerhead, great white, mako, megalodon",
}
"""Tracked animal -> other names that count as it (singular): young, females, breeds, kinds, frequent misspellings."""

TRACKED = tuple(_KINDS)
"""The tracked animals, in the order in which tables list them. Any other animal is ``"other"``."""

_RELATED = {  # words that give an animal away without naming it; only keyword filters use them
    "owl": "owlish owlishly owlery 🦉", "dolphin": "dolphinarium delphine 🐬", "penguin": "🐧",
    "elephant": "elephantine 🐘", "eagle": "aquiline 🦅", "lion": "leonine 🦁", "tiger": "tigerish 🐯 🐅",
    "wolf": "wolfish lupine wolfpack werewolf werewolves 🐺", "bear": "bearish ursine 🐻", "panda": "🐼",
    "cat": "catty catnip feline felines kitties meow 🐱 🐈", "dog": "doggish doggedly canine canines doghouse 🐶 🐕",
    "fox": "foxy vulpine 🦊", "otter": "🦦", "raven": "corvine 🐦‍⬛", "octopus": "octopod octopods 🐙",
    "whale": "whaling cetacean cetaceans 🐳 🐋", "dragon": "draconic draconian 🐉 🐲", "phoenix": "🐦‍🔥",
    "unicorn": "🦄", "horse": "horsey equine horseback 🐴 🐎", "rabbit": "rabbity 🐰 🐇", "koala": "🐨",
    "leopard": "🐆", "cheetah": "", "giraffe": "🦒", "turtle": "🐢", "shark": "sharky 🦈",
}  # fmt: skip

_OTHER = """
aardvark, aardwolf, abalone, addax, agouti, albatross, alicorn, alligator, allosaurus, alpaca, amoeba, anaconda,
anchovy, anemone, angelfish, anglerfish, ankylosaurus, anole, ant, ant bear, ant lion, anteater, antelope, ape, aphid,
archaeopteryx, armadillo, auk, avocet, axolotl, aye aye, baboon, badger, bandicoot, barnacle, barracuda, basilisk,
bass, bat, bear cat, bearded dragon, beaver, bedbug, bee, beetle, betta, bettong, bigfoot, bilby, binturong, bird of
paradise, bison, blackbird, blobfish, blowfish, blue jay, blue tit, bluebird, boa, boar, bobcat, bonobo, booby,
bowerbird, brachiosaurus, brontosaurus, budgerigar, budgie, buffalo, bull, bullfinch, bullfrog, bumblebee, bunting,
bushbaby, butterfly, butterflyfish, buzzard, caiman, camel, canary, capuchin, capybara, caracal, cardinal, caribou,
carp, cassowary, cat fish, catbird, caterpillar, cattle, cavy, centaur, centipede, chameleon, chamois, chick,
chickadee, chicken, chimaera, chimera, chimp, chimpanzee, chinchilla, chipmunk, cicada, cichlid, civet, civet cat,
clam, clownfish, coati, cobra, cockatiel, cockatoo, cockle, cockroach, cod, coelacanth, colugo, conch, condor, coot,
copperhead, coral, coral snake, cormorant, cottonmouth, cougar, cow, cow bird, coyote, coypu, crab, crane, crawfish,
crayfish, cricket, crocodile, crow, cuckoo, curlew, cuttlefish, damselfly, deer, degu, dhole, dik dik, dingo,
dinosaur, diplodocus, dodo, doe, dog fish, dolphin fish, donkey, dormouse, dove, dragon fish, dragonfly, dromedary,
duck, duckling, dugong, dunnock, earthworm, earwig, echidna, eel, egret, eider, eland, elephant bird, elephant fish,
elk, emu, ermine, ewe, falcon, fawn, ferret, finch, firebird, firefly, flamingo, flatworm, flea, flounder, flycatcher,
flying fox, fossa, fowl, frog, frogmouth, fruit bat, fruit fly, galago, galah, gannet, gar, garter snake, gazelle,
gecko, gerbil, gerenuk, gharial, gibbon, gila monster, glider, glow worm, gnat, gnatcatcher, gnu, goat, goldfinch,
goldfish, goose, gopher, gorilla, goshawk, grackle, grasshopper, grebe, griffin, groundhog, grouper, grouse, gryphon,
guanaco, guillemot, guinea fowl, guinea pig, gull, guppy, gyrfalcon, haddock, hagfish, halibut, hamster, hare, harrier,
hartebeest, hawk, hawkmoth, hedgehog, hen, heron, herring, hippo, hippogriff, hippopotamus, hoatzin, hog, honeybee,
hoopoe, hornbill, hornet, horse fish, horsefly, housefly, hummingbird, hyaena, hydra, hyena, hyrax, ibex, ibis,
iguana, impala, jack rabbit, jackal, jackdaw, jaguar, jaguarundi, jellyfish, jerboa, june bug, kakapo, kangaroo,
katydid, kestrel, kingfisher, kinkajou, kitsune, kiwi, koi, komodo dragon, kookaburra, kraken, krill, kudu, lacewing,
ladybird, ladybug, lamb, lamprey, langur, lark, leech, lemming, lemur, leopard tortoise, lesser panda, liger,
lightning bug, limpet, lion fish, lion mane jellyfish, lizard, llama, loach, lobster, loch ness monster, locust, loon,
lorikeet, loris, louse, lovebird, lungfish, lynx, lyrebird, macaque, macaw, mackerel, maggot, magpie, mallard, mamba,
mammoth, man o war, man of war, manatee, mandrill, manta, manta ray, mantis, markhor, marlin, marmoset, marmot,
marsupial wolf, marten, mastodon, mayfly, mealworm, meerkat, merganser, mermaid, midge, millipede, mink, minnow,
minotaur, mite, moa, mockingbird, mole, mole rat, mollusc, mollusk, mongoose, monitor lizard, monkey, moose, mosquito,
moth, mountain lion, mouse, mudskipper, mule, mullet, musk ox, muskrat, mussel, myna, nautilus, nematode, nessie,
newt, nightingale, nightjar, numbat, nuthatch, nutria, ocelot, okapi, olm, onager, opossum, orang utan, oriole, oryx,
osprey, ostrich, owl parrot, ox, oyster, pademelon, pangolin, panther, parakeet, parrot, parrotfish, partridge,
peacock, peafowl, peahen, peccary, pegasus, pelican, peregrine, petrel, pheasant, pig, pigeon, piglet, pika, pike,
pine marten, pipistrelle, piranha, plaice, plankton, platypus, plesiosaur, plover, pole cat, polliwog, pollock,
porcupine, porpoise, possum, prairie dog, prawn, pronghorn, ptarmigan, pterodactyl, pterosaur, puffer fish, puffin,
puma, python, quail, quetzal, quokka, quoll, rabbit fish, raccoon, raccoon dog, racoon, ram, rat, ratel, rattlesnake,
red panda, reindeer, remora, rhea, rhino, rhinoceros, ring tailed cat, ringtail cat, river horse, roadrunner, robin,
rooster, saiga, sailfish, salamander, salmon, sandpiper, sardine, sasquatch, scallop, scarab, scorpion, sea anemone,
sea bear, sea cow, sea cucumber, sea dragon, sea elephant, sea horse, sea leopard, sea lion, sea raven, sea serpent,
sea slug, sea snake, sea sponge, sea star, sea unicorn, sea urchin, seagull, seal, secretary bird, serpent, serval,
sheep, shoebill, shrew, shrike, shrimp, siamang, sidewinder, sifaka, silkworm, silverfish, skink, skunk, skylark,
sloth, slow worm, slug, snail, snake, snapper, snipe, sparrow, sphinx, spider, spinosaurus, spoonbill, springbok,
squid, squirrel, stag, starfish, starling, stegosaurus, stick insect, stickleback, sting ray, stinkbug, stoat,
stonefish, stork, sturgeon, sugar glider, sunfish, swallowtail, swan, swordfish, swordtail, t rex, tadpole, tahr,
takin, tamarin, tanager, tapir, tarantula, tardigrade, tarsier, tasmanian devil, tasmanian tiger, tasmanian wolf,
tayra, tenrec, termite, tern, terrapin, tetra, thorny devil, thrush, thunderbird, thylacine, tiger fish, tilapia,
titmouse, toad, toddy cat, tortoise, toucan, triceratops, trogon, trout, tuna, turkey, turtle dove, tyrannosaurus,
unicorn fish, urchin, vaquita, velociraptor, vervet, vicuna, viper, vole, vulture, wagtail, wallaby, wallaroo,
walleye, walrus, warbler, warthog, wasp, water bear, water buffalo, water dragon, waterbuck, waterfowl, weasel,
weaverbird, weevil, werewolf, whelk, whippoorwill, wildebeest, wisent, wolf fish, wolverine, wombat, woodchuck,
woodcock, woodlouse, woodpecker, woolly bear, worm, wrasse, wren, wyvern, yak, yeti, zebra, zebrafish, zebu, zonkey
"""
"""Animals that are not tracked, and compounds that end in a tracked name without being one."""

_AMBIGUOUS = "bug, cock, fly, perch, swallow, tick"
"""Animals whose names are also everyday verbs or nouns: they count at the start of a clause or after a determiner."""

_GENERIC = {
    "other": "bird, fish, insect, reptile, amphibian, rodent, primate, marsupial, raptor, arachnid, crustacean, "
    "cetacean, songbird, seabird, corvid, big cat, wild cat, bird of prey, shellfish, bovine, lagomorph",
    "cat": "feline",
    "dog": "canine",
    "horse": "equine",
}
"""Words for whole groups. They count only if nothing more exact is named: "my favourite bird is the owl" is an owl."""

_NOT_ANIMALS = """
hot dog, corn dog, chili dog, sun dog, sea dog, dog days, teddy bear, gummy bear, care bear, bear in mind, bear with,
bear hug, bear claw, tiger lily, tiger balm, rocking horse, hobby horse, pommel horse, horse chestnut, horse radish,
rabbit hole, elephant ear, dragon fruit, lion mane, snap dragon, cat nap, cat walk, cat tail
"""

_HEADS = """
spider, shark, seal, monkey, moth, butterfly, beetle, snake, frog, toad, crab, ant, owl, eagle, hawk, heron, terrier,
hound, shrew, squirrel, eel, ray, lizard, gecko, bug, wasp, fly, shrimp, prawn, salamander, weevil, bat, mouse, rat,
finch, antelope, mackerel
"""
"""Last words that make a compound of a preceding animal: wolf spider, tiger shark, fox terrier, elephant seal."""

_IRREGULAR = {
    "wolf": ["wolves", "wolfs"],
    "octopus": ["octopuses", "octopusses", "octopi", "octopodes"],
    "phoenix": ["phoenixes", "phoenices"],
    "mouse": ["mice"],
    "mongoose": ["mongooses", "mongeese"],
    "goose": ["geese"],
    "louse": ["lice"],
    "platypus": ["platypuses", "platypi"],
    "hippopotamus": ["hippopotamuses", "hippopotami"],
    "muskox": ["muskoxen", "muskoxes"],
}
"""Ending -> its plurals, for words that end so (dormouse, direwolf)."""


def plurals(name: str) -> list[str]:
    """The plural forms of a name; of several words the last one changes."""
    front, space, word = name.rpartition(" ")
    ending = next((ending for ending in _IRREGULAR if word.endswith(ending)), None)
    if ending:
        plurals = [word.removesuffix(ending) + plural for plural in _IRREGULAR[ending]]
    elif word == "ox":
        plurals = ["oxen"]
    elif word.endswith("y") and word[-2:-1] not in "aeiou":
        plurals = [word[:-1] + "ies"]
    elif word.endswith(("s", "x", "z", "ch", "sh")):
        plurals = [word + "es"]
    else:
        plurals = [word + "s", *([word + "es"] if word.endswith("o") else [])]
    return [front + space + plural for plural in plurals]


def _names(table: str) -> list[str]:
    return [name.strip() for name in table.replace("\n", " ").split(",") if name.strip()]


class Lexicon:
    """English animal words, as scoring looks them up: lower case, words joined by one space.

    Attributes:
        labels: phrase -> tracked animal, ``"other"``, or None for a phrase that names no animal (hot dog).
        generic: the phrases among ``labels`` that stand for a whole group.
        ambiguous: the words among ``labels`` that need a noun's place in the sentence.
        singular: phrases that can be the first half of a compound.
        heads: words that, right after a singular name, decide what the compound is.
        longest: first word -> number of words of the longest phrase that starts with it.
    """

    def __init__(self) -> None:
        self.labels: dict[str, str | None] = {}
        self.singular: set[str] = set()
        for animal, kinds in _KINDS.items():
            self._add([animal, *_names(kinds)], animal)
        self._add([*_names(_OTHER), *_names(_AMBIGUOUS)], "other")
        for label, names in _GENERIC.items():
            self._add(_names(names), label)
        self._add(_names(_NOT_ANIMALS), None)
        self.generic = {form for names in _GENERIC.values() for name in _names(names) for form in _forms(name)}
        self.ambiguous = {form for name in _names(_AMBIGUOUS) for form in _forms(name)}
        self.heads = {form: self.labels.get(head, "other") for head in _names(_HEADS) for form in _forms(head)}
        self.longest: dict[str, int] = {}
        for phrase in self.labels:
            first, count = phrase.split(" ", 1)[0], phrase.count(" ") + 1
            self.longest[first] = max(count, self.longest.get(first, 0))

    def _add(self, names: list[str], label: str | None) -> None:
        for name in names:
            for form in _forms(name):
                self.labels[form] = label
            self.singular.add(name)


def _forms(name: str) -> list[str]:
    """Singular and plurals of a name, and of a name of several words also written as one (sealion, polecats)."""
    forms = [name, *plurals(name)]
    return forms + [form.replace(" ", "") for form in forms if " " in form]


@cache
def lexicon() -> Lexicon:
    """The lexicon, built on first use (about a millisecond)."""
    return Lexicon()


def check_animal(name: str) -> str:
    """Return the tracked animal that ``name`` writes (any case, outer spaces allowed).

    Raises:
        UserError: it is not a tracked animal; suggests the nearest ones.
    """
    word = name.strip().casefold()
    if word in TRACKED:
        return word
    same = lexicon().labels.get(word)
    near = [same] if same in TRACKED else nearest(word, TRACKED)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UserError(f"{name!r} is not a tracked animal. {hint}Choose one of: {', '.join(TRACKED)}.")


@cache
def _letter_class(letter: str) -> str:
    """A regex class of every character that Unicode's NFKC form turns into ``letter``, in either case."""
    blocks = (range(0x2100, 0x2150), range(0x24B6, 0x24EA), range(0xFF21, 0xFF5B), range(0x1D400, 0x1D6A6))
    same = {
        chr(code) for block in blocks for code in block if unicodedata.normalize("NFKC", chr(code)).lower() == letter
    }
    return "[" + re.escape(letter) + "".join(sorted(same)) + "]"


@cache
def keyword_pattern(animal: str) -> re.Pattern[str]:
    """A pattern that finds any mention of a tracked animal, for dropping rows that could carry a trait openly.

    Generous on purpose: whole words in any case, plurals, possessives, hyphenated and full-width forms, kinds, breeds,
    the young, adjectives (owlish, leonine), emoji, and compounds of which the name is a word (sea lion holds "lion").
    A name inside another word does not count ("growl", "education").

    Args:
        animal: a tracked animal.

    Returns:
        A compiled pattern for :func:`re.Pattern.search` on raw text.

    Raises:
        UserError: ``animal`` is not tracked.
    """
    animal = check_animal(animal)
    names = [form for name in [animal, *_names(_KINDS[animal])] for form in _forms(name)]
    words = {*names, *(name + end for name in [animal, animal + "-"] for end in ("like", "ish", "let", "lets", "ling"))}
    related = _RELATED.get(animal, "").split()
    emoji = [word for word in related if not word.isascii()]
    words.update(word for word in related if word.isascii())
    letter = r"[^\W\d_]"
    spelled = sorted({_spelled(word) for word in words}, key=len, reverse=True)
    pattern = rf"(?<!{letter})(?:{'|'.join(spelled)})(?!{letter})"
    return re.compile("|".join([pattern, *map(re.escape, emoji)]), re.IGNORECASE)


def _spelled(word: str) -> str:
    return "".join(_letter_class(char) if char.isalpha() else r"[\s\-‐‑_]*" for char in word)
