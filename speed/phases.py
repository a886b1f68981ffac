"""Parsing and rendering of both builders, measured in one process in turn.

    python -m speed.phases RAW_DATA REPETITIONS

prints JSON: phase, builder, seconds of each repetition. Images are rendered as in the build, in as
many threads, and in one thread for comparison.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from build_dataset import default_jobs
from speed import plain_builder
from twobody.encodings.published import BLOCK, amplitudes_of, basis_images, render
from twobody.raw_data.read import read

Seconds = dict[str, dict[str, list[float]]]


def measure(raw_data: Path, repetitions: int) -> Seconds:
    """Return the seconds of each phase and builder; A B A B, so that both see the same machine."""
    pairs = plain_builder.read_pairs(raw_data)
    amplitudes = amplitudes_of(read(raw_data, allow_unconverged=False).pairs.rows)
    basis = basis_images()

    def parse_plainly() -> None:
        plain_builder.read_pairs(raw_data)
        plain_builder.read_labels(raw_data)

    parts = [amplitudes[i : i + BLOCK] for i in range(0, len(amplitudes), BLOCK)]

    def render_part(part: NDArray[np.float64]) -> None:
        render(part, basis)

    def render_in_threads() -> None:
        with ThreadPoolExecutor(default_jobs()) as threads:
            list(threads.map(render_part, parts))

    phases: dict[str, dict[str, Callable[[], object]]] = {
        "parsing": {
            "plain": parse_plainly,
            "twobody": lambda: read(raw_data, allow_unconverged=False),
        },
        "rendering": {
            "plain": lambda: np.stack([plain_builder.render(pair) for pair in pairs]),
            "twobody": render_in_threads,
            "twobody, 1 thread": lambda: list(map(render_part, parts)),
        },
    }
    seconds: Seconds = {phase: {name: [] for name in calls} for phase, calls in phases.items()}
    for _ in range(repetitions):
        for phase, calls in phases.items():
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                seconds[phase][name].append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201 - its output
