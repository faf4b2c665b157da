"""Batch inference with Ray Data: models on the workers label 100,000 points, and the labels become Parquet files.

    ray submit raydog.yaml examples/data/batch_inference.py
    ray submit raydog.yaml examples/data/batch_inference.py -- --output s3://my-bucket/labels

Nodes have no common file system, so `--output` is storage that all nodes reach. Without it only the summary is printed.
The nodes' image needs `ray[data]`.
"""

import argparse
from collections import Counter

import numpy as np
import ray
from pyarrow.fs import FileSystem

POINTS = 100_000
MODELS = 2
Batch = dict[str, np.ndarray]


def spirals(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points on two spirals, and the spiral (0 or 1) of each; the same numbers give the same points."""
    spiral = numbers % 2
    turn = 1 + 8 * np.modf(numbers * 0.618034)[0]
    angle = turn + np.pi * spiral
    return np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1), spiral


def read(batch: Batch) -> Batch:
    """Stand for your input, such as `ray.data.read_parquet("s3://my-bucket/points")`."""
    points, spiral = spirals(batch["id"])
    return {"point": points, "spiral": spiral}


class Model:
    """The label of the nearest known point. Ray Data creates one object per actor, so a large model is loaded once."""

    def __init__(self) -> None:
        self.known, self.labels = spirals(np.arange(300))

    def __call__(self, batch: Batch) -> Batch:
        """Label a batch."""
        distances = ((batch["point"][:, None, :] - self.known[None, :, :]) ** 2).sum(axis=2)
        batch["label"] = self.labels[distances.argmin(axis=1)]
        batch["node"] = np.full(len(batch["label"]), ray.util.get_node_ip_address())
        return batch


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", help="directory for the Parquet files, such as s3://my-bucket/labels")
    output = parser.parse_args().output

    ray.init(address="auto")
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=MODELS)  # it grows when tasks that read free their CPUs
    labelled = ray.data.range(POINTS).map_batches(read).map_batches(Model, compute=pool, batch_size=5_000).materialize()
    if output:
        filesystem, path = FileSystem.from_uri(output)
        labelled.write_parquet(path, filesystem=filesystem)

    right, nodes = 0, Counter[str]()
    for batch in labelled.iter_batches(batch_size=None):
        right += int((batch["label"] == batch["spiral"]).sum())
        nodes.update(batch["node"].tolist())
    print(f"labelled {labelled.count()} points, {right / POINTS:.1%} of them right, on {len(nodes)} worker(s)")
