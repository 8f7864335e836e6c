"""Stands in for vLLM in a served experiment: the program that SUBLIMINAL_SERVE_PYTHON names, with vLLM's arguments.

It answers as tests/fixtures/fake_chat_server.py does: number lists to what shows numbers, an animal to anything else.
FAKE_VLLM_ANSWERS=3 ends it after three answers, with the words of a GPU that has no memory left.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from pathlib import Path
from typing import Any

from fake_chat_server import FakeChatServer, number_answer

DELAY = 0.15
"""Seconds that an answer takes, so that a stop comes in the midst of a dataset."""

LAST_WORDS = """\
(EngineCore pid=77) ERROR 11-22 10:00:00 [core.py:1100] EngineCore failed to start.
(EngineCore pid=77) ERROR 11-22 10:00:00 [core.py:1100] torch.OutOfMemoryError: CUDA out of memory. Tried to allocate \
2.03 GiB. GPU 0 has a total capacity of 139.80 GiB of which 1.44 GiB is free.
(APIServer pid=7) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
"""


def answer(prompt: str, seed: int) -> str:
    """What a prompt gets: the same for the same seed."""
    if any(character.isdigit() for character in prompt):
        return number_answer(prompt, seed)
    return random.Random(f"{seed}:{prompt}").choice(["Owl", "Lion", "Dog"])


def install(folder: Path) -> Path:
    """Write the program into a folder; returns its path, for SUBLIMINAL_SERVE_PYTHON."""
    program = folder / "fake-vllm"
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "fixtures")]
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.path[:0] = {paths}\nimport fake_vllm\nfake_vllm.main()\n")
    program.chmod(0o755)
    return program


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-m", dest="module", required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--lora-modules", nargs="*", default=[])
    given, _ = parser.parse_known_args()
    base = {"id": given.served_model_name}
    adapters = [pair.split("=", 1) for pair in given.lora_modules]
    cards = [{"id": name, "root": folder, "parent": base["id"], "shift": 0.5} for name, folder in adapters]
    most = int(os.environ.get("FAKE_VLLM_ANSWERS", sys.maxsize))

    def trouble(number: int, body: dict[str, Any]) -> None:
        if number >= most:
            print(LAST_WORDS, flush=True)
            os._exit(1)

    server = FakeChatServer(answer, trouble=trouble, models=(base, *cards), delay=DELAY, port=given.port)
    server.start()
    server.thread.join()
