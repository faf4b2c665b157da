"""A sweep with Ray Tune on spot machines: a trial whose machine is lost continues elsewhere from its last checkpoint.

    ray submit raydog.yaml examples/tune/sweep.py -- --storage s3://my-bucket/sweeps

Checkpoints are kept in `--storage`, never on the nodes, whose disks are lost with them. It must be storage that every
node reaches: an object store, or a network file system that the image mounts. docs/examples.md has one for the local
platform. The nodes' image needs `ray[tune]`. The head must not be a spot machine: the sweep's driver runs there.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import ray
from ray import tune

EPOCHS = 24
STEPS = 100
Weights = dict[str, np.ndarray]


def spirals(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points on two spirals, and the spiral (0 or 1) of each."""
    numbers = np.arange(count)
    turn = 1 + 8 * np.modf(numbers * 0.618034)[0]
    angle = turn + np.pi * (numbers % 2)
    return np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1) / 9, numbers % 2


def step(weights: Weights, points: np.ndarray, labels: np.ndarray, rate: float) -> float:
    """Improve a network with one hidden layer by one step of gradient descent; return its loss before."""
    hidden = np.tanh(points @ weights["first"] + weights["bias"])
    guess = 1 / (1 + np.exp(-hidden @ weights["second"]))
    error = (guess - labels) / len(labels)
    back = np.outer(error, weights["second"]) * (1 - hidden**2)
    weights["second"] -= rate * hidden.T @ error
    weights["first"] -= rate * points.T @ back
    weights["bias"] -= rate * back.sum(axis=0)
    return float(-np.log(np.where(labels == 1, guess, 1 - guess) + 1e-9).mean())


def train(config: dict[str, float]) -> None:
    """One trial: begin anew, or after the epoch of the last checkpoint."""
    points, labels = spirals(2_000)
    random = np.random.default_rng(0)
    weights = {"first": random.normal(0, 4, (2, 64)), "bias": random.normal(0, 1, 64), "second": np.zeros(64)}
    done = 0
    if checkpoint := tune.get_checkpoint():
        with checkpoint.as_directory() as directory, np.load(Path(directory, "state.npz")) as state:
            done = int(state["done"])
            weights = {name: state[name] for name in weights}

    for epoch in range(done + 1, EPOCHS + 1):
        for _ in range(STEPS):
            loss = step(weights, points, labels, config["rate"])
        with tempfile.TemporaryDirectory() as directory:
            np.savez(Path(directory, "state.npz"), done=epoch, **weights)
            report = {"loss": loss, "epoch": epoch, "resumed_after": done}
            tune.report(report, checkpoint=tune.Checkpoint.from_directory(directory))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", required=True, help="where checkpoints are kept, such as s3://my-bucket/sweeps")
    arguments = parser.parse_args()

    ray.init(address="auto")
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"rate": tune.grid_search([0.1, 0.3, 1.0])},
        run_config=tune.RunConfig(
            storage_path=arguments.storage,
            # A loss without notice counts as a failure; one that the cloud announces does not.
            failure_config=tune.FailureConfig(max_failures=5),
            verbose=1,
        ),
    )
    results = tuner.fit()
    for result in results:
        last = result.metrics
        print(
            f"rate {last['config']['rate']}: loss {last['loss']:.3f} after {last['epoch']} epochs,"
            f" resumed after epoch {last['resumed_after']}"
        )
    best = results.get_best_result("loss", "min")
    print(f"best rate: {best.metrics['config']['rate']}; failed trials: {results.num_errors}")
    raise SystemExit(1 if results.num_errors else 0)
