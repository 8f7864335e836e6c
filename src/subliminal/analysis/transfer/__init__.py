"""What foretells how much of a trait passes (``python -m subliminal.analysis transfer``)."""
