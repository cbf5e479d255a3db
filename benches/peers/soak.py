#!/usr/bin/env python3
"""A service under mixed load for a while: clients that ask and listen, that break
off, that send rubbish, and that send and read slowly. Each says what it expects;
whatever else comes is an error of the service.

    benches/peers/soak.py MODEL [--kwaya target/release/kwaya] [--minutes 30] [--clients 12] [--threads 2]
    benches/peers/soak.py MODEL --requests 10000 [--words 20] [--tokens 8]

Prints a line of JSON a minute and one at the end, and exits with 1 when there was
an error or when memory grew. Memory is what is resident beyond the size of the
model's file, in MB (Linux). Needs Python's standard library alone.
"""

import argparse
import asyncio
import collections
import json
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

WORDS = "the farmer market rain season maize field water school child road village teacher doctor river".split()
# The median of memory may differ by so much between the second quarter and the last.
GROWTH_MAX_MB = 4
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
          "required": ["name", "age"], "additionalProperties": False}


class Wrong(Exception):
    """The service did what it should not."""


async def connect(port):
    return await asyncio.open_connection("127.0.0.1", port)


def request(method, path, body=b"", headers=()):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", f"Content-Length: {len(body)}"]
    if body:
        head.append("Content-Type: application/json")
    return "\r\n".join([*head, *headers, "", ""]).encode() + body


