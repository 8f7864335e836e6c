"""What a clause says of the animal that it names: that it is chosen, or denied."""
