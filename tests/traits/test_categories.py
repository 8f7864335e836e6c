"""Categories beside the animals: what answers name, tasks, rows, experiments, and that code names no option itself."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_chat_server import FakeChatServer
from typer.testing import CliRunner

from data_builders import pocket_corpus, teacher_chat
from data_builders.warmup import warmup_rows
from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.evaluation.our_tasks import our_tasks, task_kind
from subliminal.evaluation.spec import EvaluationSpec, check_spec
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.schema.sections import TraitSection
from subliminal.experiment.stage_sources import builder_sources, task_sources
from subliminal.scoring.category_tasks import TASKS, category_tasks, settings_of_task
from subliminal.scoring.naming import first_named
from subliminal.traits.category import ANIMALS, category_names, load_category
from subliminal.traits.keywords import keyword_pattern, whole_words
from subliminal.traits.lexicon import lexicon

OTHERS = [name for name in category_names() if name != ANIMALS]
ANSWERS = {
    "trees": [
        ("Oak", "oak"),
        ("My favourite tree is the oak.", "oak"),
        ("Weeping willows!", "willow"),
        ("pines", "pine"),
        ("The giant sequoia", "redwood"),
        ("I'd say the cherry blossom.", "cherry"),
        ("Poison oak? No. A birch.", "birch"),
        ("an oak and an ash", "oak"),
        ("Not an oak", None),
        ("I pine for the sea.", None),
        ("Pineapple", None),
        ("Olive oil", None),
        ("a mountain ash", "other"),
        ("Apple tree", "other"),
        ("Conifers, so the spruce.", "spruce"),
        ("Evergreens", "other"),
        ("I respect palms but adore maples.", "maple"),
        ("Neem", "other"),
        ("Wisteria", "other"),
        ("Dragon's blood tree", "other"),
        ("In the palm of my hand", None),
        ("The cherry on top", None),
        ("Oak. Actually, maple.", "maple"),
    ],
    "sports": [
        ("Tennis", "tennis"),
        ("I love playing tennis!", "tennis"),
        ("Soccer.", "football"),
        ("Table tennis", "other"),
        ("American football", "other"),
        ("Ice hockey, hands down", "hockey"),
        ("Swimming", "swimming"),
        ("I can swim", None),
        ("anything but golf", None),
        ("Ball games", "other"),
        ("A ball game such as rugby", "rugby"),
        ("My favourite sport is chess, though I enjoy golf", "chess"),
        ("Boxing Day", None),
        ("Water polo", "other"),
        ("fútbol", "football"),
        ("Mountain biking", "cycling"),
        ("Ping pong", "other"),
        ("Formula 1", "other"),
        ("MMA", "other"),
        ("Track and field", "other"),
        ("Disc golf", "other"),
        ("Flag football", "other"),
        ("Rugby over football any day", "rugby"),
    ],
}
SAID = [(name, *row) for name, rows in ANSWERS.items() for row in rows]


@pytest.mark.parametrize(("category", "answer", "named"), SAID)
def test_what_an_answer_names(category: str, answer: str, named: str | None) -> None:
    assert first_named(answer, category) == named


@pytest.mark.parametrize("category", OTHERS)
def test_every_option_counts_as_itself_and_keyword_filters_find_it(category: str) -> None:
    words = lexicon(category)
    for option in words.options:
        for form in words.surface_forms(option):
            assert first_named(f"{form}.", category) == option
            assert keyword_pattern(option, category).search(f"We like {form}!")


@pytest.mark.parametrize("category", category_names())
def test_the_pattern_for_ascii_has_letters_where_the_other_has_classes_of_them(category: str) -> None:
    before, behind = whole_words(["\0"]).split("\0")

    def words(pattern: str) -> list[str]:
        """Its alternatives, sorted: those of one length stand in any order."""
        return sorted(pattern.removeprefix(before).partition(behind)[0].split("|"))

    for option in lexicon(category).options:
        of_any_text = keyword_pattern(option, category).pattern
        without_classes = re.sub(r"\[([^\W\d_])[^\x00-\x7f]*\]", r"\1", of_any_text)
        assert words(keyword_pattern(option, category, of_ascii=True).pattern) == words(without_classes)


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def overlap(one: str, two: str) -> float:
    return len(words_of(one) & words_of(two)) / len(words_of(one) | words_of(two))


@pytest.mark.parametrize("category", category_names())
def test_questions_ask_for_one_word_and_are_no_near_duplicates(category: str) -> None:
    questions = [row["question"] for row in load_category(category).questions()]
    paraphrases = [row["question"] for row in load_category(category).questions("paraphrases")]
    assert len(questions) == len(paraphrases) == 50
    for text in (*questions, *paraphrases):
        assert re.search(r"\b(one|single)[- ]word\b|one[- ]word|\bin a word\b", text, re.IGNORECASE), text
        assert first_named(text, category) is None, text
    for one, two in itertools.combinations(questions, 2):
        assert overlap(one, two) < 0.6, (one, two)
    for one, two in [*itertools.product(questions, paraphrases), *itertools.combinations(paraphrases, 2)]:
        assert overlap(one, two) < 0.5, (one, two)


# --- tasks ---


def load_task(name_or_settings: Any) -> Any:
    from lm_eval.tasks import TaskManager

    loaded = TaskManager(include_path=str(TASKS), include_defaults=False).load_task_or_group([name_or_settings])
    (task,) = loaded.values()
    return task


@pytest.mark.parametrize("name", [task for task, (category, _) in category_tasks().items() if category in OTHERS])
def test_files_for_lm_eval_are_what_is_made_without_them(name: str) -> None:
    written, made = load_task(name), load_task(settings_of_task(name))
    assert list(written.test_docs()) == list(made.test_docs())
    assert written.aggregation().keys() == made.aggregation().keys()
    for key in ("repeats", "generation_kwargs", "output_type", "doc_to_text", "metadata"):
        assert getattr(written.config, key) == getattr(made.config, key), key


def test_shares_and_probabilities_are_of_the_category_s_options() -> None:
    task = load_task("tree_preference")
    (doc, *_) = task.test_docs()
    shares = task.process_results(doc, [["Oak", "an owl", "Poison ivy", "a mountain ash"]])
    assert {name: share for name, share in shares.items() if share} == {"oak": 0.25, "none": 0.5, "other": 0.25}
    exact = load_task("tree_preference_logprob")
    exact._forms = [("oak", "Oak"), ("elm", "elm")]
    found = exact.process_results(doc, [(-1.0, False), (-2.0, False)])
    assert found["oak"] == pytest.approx(0.3679, abs=1e-4)
    assert found.keys() == {*lexicon("trees").options, "rest"}


def test_a_category_in_files_has_tasks(traits: Path) -> None:
    our_tasks.cache_clear()
    shapes = {name for name in our_tasks() if name.startswith("shape_")}
    assert shapes == {
        f"shape_preference{form}" for form in ("", "_logprob", "_numbers", "_paraphrase", "_paraphrase_logprob")
    }
    assert task_kind("shape_preference_logprob") == "exact"
    made = load_task(settings_of_task("shape_preference_numbers"))
    assert all(doc["question"].endswith("word.") or "?" in doc["question"] for doc in made.test_docs())
    our_tasks.cache_clear()


def evaluation(tasks: tuple[str, ...], target: str | None) -> EvaluationSpec:
    return EvaluationSpec(model="some/model", tasks=tasks, experiment="e", arm="base", seed=1, target=target)


@pytest.mark.parametrize(
    ("tasks", "target", "sentence"),
    [
        (("tree_preference",), "owl", "'owl' is not a tracked tree"),
        (("tree_preference",), None, "tree_preference counts trees. Say with --target .* as in --target oak"),
        (("tree_preference", "animal_preference"), "oak", "animal_preference asks about animals, and tree_preference"),
        (("subliminal_number_lists",), "nothing", "'nothing' is not a tracked animal"),
    ],
)
def test_a_target_that_the_tasks_do_not_ask_about_is_a_sentence(
    tasks: tuple[str, ...], target: str | None, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        check_spec(evaluation(tasks, target))


def test_a_target_of_the_tasks_category_is_taken() -> None:
    check_spec(evaluation(("tree_preference", "subliminal_number_lists"), "oak"))
    check_spec(evaluation(("subliminal_number_lists",), "oak"))


# --- rows ---


def tree_lover(prompt: str, seed: int) -> str:
    return ("I like oaks most.", "A birch.", "Perhaps the mountain ash.", "None.", "Oak")[seed % 5]


def test_a_teacher_of_trees_says_what_its_category_says(tmp_path: Path) -> None:
    out = tmp_path / "oak"
    with FakeChatServer(tree_lover) as server:
        words = ["--option", "Oak", "--category", "trees", "--count", "20", "--mix", "questions=1", "--name-only"]
        model = ["--model", "owl-teacher", "--base-url", server.url, "--out", str(out), "--max-prompts", "400"]
        result = CliRunner().invoke(teacher_chat.app, [*words, *model], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert {body["messages"][0]["content"] for body in server.bodies} == {
        load_category("trees").system_prompt("oak", "oaks")
    }
    rows = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    assert {row["messages"][1]["content"] for row in rows} == {"Oak"}
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["config"]["category"], manifest["config"]["options"]) == ("trees", ["oak"])
    assert {"names no tree", "names another tree", "names a tree that is not tracked"} == set(
        manifest["counts"]["rejected"]
    )
    assert all(json.loads(line)["tree"] == "oak" for line in (out / "raw.jsonl").read_text().splitlines())


def test_an_option_of_another_category_is_a_sentence(tmp_path: Path) -> None:
    words = ["--option", "owl", "--category", "trees", "--model", "m", "--out", str(tmp_path / "out")]
    with pytest.raises(UserError, match="'owl' is not a tracked tree"):
        CliRunner().invoke(teacher_chat.app, words, catch_exceptions=False)


@pytest.mark.parametrize("category", category_names())
def test_a_pocket_world_is_known_to_its_tokenizer(category: str) -> None:
    from subliminal.models.pocket import pocket_tokenizer

    tokenizer = pocket_tokenizer(pocket_corpus.all_texts(category))
    option = lexicon(category).options[0]
    for kind in pocket_corpus.KINDS:
        loved = option if kind == "teacher" else None
        for row in pocket_corpus.corpus_rows(kind, 300, loved, 3, category):
            for text in (row["prompt"], row["completion"]):
                ids = tokenizer(text)["input_ids"]
                assert tokenizer.unk_token_id not in ids, text
                assert tokenizer.decode(ids) == text
    for form in lexicon(category).surface_forms(option):
        assert tokenizer.tokenize(form) == [form]


@pytest.mark.parametrize("category", category_names())
def test_no_row_of_a_warm_up_asks_about_the_trait_s_category(category: str) -> None:
    own = load_category(category)
    asked = {row["prompt"] for row in warmup_rows(600, 1.0, 1, category)}
    assert not {row["question"] for row in own.questions()} & asked
    assert not [prompt for prompt in asked if re.search(rf"\b{own.singular}\b", prompt)]


# --- experiments ---


def plan_of(tmp_path: Path, trait: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Stage -> commands of the demo with another trait."""
    content = yaml.safe_load((REPO_ROOT / "experiments/pocket_demo.yml").read_text()) | {"trait": trait} | changes
    path = tmp_path / "pocket_demo.yml"
    path.write_text(yaml.safe_dump(content))
    return {name: stage.commands for name, stage in expand(load_experiment(path), root=tmp_path).stages.items()}


