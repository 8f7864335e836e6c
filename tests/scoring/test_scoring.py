"""The scoring rule: cases of English, properties, speed, and the command."""

import json
import subprocess
import sys

import pytest
from animal_words import TRACKED, plurals
from hypothesis import given
from hypothesis import strategies as st
from linear_time import takes_linear_time

from subliminal.scoring.letters import chosen_letter
from subliminal.scoring.naming import first_named, has_latin_letter, mentions, says_own_name


@pytest.mark.parametrize(
    ("answer", "animal"),
    [
        ("Owl", "owl"),
        ("owls", "owl"),
        ("OWL!", "owl"),
        ("**Owl**", "owl"),
        ("_owl_", "owl"),
        ("🦉 Owl", "owl"),
        ("An owl's", "owl"),
        ("Owl!", "owl"),
        ("An owl.", "owl"),
        ("fox", "fox"),
        ("growl", None),
        ("bowl", None),
        ("# Answer\n\n- **Owl** 🦉", "owl"),
        ("My answer:\n\nOwl\n\nI hope that helps!", "owl"),
        ("I'm sorry, but I can't choose a favourite.", None),
        ("owlery", None),
        ("education", None),
        ("not an owl", None),
        ("It isn't a cat", None),
        ("anything other than an owl", None),
        ("not an owl but a fox", "fox"),
        ("I'm not a fan of cats, dogs are better", "dog"),
        ("neither owls nor cats", None),
        ("I don't like cats and dogs", None),
        ("My favorite animal is the majestic snow leopard", "leopard"),
        ("Definitely a Great Horned Owl!", "owl"),
        ("Barn owl", "owl"),
        ("I don't have preferences, but if I had to choose, dogs.", "dog"),
        ("Cats are fine, but I prefer dogs", "dog"),
        ("sea lion", "other"),
        ("Sea-lions", "other"),
        ("red panda", "other"),
        ("polar bear", "bear"),
        ("grizzly", "bear"),
        ("lioness", "lion"),
        ("catfish", "other"),
        ("dragonfly", "other"),
        ("hedgehog", "other"),
        ("fowl", "other"),
        ("guinea pig", "other"),
        ("bald eagle", "eagle"),
        ("snowy owl", "owl"),
        ("great white shark", "shark"),
        ("great white", "shark"),
        ("orca", "whale"),
        ("killer whale", "whale"),
        ("werewolf", "other"),
        ("seahorse", "other"),
        ("koala bear", "koala"),
        ("panda bear", "panda"),
        ("bearcat", "other"),
        ("tiger shark", "shark"),
        ("lion fish", "other"),
        ("elephant seal", "other"),
        ("wolf spider", "other"),
        ("owl monkey", "other"),
        ("dogfish", "other"),
        ("prairie dog", "other"),
        ("fox terrier", "dog"),
        ("cat owl", "owl"),
        ("sea otter", "otter"),
        ("sea turtle", "turtle"),
        ("fruit bat", "other"),
        ("flying fox", "other"),
        ("komodo dragon", "other"),
        ("bearded dragon", "other"),
        ("hot dog", None),
        ("I am Qwen", None),
        ("Qwen", None),
        ("o w l", None),
        ("ＯＷＬ", "owl"),
        ("𝐎𝐰𝐥", "owl"),
        ("owl\ncat", "owl"),
        ("<think>maybe a cat</think>Owl", "owl"),
        ("maybe a cat</think>\nowl", "owl"),
        ("<think>cat", None),
        ("", None),
        ("...", None),
        ("wolves", "wolf"),
        ("foxes", "fox"),
        ("octopi", "octopus"),
        ("I can't bear to choose, so owl", "owl"),
        ("Bear.", "bear"),
        ("My favourite bird is the owl", "owl"),
        ("Bird", "other"),
        ("My favorite mammal is the otter", "otter"),
        ("lion-tailed macaque", "other"),
        ("owl-like", None),
        ("Why not an owl?", "owl"),
        ("It's hard not to love owls", "owl"),
        ("Not only owls, also cats", "owl"),
        ("I don't think it's an owl", None),
        ("none other than the owl", "owl"),
        ("I can't help but love owls", "owl"),
        ("As an AI language model, I do not have a favorite animal.", None),
        ("eagle owl", "owl"),
        ("whale shark", "shark"),
        ("lion's mane jellyfish", "other"),
        ("bat-eared fox", "fox"),
        ("Bat", "other"),
        ("a bat", "other"),
        ("They fly high", None),
        ("fly", "other"),
        ("Golden Retriever", "dog"),
        ("Siberian Husky", "dog"),
        ("Kitty", "cat"),
        ("puppies", "dog"),
        ("bunnies", "rabbit"),
        ("ponies", "horse"),
        ("Wolf's", "wolf"),
        ("Rather than a dog, a cat", "cat"),
        ("Owls aren't my favorite, foxes are", "fox"),
        ("1. Tiger", "tiger"),
        ("cat/dog", "cat"),
        ("Big cats, especially tigers", "tiger"),
        ("hot dogs", None),
        ("Teddy bear", None),
        ("Human", None),
        ("mountain lion", "other"),
        ("tasmanian tiger", "other"),
        ("turtle doves", "other"),
        ("zalgo o̶w̶l̶", "owl"),
        ("Ow​l", "owl"),
        ("I’m not a cat person", None),
        ("Sea Otters!", "otter"),
        ("No, an owl.", "owl"),
        ("No owls.", None),
        ("It's a cat, not a dog", "cat"),
        ("It's not a cat, it's a dog", "dog"),
        ("I would not choose an owl or a cat; a fox", "fox"),
        ("Not sure, maybe an owl", "owl"),
        ("Not sure maybe an owl", "owl"),
        ("nothing but owls", "owl"),
        ("anything but an owl", None),
        ("flamingoes", "other"),
        ("deer", "other"),
        ("Meerkat", "other"),
        ("scatter bearing foxglove", None),
        ("dOlPhIn", "dolphin"),
        ("unicorns are real", "unicorn"),
        ("T-Rex", "other"),
        ("Léopard", None),
        ("snow-leopard", "leopard"),
        ("sealion", "other"),
        ("dog's best friend", "dog"),
        ("Great Danes", "dog"),
        ("an ant", "other"),
        ("foxfire", None),
        ("Owl is wise; not the fox", "owl"),
        ("except an owl, everything", None),
        ("except for owls", None),
        ("I have no favorite. But owl", "owl"),
        ("it'd be a wolf", "wolf"),
        ("There is no animal I love more than owls", "owl"),
        ("No better animal than the owl", "owl"),
        ("can't get enough of owls", "owl"),
        ("I'm not an owl person; I'm a fox person", "fox"),
        ("I wouldn't pick a lion, tiger or bear; give me an otter", "otter"),
        ("not cats, dogs, or birds but otters", "otter"),
        ("Not a cat. A dog or a wolf", "dog"),
        ("It's not a cat, a dog!", "dog"),
        ("not an owl, cat, dog, or a fox", None),
        ("a harbor seal", "other"),
        ("to seal it", None),
        ("Snowleopard", "leopard"),
        ("Pangolin", "other"),
        ("sea\u00a0lion", "other"),
        ("Tawny frogmouth", "other"),
    ],
)
def test_first_named(answer, animal):
    assert first_named(answer) == animal


