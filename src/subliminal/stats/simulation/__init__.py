"""How often each verdict is wrong: simulated experiments whose truth is known, and the page that tells it."""
