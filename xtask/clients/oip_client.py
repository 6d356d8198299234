"""Asks a running server with tritonclient's default settings; every call must pass. Started by `cargo xtask clients`."""

import argparse
import asyncio
import json
import queue
import sys
import urllib.request

import numpy as np
import tritonclient.grpc as rpc
import tritonclient.grpc.aio as rpc_aio
import tritonclient.http as rest
import tritonclient.http.aio as rest_aio
from tritonclient.utils import InferenceServerException

DONE = []


def check(name, holds, seen=""):
    DONE.append(bool(holds))
    print(f"{'pass' if holds else 'FAIL'}  {name}  {seen}", flush=True)


def refused(name, call, part):
    try:
        call()
    except InferenceServerException as error:
        check(name, part in error.message(), error.message()[:90])
    else:
        check(name, False, "was not refused")


def tensor(kind, name, values):
    datatype = {"i": "INT64", "f": "FP32", "d": "FP64", "O": "BYTES"}[
        values.dtype.kind if values.dtype != np.float64 else "d"
    ]
    made = kind.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values)
    return made


def expected(address, series, hours):
    url = f"http://{address}/v1/series/{series}/forecast?horizon=PT{hours}H"
    with urllib.request.urlopen(url, timeout=30) as answer:
        points = json.load(answer)["points"]
    means = np.array([point["mean"] for point in points])
    quantiles = np.array([list(point["quantiles"].values()) for point in points])
    return means, quantiles


def registry(kind, client, word, series, rows):
    def value(answer, *path):
        for part in path:
            answer = answer[part] if isinstance(answer, dict) else getattr(answer, part)
        return answer

    check(f"{word} server live, ready", client.is_server_live() and client.is_server_ready())
    check(f"{word} model ready", client.is_model_ready(series) and client.is_model_ready(rows))
    check(f"{word} model not ready", not client.is_model_ready("no-such-model"))
    check(f"{word} server metadata", value(client.get_server_metadata(), "name") == "forewatt")
    about = client.get_model_metadata(series)
    check(f"{word} model metadata", value(about, "name") == series, f"versions {list(value(about, 'versions'))}")
    config = client.get_model_config(rows)
    config = config if isinstance(config, dict) else config.config
    check(f"{word} model config", value(config, "name") == rows)
    index = client.get_model_repository_index()
    index = index if isinstance(index, list) else index.models
    check(f"{word} repository index", {value(one, "name") for one in index} >= {series, rows}, f"{len(index)} models")
    client.load_model(series)
    client.unload_model(series)
    check(f"{word} load, unload", client.is_model_ready(series))
    stats = client.get_inference_statistics(series)
    stats = stats["model_stats"] if isinstance(stats, dict) else stats.model_stats
    check(f"{word} statistics", value(stats[0], "name") == series, f"count {value(stats[0], 'inference_count')}")
    stats = client.get_inference_statistics()
    check(f"{word} statistics of all", stats is not None)


def questions(kind, client, word, address, series, rows, columns):
    means, quantiles = expected(address, series, 24)
    horizon = tensor(kind, "horizon", np.array([24], dtype=np.int64))
    named = tensor(kind, "series", np.array([series.encode()], dtype=np.object_))
    answer = client.infer(series, [named, horizon])
    check(f"{word} infer, defaults", np.array_equal(answer.as_numpy("mean"), means), f"{means[:3]}")
    check(f"{word} infer, quantiles", np.array_equal(answer.as_numpy("quantiles"), quantiles), f"{quantiles.shape}")
    check(f"{word} infer, timestamps", len(answer.as_numpy("timestamps")) == 24)
    wish = [kind.InferRequestedOutput("levels"), kind.InferRequestedOutput("mean")]
    more = {"request_id": "q-1", "priority": 1, "timeout": 20_000_000}
    answer = client.infer(series, [horizon], outputs=wish, **more)
    check(f"{word} infer, outputs, id, timeout", np.array_equal(answer.as_numpy("mean"), means))
    check(f"{word} infer, output left out", answer.as_numpy("quantiles") is None)
    levels = tensor(kind, "quantiles", np.array([0.05, 0.95]))
    answer = client.infer(series, [horizon, levels], model_version="1")
    check(f"{word} infer, version and levels", answer.as_numpy("quantiles").shape == (24, 2))
    features = tensor(kind, "features", np.full((5, columns), 50.0, dtype=np.float32))
    answer = client.infer(rows, [features])
    check(f"{word} infer, features", answer.as_numpy("quantiles").shape[0] == 5, f"{answer.as_numpy('mean')[:2]}")
    refused(f"{word} unknown model", lambda: client.infer("no-such-model", [horizon]), "no model")
    wrong = tensor(kind, "horizn", np.array([24], dtype=np.int64))
    refused(f"{word} unknown input", lambda: client.infer(series, [wrong]), "horizn")
    return means


