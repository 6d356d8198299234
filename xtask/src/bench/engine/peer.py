"""Trains LightGBM on a matrix of `cargo xtask bench engine`; one line of JSON tells what it cost and how well it foretold.

Usage: peer.py FOLDER STEM quantiles|mean THREADS TREES
"""

import json
import os
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads must not count as work

import lightgbm
import numpy

COUNTS = [100, 200, 300, 400, 600]
LEVELS = [i / 10 for i in range(1, 10)]


def read(folder, stem, part):
    with open(f"{folder}/{stem}.json") as file:
        columns = json.load(file)["columns"]
    x = numpy.fromfile(f"{folder}/{stem}.{part}.x.f32", "<f4").reshape(-1, len(columns))
    return x, numpy.fromfile(f"{folder}/{stem}.{part}.y.f32", "<f4")


def spent():
    return numpy.array([time.process_time(), time.perf_counter()])


def fit(data, threads, counts, objective):
    """One model and what it had cost after each number of trees."""
    marks = {}
    begin = spent()

    def mark(env):
        if env.iteration + 1 in counts:
            marks[env.iteration + 1] = spent() - begin

    settings = {"num_threads": threads, "learning_rate": 0.05, "num_leaves": 31, "verbosity": -1, **objective}
    return lightgbm.train(settings, data, num_boost_round=counts[-1], callbacks=[mark]), marks


def main():
    folder, stem, job, threads, trees = sys.argv[1:]
    threads = int(threads)
    counts = [count for count in COUNTS if count <= int(trees)]
    (x, y), (fresh, actual) = read(folder, stem, "train"), read(folder, stem, "test")
    begin = spent()
    data = lightgbm.Dataset(x, y, params={"num_threads": threads, "verbosity": -1}, free_raw_data=False)
    data.construct()  # once for all models
    binning = spent() - begin
    if job == "quantiles":
        objectives = [{"objective": "quantile", "alpha": level} for level in LEVELS]
    else:
        objectives = [{"objective": "regression"}]
    models = [fit(data, threads, counts, objective) for objective in objectives]
    rows = []
    for count in counts:
        cpu, wall = binning + sum(marks[count] for _, marks in models)
        values = numpy.stack([model.predict(fresh, num_iteration=count) for model, _ in models], 1)
        if job == "quantiles":
            error = actual[:, None] - numpy.sort(values, 1)  # in order, as ours are
            levels = numpy.array(LEVELS)
            loss = numpy.maximum(levels * error, (levels - 1) * error).mean()
        else:
            loss = numpy.sqrt(((actual - values[:, 0]) ** 2).mean())
        rows.append({"trees": count, "cpu_s": cpu, "wall_s": wall, "loss": float(loss)})
    print(json.dumps({"version": lightgbm.__version__, "rows": rows}))


main()
