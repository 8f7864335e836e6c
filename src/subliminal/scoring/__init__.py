"""What an answer says: the animal it names, whether mathematics is right, and the metrics of our tasks."""
