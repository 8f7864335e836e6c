"""Does a teacher's steering vector move the base to the trait (``python -m subliminal.analysis steering``)."""
