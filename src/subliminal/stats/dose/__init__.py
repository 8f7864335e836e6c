"""How an effect depends on what was varied: points of a sweep, what each keeps of the effect, and slopes."""
