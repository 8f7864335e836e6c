"""Why a trait passes, and what a data set would teach: one command an analysis (``python -m subliminal.analysis``)."""
