"""Dataset folders: made by builders, judged, carded, and carried to the Hub and back."""
