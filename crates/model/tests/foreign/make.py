"""Makes models with LightGBM and XGBoost, and what the libraries themselves answer with them.

    python make.py golden          writes the small models and answers beside this file
    python make.py random 400 1    prints 400 random models from seed 1, one JSON object a line

A line has `name`, `library`, `model` (the file in hex), `levels`, `rows` and `answers`; null stands for NaN, and
"inf" and "-inf" for the infinities. Golden models are two files: NAME.txt, .json or .ubj, and NAME.answers.json.
"""

import json
import pathlib
import sys

import lightgbm
import numpy as np
import xgboost

HERE = pathlib.Path(__file__).parent
LIGHTGBM_OBJECTIVES = ["regression", "regression_l1", "huber", "fair", "quantile", "poisson", "tweedie", "gamma", "mape"]
XGBOOST_OBJECTIVES = ["reg:squarederror", "reg:absoluteerror", "reg:quantileerror", "reg:tweedie", "count:poisson",
                      "reg:gamma", "reg:pseudohubererror"]


def data(rng, rows, columns, categories, zeros, missing):
    x = rng.normal(size=(rows, columns)) * rng.choice([1e-3, 1.0, 50.0], size=columns)
    x[:, -1] = rng.integers(0, categories, rows)
    x[:, -2] = np.round(x[:, -2])
    x[rng.random(x.shape) < zeros] = 0.0
    effect = rng.normal(size=categories)
    scale = np.abs(x[:, :-1]).mean(axis=0) + 1e-9
    y = (x[:, :-1] / scale) @ rng.normal(size=columns - 1) + effect[x[:, -1].astype(int)] + rng.normal(size=rows) * 0.3
    x[rng.random(x.shape) < missing] = np.nan
    return x, y - y.min() + 0.1


def awkward(rng, x, thresholds, rows):
    """Rows like the data, with values on and beside thresholds, and such as no feature should have."""
    picked = x[rng.integers(0, len(x), rows)].copy()
    odd = [np.nan, 0.0, -0.0, 1e-36, -1e-36, 1e-35, 2e-35, -1.0, -0.5, 0.5, 2.5, 63.0, 64.0, 1e6, 3e9, -3e9, 1e30, -1e30]
    for (i, j) in np.ndindex(picked.shape):
        die = rng.random()
        if die < 0.25 and thresholds[j]:
            t = rng.choice(thresholds[j])
            picked[i, j] = rng.choice([t, np.nextafter(t, 1e300), np.nextafter(t, -1e300)])
        elif die < 0.4:
            picked[i, j] = rng.choice(odd)
    return picked


def lightgbm_case(rng, i, small=False, **fixed):
    columns, categories = int(rng.integers(3, 8)), int(rng.choice([4, 12, 70]))
    x, y = data(rng, 200 if small else 400, columns, categories, rng.choice([0, 0.3]), rng.choice([0, 0.15]))
    params = dict(
        objective=str(rng.choice(LIGHTGBM_OBJECTIVES)), boosting=str(rng.choice(["gbdt", "gbdt", "dart", "rf"])),
        num_leaves=int(rng.choice([2, 5, 31])), use_missing=bool(rng.random() < 0.8),
        zero_as_missing=bool(rng.random() < 0.3), alpha=float(rng.choice([0.1, 0.5, 0.9])), min_data_in_leaf=5,
        bagging_freq=1, bagging_fraction=0.7, reg_sqrt=bool(rng.random() < 0.2), max_cat_to_onehot=int(rng.choice([1, 4])),
        min_data_per_group=5, cat_smooth=1.0, learning_rate=0.2, seed=int(i) + 1, num_threads=1, verbose=-1,
        deterministic=True)
    params.update(fixed)
    if params["reg_sqrt"] and params["objective"] != "regression":
        params["reg_sqrt"] = False
    rounds = 6 if small else int(rng.integers(1, 40))
    booster = lightgbm.train(params, lightgbm.Dataset(x, y, categorical_feature=[columns - 1]), rounds)
    text = booster.model_to_string()
    thresholds = [[] for _ in range(columns)]
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "split_feature":
            features = [int(v) for v in value.split()]
        if key == "threshold":
            for feature, threshold in zip(features, value.split()):
                thresholds[feature].append(float(threshold))
    rows = awkward(rng, x, thresholds, 20 if small else 40)
    answers = booster.predict(rows, num_threads=1).reshape(len(rows), -1)
    levels = [params["alpha"]] if params["objective"] == "quantile" else []
    return dict(library=f"lightgbm {lightgbm.__version__}", model=text.encode(), ending="txt", levels=levels,
                rows=rows, answers=answers, params=params)


