"""Sends requests to one address and prints what clients saw, as one line of JSON.

load.py URL steady RATE SECONDS   RATE requests a second over kept connections, each started when due whether or not
                                  others have ended: 90 % forecasts of 4 series, 8 % observations read, 2 % written
load.py URL cold CLIENTS          one new connection a client, all asking the same thing at the same moment

An error is a broken connection, no answer within 10 seconds, or a status from 400 on. Nothing is tried again.
"""
import asyncio, collections, json, sys, time
from urllib.parse import urlsplit

TIMEOUT_S = 10
CONNECTIONS_MAX = 200
SERIES = ["a", "b", "c", "d"]


class Broken(Exception):
    """The answer broke off."""


async def ask(reader, writer, method, path, host, body=b""):
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
    writer.write((head + "Content-Type: application/json\r\n\r\n").encode() + body)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    status = int(head[0].split(" ")[1])
    fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
    if "content-length" in fields:
        await reader.readexactly(int(fields["content-length"]))
    elif fields.get("transfer-encoding") == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    elif status not in (204, 304):
        raise Broken("an answer without a length")
    return status, fields.get("connection") == "close"


class Load:
    def __init__(self, url):
        self.at = urlsplit(url)
        self.free, self.seen, self.times, self.said = [], collections.Counter(), [], []
        self.places = asyncio.Semaphore(CONNECTIONS_MAX)

    async def one(self, method, path, body=b""):
        begun = time.perf_counter()
        connection = None
        try:
            async with asyncio.timeout(TIMEOUT_S), self.places:
                connection = self.free.pop() if self.free else await self.connect()
                status, close = await ask(*connection, method, path, self.at.netloc, body)
                if not close:
                    self.free.append(connection)
                    connection = None
            self.seen[status] += 1
            if status >= 400:
                self.said.append(f"{time.strftime('%H:%M:%S')} {status} {method} {path}")
        except (OSError, EOFError, TimeoutError, Broken, asyncio.IncompleteReadError) as error:
            self.seen["broken"] += 1
            self.said.append(f"{time.strftime('%H:%M:%S')} {error!r} {method} {path}")
        finally:
            if connection:
                connection[1].close()
        self.times.append(time.perf_counter() - begun)

    async def connect(self):
        return await asyncio.open_connection(self.at.hostname, self.at.port)

    async def steady(self, rate, seconds):
        begun, tasks = time.perf_counter(), set()
        for n in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, begun + n / rate - time.perf_counter()))
            task = asyncio.create_task(self.one(*question(n)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def cold(self, clients, path):
        self.places = asyncio.Semaphore(clients)
        self.free = [await self.connect() for _ in range(clients)]
        await asyncio.gather(*(self.one("GET", path) for _ in range(clients)))

    def tell(self):
        times = sorted(self.times) or [0.0]
        at = lambda share: round(1000 * times[min(len(times) - 1, int(share * len(times)))], 1)
        errors = sum(count for status, count in self.seen.items() if status == "broken" or status >= 400)
        print(json.dumps({"requests": len(self.times), "errors": errors, "p50_ms": at(0.5), "p95_ms": at(0.95),
                          "p99_ms": at(0.99), "max_ms": at(1), "status": {str(k): v for k, v in self.seen.items()}}))
        for line in self.said[:20]:
            print(line, file=sys.stderr)
        return errors


def question(n):
    """The n-th request; a hundred in a row have the shares that stand above."""
    series, turn = SERIES[n % len(SERIES)], n % 100
    if turn in (13, 63):
        hour = n // 50 % 24
        write = {"valid_time": f"2026-02-09T{hour:02}:00:00Z", "available_at": f"2026-02-09T23:{n // 1200 % 60:02}:00Z",
                 "value": 50 + n % 7}
        return "POST", f"/v1/series/{series}/observations", json.dumps({"observations": [write]}).encode()
    if turn % 12 == 5:
        return "GET", f"/v1/series/{series}/observations?from=2026-02-01T00:00:00Z&to=2026-02-08T00:00:00Z"
    return "GET", f"/v1/series/{series}/forecast?horizon=PT{24 if n % 3 else 12}H"


async def main():
    load = Load(sys.argv[1])
    if sys.argv[2] == "steady":
        await load.steady(float(sys.argv[3]), float(sys.argv[4]))
    else:
        await load.cold(int(sys.argv[3]), "/v1/series/a/forecast?horizon=PT24H&quantiles=0.1,0.5,0.9")
    return load.tell()


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main()) else 0)
