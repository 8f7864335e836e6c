"""What is shown to others: published experiments with their raw answers, verification, adapters on the Hub."""