def over_http(address, series, rows, columns):
    client = rest.InferenceServerClient(address)
    registry(rest, client, "http", series, rows)
    means = questions(rest, client, "http", address, series, rows, columns)
    horizon = rest.InferInput("horizon", [1], "INT64")
    horizon.set_data_from_numpy(np.array([24], dtype=np.int64), binary_data=False)
    wish = [rest.InferRequestedOutput("mean", binary_data=False)]
    answer = client.infer(series, [horizon], outputs=wish)
    check("http infer, all JSON", np.array_equal(answer.as_numpy("mean"), means))
    horizon.set_data_from_numpy(np.array([24], dtype=np.int64))
    for packed in ["gzip", "deflate"]:
        answer = client.infer(
            series, [horizon], request_compression_algorithm=packed, response_compression_algorithm=packed
        )
        check(f"http infer, {packed}", np.array_equal(answer.as_numpy("mean"), means))
    waiting = client.async_infer(series, [horizon])
    check("http async infer", np.array_equal(waiting.get_result().as_numpy("mean"), means))
    client.close()

    async def asynchronous():
        async with rest_aio.InferenceServerClient(address) as client:
            answer = await client.infer(series, [horizon])
            check("http aio infer", np.array_equal(answer.as_numpy("mean"), means))

    asyncio.run(asynchronous())


def over_grpc(address, rpc_address, series, rows, columns):
    client = rpc.InferenceServerClient(rpc_address)
    registry(rpc, client, "grpc", series, rows)
    means = questions(rpc, client, "grpc", address, series, rows, columns)
    horizon = tensor(rpc, "horizon", np.array([24], dtype=np.int64))
    answers = queue.Queue()
    client.start_stream(callback=lambda result, error: answers.put((result, error)))
    client.async_stream_infer(series, [horizon])
    client.async_stream_infer("no-such-model", [horizon])
    client.async_stream_infer(series, [horizon])
    seen = [answers.get(timeout=30) for _ in range(3)]
    client.stop_stream()
    good = all(error is None and np.array_equal(r.as_numpy("mean"), means) for r, error in (seen[0], seen[2]))
    check("grpc stream infer", good and seen[1][1] is not None, seen[1][1])
    client.async_infer(series, [horizon], callback=lambda result, error: answers.put((result, error)))
    result, error = answers.get(timeout=30)
    check("grpc async infer", error is None and np.array_equal(result.as_numpy("mean"), means))
    refused("grpc client timeout", lambda: client.infer(series, [horizon], client_timeout=1e-6), "Deadline")
    client.close()

    async def asynchronous():
        async with rpc_aio.InferenceServerClient(rpc_address) as client:
            answer = await client.infer(series, [tensor(rpc_aio, "horizon", np.array([24], dtype=np.int64))])
            check("grpc aio infer", np.array_equal(answer.as_numpy("mean"), means))

    asyncio.run(asynchronous())


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--http", required=True)
    arguments.add_argument("--grpc")
    arguments.add_argument("--series", required=True)
    arguments.add_argument("--rows", required=True)
    told = arguments.parse_args()
    about = rest.InferenceServerClient(told.http).get_model_metadata(told.rows)
    columns = about["inputs"][0]["shape"][1]
    over_http(told.http, told.series, told.rows, columns)
    over_grpc(told.http, told.grpc or told.http, told.series, told.rows, columns)
    print(f"{sum(DONE)} of {len(DONE)} calls passed")
    return 0 if all(DONE) else 1


if __name__ == "__main__":
    sys.exit(main())