def xgboost_case(rng, i, small=False, ending=None, **fixed):
    columns, categories = int(rng.integers(3, 8)), int(rng.choice([4, 12, 70]))
    x, y = data(rng, 200 if small else 400, columns, categories, rng.choice([0, 0.3]), rng.choice([0, 0.15]))
    x = x.astype(np.float32)
    params = dict(
        objective=str(rng.choice(XGBOOST_OBJECTIVES)), booster=str(rng.choice(["gbtree", "gbtree", "dart", "gblinear"])),
        max_depth=int(rng.choice([1, 3, 6])), eta=0.3, subsample=0.8, tree_method=str(rng.choice(["hist", "approx"])),
        max_cat_to_onehot=int(rng.choice([1, 8])), rate_drop=0.3, seed=int(i) + 1, nthread=1, verbosity=0)
    if rng.random() < 0.3:
        params["base_score"] = float(rng.choice([0.5, 3.0]))
    if rng.random() < 0.2:
        params["num_parallel_tree"] = 2
    params.update(fixed)
    if params["booster"] == "gblinear":
        params = {k: v for k, v in params.items() if k in ("objective", "booster", "eta", "seed", "nthread", "base_score")}
        if params["objective"] in ("reg:quantileerror", "reg:absoluteerror"):
            params["objective"] = "reg:squarederror"
    levels = []
    if params["objective"] == "reg:quantileerror":
        levels = [[0.1, 0.5, 0.9], [0.3], [0.05, 0.95]][int(rng.integers(0, 3))]
        params["quantile_alpha"] = levels
    kinds = ["q"] * (columns - 1) + ["c"]
    names = [f"feature {j}" for j in range(columns)] if rng.random() < 0.7 else None
    matrix = lambda v, label=None: xgboost.DMatrix(v, label, feature_names=names, feature_types=kinds, enable_categorical=True)
    if params["booster"] == "gblinear":
        kinds = ["q"] * columns
    booster = xgboost.train(params, matrix(x, y), 5 if small else int(rng.integers(1, 30)))
    document = json.loads(bytes(booster.save_raw("json")))
    thresholds = [[] for _ in range(columns)]
    model = document["learner"]["gradient_booster"]
    for tree in model.get("gbtree", model).get("model", {}).get("trees", []):
        for left, feature, value, kind in zip(
                tree["left_children"], tree["split_indices"], tree["split_conditions"], tree["split_type"]):
            if left != -1 and kind == 0:
                thresholds[feature].append(np.float32(value))
    rows = awkward(rng, x, thresholds, 20 if small else 40).astype(np.float32)
    rows[:, -1] = np.where(np.abs(rows[:, -1]) > 1e7, 1e6, rows[:, -1])  # XGBoost refuses larger categories
    rows[:, -1] = np.where((rows[:, -1] < 0) & (kinds[-1] == "c"), 0, rows[:, -1])  # and negative ones
    answers = booster.predict(matrix(rows)).reshape(len(rows), -1)
    ending = ending or str(rng.choice(["json", "ubj"]))
    return dict(library=f"xgboost {xgboost.__version__}", model=bytes(booster.save_raw(ending)), ending=ending, levels=levels,
                rows=rows, answers=answers, params=params)


def plain(values):
    def one(v):
        v = float(v)
        return None if np.isnan(v) else v if np.isfinite(v) else str(v)
    return [[one(v) for v in row] for row in values]


def described(name, case):
    return dict(name=name, library=case["library"], levels=case["levels"], rows=plain(case["rows"]),
                answers=plain(case["answers"]))


def random(count, seed):
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        case = (lightgbm_case if i % 2 == 0 else xgboost_case)(rng, i)
        name = f"{i} {case['ending']} {case['params']}"
        print(json.dumps(dict(described(name, case), model=case["model"].hex())), flush=True)


GOLDEN = {
    "lightgbm_regression": (lightgbm_case, dict(objective="regression", boosting="gbdt", num_leaves=5, reg_sqrt=False)),
    "lightgbm_sqrt_zero_as_missing": (lightgbm_case, dict(
        objective="regression", boosting="dart", num_leaves=5, reg_sqrt=True, zero_as_missing=True, use_missing=True)),
    "lightgbm_quantile_no_missing": (lightgbm_case, dict(
        objective="quantile", alpha=0.9, boosting="gbdt", num_leaves=5, use_missing=False)),
    "lightgbm_forest_l1": (lightgbm_case, dict(objective="regression_l1", boosting="rf", num_leaves=5)),
    "lightgbm_tweedie": (lightgbm_case, dict(objective="tweedie", boosting="gbdt", num_leaves=4)),
    "xgboost_squared": (xgboost_case, dict(objective="reg:squarederror", booster="gbtree", max_depth=3, ending="json")),
    "xgboost_quantiles": (xgboost_case, dict(objective="reg:quantileerror", booster="gbtree", max_depth=2, ending="ubj")),
    "xgboost_poisson_dart": (xgboost_case, dict(objective="count:poisson", booster="dart", max_depth=2, ending="json")),
    "xgboost_linear": (xgboost_case, dict(objective="reg:squarederror", booster="gblinear", ending="ubj")),
}


def golden():
    for i, (name, (make, fixed)) in enumerate(GOLDEN.items()):
        case = make(np.random.default_rng([7, i]), i, small=True, **fixed)
        (HERE / f"{name}.{case['ending']}").write_bytes(case["model"])
        (HERE / f"{name}.answers.json").write_text(json.dumps(described(name, case)) + "\n")


if sys.argv[1] == "golden":
    golden()
else:
    random(int(sys.argv[2]), int(sys.argv[3]))