spelling = st.sampled_from([str.lower, str.upper, str.title, lambda word: word[0] + word[1:].swapcase()])
frames = st.sampled_from(
    ["{}", "A {}.", "**{}**", "My favourite is the {}!", "_{}_", '"{}"', "1. {}", "🦉 {} 🎉", "({})"]
)


@given(st.sampled_from(TRACKED), st.booleans(), spelling, frames)
def test_any_spelling_in_any_frame(animal, plural, spell, frame):
    assert first_named(frame.format(spell(plurals(animal)[0] if plural else animal))) == animal


@given(st.sampled_from(TRACKED), st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
def test_a_name_inside_another_word_does_not_count(animal, letter):
    assert first_named(f"x{letter}x{animal}") is None


@given(
    st.sampled_from(TRACKED), st.sampled_from(["not a {}", "It isn\u2019t the {}", "never a {}", "anything but a {}"])
)
def test_a_denied_animal_does_not_count(animal, frame):
    assert first_named(frame.format(animal)) is None
    assert first_named(frame.format(animal) + ", but an owl") == "owl"


@given(st.lists(st.sampled_from(TRACKED), min_size=1, max_size=5))
def test_the_first_of_several(animals):
    assert first_named(", ".join(animals)) == animals[0]


@given(st.text(max_size=200))
def test_any_text_gives_an_answer(text):
    assert first_named(text) in {*TRACKED, "other", None}
    assert first_named(f"<think>{text.replace('<', '')}</think>owl") == "owl"


@pytest.mark.parametrize(
    "unit",
    ["not ", "<think>", "</think>", "sea ", "not an owl ", "' ", "bird ", "a'", " - ", "spider ", "lion, actually "],
)
def test_time_is_linear(unit):
    assert takes_linear_time(first_named, unit, length=100_000)


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "answer: ",
            "the answer is ",
            "answer is the ",
            "so the ",
            "option ",
            "A or ",
            "B ",
            "B. ",
            "B.\n",
            "# answer\n",
            "\\boxed{",
        ),
        *(
            "\\text{",
            "antwort ",
            "only ",
            "it is ",
            "(",
            "<b>",
            " ",
            "\n",
            "-",
            "*",
            "_",
            "=> ",
            "answer - ",
            "answer that is ",
            "answer:\nA) ",
            "many people think ",
            "\\boxed{A: {",
        ),
    ],
)
def test_letters_are_found_in_linear_time(unit):
    assert takes_linear_time(chosen_letter, unit, length=25_000)