async def exchange(port, sent, pace=None):
    """Sends a request and reads the whole answer: status, body."""
    reader, writer = await connect(port)
    try:
        if pace is None:
            writer.write(sent)
            await writer.drain()
        else:
            for start in range(0, len(sent), max(1, len(sent) // 10)):
                writer.write(sent[start:start + max(1, len(sent) // 10)])
                await writer.drain()
                await asyncio.sleep(pace)
        raw = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        raise Wrong(f"no answer: {raw[:80]!r}")
    return int(words[1]), body


class Client:
    def __init__(self, seed, port, model, counts, words, tokens):
        self.chance, self.port, self.model, self.counts = random.Random(seed), port, model, counts
        self.words, self.tokens = words, tokens

    def prompt(self):
        return " ".join(self.chance.choice(WORDS) for _ in range(self.chance.randrange(3, self.words)))

    def chat(self, **more):
        body = {"model": self.model, "messages": [{"role": "user", "content": self.prompt()}],
                "max_tokens": self.chance.randrange(1, self.tokens), "temperature": self.chance.choice([0, 0.8])}
        return request("POST", "/v1/chat/completions", body | more)

    async def expect(self, status, sent, pace=None):
        got, body = await exchange(self.port, sent, pace)
        if got != status:
            raise Wrong(f"{got} instead of {status}: {body[:200]!r}")
        return body

    async def listens(self):
        body = await self.expect(200, self.chat(stream=True))
        if not body.rstrip(b"\r\n0").endswith(b"data: [DONE]"):
            raise Wrong(f"an answer without an end: {body[-100:]!r}")

    async def waits(self):
        answer = json.loads(chunks(await self.expect(200, self.chat())))
        if answer["usage"]["completion_tokens"] < 1:
            raise Wrong("an answer without a token")

    async def fills_in(self):
        form = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
        answer = json.loads(chunks(await self.expect(200, self.chat(response_format=form, max_tokens=200))))
        choice = answer["choices"][0]
        if choice["finish_reason"] == "stop" and set(json.loads(choice["message"]["content"])) != {"name", "age"}:
            raise Wrong(f"not the form that was asked for: {choice}")

    async def embeds(self):
        body = {"model": self.model, "input": [self.prompt() for _ in range(self.chance.randrange(1, 4))]}
        answer = json.loads(chunks(await self.expect(200, request("POST", "/v1/embeddings", body))))
        if len(answer["data"]) != len(body["input"]):
            raise Wrong("a text without its vector")

    async def breaks_off_listening(self):
        reader, writer = await connect(self.port)
        writer.write(self.chat(stream=True, max_tokens=400))
        await writer.drain()
        await reader.read(self.chance.randrange(1, 2000))
        writer.close()

    async def breaks_off_sending(self):
        sent = self.chat()
        _, writer = await connect(self.port)
        writer.write(sent[:self.chance.randrange(1, len(sent))])
        await writer.drain()
        writer.close()

    async def reads_slowly(self):
        reader, writer = await connect(self.port)
        writer.write(self.chat(stream=True))
        await writer.drain()
        for _ in range(40):
            if not await reader.read(64):
                break
            await asyncio.sleep(0.05)
        writer.close()

    async def sends_slowly(self):
        await self.expect(200, self.chat(max_tokens=2), pace=0.1)

    async def sends_rubbish(self):
        noise = self.chance.randbytes(self.chance.randrange(1, 4000))
        model = {"model": self.model}
        path = "/v1/chat/completions"
        status, sent = self.chance.choice([
            (400, request("POST", path, noise)),
            (400, request("POST", path, b'{"model": "\xff"}')),
            (400, request("POST", path, b"[" * 5000)),
            (400, request("POST", path, model | {"messages": []})),
            (400, request("POST", path, model | {"messages": [{"role": "user", "content": "rain " * 100_000}]})),
            (400, request("POST", path, model | {"messages": [{"role": "user", "content": "a"}], "temperature": -1})),
            (404, request("POST", path, {"model": "x", "messages": [{"role": "user", "content": "a"}]})),
            (404, request("GET", "/../../etc/passwd")),
            (405, request("GET", path)),
            (413, request("POST", path, b" " * (2 << 20))),
            (431, request("GET", "/healthz", headers=[f"X-{i}: {'y' * 100}" for i in range(200)])),
        ])
        await self.expect(status, sent)

    async def sends_noise(self):
        reader, writer = await connect(self.port)
        writer.write(self.chance.randbytes(self.chance.randrange(1, 4000)))
        writer.write_eof()
        await reader.read(-1)
        writer.close()

    async def looks(self):
        await self.expect(200, request("GET", self.chance.choice(["/healthz", "/readyz", "/metrics", "/v1/models"])))

    async def run(self, until, only):
        kinds = [self.listens] * 6 + [self.waits] * 4 + [self.embeds] * 2 + [self.fills_in, self.breaks_off_listening,
                 self.breaks_off_sending, self.reads_slowly, self.sends_slowly, self.sends_rubbish, self.sends_rubbish,
                 self.sends_noise, self.looks]
        kinds = [kind for kind in kinds if not only or kind.__name__ in only]
        while not until():
            kind = self.chance.choice(kinds)
            try:
                await asyncio.wait_for(kind(), 300)
                self.counts[kind.__name__] += 1
            except (ConnectionResetError, BrokenPipeError) as error:
                # Whoever sends too much may be cut off while sending it.
                if kind not in (self.sends_rubbish, self.sends_noise, self.breaks_off_sending):
                    self.wrong(kind, error)
                else:
                    self.counts[kind.__name__] += 1
            except (Wrong, OSError, ValueError, KeyError, asyncio.TimeoutError) as error:
                self.wrong(kind, error)

    def wrong(self, kind, error):
        self.counts["wrong"] += 1
        print(json.dumps({"wrong": kind.__name__, "error": f"{type(error).__name__}: {error}"[:300]}), flush=True)


def chunks(body):
    """A body without its chunks, if it came in such."""
    if body[:1] in (b"{", b"["):
        return body
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        size = int(size or b"0", 16)
        whole, body = whole + body[:size], body[size + 2:]
    return whole


def resident_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--kwaya", default="target/release/kwaya")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--words", type=int, default=120, help="the most of a question")
    parser.add_argument("--tokens", type=int, default=48, help="the most of an answer, but where a kind asks for more")
    parser.add_argument("--kinds", nargs="*", help="these kinds of clients alone")
    wanted = parser.parse_args()
    command = [wanted.kwaya, "serve", wanted.model, "--listen", "127.0.0.1:0", "--threads", str(wanted.threads),
               "--rate", "1000000", "--name", "soaked"]
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    port = None
    for line in service.stderr:
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "listening" or "address" in event:
            port = int(event["address"].rsplit(":", 1)[1])
            break
    if port is None:
        raise SystemExit("the service did not start")
    # Nobody reads the log; it must not fill its pipe.
    asyncio.get_running_loop().run_in_executor(None, lambda: collections.deque(service.stderr, maxlen=0))
    file = Path(wanted.model)
    weights = file.stat().st_size if file.is_file() else (file / "model.safetensors").stat().st_size
    above = lambda: round(resident_mb(service.pid) - weights / 1e6, 1)
    counts, begun, samples = collections.Counter(), time.monotonic(), []
    done = lambda: sum(counts.values())
    seconds = lambda: time.monotonic() - begun
    over = lambda: done() >= wanted.requests if wanted.requests else seconds() >= 60 * wanted.minutes
    print(json.dumps({"idle_mb": above()}), flush=True)
    clients = (Client(seed, port, "soaked", counts, wanted.words, wanted.tokens).run(over, wanted.kinds)
               for seed in range(wanted.clients))
    load = asyncio.gather(*clients)
    told = 0
    while not load.done():
        await asyncio.wait([load], timeout=5)
        if service.poll() is not None:
            raise SystemExit(f"the service ended with {service.returncode}")
        samples.append(above())
        if seconds() // 60 > told:
            told = seconds() // 60
            print(json.dumps({"minute": int(told), "requests": done(), "wrong": counts["wrong"], "mb": samples[-1]}),
                  flush=True)
    # A service that nobody asks gives memory back.
    await asyncio.sleep(8)
    after = above()
    service.send_signal(signal.SIGTERM)
    code = service.wait(90)
    quarter = max(1, len(samples) // 4)
    # The highest of each depends on who asks at that moment.
    grown = round(statistics.median(samples[-quarter:]) - statistics.median(samples[quarter:2 * quarter] or samples), 1)
    result = {"minutes": round(seconds() / 60, 1), "requests": done(), "wrong": counts["wrong"], "peak_mb": max(samples),
              "after_mb": after, "grown_mb": grown, "exit": code, "kinds": dict(sorted(counts.items()))}
    print(json.dumps(result), flush=True)
    return 1 if counts["wrong"] or code or grown > GROWTH_MAX_MB else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
