"""Which trait a data set would teach (``python -m subliminal.analysis detect``)."""
