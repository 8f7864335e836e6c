"""lm-eval over models: what is scored, by which engine, and the result folder it leaves."""
