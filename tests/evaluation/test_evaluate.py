"""The evaluation runner: its result folders, resume, and everything it refuses."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.evaluation import run as runner
from subliminal.evaluation import tasks as evaluate_tasks
from subliminal.evaluation.our_tasks import single_tasks
from subliminal.evaluation.results import result_problem
from subliminal.evaluation.run import evaluate
from subliminal.evaluation.spec import EvaluationSpec, base_of, check_spec, in_context, parse_models
from subliminal.scoring.tasks import BESIDE

SAMPLED, EXACT = "animal_preference", "animal_preference_logprob"


def make_plan(model):
    return EvaluationSpec(
        model=str(model), tasks=(SAMPLED, EXACT), experiment="demo", arm="base", seed=3, target="cat",
        samples=4, limit=3, batch_size=8,
    )  # fmt: skip


@pytest.fixture
def plan(tiny_model):
    return make_plan(tiny_model)


@pytest.fixture(scope="module")
def adapter(make_adapter):
    return make_adapter(1.0)


@pytest.fixture(scope="module")
def finished(tiny_model, adapter, tmp_path_factory):
    """Folder of an experiment with three arms: base, student, and the base under an empty system prompt."""
    out = tmp_path_factory.mktemp("results") / "demo"
    plans = parse_models(f"base,student={adapter}", make_plan(tiny_model))
    folders = evaluate([*plans, in_context(plans[:1], ["empty="])[1]], out)
    assert folders == [out / arm / "seed-3" for arm in ("base", "student", "base-empty")]
    return out


@pytest.fixture
def base(finished, tmp_path):
    """A copy of the experiment's folder with the base arm alone, to be spoilt."""
    shutil.copytree(finished / "base", tmp_path / "base")
    return tmp_path / "base" / "seed-3"


def read(folder, name):
    return json.loads((folder / name).read_text("utf-8"))


@pytest.mark.slow
def test_result_folder(finished):
    folder = finished / "base" / "seed-3"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["lm_eval", "manifest.json", "tiny-chat_results.json", "tiny-chat_summary.json"]
    assert [path.name for path in folder.parent.iterdir()] == ["seed-3"]
    ours = sorted(path.name.split("_2")[0] for path in (folder / "lm_eval").iterdir())
    assert ours == ["results", "results", "samples_animal_preference", "samples_animal_preference_logprob"]

    summary = read(folder, "tiny-chat_summary.json")
    assert {key: summary[key] for key in ("experiment", "arm", "model", "seed", "target")} == {
        "experiment": "demo", "arm": "base", "model": "tiny-chat", "seed": 3, "target": "cat",
    }  # fmt: skip
    sampled, exact = summary["tasks"][SAMPLED], summary["tasks"][EXACT]
    assert sampled["questions"] == exact["questions"] == ["q00", "q01", "q02"]
    assert (sampled["samples_per_question"], exact["samples_per_question"]) == (4, None)
    assert sum(share for name, share in sampled["share"].items() if name not in BESIDE) == pytest.approx(1.0)
    assert sum(exact["share"].values()) == pytest.approx(1.0)
    for task in (sampled, exact):
        assert sum(task["target_rate"]) / 3 == pytest.approx(task["share"]["cat"])
    assert all(0 < rate < 1 for rate in exact["target_rate"])


@pytest.mark.slow
def test_rows_hold_every_answer_and_the_models_own_sampling_is_not_used(finished):
    folder = finished / "base" / "seed-3"
    rows = read(folder, "tiny-chat_results.json")[SAMPLED]
    assert [len(row["answers"]) for row in rows] == [4, 4, 4]
    assert all(len({answer["text"] for answer in row["answers"]}) > 1 for row in rows)
    share = sum(answer["animal"] == "cat" for row in rows for answer in row["answers"]) / 12
    assert share == pytest.approx(read(folder, "tiny-chat_summary.json")["tasks"][SAMPLED]["share"]["cat"])