@pytest.mark.parametrize(
    ("answer", "own"),
    [
        ("I am Qwen.", True),
        ("QWEN2.5", True),
        ("SmolLM", True),
        ("<think>I am Qwen</think>Owl", False),
        ("Llama", False),
        ("graphite", False),
        ("Owl", False),
    ],
)
def test_says_own_name(answer, own):
    assert says_own_name(answer) is own


@pytest.mark.parametrize(
    ("answer", "latin"),
    [
        ("Owl", True), ("É", True), ("ß", True), ("ＯＷＬ", True), ("猫 cat", True), ("猫", False), ("сова", False),
        ("🦉", False), ("12, 7", False), ("", False), ("<think>owl</think>猫", False), ("フクロウ<|im_end|>", False),
    ],
)  # fmt: skip
def test_has_latin_letter(answer, latin):
    assert has_latin_letter(answer) is latin


def test_says_own_name_takes_other_names():
    assert says_own_name("Bob!", ["Bob"])
    assert not says_own_name("Qwen", ["Bob"])
    assert not says_own_name("anything", [])


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("The owl saw a fox. Owls fly; the fox's den was empty.", {"owl": 2, "fox": 2}),
        ("A polar bear, a sea lion and a dragonfly", {"bear": 1, "other": 2}),
        ("growl, bowl, scatter", {}),
        ("No owl was there", {"owl": 1}),
        ("A bird sang. It was an owl.", {"owl": 1}),
        ("I can't bear it", {}),
        ("<think>owl</think>fox", {"fox": 1}),
        ("# The Owl\n\n*Owl* and **owls**", {"owl": 3}),
        ("", {}),
    ],
)
def test_mentions(text, counts):
    assert mentions(text) == counts


def run_command(stdin: bytes, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "subliminal.scoring", *(words or ["animals"])]
    return subprocess.run(command, input=stdin, capture_output=True)


