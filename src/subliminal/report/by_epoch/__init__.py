"""What models say after each epoch of their training: what was found, and the section, figure and table that say it."""
