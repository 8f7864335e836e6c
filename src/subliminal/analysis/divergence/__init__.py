"""Which tokens of a teacher's rows another teacher would not have written (``divergence``)."""
