"""Turn ``raw.tar.xz`` of results/published into answers.parquet and records.parquet, and prove that nothing was lost.

python scripts/migrate_published.py

For once: it reads the archives of before, in which decimal numbers lie apart from the text. Every answer is counted and
hashed before and after, as a canonical row: folder, task, line, request, repeat, and the text or the log-likelihood as
lm-eval wrote it.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from subliminal.publish.archive import ANSWERS, RECORDS, read_answers, read_records, write_answers, write_records
from subliminal.publish.entries import lay_out
from subliminal.publish.rescore import DERIVED, SAMPLES, Sample, difference

PUBLISHED = Path("results/published")


def unpack(archive: bytes) -> dict[str, bytes]:
    """The files of an archive of before."""
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(archive))) as tar:
        texts = {entry.name: tar.extractfile(entry).read() for entry in tar}
    numbers = np.frombuffer(texts.pop("numbers.f8"), np.uint8).reshape(8, -1).T.copy().view("<f8").ravel()
    written = [repr(number).encode() for number in numbers.tolist()]
    order = iter(np.cumsum(np.frombuffer(texts.pop("order.i4"), "<i4")).tolist())
    files = {}
    for path, text in texts.items():
        if path.endswith((".json", ".jsonl")):
            first, *rest = text.split(b"\x01")
            text = first + b"".join([written[next(order)] + part for part in rest])
        files[path] = text
    assert next(order, None) is None
    return files


def canonical(name: str, samples: list[Sample]) -> Iterator[str]:
    """A line for each answer."""
    match = SAMPLES.fullmatch(Path(name).name)
    folder = str(Path(name).parent.parent)
    for line, sample in enumerate(samples):
        for request, answers in enumerate(sample["resps"]):
            for repeat, answer in enumerate(answers):
                yield json.dumps([folder, match["task"], line, request, repeat, answer], ensure_ascii=False)


def counted(files: dict[str, list[Sample]]) -> tuple[int, str]:
    """How many answers there are, and the sha256 of their canonical rows."""
    count, digest = 0, hashlib.sha256()
    for name, samples in sorted(files.items()):
        for row in canonical(name, samples):
            count += 1
            digest.update(f"{row}\n".encode())
    return count, digest.hexdigest()


def main() -> None:
    for raw in sorted(PUBLISHED.glob("*/raw.tar.xz")):
        folder, files = raw.parent, unpack(raw.read_bytes())
        samples, records = {}, {}
        for name, content in files.items():
            text = content.decode("utf-8")
            if SAMPLES.fullmatch(Path(name).name):
                samples[name] = [json.loads(line) for line in text.splitlines()]
            elif not name.endswith(DERIVED):
                records[name] = text
        write_answers(folder / ANSWERS, samples)
        write_records(folder / RECORDS, records)
        before = counted(samples)
        after = counted({name: lines for name, _, lines in read_answers(folder / ANSWERS)})
        assert before == after, (before, after)
        assert read_records(folder / RECORDS) == records
        scratch = Path("build/migrated") / folder.name
        laid = lay_out(folder, scratch)
        exact = sum(laid.samples[name] == hashlib.sha256(files[name]).hexdigest() for name in samples)
        assert exact == len(samples) == len(laid.samples)
        for name, content in files.items():
            again = (scratch / name).read_bytes()
            same = again == content or (
                name.endswith(DERIVED) and not difference(json.loads(content), json.loads(again))
            )
            assert same, name
        size = (folder / ANSWERS).stat().st_size + (folder / RECORDS).stat().st_size
        print(f"{folder.name}: {before[0]:,} answers, sha256 {before[1]} before and after")
        print(f"  {exact} samples files the same to the byte, of {len(files)} files all there or made again")
        print(f"  {raw.stat().st_size:,} bytes before, {size:,} after", flush=True)
        raw.unlink()


if __name__ == "__main__":
    main()