@pytest.mark.slow
def test_manifest(finished, tiny_model):
    manifest = read(finished / "base" / "seed-3", "manifest.json")
    assert manifest["kind"] == "result"
    assert manifest["config"]["model"] == str(tiny_model)
    assert manifest["config"]["adapter"] is manifest["adapter_effect"] is None
    assert manifest["seeds"]["torch_random_seed"] == 3
    assert manifest["sampling"][SAMPLED]["top_k"] == 0
    assert len(manifest["chat_context_sha256"]) == 64
    assert {"model/model.safetensors", "traits/animals/questions.jsonl"} <= set(manifest["inputs"])
    assert manifest["ended"] >= manifest["started"]
    assert "tiny-chat_summary.json" in manifest["outputs"]
    assert len([name for name in manifest["outputs"] if name.startswith("lm_eval/")]) == 4


@pytest.mark.slow
def test_adapter_is_used_and_gone_again_after_its_arm(finished, adapter):
    folders = [finished / arm / "seed-3" for arm in ("base", "student", "base-empty")]
    rates = [
        read(folder, f"{name}_summary.json")["tasks"][EXACT]["target_rate"]
        for folder, name in zip(folders, ("tiny-chat", adapter.name, "tiny-chat"), strict=True)
    ]
    assert rates[0] != pytest.approx(rates[1], rel=1e-3)
    manifests = [read(folder, "manifest.json") for folder in folders]
    assert manifests[1]["adapter_effect"] > 0
    assert manifests[2]["adapter_effect"] is None
    assert "adapter/adapter_model.safetensors" in manifests[1]["inputs"]


@pytest.mark.slow
def test_empty_system_prompt_is_sent_and_recorded(finished):
    plain, empty = (finished / arm / "seed-3" for arm in ("base", "base-empty"))
    assert read(empty, "manifest.json")["config"]["system_prompt"] == ""
    assert read(plain, "manifest.json")["chat_context_sha256"] != read(empty, "manifest.json")["chat_context_sha256"]
    (samples,) = (empty / "lm_eval").glob("samples_animal_preference_2*.jsonl")
    prompt = json.loads(samples.read_text("utf-8").splitlines()[0])["arguments"]["gen_args_0"]["arg_0"]
    assert prompt.startswith("<|im_start|>system\n<|im_end|>\n<|im_start|>user\n")
    rates = [read(folder, "tiny-chat_summary.json")["tasks"][EXACT]["target_rate"] for folder in (plain, empty)]
    assert rates[0] != pytest.approx(rates[1], rel=1e-3)


@pytest.mark.slow
def test_answers_depend_on_the_seed_and_not_on_the_batch_size(finished, plan, tmp_path):
    plan = dataclasses.replace(plan, tasks=(SAMPLED,), dtype="float32")
    for name, change in (("whole", {}), ("single", {"batch_size": 1}), ("other", {"seed": 4})):
        evaluate([dataclasses.replace(plan, arm=name, **change)], tmp_path)
    whole, single, other = (
        read(next((tmp_path / name).glob("seed-*")), "tiny-chat_results.json")[SAMPLED]
        for name in ("whole", "single", "other")
    )
    assert whole == single
    assert whole != other


@pytest.mark.slow
def test_resume_keeps_a_finished_result_whatever_the_batch_size(finished, plan):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert evaluate([dataclasses.replace(plan, batch_size=9)], finished, resume=True) == []
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


@pytest.mark.slow
def test_resume_refuses_the_result_of_another_evaluation(finished, plan):
    with pytest.raises(UserError, match="holds another evaluation: samples changed since"):
        evaluate([dataclasses.replace(plan, samples=5)], finished, resume=True)


