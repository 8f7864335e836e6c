"""The experiment file: what ``experiments/<name>.yml`` may say, and the sentences about what it must not.

    experiment = load_experiment(Path("experiments/owl_demo.yml"))

The file speaks of science (model, trait, teacher, arms, seeds, sizes); folders, commands and their order follow from it
in :mod:`subliminal.experiment.expand`. What changes a result is written in the file; the defaults below change none.
"""
