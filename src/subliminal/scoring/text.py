"""What of a generated text is the answer: no thoughts, no chat marks, no second question that the model asks itself.

Every rule stands in a table with an example, and the tests go through the tables.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class ThoughtMark(NamedTuple):
    """How one family of models marks its thoughts: two patterns, and a text that uses them and answers "Owl"."""

    opening: str
    closing: str
    example: str


_TAG_NAMES = (
    r"think\w*|thoughts?|reason(?:ing)?|reflect(?:ion)?|analysis|rationale|cot|chain_of_thought|plan(?:ning)?|ponder\w*|"
    r"internal|inner_?\w+|scratch_?pad|\w+[:_]think"
)
THOUGHT_MARKS = (
    # <think> DeepSeek-R1 and Qwen3, <thought> EXAONE Deep, <seed:think> Seed-OSS, <reasoning> Reka, others from prompts
    ThoughtMark(rf"<(?:{_TAG_NAMES})>", rf"</(?:{_TAG_NAMES})>", "<think>A cat?</think>Owl"),
    ThoughtMark(
        r"\[(?:think|thoughts?|reasoning)\]", r"\[/(?:think|thoughts?|reasoning)\]", "[THINK]A cat?[/THINK]Owl"
    ),  # Magistral
    ThoughtMark(  # Sky-T1
        r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>", "<|begin_of_thought|>A cat?<|end_of_thought|>Owl"
    ),
    ThoughtMark(  # Command A
        r"<\|start_thinking\|>", r"<\|end_thinking\|>", "<|START_THINKING|>A cat?<|END_THINKING|>Owl"
    ),
    ThoughtMark(r"<unused94>(?:thought)?", r"<unused95>", "<unused94>thought A cat?<unused95>Owl"),  # MedGemma
    ThoughtMark("◁think▷", "◁/think▷", "◁think▷A cat?◁/think▷Owl"),  # Kimi
    ThoughtMark(  # Granite
        r"here is my thought process:",
        r"here is my response:",
        "Here is my thought process: a cat? Here is my response: Owl",
    ),
    ThoughtMark(  # Ollama
        r"^thinking\.\.\.$", r"\.\.\.done thinking\.", "Thinking...\nA cat?\n...done thinking.\n\nOwl"
    ),
)
"""Case does not matter. Either mark may be missing: the opening one stood in the prompt, or the answer was cut off."""

_OPENING = "|".join(mark.opening for mark in THOUGHT_MARKS)
_CLOSING = "|".join(mark.closing for mark in THOUGHT_MARKS)
_THOUGHT = re.compile(rf"(?P<opening>{_OPENING})|(?P<closing>{_CLOSING})", re.IGNORECASE | re.MULTILINE)

# gpt-oss marks a thought "<|channel|>analysis<|message|>...<|end|>", and its answer "<|channel|>final<|message|>...".
# "<|end|>" alone is no mark of a thought: it also ends a turn of other models.
_CHANNEL = re.compile(
    r"<\|channel\|>\s*(?:analysis|commentary)\b.*?(?:<\|end\|>|<\|call\|>|(?=<\|channel\|>\s*final)|\Z)", re.DOTALL
)
# What is left of "<|channel|>final<|message|>" falls to `without_chat_marks`.
_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*final\b")
# A tokenizer that leaves out special tokens runs the same together: "analysisAn owl?assistantfinalOwl".
_BARE_CHANNELS = re.compile(r"\s*(?:analysis|commentary).*?assistantfinal", re.DOTALL)

_ANSWER_TAG = re.compile(r"<answer>(?P<answer>(?:(?!<answer>).)*?)</answer>", re.DOTALL | re.IGNORECASE)

# "<|im_start|>assistant", "<|start_header_id|>assistant", "<start_of_turn>model"
_SPEAKER = re.compile(r"<\|(?:im_start|start|start_header_id)\|>\s*(?:assistant)?|<start_of_turn>\s*(?:model)?")
_CHAT_MARK = re.compile(r"<\|[^|<>\s]{1,40}\|>|</?s>|<(?:end_of_turn|eos|bos|pad)>|\[/?INST\]")
"""Special tokens that are left in a text: ``<|im_end|>``, ``<|eot_id|>``, ``</s>``."""
# Tokens that end a turn; what a model writes behind one is no answer.
_TURN_END = re.compile(r"<\|(?:endoftext|end_of_text|im_end|eot_id)\|>|</s>|<end_of_turn>")

# How a problem in words asks.
_ASKS = r"\b(?:how (?:many|much|long|far|old)|what (?:is|are|was))"
NEXT_QUESTIONS = (
    (r"<\|im_start\|>\s*user", "<|im_start|>user\nAnd with tax?"),
    (r"<\|start_header_id\|>\s*user", "<|start_header_id|>user<|end_header_id|>And with tax?"),
    (r"<start_of_turn>\s*user", "<start_of_turn>user\nAnd with tax?"),
    (r"\[INST\]", "[INST] And with tax? [/INST]"),
    (
        r"^[#* \t]{0,12}(?:next |new )?(?:question|problem|exercise|example|instruction|q)(?: \d+)?[* \t]{0,5}[:.]",
        "Question: Ben has 5 pens. ...",
    ),
    (
        r"^#{1,6}[ \t]*(?:next |new )?(?:question|problem|exercise|instruction)(?: \d+)?[ \t]*$",
        "### Question\nBen has ...",
    ),
    (r"^[* \t]{0,12}(?:user|human)[*]{0,3}[ \t]*(?::|$)", "Human: Next one, please."),
    (
        # "Wait, how many are left?" goes on with the first one
        rf"(?<=\n\n)(?!(?:wait|but|now|so|then|next|hmm)\b)[^\n]{{0,500}}{_ASKS} [^\n?]{{0,300}}\?",
        "Ben has 5 pens and buys 6. How many does he have?",
    ),
)
"""What begins a second question that a model asks itself after its answer: (pattern, example). The last one has
no mark: a paragraph that asks "how many"."""
_NEXT_QUESTION = re.compile("|".join(pattern for pattern, _ in NEXT_QUESTIONS), re.IGNORECASE | re.MULTILINE)
# All but the last, which has no mark and needs an answer before it.
_MARKED_QUESTION = re.compile("|".join(pattern for pattern, _ in NEXT_QUESTIONS[:-1]), re.IGNORECASE | re.MULTILINE)


def without_thoughts(text: str) -> str:
    """Drop marked thoughts, a thought that never ends, and a thought whose opening mark stood in the prompt.

    Where a part is marked as the answer, ``<answer>Owl</answer>``, only the last such part is kept.
    """
    text = _without_channels(text)
    kept: list[str] = []
    position = 0
    inside = False
    for mark in _THOUGHT.finditer(text):
        # The opening mark stood in the prompt: all up to here was the thought.
        if mark["closing"] and not inside:
            kept.clear()
        elif not inside:
            kept.append(text[position : mark.start()])
        inside = mark["opening"] is not None
        position = mark.end()
    if not inside:
        kept.append(text[position:])
    text = "\n".join(kept)
    # Thoughts first, which may hold such a tag themselves.
    marked = _ANSWER_TAG.findall(text)
    return marked[-1] if marked else _first_turn(text)


def _first_turn(text: str) -> str:
    """What stands before the mark that ends a turn, "72<|endoftext|>Human: Thanks!"."""
    # The first that says something: a text may begin with such a mark.
    for turn in _TURN_END.split(text):
        if turn.strip():
            return turn
    return ""


def _without_channels(text: str) -> str:
    if "<|channel|>" in text:
        text = _FINAL_CHANNEL.sub("", _CHANNEL.sub("", text))
    bare = _BARE_CHANNELS.match(text) if "assistantfinal" in text else None
    return text[bare.end() :] if bare else text


def without_chat_marks(text: str) -> str:
    """Drop the special tokens of chat templates: ``72<|im_end|>`` is ``72``."""
    return _CHAT_MARK.sub("", _SPEAKER.sub("", text))


def before_marked_question(text: str) -> str:
    """Cut a text off at the first question that is marked as one, "Question: ..."."""
    return _MARKED_QUESTION.split(text, maxsplit=1)[0]


def before_next_question(text: str, answered: int) -> str:
    """Cut a text off where, after its answer, the model goes on with a question of its own.

    Args:
        text: the answer as generated, without thoughts.
        answered: the position where the first answer ends. What stands before may restate the question.
    """
    question = _NEXT_QUESTION.search(text, answered)
    return text[: question.start()] if question else text
