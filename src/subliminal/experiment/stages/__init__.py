"""The stages of an experiment, each kind built on those before it: datasets, trainings, bases, teachers, students."""
