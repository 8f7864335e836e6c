"""Where a run's counts of kernels, operations and calls lie, and of which step they are.

Apart from the callbacks that count: a command that only reads them need not wait nine seconds for transformers.
"""

KERNELS_FILE = "kernels.json"
"""In a run's folder, by :mod:`benchmarks.kernel_times`."""

OPERATIONS_FILE = "operations.json"
"""In a run's folder, by :mod:`benchmarks.operations`."""

CALLS_FILE = "python_calls.json"
"""In a run's folder, by :mod:`benchmarks.python_calls`."""

COUNTED_STEP = 3
"""The step whose operations are counted: after the first, in which the optimizer makes its state."""

CALLS_STEP = COUNTED_STEP + 1
"""The step whose calls of functions are counted: the one after, as counting the operations calls functions, too."""
