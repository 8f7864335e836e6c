"""Results to a report: numbers with intervals, figures, words, and what stands behind them."""
