"""The probe: a ridge or a Gaussian process whose choices no tested sample takes part in."""

import numpy as np
import pytest

from twobody.transfer import probe
from twobody.transfer.probe import RIDGE, RIDGE_OR_GP, Probe, leave_one_out


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (25, 4))
    return x, x @ [1.0, -2.0, 0.0, 0.5] + rng.normal(0, 0.3, 25) + 7


def ridge(x, y, strength, new):
    """Solve the normal equations with a constant that is not penalised."""
    design = np.column_stack([x, np.ones(len(x))])
    penalty = strength * x.shape[1] * np.diag([*np.ones(x.shape[1]), 0.0])
    weights = np.linalg.solve(design.T @ design + penalty, design.T @ y)
    return np.column_stack([new, np.ones(len(new))]) @ weights


def gaussian_process(x, y, strength, width, new):
    """Minimise |y - c - K a|^2 / s + a K a over a and the constant c."""

    def kernel(a, b):
        squares = ((a[:, None] - b) ** 2).sum(axis=2)
        return np.exp(-squares / (2 * a.shape[1] * width**2))

    n = len(x)
    system = np.block(
        [
            [kernel(x, x) + strength * np.eye(n), np.ones((n, 1))],
            [np.ones((1, n)), np.zeros((1, 1))],
        ]
    )
    *weights, constant = np.linalg.solve(system, [*y, 0.0])
    return kernel(new, x) @ weights + constant


def test_the_linear_probe_is_a_ridge(monkeypatch, data):
    x, y = data
    monkeypatch.setattr(probe, "STRENGTHS", (0.1,))
    new = np.random.default_rng(1).normal(size=(5, 4))
    fitted = Probe.fit(x, y, RIDGE, scaled=False)
    assert fitted.predict(new) == pytest.approx(ridge(x, y, 0.1, new), rel=1e-9)
    scaled = Probe.fit(x, y, RIDGE)
    z, z_new = ((a - x.mean(axis=0)) / x.std(axis=0) for a in (x, new))
    assert scaled.predict(new) == pytest.approx(ridge(z, y, 0.1, z_new), rel=1e-9)


def test_the_other_probe_is_the_mean_of_a_gaussian_process(monkeypatch, data):
    x, y = data
    monkeypatch.setattr(probe, "STRENGTHS", (0.1,))
    new = np.random.default_rng(1).normal(3, 2, (5, 4))
    fitted = Probe.fit(x, y, (2.0,), scaled=False)
    assert fitted.predict(new) == pytest.approx(gaussian_process(x, y, 0.1, 2.0, new), rel=1e-7)


@pytest.mark.parametrize("width", [0.0, 2.0])
def test_leave_one_out_residuals_are_those_of_refits(monkeypatch, data, width):
    x, y = data
    monkeypatch.setattr(probe, "STRENGTHS", (0.1,))
    rows = np.arange(len(y))
    refits = []
    for i in rows:
        others = rows != i
        # The strength of the ridge is per column: the same for all refits.
        fit = ridge if width == 0 else gaussian_process
        arguments = (0.1,) if width == 0 else (0.1, width)
        refits.append(abs(fit(x[others], y[others], *arguments, x[[i]])[0] - y[i]))
    found = Probe.fit(x, y, (width,), scaled=False).loo
    assert found == pytest.approx(np.mean(refits), rel=1e-7)


def test_the_choice_is_that_of_the_least_residual(data):
    x, _ = data
    curved = np.sin(x[:, 0]) + np.cos(x[:, 1])
    by_width = {w: Probe.fit(x, curved, (w,)).loo for w in RIDGE_OR_GP}
    chosen = Probe.fit(x, curved, RIDGE_OR_GP)
    assert chosen.loo == min(by_width.values())
    assert chosen.width == min(by_width, key=by_width.get)
    assert Probe.fit(x, x[:, 0], RIDGE_OR_GP).width == 0.0


def test_a_sample_has_no_part_in_its_own_prediction(data):
    x, y = data
    before = leave_one_out(x, y, RIDGE_OR_GP)
    y[3] += 1000.0
    after = leave_one_out(x, y, RIDGE_OR_GP)
    assert after[3] == before[3]
    assert not np.isclose(after[4], before[4])


def test_without_information_the_mean_is_predicted():
    y = np.array([1.0, 2.0, 6.0])
    constant = np.ones((3, 2))
    assert Probe.fit(constant, y).predict(np.zeros((2, 2))) == pytest.approx([3.0, 3.0])
    assert leave_one_out(np.empty((3, 0)), y) == pytest.approx([4.0, 3.5, 1.5])


def test_a_missing_value_counts_as_the_mean_of_its_column(data):
    x, y = data
    x[0, 1] = np.nan
    filled = x.copy()
    filled[0, 1] = np.nanmean(x[:, 1])
    # The spread is that of the known values alone.
    mean, spread = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    found = Probe.fit(x, y).predict(x)
    expected = Probe.fit((filled - mean) / spread, y, scaled=False).predict(
        (filled - mean) / spread
    )
    assert found == pytest.approx(expected, rel=1e-9)
