"""Some tokens or rows of a data set, chosen by their scores, and how Axolotl is told of them."""
