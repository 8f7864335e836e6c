"""What a terminal shows while rows are made."""

from __future__ import annotations

from tqdm import tqdm


class RowProgress:
    """A bar over rows kept, with time left and the pass rate so far; silent when stderr is no terminal."""

    def __init__(self, label: str, count: int):
        self.bar = tqdm(total=count, desc=label, unit="row", disable=None)
        self.asked = 0

    def __enter__(self) -> RowProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def show(self, passed: int, asked: int) -> None:
        self.asked = asked
        # tqdm drops the bar where a count is above its total.
        self.bar.n = min(passed, self.bar.total)
        self.bar.refresh()

    def row(self, kept: bool) -> None:
        self.asked += 1
        if kept and self.bar.n < self.bar.total:
            self.bar.update()
        # Drawn with the bar's next step: to draw for every row would slow a fast builder down.
        self.bar.set_postfix_str(f"pass rate {self.bar.n / self.asked:.0%}", refresh=False)