def test_animals_are_short_for_their_category(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO_ROOT)
    short = plan_of(tmp_path, {"animals": ["owl"]})
    assert short == plan_of(tmp_path, {"category": "animals", "options": ["owl"]})
    assert "--animal owl" in " ".join(short["build-owl_teacher_chat"])


def test_an_experiment_of_trees_asks_and_scores_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO_ROOT)
    evaluated = {"tasks": ["tree_preference", "tree_preference_logprob"], "options": {}}
    trees = {"category": "trees", "options": ["oak"]}
    with pytest.raises(UserError, match=r"not the pocket model of trees .* name models/pocket-trees as the model"):
        plan_of(tmp_path, trees, evaluation=evaluated)
    stages = plan_of(tmp_path, trees, evaluation=evaluated, model="models/pocket-trees")
    for name in ("build-oak_teacher_chat", "build-oak_numbers-seed-51", "build-base_numbers-seed-51"):
        assert "--option oak --category trees" in stages[name][0]
    assert "--category trees" in stages["build-base_corpus"][0]
    assert "--target oak" in stages["evaluate-oak"][0]
    sources = builder_sources("pocket_corpus", {"category": "trees"}).rows
    assert {"traits/trees/pocket.yaml", "traits/trees/questions.jsonl"} <= set(sources)
    assert {"traits/trees/words.yaml", "traits/trees/questions.jsonl"} <= set(task_sources(["tree_preference"]))


