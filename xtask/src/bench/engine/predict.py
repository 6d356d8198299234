"""LightGBM on the matrices of the engine's benchmark: trains, then times predictions on one thread; prints JSON."""
import json, os, sys, time
import numpy as np
import lightgbm as lgb

folder, columns, trees = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
x = np.fromfile(os.path.join(folder, "features.f32"), dtype="<f4").reshape(-1, columns).astype(np.float64)
y = np.fromfile(os.path.join(folder, "target.f32"), dtype="<f4")
test = np.fromfile(os.path.join(folder, "rows.f32"), dtype="<f4").reshape(-1, columns).astype(np.float64)
levels = [i / 10 for i in range(1, 10)]


def train(level):
    options = dict(objective="quantile", alpha=level, num_leaves=31, learning_rate=0.05, num_threads=1, verbose=-1)
    return lgb.train(options, lgb.Dataset(x, label=y, free_raw_data=False), num_boost_round=trees)


boosters = [train(level) for level in levels]


def fastest(call, rows):
    """CPU seconds of the fastest of several calls."""
    best = float("inf")
    for _ in range(9 if rows < 100_000 else 1):
        times = 200 if rows == 1 else 50 if rows < 100 else 3 if rows < 100_000 else 1
        begin = time.process_time()
        for _ in range(times):
            call()
        best = min(best, (time.process_time() - begin) / times)
    return best


def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")


answer = {"version": lgb.__version__, "one": {}, "nine": {}}
for rows in (1, 24, 1_000, 100_000):
    part = np.ascontiguousarray(test[:rows])
    one = lambda: boosters[4].predict(part, num_threads=1)
    nine = lambda: [booster.predict(part, num_threads=1) for booster in boosters]
    answer["one"][rows] = fastest(one, rows)
    answer["nine"][rows] = fastest(nine, rows)
if hasattr(lgb.basic._LIB, "LGBM_BoosterPredictForMatSingleRowFastInit"):
    # The C interface prepared for single rows, without the library's Python wrapping per call.
    import ctypes
    lib, booster = lgb.basic._LIB, boosters[4]
    config, out, length = ctypes.c_void_p(), np.zeros(1), ctypes.c_int64()
    state = lib.LGBM_BoosterPredictForMatSingleRowFastInit(
        booster._handle, ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_int(1),
        ctypes.c_int32(columns), ctypes.c_char_p(b"num_threads=1"), ctypes.byref(config))
    if state == 0:
        row = np.ascontiguousarray(test[0])
        pointer, target = row.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        call = lambda: lib.LGBM_BoosterPredictForMatSingleRowFast(config, pointer, ctypes.byref(length), target)
        answer["one_row_fast"] = fastest(call, 1)
answer["text_bytes"] = sum(len(booster.model_to_string().encode()) for booster in boosters)
text = [booster.model_to_string() for booster in boosters]
before = resident()
again = [lgb.Booster(model_str=t) for t in text]
answer["resident_bytes"] = resident() - before
answer["nine_pinball"] = 0.0
truth = np.fromfile(os.path.join(folder, "truth.f32"), dtype="<f4")
for level, booster in zip(levels, boosters):
    error = truth - booster.predict(test[: len(truth)], num_threads=1)
    answer["nine_pinball"] += float(np.mean(np.maximum(level * error, (level - 1) * error))) / len(levels)
print(json.dumps(answer))
