"""How far teachers have moved from their base on number rows."""
