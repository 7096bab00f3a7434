"""What is measured, built: for this machine's level of x86-64 where there is one, or portable."""

import os
import platform
import shutil
import subprocess

# What x86-64-v3 adds, as /proc/cpuinfo spells it (the psABI's list).
V3 = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}


def has_v3():
    try:
        with open("/proc/cpuinfo") as text:
            flags = next((line for line in text if line.startswith("flags")), "")
    except OSError:
        return False
    return V3 <= set(flags.split())


def machine():
    """The processor, the cores that may be used, the system."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as text:
            model = next((line.split(":", 1)[1].strip() for line in text if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Linux {platform.release()}"


class Build:
    """A target folder with release binaries."""

    def __init__(self, root, portable):
        self.v3 = not portable and has_v3()
        self.name = "x86-64-v3" if self.v3 else f"portable ({platform.machine()})"
        self.root = root
        self.folder = os.path.join(root, "target", "v3") if self.v3 else os.path.join(root, "target")

    def make(self):
        """Builds; quick where nothing changed. The examples are of one small crate, by itself: their features must not touch the
        server's, and the whole workspace with theirs would be built all over again."""
        environment = {**os.environ, "CARGO_TARGET_DIR": self.folder}
        if self.v3:
            environment["RUSTFLAGS"] = "-C target-cpu=x86-64-v3"
        examples = ["--package", "modelyard-wire", "--example", "floor", "--example", "json_speed"]
        for what in (["--workspace", "--bins"], examples):
            subprocess.run(["cargo", "build", "--release", "--locked", *what], cwd=self.root, env=environment, check=True)

    def binary(self, name):
        return os.path.join(self.folder, "release", name)

    def example(self, name):
        return os.path.join(self.folder, "release", "examples", name)

    def server_megabytes(self):
        """The server's size, stripped (the release profile strips)."""
        return os.path.getsize(self.binary("modelyard-server")) / 1e6


def need_load_generators():
    """wrk and h2load: both cost less than what they load, so that a server under load never waits for them."""
    for tool, package in (("wrk", "wrk"), ("h2load", "nghttp2-client")):
        if not shutil.which(tool):
            raise SystemExit(f"bench: {tool} is needed to load the servers: sudo apt-get install {package}")
