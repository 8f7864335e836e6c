"""What an experiment file is refused for before anything runs: contradictions, and what fits no recipe or model."""