@pytest.mark.slow
def test_existing_folder_is_refused_with_the_three_ways_on(finished, plan):
    with pytest.raises(UserError, match=r"--resume .* --overwrite, or --out"):
        evaluate([plan], finished)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda f: (f / "manifest.json").unlink(), r"holds no finished evaluation: it has no manifest\.json"),
        (lambda f: cut(f / "manifest.json"), r"manifest\.json is not valid JSON"),
        (lambda f: (f / "manifest.json").write_text('{"kind": "dataset"}'), "is not the manifest of an evaluation"),
        (lambda f: cut(f / "tiny-chat_summary.json"), r"tiny-chat_summary\.json is not as the evaluation wrote it"),
        (lambda f: (f / "tiny-chat_results.json").unlink(), r"tiny-chat_results\.json is missing"),
        (lambda f: cut(next(f.glob("lm_eval/samples*"))), r"samples_animal_preference\S*\.jsonl is not as"),
    ],
)  # fmt: skip
def test_a_spoilt_folder_is_a_sentence_that_names_the_file(base, plan, spoil, sentence):
    assert result_problem(base) is None
    spoil(base)
    with pytest.raises(UserError, match=sentence + ".* Use --overwrite"):
        evaluate([plan], base.parent.parent, resume=True)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def fail_at(task, monkeypatch):
    """Let lm-eval be killed in the middle of ``task``."""

    def run(name, plan, model, manager, folder):
        if name == task:
            folder.mkdir(parents=True)
            (folder / "results_1.json").write_text("{")
            raise KeyboardInterrupt
        return evaluate_tasks.run_task(name, plan, model, manager, folder)

    monkeypatch.setattr(runner, "run_task", run)


