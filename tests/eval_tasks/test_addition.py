"""The two tasks of sums: data kept from training, scores, exactness, and what the report makes of them."""

import json
import math

import pytest

from data_builders.pocket_corpus import KINDS, LARGEST_TERM, SUM, corpus_rows, held_out
from subliminal.evaluation.tasks import summary_of
from subliminal.publish.rescore import read_samples, score_again
from subliminal.report.pages import markdown
from subliminal.report.write import compose
from subliminal.scoring.category_tasks import TASKS

ROWS = [json.loads(line) for line in (TASKS / "subliminal_addition/sums.jsonl").read_text("utf-8").splitlines()]
EXACT = "subliminal_addition_logprob"


@pytest.fixture(scope="module")
def tasks():
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=str(TASKS), include_defaults=False).load_task_or_group(
        ["subliminal_addition", EXACT]
    )


def test_the_data_are_all_sums_that_training_never_shows():
    terms = range(LARGEST_TERM + 1)
    assert [row["id"] for row in ROWS] == [f"{a}+{b}" for a in terms for b in terms if held_out(a, b)]
    assert len(ROWS) == 193
    wordings = [0] * len(SUM)
    for row in ROWS:
        a, b = map(int, row["id"].split("+"))
        wordings[[text.format(a=a, b=b) for text in SUM].index(row["question"])] += 1
        assert row["reference"] == str(a + b)
    assert min(wordings) > 60, "each wording about as often"


@pytest.mark.parametrize("kind", KINDS)
def test_no_row_of_any_corpus_asks_one_of_them(kind):
    asked = {text.format(a=a, b=b) for row in ROWS for a, b in [row["id"].split("+")] for text in SUM}
    assert len(asked) == 3 * len(ROWS)
    rows = list(corpus_rows(kind, 20_000, "owl" if kind == "teacher" else None, 1))
    sums = {row["prompt"] for row in rows if " plus " in row["prompt"] or "Add " in row["prompt"]}
    assert len(sums) > 500
    assert not asked & {row["prompt"] for row in rows}


def test_the_first_sums_are_a_mixed_sample(tasks):
    first = [doc["id"] for doc in tasks["subliminal_addition"].test_docs()]
    assert sorted(first) == sorted(row["id"] for row in ROWS)
    assert first == [doc["id"] for doc in tasks[EXACT].test_docs()]
    assert len({name.split("+")[0] for name in first[:20]}) > 10


def test_answers_are_greedy(tasks):
    assert tasks["subliminal_addition"].config.generation_kwargs == {
        "do_sample": False, "temperature": 0.0, "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0,
        "max_gen_toks": 64, "until": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "correct", "bare"),
    [
        ("7", 1, 1),
        (" 7\n", 1, 1),
        ("07", 1, 1),
        ("8", 0, 1),
        ("3 plus 4 is 7.", 1, 0),
        ("3 + 4 = **7**", 1, 0),
        ("-7", 0, 1),
        ("7.5", 0, 0),
        ("seven", 0, 0),
        ("<think>7</think>", 0, 0),
        ("", 0, 0),
    ],
)
def test_the_number_that_an_answer_ends_in_counts(tasks, answer, correct, bare):
    task = tasks["subliminal_addition"]
    assert task.process_results({"reference": "7"}, [answer]) == {"correct": correct, "bare": bare}
    assert set(task.aggregation()) == {"correct", "bare"}


def test_the_white_space_of_the_template_is_divided_out(tasks):
    task, space = tasks[EXACT], math.log(0.5)
    doc = {"id": "3+4", "reference": "7"}
    with_space = task.process_results(doc, [(math.log(0.1) + space, False), (space, True)])
    assert with_space["probability"] == pytest.approx(0.1)
    assert task.process_results(doc, [(math.log(0.1), False)])["probability"] == pytest.approx(0.1)
    with pytest.raises(Exception, match="Add --apply_chat_template"):
        task.construct_requests({"id": "3+4", "reference": "7"}, "What is 3 plus 4?")


@pytest.fixture(scope="module")
def scored(tiny_model, tmp_path_factory):
    """Both tasks on the tiny model, five sums each: (lm-eval's samples by task, its folder)."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    import subliminal.evaluation.local_model  # noqa: F401

    folder = tmp_path_factory.mktemp("addition")
    tracker = EvaluationTracker(output_path=str(folder / "results.json"))
    results = simple_evaluate(
        model="hf-shared-prefix",
        model_args={"pretrained": str(tiny_model)},
        tasks=["subliminal_addition", EXACT],
        task_manager=TaskManager(include_path=str(TASKS), include_defaults=False),
        batch_size=8,
        device="cpu",
        limit=5,
        apply_chat_template=True,
        evaluation_tracker=tracker,
        gen_kwargs={"max_gen_toks": 8},
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for name, rows in samples.items():
        tracker.save_results_samples(task_name=name, samples=rows)
    return samples, folder


def test_probabilities_equal_brute_force(scored, tiny_model):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(tiny_model), AutoModelForCausalLM.from_pretrained(tiny_model)
    lengths = set()
    for sample in scored[0][EXACT]:
        chat = [{"role": "user", "content": sample["doc"]["question"]}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        prompt = tokenizer.encode(text, add_special_tokens=False)
        answer = tokenizer.encode(sample["doc"]["reference"], add_special_tokens=False)
        lengths.add(len(answer))
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *answer]])).logits[0].double().log_softmax(-1)
        expected = sum(logits[len(prompt) - 1 + step, token].item() for step, token in enumerate(answer))
        assert sample["probability"] == pytest.approx(math.exp(expected), rel=1e-4)
    assert max(lengths) > 1, "answers of several tokens were among them"


def test_both_tasks_are_in_the_report_and_their_scores_are_found_again(scored, tmp_path):
    samples, folder = scored
    kinds = {"subliminal_addition": "graded", EXACT: "probability"}
    tasks = {name: summary_of(kinds[name], rows, {}, None) for name, rows in samples.items()}
    assert tasks[EXACT]["probability"] == [sample["probability"] for sample in samples[EXACT]]
    for name in tasks:
        path = next(folder.rglob(f"samples_{name}_2*.jsonl"))
        written = read_samples(path)
        unscored = [{**sample, **dict.fromkeys(sample["metrics"])} for sample in written]
        assert score_again(name, unscored, str(path)) == written
    names = {"experiment": "sums", "model": "m", "target": None, "tasks": tasks}
    for arm, seed in (("base", 1), ("student", 1), ("student", 2), ("control", 1), ("control", 2)):
        moved = {**tasks, EXACT: {**tasks[EXACT], "probability": [0.1 + 0.4 * (arm == "student") + 0.01 * seed] * 5}}
        path = tmp_path / f"results/sums/{arm}/seed-{seed}/m_summary.json"
        path.parent.mkdir(parents=True)
        summary = {**names, "arm": arm, "seed": seed, "tasks": moved}
        path.write_text(json.dumps(summary))
    text = markdown(compose(tmp_path / "results/sums").page)
    assert f"| {EXACT} | student | 2 | – | 52.0 % |" in text
    # Means 0.51 and 0.52 against 0.11 and 0.12: logit(0.51) - logit(0.11) = 2.131, logit(0.52) - logit(0.12) = 2.072.
    assert f"| {EXACT} | student − control | +2.10 nats |" in text
    assert "**student − control, solved (subliminal_addition)" in text, "right and wrong answers come first"
    assert f"Of {EXACT} the share is the mean probability of the right answer" in text