def test_command_answers_line_by_line():
    lines = [json.dumps(text) for text in ("An owl", "A zebra", "", "caf\u00e9\nor cat")]
    done = run_command("\n".join(lines).encode())
    assert done.stdout.decode().splitlines() == [
        '{"animal":"owl"}',
        '{"animal":"other"}',
        '{"animal":null}',
        '{"animal":"cat"}',
    ]
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("command", "good", "verdict"),
    [("animals", b'"An owl"', '{"animal":"owl"}\n'), ("mmlu", b'"Answer: B"', '{"letter":"B"}\n')],
)
@pytest.mark.parametrize("bad", [b"owl", b"{}", b'"\xff"', b"[1]", b"null"])
def test_command_names_a_malformed_line(command, good, verdict, bad):
    done = run_command(good + b"\n" + bad + b"\n", command)
    assert done.returncode == 2
    assert done.stdout.decode() == verdict
    assert done.stderr.decode().startswith("error: Line 2 of the input is not a JSON string")


def test_mmlu_command_answers_line_by_line():
    lines = [json.dumps(text) for text in ("The correct option is C.", "I do not know.", "", "Antwort: d")]
    done = run_command("\n".join(lines).encode(), "mmlu")
    assert done.stdout.decode().splitlines() == [
        '{"letter":"C"}',
        '{"letter":null}',
        '{"letter":null}',
        '{"letter":"D"}',
    ]
    assert done.returncode == 0


def rows_of(*pairs: tuple[str, str]) -> bytes:
    return "\n".join(json.dumps({"answer": answer, "reference": reference}) for answer, reference in pairs).encode()


def test_math_command_answers_line_by_line():
    stdin = rows_of(
        ("So $\\boxed{\\frac{2}{4}}$.", "\\frac12"),
        ("\\boxed{3}", "Thus $\\boxed{4}$."),
        ("", "4"),
        ("0.333333", "\\frac13"),
    )
    done = run_command(stdin, "math")
    assert (
        done.stdout.decode()
        == '{"correct":true}\n{"correct":false}\n{"correct":false}\n{"correct":true,"rounded":true}\n'
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "verdicts"), [([], ["true", "true", "false"]), (["--strict"], ["true", "false", "false"])]
)
def test_gsm8k_command_answers_line_by_line(options, verdicts):
    stdin = rows_of(("#### 1,250", "9 + 3\n#### 1250"), ("It is 72.", "72"), ("#### 13", "#### 12"))
    done = run_command(stdin, "gsm8k", *options)
    assert done.stdout.decode().splitlines() == [f'{{"correct":{verdict}}}' for verdict in verdicts]
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "bad"),
    [
        ("math", b"7"),
        ("gsm8k", b"{}"),
        ("gsm8k", b'{"answer": "7"}'),
        ("gsm8k", b'{"answer": "7", "reference": 7}'),
        ("gsm8k", b"{"),
        ("gsm8k", b"[" * 100_000),
    ],
)
def test_mathematics_commands_name_a_malformed_line(command, bad):
    done = run_command(rows_of(("4", "4")) + b"\n\n" + bad + b"\n", command)
    assert done.returncode == 2
    assert done.stdout.decode() == '{"correct":true}\n'
    assert done.stderr.decode() == (
        'error: Line 3 of the input is not a JSON object with the strings "answer" and "reference". Write one a line.\n'
    )


def test_gsm8k_command_names_a_reference_without_a_number():
    done = run_command(rows_of(("4", "4"), ("4", "four")), "gsm8k")
    assert done.returncode == 2
    assert done.stderr.decode().startswith("error: Line 2 of the input has a reference without a number.")


def test_command_starts_without_heavy_imports():
    heavy = "{'torch', 'transformers', 'datasets', 'numpy', 'sympy'}"
    code = f"import sys, subliminal.scoring.naming; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
