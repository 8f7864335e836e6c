"""Arms that learn some tokens or rows: the stages that they need."""
