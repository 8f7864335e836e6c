"""Where a run's counts of kernels and of operations lie, and of which step they are.

Apart from the callbacks that count: a command that only reads them need not wait nine seconds for transformers.
"""

KERNELS_FILE = "kernels.json"
"""In a run's folder, by :mod:`benchmarks.kernel_times`."""

OPERATIONS_FILE = "operations.json"
"""In a run's folder, by :mod:`benchmarks.operations`."""

COUNTED_STEP = 3
"""The step whose operations are counted: after the first, in which the optimizer makes its state."""