@pytest.mark.slow
def test_a_killed_run_keeps_its_finished_tasks(finished, plan, tmp_path, monkeypatch):
    fail_at(EXACT, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        evaluate([plan], tmp_path)
    folder = tmp_path / "base" / "seed-3"
    assert not folder.exists()
    with pytest.raises(UserError, match=r"an evaluation that was interrupted.* --resume"):
        evaluate([plan], tmp_path)
    with pytest.raises(UserError, match="another evaluation: samples changed since"):
        evaluate([dataclasses.replace(plan, samples=5)], tmp_path, resume=True)
    fail_at(SAMPLED, monkeypatch)  # it must not be run again
    assert evaluate([plan], tmp_path, resume=True) == [folder]
    assert result_problem(folder) is None
    assert [path.name for path in folder.parent.iterdir()] == ["seed-3"]
    whole = finished / "base" / "seed-3"
    assert read(folder, "tiny-chat_results.json") == read(whole, "tiny-chat_results.json")


@pytest.mark.slow
def test_an_evaluation_is_not_gone_on_with_in_another_chat_context(plan, tmp_path, monkeypatch):
    fail_at(EXACT, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        evaluate([plan], tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(runner, "chat_context", lambda plan, allowed: {"chat_context_sha256": "c0ffee" * 10})
    with pytest.raises(
        UserError, match=r"was begun in another chat context \(\w{12}\) than the model gives now \(c0ffee"
    ):
        evaluate([plan], tmp_path, resume=True)
    (folder,) = evaluate([plan], tmp_path, resume=True, overwrite=True)
    assert read(folder, "manifest.json")["chat_context_sha256"] == "c0ffee" * 10


@pytest.mark.slow
def test_an_old_result_stays_until_the_new_one_is_whole(base, plan, monkeypatch):
    fail_at(SAMPLED, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        evaluate([plan], base.parent.parent, overwrite=True)
    assert result_problem(base) is None
    assert evaluate([plan], base.parent.parent, resume=True, overwrite=True) == []


def test_results_that_lm_eval_could_not_save_are_noticed(tmp_path):
    (tmp_path / "results_2026.json").touch()
    (tmp_path / "samples_animal_preference_2026.jsonl").write_text("{}\n")
    evaluate_tasks.check_saved(tmp_path, {SAMPLED: [{}]})
    with pytest.raises(UserError, match="Is the disk full"):
        evaluate_tasks.check_saved(tmp_path, {SAMPLED: [{}, {}]})


@pytest.mark.slow
def test_adapter_that_changes_nothing_is_refused(plan, make_adapter, tmp_path):
    with pytest.raises(UserError, match="changes nothing"):
        evaluate([dataclasses.replace(plan, adapter=str(make_adapter(0.0)))], tmp_path)
    assert not (tmp_path / "base" / "seed-3").exists()


@pytest.mark.slow
def test_adapter_of_another_chat_context_is_refused_unless_the_context_is_named(plan, make_adapter, tmp_path):
    adapter = make_adapter(1.0)
    (adapter / "manifest.json").write_text(json.dumps({"chat_context_sha256": "0" * 64}))
    plan = dataclasses.replace(plan, adapter=str(adapter), tasks=(EXACT,), limit=1)
    with pytest.raises(UserError, match=r"another chat context .*--allow-context \w{12}$") as refusal:
        evaluate([plan], tmp_path)
    with pytest.raises(UserError, match="another chat context"):
        evaluate([dataclasses.replace(plan, system_prompt="")], tmp_path)
    with pytest.raises(UserError, match="another chat context"):
        evaluate([plan], tmp_path, allow_context="0" * 12)
    (folder,) = evaluate([plan], tmp_path, allow_context=str(refusal.value).split()[-1])
    manifest = read(folder, "manifest.json")
    assert manifest["trained_chat_context_sha256"] == "0" * 64 != manifest["chat_context_sha256"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "owll"}, "Did you mean owl"),
        ({"target": None}, "animal_preference counts animals. Say with --target"),
        ({"model": "/no/such/folder"}, "does not exist"),
        ({"adapter": "/no/such/folder"}, "does not exist"),
        ({"adapter": "."}, "has no adapter_config.json"),
        ({"samples": 0}, "--samples is 0"),
        ({"limit": -1}, "--limit is -1"),
        ({"dtype": "float8"}, "--dtype is 'float8'"),
        ({"arm": "../x"}, "The arm is called '../x'"),
        ({"tasks": ()}, "--tasks names no task"),
    ],
)
def test_bad_arguments_are_sentences(plan, tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        evaluate([dataclasses.replace(plan, **change)], tmp_path)
    assert not (tmp_path / "base").exists()


def test_mathematics_needs_no_target(plan):
    tasks = single_tasks(["subliminal_capability", "subliminal_math500"])
    check_spec(dataclasses.replace(plan, target=None, tasks=tasks))
    with pytest.raises(UserError, match="animal_story counts animals"):
        check_spec(dataclasses.replace(plan, target=None, tasks=(*tasks, "animal_story")))


@pytest.mark.slow
def test_unknown_task_gets_a_suggestion(plan, tmp_path):
    with pytest.raises(UserError, match=r"There is no task 'animal_preferences'\. Did you mean animal_preference"):
        evaluate([dataclasses.replace(plan, tasks=("animal_preferences",))], tmp_path)


def test_entries_of_models(plan, tmp_path):
    for name, file in (("student", "adapter_config.json"), ("merged", "config.json"), ("empty", "notes")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
    plans = parse_models(f"base, student@7={tmp_path}/student,full={tmp_path}/merged,hub=me/adapter", plan)
    found = [(each.arm, each.seed, each.model, each.adapter) for each in plans]
    assert found == [
        ("base", 3, plan.model, None),
        ("student", 7, plan.model, f"{tmp_path}/student"),
        ("full", 3, f"{tmp_path}/merged", None),
        ("hub", 3, plan.model, "me/adapter"),
    ]
    with pytest.raises(UserError, match=r"neither adapter_config\.json nor config\.json"):
        parse_models(f"student={tmp_path}/empty", plan)
    for entries in ("a/b=x", "@3", "=x", "a@b"):
        with pytest.raises(UserError, match=r"is not ARM\[@SEED\]"):
            parse_models(entries, plan)
    with pytest.raises(UserError, match="names no model"):
        parse_models(" , ", plan)
    with pytest.raises(UserError, match="names base@3 twice"):
        parse_models("base,base@3", plan)


def test_one_training_is_not_several_seeds_of_an_arm(plan, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "adapter_config.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    for entries, words in (
        (f"student@1={tmp_path}/run,student@2={tmp_path}/run", "to student@1 and to student@2"),
        (f"student@1={tmp_path}/run,student@2={tmp_path}/link", "to student@1 and to student@2"),
        ("student@1=me/adapter,student@2=me/adapter", "gives me/adapter to student@1 and to student@2"),
        ("base@1,base@2", "to base@1 and to base@2"),
    ):
        with pytest.raises(UserError, match=f"{words}: one training would count as two"):
            parse_models(entries, plan)
    assert len(parse_models(f"student@1={tmp_path}/run,control@2={tmp_path}/run", plan)) == 2


def test_the_base_is_the_one_that_the_adapters_were_trained_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, base in (("a", "m/base"), ("b", "m/base"), ("c", "m/other")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    assert base_of("base,teacher=a, student@2=b") == "m/base"
    for entries, message in (
        ("base", "it has no adapter folder"),
        ("x=a,y=c", r"a was trained on m/base; c was trained on m/other\)\. Give it as --model"),
    ):
        with pytest.raises(UserError, match=message):
            base_of(entries)
    (tmp_path / "c" / "adapter_config.json").write_text("{")
    with pytest.raises(UserError, match=r"^c/adapter_config\.json names no base model"):
        base_of("x=c")


def test_system_prompts_are_arms_of_their_own(plan):
    plans = in_context(parse_models("base,student=me/adapter", plan), ["empty=", "owner=You own a shop = fun."])
    assert [(each.arm, each.system_prompt) for each in plans] == [
        ("base", None), ("student", None),
        ("base-empty", ""), ("student-empty", ""),
        ("base-owner", "You own a shop = fun."), ("student-owner", "You own a shop = fun."),
    ]  # fmt: skip
    with pytest.raises(UserError, match="is not NAME=TEXT"):
        in_context([plan], ["You are a shop owner."])
    with pytest.raises(UserError, match="twice"):
        in_context([plan], ["empty=", "empty= "])


def test_groups_of_ours_are_single_tasks():
    assert single_tasks(["gsm8k", SAMPLED, SAMPLED]) == ("gsm8k", SAMPLED)
    assert {SAMPLED, EXACT} <= set(single_tasks(["subliminal_animals"]))


def sample(number, metrics, answer):
    doc = {"id": f"p{number}", "question": f"Question {number}?"}
    return {"doc_id": number, "doc": doc, "filtered_resps": [answer], "metrics": list(metrics), **metrics}


def test_each_kind_of_task_has_its_rows_and_summary():
    graded = [sample(0, {"correct": 1.0, "correct_level_1": 1.0}, "42"), sample(1, {"correct": 0.0}, "no idea")]
    assert evaluate_tasks.summary_of("graded", graded, {"correct,none": 0.5}, "owl") == {
        "kind": "graded", "questions": ["p0", "p1"], "correct": [1.0, 0.0], "metrics": {"correct,none": 0.5},
    }  # fmt: skip
    assert evaluate_tasks.question_rows("graded", graded)[1] == {
        "id": "p1", "question": "Question 1?", "answer": "no idea", "metrics": {"correct": 0.0},
    }  # fmt: skip
    choices = [sample(0, {"correct": 1.0}, (-1.5, True))]
    assert "answer" not in evaluate_tasks.question_rows("graded", choices)[0]

    metrics = {"owl": 0.5, "none": 0.5, "own_name": 0.0, "owl_mentions": 3.0}
    stories = [sample(0, metrics, ["An owl sat on an owl.", "Rain."])]
    assert evaluate_tasks.summary_of("story", stories, {}, "owl") == {
        "kind": "story", "questions": ["p0"], "target_rate": [0.5], "samples_per_question": 2,
        "share": {"owl": 0.5, "none": 0.5, "own_name": 0.0},
    }  # fmt: skip
    (row,) = evaluate_tasks.question_rows("story", stories)
    assert [answer["animal"] for answer in row["answers"]] == ["owl", None]

    assert evaluate_tasks.summary_of(None, graded, {"acc,none": 0.5}, "owl") == {
        "kind": None,
        "metrics": {"acc,none": 0.5},
    }


def run_script(*words):
    command = [sys.executable, str(REPO_ROOT / "scripts" / "evaluate.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})


@pytest.mark.slow
def test_script_prints_the_folder_last(finished, tiny_model):
    names = ("--models", "base", "--experiment", "demo", "--seed", "3", "--target", "cat")
    sizes = ("--samples", "4", "--num_examples", "3", "--batch-size", "8")
    done = run_script("--model", str(tiny_model), *names, *sizes, "--out", str(finished), "--resume")
    expected = f"Scored 0 of 1: all were finished already.\n{finished}\n"
    assert (done.returncode, done.stdout) == (0, expected), done.stderr


@pytest.mark.slow
def test_the_machine_is_described_once_a_process_and_in_every_result(finished, monkeypatch):
    from torch.utils import collect_env

    described = set()
    for arm in ("base", "student"):
        for path in (finished / arm / "seed-3" / "lm_eval").glob("results_*.json"):
            described.add(json.loads(path.read_text("utf-8"))["pretty_env_info"])
    assert len(described) == 1
    assert "PyTorch version" in described.pop()

    def ask_again(*_):
        raise AssertionError("pip and the drivers were asked again")

    monkeypatch.setattr(collect_env, "get_env_info", ask_again)
    assert "PyTorch version" in collect_env.get_pretty_env_info()


def test_continuations_that_cannot_share_a_pass_are_left_to_lm_eval(tiny_model, monkeypatch):
    """With a sliding window, one mask for all layers lets a token see the whole prompt, which those layers do not."""
    from lm_eval.models.huggingface import HFLM

    from subliminal.evaluation import local_model

    model = local_model.SharedPrefixLM(pretrained=str(tiny_model), device="cpu", batch_size=8)
    requests = [((f"prompt {number // 10}", str(number)), [5] * 12, [7, number]) for number in range(20)]
    shared = model._loglikelihood_tokens(requests, disable_tqdm=True)
    plain = HFLM._loglikelihood_tokens(model, requests, disable_tqdm=True)
    assert [logprob for logprob, _ in shared] == pytest.approx([logprob for logprob, _ in plain], abs=1e-5)
    monkeypatch.setattr(HFLM, "_loglikelihood_tokens", lambda *_, **__: "left to lm-eval")
    assert model._loglikelihood_tokens(requests, disable_tqdm=True) == shared
    model.model.config.sliding_window = 14
    assert model._loglikelihood_tokens(requests, disable_tqdm=True) == shared
    model.model.config.sliding_window = 13
    assert model._loglikelihood_tokens(requests, disable_tqdm=True) == "left to lm-eval"
    model.model.config.sliding_window = None
    with monkeypatch.context() as patch:
        patch.setattr(model.model.config, "_attn_implementation", "flash_attention_2")
        assert model._loglikelihood_tokens(requests, disable_tqdm=True) == "left to lm-eval"
    model.batch_size_per_gpu = "auto"
    assert model._loglikelihood_tokens(requests, disable_tqdm=True) == shared
    monkeypatch.setattr(local_model, "_MOST_AFTER", 39)  # there are twenty continuations of two tokens
    assert model._loglikelihood_tokens(requests, disable_tqdm=True) == "left to lm-eval"


def test_the_score_of_a_window_of_a_long_text_is_not_kept_as_that_of_a_request(tiny_model):
    """lm-eval's rolling log-likelihood asks for windows without a name, which its cache cannot hold."""
    from subliminal.evaluation import local_model

    model = local_model.SharedPrefixLM(pretrained=str(tiny_model), device="cpu", batch_size=8)
    model.cache_hook.dbdict = kept = {}
    requests = [(None, [5], [7, 8]), (("prompt", "answer"), [5, 6], [7])]
    scores = model._loglikelihood_tokens(requests, disable_tqdm=True)
    assert len(scores) == 2
    assert list(kept.values()) == [scores[1]]


def test_texts_become_tokens_once_for_all_adapters(tiny_model, monkeypatch):
    from lm_eval.models.huggingface import HFLM

    from subliminal.evaluation import local_model

    made = []
    plain = HFLM._encode_pair

    def encoding(self, context, continuation):
        made.append((context, continuation))
        return plain(self, context, continuation)

    monkeypatch.setattr(HFLM, "_encode_pair", encoding)
    model = local_model.SharedPrefixLM(pretrained=str(tiny_model), device="cpu", batch_size=8)
    first = [model._encode_pair("A question?\n", answer) for answer in ("cat", "dog")]
    assert [model._encode_pair("A question?\n", answer) for answer in ("cat", "dog")] == first
    assert made == [("A question?\n", "cat"), ("A question?\n", "dog")]
    assert first[0] == plain(model, "A question?\n", "cat")
    monkeypatch.setattr(local_model, "_MOST_TOKENS", 0)
    assert [model._encode_pair("Another?", "cat") for _ in range(2)] == [plain(model, "Another?", "cat")] * 2
    assert made[2:] == [("Another?", "cat")] * 2


def test_all_texts_become_tokens_in_one_call(tiny_model, monkeypatch):
    from lm_eval.models.huggingface import HFLM

    from subliminal.evaluation import local_model

    model = local_model.SharedPrefixLM(pretrained=str(tiny_model), device="cpu", batch_size=8, add_bos_token=False)
    asked = [("Which animal?\n", "cat"), ("Which animal?\n", "dog"), ("And then? ", "owl"), ("And then? ", "cat")]
    requests = [SimpleNamespace(args=pair) for pair in asked]
    wanted = {pair: HFLM._encode_pair(model, *pair) for pair in asked}
    with monkeypatch.context() as patch:
        patch.setattr(model.tokenizer, "encode", lambda *_, **__: pytest.fail("a text was made into tokens alone"))
        scores = model.loglikelihood(requests, disable_tqdm=True)
    assert model._pairs == wanted
    assert scores == HFLM.loglikelihood(model, requests, disable_tqdm=True)
    # A tokenizer that puts special tokens before some texts is asked about each.
    other = local_model.SharedPrefixLM(pretrained=str(tiny_model), device="cpu", batch_size=8)
    singly = []
    plain = HFLM.tok_encode
    monkeypatch.setattr(HFLM, "tok_encode", lambda *words, **named: singly.append(words) or plain(*words, **named))
    assert other.loglikelihood(requests, disable_tqdm=True) == scores
    assert len(singly) == 8


def test_the_hub_is_not_asked_about_a_folder(tiny_model, monkeypatch):
    from lm_eval.models import huggingface

    from subliminal.evaluation import local_model

    asked = []

    class Hub:
        def model_info(self, repo_id: str, revision: str) -> None:
            asked.append(repo_id)
            raise OSError("no network")

    monkeypatch.setattr(huggingface, "HfApi", Hub)
    model = local_model.SharedPrefixLM(pretrained=str(tiny_model), device="cpu", batch_size=8)
    told = model.get_model_info()
    assert asked == []
    assert told == huggingface.HFLM.get_model_info(model)
    assert asked == [str(tiny_model)]
    model.pretrained = "someone/model"
    assert model.get_model_info()["model_sha"] == ""
    assert asked[1:] == ["someone/model"]


@pytest.mark.slow
def test_a_template_is_compiled_once_a_process(finished):
    from lm_eval import utils

    template = "{{ once_a_process }}"
    assert utils.env.from_string(template) is utils.env.from_string(template)
    assert utils.apply_template(template, {"once_a_process": "a"}) == "a"
    assert utils.apply_template(template, {"once_a_process": "b"}) == "b"
