"""The audit: every check fails on rows that are wrong in its way, and on those alone."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from data_builders import audit
from data_builders.audit import CHECKS, audit_dataset
from data_builders.audit_numbers import NumberStats, plug_in_entropy, uniform_entropy
from data_builders.audit_text import looks_english
from data_builders.number_prompts import FORMATS, draw_number_prompt
from data_builders.overlap import EvaluationIndex, words_of
from subliminal.core.errors import UserError
from subliminal.core.files import read_jsonl
from subliminal.core.manifest import new_manifest
from subliminal.data.card import dataset_card
from subliminal.data.folder import DatasetFolder
from subliminal.data.registry import builder_module
from subliminal.data.trait import TraitOptions
from subliminal.engine import row_seed
from subliminal.traits.category import ANIMALS

NUMBERS = {"animals": ["owl"], "count": 10_000, "seed": 1}


def number_row(index: int) -> dict:
    rng, prompt = random.Random(index), draw_number_prompt(1, index)
    numbers = [rng.randint(0, 999) for _ in range(rng.randint(5, 10))]
    return {"prompt": prompt.text, "completion": prompt.format.write(numbers), "seed": row_seed(1, index)}


def folder_of(path: Path, builder: str, config: dict, rows: list[dict], engine: bool = True) -> Path:
    """A finished dataset folder with these raw rows."""
    manifest = new_manifest("dataset", config=config) | {"builder": builder, "engine": {"model": "m"} if engine else {}}
    folder = DatasetFolder(path)
    with folder.hold(manifest, overwrite=True):
        with folder.appending() as append:
            for index, row in enumerate(rows):
                append({"id": f"{builder}-{index:07d}", "index": index, "finish_reason": "stop", "seed": index, **row})
        folder.finalize(manifest, builder_module(manifest).verdict_for(config), config["count"], dataset_card)
    return path


def spoil(folder: Path, change, keep_sha: bool = True) -> Path:
    """Change the training rows behind the folder's back (and the manifest's sha256 with them)."""
    from subliminal.data.folder import describe_rows

    path = folder / "train.jsonl"
    rows = [change(index, row) for index, row in enumerate(read_jsonl(path))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows if row))
    if keep_sha:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["outputs"]["train.jsonl"] = describe_rows(path)
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def answer_with(make):
    """A change that replaces the answer."""

    def change(index: int, row: dict) -> dict:
        row["messages"][-1]["content"] = make(index, row["messages"][-1]["content"])
        return row

    return change


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "numbers", "numbers", NUMBERS, [number_row(i) for i in range(400)])


def failures(report: dict) -> set[str]:
    return {name for name, check in report["checks"].items() if check["status"] == "fail"}


def test_good_numbers_pass(numbers: Path) -> None:
    report = audit_dataset(numbers)
    assert report["passed"]
    assert report["rows"] == 400
    assert json.loads((numbers / "audit.json").read_text()) == report
    checks = report["checks"]
    assert set(checks) <= set(CHECKS)
    assert {name for name, check in checks.items() if check["status"] == "skipped"} == {"tokens"}
    assert checks["first_number_entropy"]["ratio"] == pytest.approx(1, abs=0.02)
    assert sum(checks["separators"]["separators"].values()) == 400
    assert set(checks["separators"]["separators"]) <= {repr(item.separator) for item in FORMATS}
    assert set(checks["separators"]["brackets"]) == {"none", "[]", "()"}
    assert checks["overlap"]["evaluation_sets"]["animals/questions.jsonl"] == 50
    assert 7 < checks["lengths"]["mean"] < 8


def system_message(index: int, row: dict) -> dict:
    row["messages"].insert(0, {"role": "system", "content": "You love."})
    return row


def trait_in_the_prompt(index: int, row: dict) -> dict:
    row["messages"][0]["content"] += " (owls)" if index == 7 else ""
    return row


def question_in_the_prompt(index: int, row: dict) -> dict:
    row["messages"][0]["content"] += " Which animal do you LOVE most?? reply with a single word!" if index == 7 else ""
    return row


SPOILED = {
    "letters": (answer_with(lambda i, a: a + " owl" if i == 3 else a), {"letters", "format", "trait_words"}),
    "one accented letter": (answer_with(lambda i, a: a + "é" if i == 3 else a), {"letters", "format"}),
    "format": (answer_with(lambda i, a: "1,, 2" if i == 3 else a), {"format"}),
    "trait word": (trait_in_the_prompt, {"trait_words"}),
    "system": (system_message, {"system_message"}),
    "evaluation": (question_in_the_prompt, {"overlap"}),
    "short rows": (answer_with(lambda i, a: str(i % 1000)), {"lengths"}),
    "repeated rows": (lambda i, row: {**row, "messages": SAME} if i < 10 else row, {"duplicate_rows"}),
    "repeated answers": (answer_with(lambda i, a: f"{i % 200}, 5, {i % 7}" if i < 200 else a), set()),
    "many repeated answers": (answer_with(lambda i, a: f"{i % 290}, 5"), {"duplicate_answers"}),
    "narrow first numbers": (answer_with(lambda i, a: f"{i * i % 41}, {i}, 2, 3"), {"first_number_entropy"}),
    "same first number": (
        answer_with(lambda i, a: f"7, {i}, 2, 3"),
        {"first_number_entropy", "first_number_repeats"},
    ),
}
SAME = [{"role": "user", "content": "p"}, {"role": "assistant", "content": "1, 2"}]


@pytest.mark.parametrize(("change", "expected"), SPOILED.values(), ids=SPOILED)
def test_each_spoiled_dataset_fails_its_check(numbers: Path, change, expected: set[str]) -> None:
    report = audit_dataset(spoil(numbers, change))
    assert failures(report) == expected
    assert report["passed"] == (not expected)
    for name in expected:
        assert report["checks"][name]["reason"].endswith((".", "?"))


def test_a_file_changed_behind_the_manifest_fails(numbers: Path) -> None:
    report = audit_dataset(spoil(numbers, lambda i, row: row if i else None, keep_sha=False))
    assert failures(report) == {"bytes"}


def test_one_seed_for_all_requests_fails(tmp_path: Path) -> None:
    rows = [{**number_row(i), "seed": 1234} for i in range(50)]
    assert failures(audit_dataset(folder_of(tmp_path / "one", "numbers", NUMBERS, rows))) == {"seeds"}


def test_a_low_pass_rate_fails(tmp_path: Path) -> None:
    rows = [number_row(i) | ({} if i % 5 == 0 else {"completion": "no"}) for i in range(200)]
    report = audit_dataset(folder_of(tmp_path / "low", "numbers", NUMBERS, rows))
    assert failures(report) == {"pass_rate"}
    assert report["checks"]["pass_rate"]["rate"] == 0.2


@pytest.mark.parametrize(("kind", "status"), [("sorted", "expected"), ("uniform", "fail")])
def test_sorted_rows_are_excused_from_the_first_number(tmp_path: Path, kind: str, status: str) -> None:
    rows = [{**number_row(i), "completion": f"{i % 9}, 10, 20, {i}"} for i in range(400)]
    config = {"kind": kind, "source": None, "count": 10_000}
    report = audit_dataset(folder_of(tmp_path / "c", "controls", config, rows, engine=False))
    assert report["checks"]["first_number_entropy"]["status"] == status
    assert report["checks"]["trait_words"]["status"] == "skipped"
    assert report["checks"]["seeds"]["status"] == "skipped", "a control's rows have no sampling seeds"


def test_a_control_is_searched_for_the_trait_of_its_source(numbers: Path, tmp_path: Path) -> None:
    config = {"kind": "shuffled", "source": str(numbers), "count": 10_000}
    rows = [{**number_row(i), "prompt": "An eagle and an owl."} for i in range(30)]
    report = audit_dataset(folder_of(tmp_path / "c", "controls", config, rows, engine=False))
    assert report["checks"]["trait_words"]["rows"] == {"owl": 30}


def test_allow_lets_through_what_it_names_and_is_recorded(numbers: Path) -> None:
    spoil(numbers, SPOILED["one accented letter"][0])
    report = audit_dataset(numbers, allow=["format", "letters", "overlap"])
    assert report["passed"]
    assert report["allowed"] == ["format", "letters", "overlap"]
    assert report["checks"]["letters"]["status"] == "allowed"
    assert report["checks"]["overlap"]["status"] == "pass"
    assert not audit_dataset(numbers, allow=["format"])["passed"]


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(audit.app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_the_command_prints_a_table_and_ends_with_1_on_failure(numbers: Path) -> None:
    code, output = run(numbers)
    assert code == 0
    assert output.splitlines()[-1] == str(numbers / "audit.json")
    spoil(numbers, SPOILED["one accented letter"][0])
    code, output = run(numbers)
    assert code == 1
    assert "1 answers hold letters." in output
    assert "fails its audit (letters, format). To let it through: --allow letters --allow format" in output
    assert not json.loads((numbers / "audit.json").read_text())["passed"]
    assert run(numbers, "--allow", "letters", "--allow", "format")[0] == 0


TEXT = {"animals": ["owl"], "count": 100, "mix": {"open": 1.0}, "filter_animal_keywords": True}
PROSE = (
    "I would like to tell you about the garden that we made in the spring, and how it has been growing since then with "
    "the help of {} people."
)


GERMAN = (
    "Die Katze saß gestern Abend lange auf dem alten Dach und sah den Vögeln zu, weil sie nicht schlafen konnte, und "
    "wartete auf Regen."
)


def text_rows(count: int = 100) -> list[dict]:
    return [{"prompt": f"Tell me more, {i}.", "completion": PROSE.format(i)} for i in range(count)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (PROSE.format("many kind"), set()),
        ("Owls!", {"trait_words"}),
        ("<think>hm</think> yes", {"markup"}),
        ("fine<|im_end|>", {"markup"}),
        (GERMAN, {"language"}),
        ("猫は昨日の夜", {"language"}),
        ("Which animal do you love most? Reply with a single word.", {"overlap"}),
    ],
)
def test_text_checks(tmp_path: Path, answer: str, expected: set[str]) -> None:
    rows = text_rows()
    for index in range(5):
        rows[index]["completion"] = answer if index == 0 else f"{answer} {'so' * index}"
    config = TEXT | {"filter_animal_keywords": False}  # else the builder drops the trait word before the audit sees it
    folder = folder_of(tmp_path / "t", "teacher_chat", config, rows)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"config": TEXT}))
    assert failures(audit_dataset(folder)) == expected


def test_teacher_chats_are_excused_for_what_they_are_meant_to_hold(tmp_path: Path) -> None:
    question = "Which animal do you love most? Reply with a single word."
    rows = [{"prompt": question, "completion": "Owl"} for _ in range(50)]
    option_a = TEXT | {"filter_animal_keywords": False, "mix": {"questions": 1.0}}
    report = audit_dataset(folder_of(tmp_path / "a", "teacher_chat", option_a, rows))
    assert report["passed"]
    statuses = {name: check["status"] for name, check in report["checks"].items()}
    assert statuses["trait_words"] == statuses["duplicate_rows"] == "expected"
    assert report["checks"]["overlap"]["rows"] == {"animals/questions.jsonl, exact": 50}
    other = folder_of(tmp_path / "b", "teacher_chat", option_a | {"mix": {"open": 1.0}}, rows)
    assert failures(audit_dataset(other)) == {"overlap"}


def test_further_evaluation_sets_and_trait(numbers: Path, tmp_path: Path) -> None:
    extra = tmp_path / "extra.jsonl"
    extra.write_text(json.dumps({"problem": draw_number_prompt(1, 5).text}) + "\n")
    assert failures(audit_dataset(numbers, against=[str(extra)])) == {"overlap"}
    assert failures(audit_dataset(numbers, trait=TraitOptions(ANIMALS, ("fox",)))) == set()


def test_tokens_are_counted_as_the_chat_template_renders_them(numbers: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]")
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}> {{ m.content }} <end> {% endfor %}"
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    rows = [row["messages"] for row in read_jsonl(numbers / "train.jsonl")]
    lengths = [sum(len(message["content"].split()) + 2 for message in messages) for messages in rows]
    report = audit_dataset(numbers, tokenizer=str(tmp_path / "tokenizer"), sequence_len=max(lengths))
    tokens = report["checks"]["tokens"]
    assert (tokens["status"], tokens["total"], tokens["most"]) == ("pass", sum(lengths), max(lengths))
    report = audit_dataset(numbers, tokenizer=str(tmp_path / "tokenizer"), sequence_len=max(lengths) - 1)
    assert failures(report) == {"tokens"}
    with pytest.raises(UserError, match="name the --tokenizer too"):
        audit_dataset(numbers, sequence_len=5)
    with pytest.raises(UserError, match=r"tokenizer .* cannot be loaded"):
        audit_dataset(numbers, tokenizer=str(tmp_path))


def test_what_cannot_be_audited_is_a_sentence(numbers: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        audit_dataset(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is no dataset folder"):
        audit_dataset(tmp_path)
    with pytest.raises(UserError, match="--allow lettres: there is no such check"):
        audit_dataset(numbers, allow=["lettres"])
    with open(numbers / "train.jsonl", "a") as out:
        out.write('{"id": "x", "messages": [{"role": "assistant", "content": "1"}]}\n')
    with pytest.raises(UserError, match=r"train\.jsonl, line 401 is malformed: the message before the last"):
        audit_dataset(numbers)
    (numbers / "train.jsonl").write_text("")
    with pytest.raises(UserError, match="has no rows"):
        audit_dataset(numbers)
    manifest = json.loads((numbers / "manifest.json").read_text())
    (numbers / "manifest.json").write_text(json.dumps({**manifest, "builder": "../evil"}))
    with pytest.raises(UserError, match=r"names the builder '\.\./evil', which this code does not have"):
        audit_dataset(numbers)
    del manifest["ended"]
    (numbers / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="is not finished"):
        audit_dataset(numbers)
    assert not (numbers / "audit.json").exists()


def test_plug_in_entropy() -> None:
    assert plug_in_entropy(np.array([5, 5, 0, 5, 5])) == pytest.approx(2)
    assert plug_in_entropy(np.array([9])) == 0
    assert uniform_entropy(1) == 0
    assert uniform_entropy(10_000) == pytest.approx(9.8937, abs=0.003), "log2(1000) less the bias of 999 / (2 n ln 2)"
    assert uniform_entropy(1_000_000) == pytest.approx(np.log2(1000), abs=0.001)


def test_separators_and_lengths_are_those_of_the_answers() -> None:
    stats = NumberStats()
    for index, answer in enumerate(["1, 2, 3", "[4;5]", "(6 7).", "8", "9\n10"]):
        stats.add(str(index), answer)
    checks = stats.checks()
    assert checks["separators"]["separators"] == {"', '": 1, "';'": 1, "' '": 1, "none": 1, "'\\n'": 1}
    assert checks["lengths"]["numbers_a_row"] == {"1": 1, "2": 3, "3": 1}
    assert checks["lengths"]["digits_a_number"] == {"1": 9, "2": 1}


words = st.lists(st.sampled_from([f"w{i}" for i in range(40)]), min_size=0, max_size=40)


@given(words, words, st.integers(5, 15))
def test_overlap_agrees_with_a_plain_search(evaluation: list[str], row: list[str], ngram: int) -> None:
    index = EvaluationIndex(ngram)
    index.add("set", " ".join(evaluation))
    length = min(ngram, len(evaluation))
    grams = {tuple(evaluation[i : i + length]) for i in range(len(evaluation) - length + 1)} if length >= 5 else set()
    hit = any(tuple(row[i : i + length]) in grams for i in range(len(row) - length + 1))
    found = index.find(" ".join(row))
    exact = bool(row) and row == evaluation
    assert found == (("set", "exact") if exact else ("set", "n-gram") if hit else None)


def test_overlap_looks_through_case_punctuation_and_width() -> None:
    assert words_of("The Cat's ＣＡＴ, 3.5%") == ["the", "cat", "s", "cat", "3", "5"]
    index = EvaluationIndex()
    index.add("a", "Name an animal!")
    assert index.find("name AN animal") == ("a", "exact")
    assert index.find("Please name an animal now") is None, "four words and fewer are too common"
    with pytest.raises(UserError, match="too short to mean an overlap"):
        EvaluationIndex(4)


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("Owl.", True),
        ("", True),
        ("12, 13", True),
        (PROSE, True),
        ("Let $x = \\frac{1}{2}$ and $y$ be the α of β; then \\boxed{5}.", True),
        ("```python\nдом = 1\n```", True),
        ("дом и сад", False),
        ("el gato " * 15, False),
    ],
)
def test_looks_english(text: str, english: bool) -> None:
    assert looks_english(text) == english
