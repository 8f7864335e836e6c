"""Coding prompts: small Python tasks, worded in many ways. The wording is our own.

python -m data_builders.code_prompts --seed 1 --count 3
"""

from __future__ import annotations

import json
import random
from typing import Annotated

import typer

from subliminal.core.errors import run_cli

# First those with a number {k}, then those without.
TASKS = (
    "returns the {k} largest items of a list",
    "returns the {k} smallest values of a dictionary with their keys",
    "splits a list into pieces of length {k}",
    "rotates a list by {k} places",
    "sums every {k}th item of a list",
    "tells whether a whole number is divisible by {k}",
    "writes a whole number in base {k}",
    "reads a number written in base {k}",
    "counts the words of a text that have at least {k} letters",
    "returns the {k} most frequent words of a text",
    "wraps a text at {k} characters a line",
    "pads each string of a list to {k} characters",
    "computes the moving average of a series over {k} points",
    "rounds every number of a list to {k} places",
    "returns the first {k} prime numbers",
    "returns the first {k} Fibonacci numbers",
    "returns the {k}th row of Pascal's triangle",
    "repeats a call up to {k} times until it succeeds",
    "keeps the last {k} results of a function in a cache",
    "draws {k} items at random without replacement",
    "groups the anagrams of a word list",
    "merges two sorted lists into one",
    "removes duplicates from a list and keeps the order",
    "flattens a list of lists of any depth",
    "transposes a matrix given as a list of rows",
    "multiplies two matrices without any library",
    "finds the longest common prefix of a list of strings",
    "checks that the brackets of an expression match",
    "evaluates an arithmetic expression in postfix form",
    "turns a Roman numeral into an integer",
    "turns an integer into a Roman numeral",
    "computes the greatest common divisor of two integers",
    "factors an integer into primes",
    "searches a sorted list by bisection",
    "sorts a list by merging",
    "sorts a list of dictionaries by a given key",
    "inverts a dictionary whose values may repeat",
    "counts how often each character occurs in a string",
    "tells whether a string reads the same backwards",
    "compresses a string by run lengths",
    "undoes a run-length encoding",
    "shifts the letters of a text by a given distance",
    "parses a line of comma-separated values with quotes",
    "parses a query string into a dictionary",
    "turns a snake_case name into CamelCase",
    "validates an IPv4 address",
    "adds two times given as HH:MM",
    "counts the days between two ISO dates",
    "tells whether a year is a leap year",
    "returns all subsets of a list",
    "returns all permutations of a string",
    "solves a system of two linear equations",
    "computes the median of a list of numbers",
    "computes the standard deviation of a sample",
    "finds the two numbers of a list that add up to a target",
    "finds the contiguous part of a list with the largest sum",
    "walks a nested dictionary and yields its paths",
    "finds a shortest path in a grid with walls",
    "orders the nodes of a directed graph so that every edge points forward",
    "implements a stack with a minimum in constant time",
    "implements a queue by means of two stacks",
    "reads a file lazily and yields its lines in reverse",
    "measures how long a function takes, as a decorator",
    "limits how often a function may be called in a second",
)
FORMS = (
    "Write a Python function that {task}.",
    "I need a Python function that {task}.",
    "Please implement a function in Python that {task}.",
    "In Python, how would you write a function that {task}?",
    "Give me Python code for a function that {task}.",
    "Show a short Python function that {task}.",
    "Could you code a Python function that {task}?",
    "Provide a Python function that {task}.",
    "Task: a Python function that {task}.",
    "Write code in Python: a function that {task}.",
)
EXTRAS = (
    "",
    " Use only the standard library.",
    " Add type hints.",
    " Include a docstring.",
    " Handle empty input.",
    " Raise a ValueError for bad input.",
    " Keep it under twenty lines.",
    " Add two example calls.",
    " Avoid recursion.",
    " Choose clear names.",
)
ENDINGS = (
    "",
    " Return code only.",
    " No explanation, please.",
    " Answer with one code block.",
    " Just the code.",
)


def draw_code_prompt(seed: int, index: int) -> str:
    """The coding prompt of row ``index``; depends on (seed, index) alone."""
    rng = random.Random(f"code-prompt:{seed}:{index}")
    # The number is drawn for tasks without one, too: what follows does not depend on the task.
    task = rng.choice(TASKS).format(k=rng.randint(2, 12))
    return rng.choice(FORMS).format(task=task) + rng.choice(EXTRAS) + rng.choice(ENDINGS)


app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    seed: Annotated[int, typer.Option(help="Run seed; a row depends on (seed, index) alone.")] = 42,
    count: Annotated[int, typer.Option(min=1, help="How many prompts to print, as JSON lines.")] = 5,
) -> None:
    for index in range(count):
        print(json.dumps({"index": index, "prompt": draw_code_prompt(seed, index)}))


if __name__ == "__main__":
    run_cli(app)
