"""Processes: started, awaited, weighed and ended."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


def free_ports(count):
    """Ports in a row, free a moment ago."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
        try:
            for at in range(port, port + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", at))
            return port
        except OSError:
            continue


def cores():
    """(the servers' core, the others) as taskset's lists; None where there is but one."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2 or not shutil.which("taskset"):
        return None
    return str(mine[0]), ",".join(map(str, mine[1:]))


def pinned(command, core):
    return ["taskset", "-c", core, *command] if core else command


def answers(port, path):
    """The status of a GET, or None while nothing listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        # Also: a connection to a port of the ephemeral range on which nobody listens yet may meet itself, and hears its own words.
        return None
    finally:
        connection.close()


class Process:
    """A server in a process group of its own."""

    def __init__(self, name, command, log, **options):
        self.name = name
        self._log = open(log, "wb")
        options = {"stdout": self._log, **options}
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=self._log, start_new_session=True, **options)
        self.log = log

    def wait_for(self, port, path, seconds):
        end = time.monotonic() + seconds
        while answers(port, path) != 200:
            if self.child.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"{self.name} did not become ready; see {self.log}")
            time.sleep(0.1)

    def tree(self):
        """The process and all that descend from it."""
        parents = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    parents.setdefault(int(stat.read().rsplit(")", 1)[1].split()[1]), []).append(int(entry))
            except OSError:
                continue
        found = [self.child.pid]
        for pid in found:
            found.extend(parents.get(pid, []))
        return found

    def cpu(self):
        """User and system seconds of the whole tree so far, proc(5)'s fields 14 and 15."""
        total = 0
        for pid in self.tree():
            try:
                with open(f"/proc/{pid}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def resident(self):
        """Resident megabytes of the whole tree."""
        total = 0
        for pid in self.tree():
            try:
                with open(f"/proc/{pid}/statm") as statm:
                    total += int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except OSError:
                continue
        return total / 1e6

    def stop(self, numbers=(signal.SIGTERM, signal.SIGKILL)):
        """SIGTERM, and SIGKILL for what is left of the group after five seconds."""
        for number in numbers:
            try:
                os.killpg(self.child.pid, number)
            except ProcessLookupError:
                break
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                continue
        self._log.close()


def start_to_ready(command, port, log):
    """Milliseconds from exec to a 200 of /readyz."""
    begun = time.monotonic()
    process = Process("modelyard-server", command, log)
    try:
        while answers(port, "/readyz") != 200:
            if process.child.poll() is not None:
                raise RuntimeError(f"modelyard-server did not become ready; see {log}")
            time.sleep(0.0002)
        return (time.monotonic() - begun) * 1e3
    finally:
        # It has nothing to drain.
        process.stop([signal.SIGKILL])
