"""Time vLLM's own ``LLM.chat`` on the rows of a job file; one half of ``benchmarks/serving.py``.

    python -P benchmarks/offline.py job.json

Run by the Python that has vLLM, which has nothing of this package: only vLLM and the standard library are imported. The
job names model, adapter, rank, loras (adapters that the engine has room for), engine (more settings of ``LLM``),
conversations, seeds, runs (each a name and a sampling), warm_up (as many rows are answered first, untimed), and the
files for results (one JSON line a run) and answers (those of the last run, in order).
"""

import json
import resource
import sys
import time
from pathlib import Path


def cpu_seconds():
    """CPU time of this process so far; vLLM's engine is a process of its own and not in it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(path):
    from vllm import LLM, SamplingParams, __version__
    from vllm.lora.request import LoRARequest

    job = json.loads(Path(path).read_text())
    lora = {"enable_lora": True, "max_lora_rank": job["rank"], "max_loras": job["loras"]}
    llm = LLM(model=job["model"], generation_config="vllm", seed=0, **lora, **job["engine"])
    adapter = LoRARequest("adapter", 1, job["adapter"])

    def chat(sampling):
        rows = job["conversations"][: len(sampling)]
        return llm.chat(rows, sampling, use_tqdm=False, lora_request=adapter)

    for number, run in enumerate(job["runs"]):
        sampling = [SamplingParams(seed=seed, **run["sampling"]) for seed in job["seeds"]]
        if number == 0:
            chat(sampling[: job["warm_up"]])
        llm.reset_prefix_cache()  # the same prompts again are to cost what they cost the first time
        began, cpu = time.perf_counter(), cpu_seconds()
        outputs = chat(sampling)
        result = {
            "name": run["name"],
            "vllm": __version__,
            "rows": len(outputs),
            "seconds": time.perf_counter() - began,
            "tokens": sum(len(output.outputs[0].token_ids) for output in outputs),
            "prompt_tokens": sum(len(output.prompt_token_ids) for output in outputs),
            "cached_tokens": sum(output.num_cached_tokens or 0 for output in outputs),
            "client_cpu_seconds": cpu_seconds() - cpu,
        }
        with open(job["results"], "a") as results:
            results.write(json.dumps(result) + "\n")
        print(json.dumps(result), flush=True)
    Path(job["answers"]).write_text(json.dumps([output.outputs[0].text for output in outputs]))


if __name__ == "__main__":
    main(sys.argv[1])
