"""One YAML to many stages: schema, plan, costs, and running them (``python -m subliminal.experiment``)."""
