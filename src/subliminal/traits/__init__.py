"""Categories of preferences: the folders of ``traits/``, their options, words, questions and worlds."""
