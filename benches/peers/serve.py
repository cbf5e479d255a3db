#!/usr/bin/env python3
"""Several clients at once: kwaya serve beside the server of llama-cpp-python,
and beside its `Llama` called in turn. One engine at a time is asked, by
turns, so that a machine that slows down slows all.

    benches/peers/serve.py MODEL.gguf [--runs 3] [--clients 8] [--tokens 128] [--threads 2]
    benches/peers/serve.py MODEL.gguf --only kwaya --clients 1

Needs the Python package llama-cpp-python[server] 0.3.36; see answers.py. A
client asks for the continuation of a text of its own and takes the likeliest
token each time. Counted are the tokens that came (an answer may end before its
limit), from the first request to the last token. Prints a line of JSON a run.
"""

import argparse
import http.client
import json
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WORDS = """the farmer market rain season maize field water school child road village teacher doctor river house
morning evening people work story long old new small large went came said found saw made took gave had was""".split()


def prompt(number, words):
    """Another text for each number, which no other begins like."""
    chance = random.Random(number)
    return " ".join(chance.choice(WORDS) for _ in range(words))


def ask(port, model, text, tokens):
    """Seconds to the first token and to the last, tokens read, tokens written."""
    body = {"model": model, "prompt": text, "max_tokens": tokens, "temperature": 0, "stream": True,
            "stream_options": {"include_usage": True}}
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise SystemExit(f"{response.status}: {response.read()}")
    first, written, read, last = None, 0, None, begun
    for line in response:
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        now = time.perf_counter()
        if event.get("usage"):
            read, written = event["usage"]["prompt_tokens"], event["usage"]["completion_tokens"]
        elif event["choices"] and event["choices"][0]["text"]:
            first, last = first or now, now
            written += 1
    connection.close()
    return (first or last) - begun, last - begun, read, written


def load(port, model, clients, tokens, words, first):
    """All clients at once."""
    results = [None] * clients

    def client(i):
        results[i] = ask(port, model, prompt(first + i, words), tokens)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return figures(results, time.perf_counter() - begun)


def figures(results, seconds):
    firsts = sorted(result[0] for result in results)
    written = sum(result[3] for result in results)
    return {
        "written": written,
        "read": sum(result[2] or 0 for result in results),
        "seconds": round(seconds, 3),
        "tokens_per_second": round(written / seconds, 1),
        "first_token_median": round(statistics.median(firsts), 3),
        "first_token_p95": round(firsts[max(0, -(-95 * len(firsts) // 100) - 1)], 3),
    }


def cpu(process):
    """Seconds of processor time so far; less moved by what else runs than time is."""
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process):
    for _ in range(1200):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/v1/models")
            return json.loads(connection.getresponse().read())["data"][0]["id"]
        except (OSError, KeyError, ValueError):
            if process.poll() is not None:
                raise SystemExit("the server ended")
            time.sleep(0.05)
    raise SystemExit("the server does not answer")


def kwaya(arguments):
    port = free_port()
    program = arguments.kwaya or ROOT / "target/release/kwaya"
    command = [program, "serve", arguments.model, "--listen", f"127.0.0.1:{port}", "--threads", str(arguments.threads)]
    return port, subprocess.Popen(command, stderr=subprocess.DEVNULL)


def llama_server(arguments):
    port = free_port()
    # Told otherwise, it breaks an answer off when another request comes.
    command = [sys.executable, "-m", "llama_cpp.server", "--model", arguments.model, "--port", str(port),
               "--n_ctx", "2048", "--n_threads", str(arguments.threads), "--n_threads_batch", str(arguments.threads),
               "--interrupt_requests", "False"]
    return port, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


IN_TURN = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from serve import prompt
from llama_cpp import Llama
path, clients, tokens, words, threads, runs = sys.argv[2], *map(int, sys.argv[3:])
model = Llama(path, n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
def once(first):
    results, begun = [], time.perf_counter()
    for i in range(clients):
        first_token, written = None, 0
        text = prompt(first + i, words)
        for piece in model.create_completion(text, max_tokens=tokens, temperature=0, stream=True):
            if piece["choices"][0]["text"]:
                first_token = first_token or time.perf_counter()
                written += 1
        results.append([first_token - begun, time.perf_counter() - begun, len(model.tokenize(text.encode())), written])
    return results, time.perf_counter() - begun
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps(once(int(line))), flush=True)
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--kwaya")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--words", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["kwaya", "llama-server", "llama-in-turn"])
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else ["kwaya", "llama-server", "llama-in-turn"]
    served, in_turn = {}, None
    try:
        for name, start in [("kwaya", kwaya), ("llama-server", llama_server)]:
            if name in names:
                port, process = start(arguments)
                served[name] = (port, process, wait_for(port, process))
        if "llama-in-turn" in names:
            numbers = [arguments.clients, arguments.tokens, arguments.words, arguments.threads, arguments.runs]
            command = [sys.executable, "-c", IN_TURN, str(Path(__file__).parent), arguments.model, *map(str, numbers)]
            in_turn = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            assert in_turn.stdout.readline() == "ready\n"
        for run in range(arguments.runs + 1):
            first = 1000 * run
            for name in names:
                process = in_turn if name == "llama-in-turn" else served[name][1]
                used = cpu(process)
                if name == "llama-in-turn":
                    print(first, file=in_turn.stdin, flush=True)
                    results, seconds = json.loads(in_turn.stdout.readline())
                    result = figures(results, seconds)
                else:
                    port, _, model = served[name]
                    result = load(port, model, arguments.clients, arguments.tokens, arguments.words, first)
                # The first run warms up.
                if run:
                    with open("/proc/loadavg") as loadavg:
                        around = {"cpu_seconds": round(cpu(process) - used, 2), "load": loadavg.read().split()[0]}
                    print(json.dumps({"engine": name, **result, **around}), flush=True)
    finally:
        for _, process, _ in served.values():
            process.terminate()
        if in_turn:
            in_turn.stdin.close()


if __name__ == "__main__":
    main()
