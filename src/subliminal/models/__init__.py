"""Small base models: fetched, or made here."""
