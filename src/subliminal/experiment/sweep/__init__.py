"""Sweeps: the factors that an experiment may vary, and the stages that some of them need."""
