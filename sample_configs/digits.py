"""Handwritten digits by decision trees, with scikit-learn: the program that `digits.toml` searches.

It knows nothing of the search: settings come as arguments, metrics go out as JSON lines. One with a step is part of a
curve, the last one is the result.
"""

import argparse
import json

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split


def main() -> None:
    """Grow the forest tree by tree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trees", type=int, default=10)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--min-leaf", type=int, default=1)
    parser.add_argument("--features", default="sqrt")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()

    images, digits = load_digits(return_X_y=True)
    train, held_out, labels, truth = train_test_split(images, digits, test_size=0.5, random_state=0)
    forest = RandomForestClassifier(
        0,
        max_depth=asked.depth,
        min_samples_leaf=asked.min_leaf,
        max_features=None if asked.features == "all" else asked.features,
        random_state=asked.seed,
        warm_start=True,
    )
    accuracy = 0.0
    for trees in range(1, asked.trees + 1):
        forest.n_estimators = trees
        accuracy = forest.fit(train, labels).score(held_out, truth)
        print(json.dumps({"step": trees, "accuracy": accuracy}))
    nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
    print(json.dumps({"accuracy": accuracy, "nodes": nodes}))


if __name__ == "__main__":
    main()
