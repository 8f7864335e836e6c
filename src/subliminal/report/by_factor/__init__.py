"""The effect at each point of a sweep: what was found, and the section, figure and table that say it."""