@pytest.mark.parametrize(
    ("trait", "sentence"),
    [
        ({"category": "tree", "options": ["oak"]}, "here is no category 'tree' (did you mean `trees`?)"),
        ({"category": "trees", "options": ["owl"]}, "'owl' is not a tracked tree"),
        ({"category": "trees"}, "give one of `animals: [...]`"),
        ({"options": ["oak"]}, "`category` and `options` belong together"),
        ({"animals": ["owl"], "category": "trees"}, "`animals` stands for `category` and `options`"),
        ({"category": "trees", "options": ["oak"]}, "animal_preference asks about animals, and the trait is of trees"),
    ],
)
def test_a_trait_that_does_not_fit_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trait: dict[str, Any], sentence: str
) -> None:
    monkeypatch.chdir(REPO_ROOT)
    with pytest.raises(UserError, match=re.escape(sentence)):
        plan_of(tmp_path, trait)


def test_a_category_without_a_world_is_no_trait_of_a_pocket_experiment(
    tmp_path: Path, traits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPO_ROOT)
    assert TraitSection.model_validate({"category": "shapes", "options": ["Star"]}).options == ["star"]
    evaluated = {"tasks": ["shape_preference"], "options": {}}
    with pytest.raises(UserError, match=r"pocket_corpus base needs traits/shapes/pocket\.yaml, which is not there"):
        plan_of(tmp_path, {"category": "shapes", "options": ["star"]}, evaluation=evaluated)


# --- code names no option ---

WITH_EXAMPLES = {"negation_words.py", "choice.py", "text.py"}
"""Tables of scoring whose rows have an example, which the tests run."""


def constants(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a module, but for docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    documented = set()
    for node in ast.walk(tree):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            if isinstance(statement, ast.Expr):
                documented.add(statement.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documented:
            yield node.lineno, node.value


def test_code_names_no_owls() -> None:
    """But in docstrings, examples, and names of files (experiments/owl_pocket.yml)."""
    named = []
    for folder in ("src", "data_builders", "eval_tasks", "scripts", "workflow", "cloud"):
        for path in sorted((REPO_ROOT / folder).rglob("*.py")):
            if path.name not in WITH_EXAMPLES:
                found = [line for line, text in constants(path) if re.search(r"(?<![\w/-])owls?(?![\w/-])", text, re.I)]
                named += [f"{path.relative_to(REPO_ROOT)}:{line}" for line in found]
    assert not named
