"""One measurement: load on one server for some seconds, and what the server spent on it."""

import dataclasses
import json
import os
import subprocess


@dataclasses.dataclass(frozen=True)
class Figures:
    """Of one round. CPU in microseconds per request answered, latencies in milliseconds."""

    cpu: float
    rate: float
    p50: float
    p99: float


class LoadFailed(Exception):
    """The load generator failed, or the server did."""


def measured(process, command):
    before = process.cpu()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    spent = process.cpu() - before
    if done.returncode != 0:
        raise LoadFailed(f"{process.name}: {command[0]} failed: {(done.stderr or done.stdout).strip()}")
    return spent, done.stdout


def http(process, target, load):
    """wrk's closed loop. target: (url, body file, headers); load: (connections, seconds, prefix)."""
    (url, body, headers), (connections, seconds, prefix) = target, load
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "post.lua")
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", script]
    fields = [f"{name}:{value}" for name, value in headers.items()]
    spent, printed = measured(process, [*prefix, "wrk", *options, url, "--", body, *fields])
    said = json.loads(printed.strip().splitlines()[-1])
    if said["failed"] or not said["answered"]:
        raise LoadFailed(f"{process.name}: {url}: {said['failed']} requests failed, {said['answered']} were answered")
    return Figures(spent / said["answered"] * 1e6, said["answered"] / said["seconds"], said["p50"], said["p99"])


def grpc(process, target, load):
    """modelyard bench's closed loop. target: (client, url, rows); load as above."""
    (client, url, rows), (connections, seconds, prefix) = target, load
    options = ["--protocol", "grpc", "--batch", str(rows), "--concurrency", str(connections)]
    timing = ["--duration", str(seconds), "--warm-up", "0", "--output", "json"]
    spent, printed = measured(process, [*prefix, client, "bench", "mnist", "--url", url, *options, *timing])
    said = json.loads(printed)
    if said["failed"] or not said["answered"]:
        raise LoadFailed(f"{process.name}: gRPC: {said['failures']}")
    latency = said["latency_ms"]
    return Figures(spent / said["answered"] * 1e6, said["requests_per_second"], latency["p50"], latency["p99"])
