"""One measurement: load on one server for some seconds, and what the server spent on it."""

import dataclasses
import json
import os
import re
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
    """h2load's closed loop, one call at a time on each connection. target and load as above."""
    (url, body, headers), (connections, seconds, prefix) = target, load
    log = body + ".latencies"
    if os.path.exists(log):
        os.remove(log)
    fields = [option for name, value in headers.items() for option in ("-H", f"{name}: {value}")]
    options = ["-t1", f"-c{connections}", "-m1", f"-D{seconds}", f"--log-file={log}", "-d", body]
    spent, printed = measured(process, [*prefix, "h2load", *options, *fields, url])
    counts = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", printed)
    answered, *failures = map(int, counts.groups())
    if any(failures) or not answered:
        raise LoadFailed(f"{process.name}: {url}: {counts[0]}")
    # gRPC's faults are 200s that carry no message.
    if re.search(r"\(0\) data", printed):
        raise LoadFailed(f"{process.name}: {url}: the answers carry no message")
    with open(log, encoding="ascii") as lines:
        # Start, status and microseconds of each request.
        latencies = sorted(int(line.split("\t")[2]) for line in lines)
    quantile = lambda part: latencies[min(int(len(latencies) * part), len(latencies) - 1)] / 1e3
    return Figures(spent / answered * 1e6, answered / seconds, quantile(0.5), quantile(0.99))
