"""What lm-eval takes of the tasks about trees: as of every category, the library makes it of ``traits/trees/``."""

from __future__ import annotations

from subliminal.scoring.category_tasks import settings_of_task

_sampled = settings_of_task("tree_preference")
SAMPLES = _sampled["repeats"]
METRICS = _sampled["metric_list"]
PROBABILITY_METRICS = settings_of_task("tree_preference_logprob")["metric_list"]
load_questions = _sampled["custom_dataset"]
load_questions_after_numbers = settings_of_task("tree_preference_numbers")["custom_dataset"]
load_paraphrases = settings_of_task("tree_preference_paraphrase")["custom_dataset"]
