"""What in the rows carries the trait: parts of an effect, and how they are told."""
