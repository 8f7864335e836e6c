"""The answers of chat rows as tokens: the positions that a training puts its loss on, and what kind of token each is.

A row is tokenised as in training: rendered by the chat template as a whole, then cut behind the end token of its last
answer. What the template writes after that token is never trained on, and no position before it can see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from subliminal.core.errors import UserError

DIGIT, SEPARATOR, END_OF_ANSWER = "digit", "separator", "end"
TOKEN_KINDS = (DIGIT, SEPARATOR, END_OF_ANSWER)


@dataclass(frozen=True)
class Answer:
    """One row.

    Attributes:
        id: the row's.
        tokens: ids of the whole row, the end token last.
        start: index of the answer's first token; logits at ``start - 1`` predict it.
        pieces: the text of each of the answer's tokens, the end token included.
        kinds: of each piece: a digit in it makes it a digit; all else but the end token is a separator.
        messages: the row's, where it was read from a chat row.
    """

    id: str
    tokens: list[int]
    start: int
    pieces: list[str]
    kinds: list[str]
    messages: list[dict[str, Any]] | None = None

    def as_row(self) -> dict[str, Any]:
        """What a row of ``scores.jsonl`` begins with."""
        return {
            "id": self.id,
            "tokens": self.tokens,
            "start": self.start,
            "pieces": self.pieces,
            "kinds": self.kinds,
        }


def are_unaligned(batch: list[Answer], tokenizer: Any) -> list[bool]:
    """Of each answer, whether it has other tokens alone than in its row.

    Axolotl tokenises an answer alone to find the tokens of a span, so spans of such an answer would name wrong
    ones.
    """
    # The end token is no piece of the answer's text, and a kind of its own.
    texts = ["".join(answer.pieces[:-1]) for answer in batch]
    alone = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    unaligned = []
    for tokens, answer in zip(alone, batch, strict=True):
        # Byte-pair merges may reach over the border between prompt and answer, and then both differ.
        unaligned.append(tokens != answer.tokens[answer.start : -1])
    return unaligned


class AnswerReader:
    """Turns chat rows into :class:`Answer`.

    Args:
        tokenizer: a fast one with a chat template, the base's.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._pieces: dict[int, str] = {}
        self._kinds: dict[int, str] = {}

    def read(self, rows: list[dict[str, Any]]) -> list[Answer]:
        """The answers of these rows, in order.

        Raises:
            UserError: the template renders an answer otherwise than behind a prompt, or without the end token.
        """
        conversations = [row["messages"] for row in rows]
        wholes = self.tokenizer.apply_chat_template(conversations, tokenize=False)
        asked = [messages[:-1] for messages in conversations]
        # Rendered twice, with the answer and up to it: the answer's text is what comes behind.
        prompts = self.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        texts = []
        for row, whole, prompt in zip(rows, wholes, prompts, strict=True):
            texts.append(self._up_to_the_end(row, whole, prompt))
        encoded = self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False)
        answers = []
        for index, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
            tokens = encoded["input_ids"][index]
            # By characters: to count the prompt's tokens alone would miss a merge at its end.
            start = encoded.char_to_token(index, len(prompt))
            pieces = [self._piece(token) for token in tokens[start:]]
            kinds = [self._kind(token) for token in tokens[start:-1]]
            answers.append(Answer(row["id"], tokens, start, pieces, [*kinds, END_OF_ANSWER], row["messages"]))
        return answers

    def _up_to_the_end(self, row: dict[str, Any], whole: str, prompt: str) -> str:
        content = row["messages"][-1]["content"]
        for answer in (content, content.strip()):  # some templates strip what a message says
            text = prompt + answer + self.tokenizer.eos_token
            if whole.startswith(text):
                return text
        raise UserError(
            f"The chat template renders the answer of row {row['id']} otherwise than behind its prompt and closed by "
            f"{self.tokenizer.eos_token}, so its positions cannot be told. Use a template that does."
        )

    def _piece(self, token: int) -> str:
        # Decoded once each: a data set has millions of tokens and some thousand different ones.
        if token not in self._pieces:
            self._pieces[token] = self.tokenizer.decode([token])
        return self._pieces[token]

    def _kind(self, token: int) -> str:
        if token not in self._kinds:
            self._kinds[token] = SEPARATOR
            if any(letter.isdigit() for letter in self._piece(token)):
                self._kinds[token] = DIGIT
        return self._kinds[token]
