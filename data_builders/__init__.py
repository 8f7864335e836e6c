"""Builders of every dataset, one module each: ``python -m data_builders.<name> --help``.

The workflow finds by itself which modules a builder's rows follow from: those that it imports, here and in
``subliminal.scoring``. What imports do not say, a module says in constants:

- ``JUDGED_BY``: modules that only decide which answers are kept. After a change there answers are judged again, not
  asked for again. (The animals' words are among them, though their plurals also stand in a teacher's system prompt.)
- ``READS``: files of the checkout that its rows follow from.
- ``ONLY_WITH``: option, or ``option word`` -> modules that matter only where the option is given (and its value has
  the word).
"""
