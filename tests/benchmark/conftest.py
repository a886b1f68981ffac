"""What tests of the benchmark share."""

import pytest
from made_up import made_up_pairs

from twobody.benchmark.evaluate import Evaluator


@pytest.fixture(scope="session")
def pairs():
    return made_up_pairs()


@pytest.fixture(scope="session")
def evaluator(pairs):
    return Evaluator(pairs)
