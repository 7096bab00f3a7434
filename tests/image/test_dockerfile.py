"""The Dockerfile's final stages, built by buildah, hold what tools/image makes: python3 tests/image/test_dockerfile.py BINARIES

Without a registry, a container engine or root's own storage: the programs come from the folder BINARIES, put together by tools/image
and handed over as the build context that stands for the stage `trees`. The stage that compiles is not built here: its base image is a
registry's. That it hands over the same folders is `tools/image --trees`, which it runs as this test does.
"""

import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import unittest

from test_image import Archive, image

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = ROOT / "target" / "debug"
# What buildah adds of itself, and what it cannot leave out.
OWN = ("created", "history", "rootfs")


def entries(layers):
    """Every file and folder: path: (kind, mode, owner, what is in it). A later layer's wins."""
    found = {}
    for layer in layers:
        for member in layer.getmembers():
            path = "/" + member.name.strip("/.")
            data = hashlib.sha256(layer.extractfile(member).read()).hexdigest() if member.isfile() else None
            found[path] = (member.type, oct(member.mode & 0o7777), member.uid, member.gid, data)
    found.pop("/", None)
    return found


class DockerfileTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        (cls.folder / "empty").mkdir()
        (cls.folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{cls.folder}/storage"\nrunroot = "{cls.folder}/run"\n')
        for words in (["--trees", "--output", cls.folder / "trees"], ["--output", cls.folder / "ours"]):
            subprocess.run([ROOT / "tools" / "image", "--binaries", BINARIES, *words], check=True, stdout=subprocess.DEVNULL)

    def buildah(self, *words):
        ran = subprocess.run(["buildah", *map(str, words)], capture_output=True, text=True,
                             env=os.environ | {"CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf")})
        self.assertEqual(ran.returncode, 0, f"buildah {words}: {ran.stderr}")
        return ran.stdout.strip()

    def build(self, target):
        """Builds an image and returns its ID, which is the digest of its configuration."""
        built = self.buildah("build", "--isolation", "chroot", "--pull-never", "--build-context", f"trees={self.folder / 'trees'}", "--target", target,
                             "--timestamp", "0", "--identity-label=false", "--layers=false", "--quiet", "--file", ROOT / "Dockerfile", self.folder / "empty")
        return built.splitlines()[-1]

    def pushed(self, built):
        archive = self.folder / f"{built}.tar"
        self.buildah("push", "--quiet", built, f"oci-archive:{archive}")
        with tarfile.open(archive) as tar:
            def blob(descriptor):
                return tar.extractfile("blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")).read()
            manifest = json.loads(blob(json.load(tar.extractfile("index.json"))["manifests"][0]))
            layers = [tarfile.open(fileobj=io.BytesIO(blob(layer))) for layer in manifest["layers"]]
            return json.loads(blob(manifest["config"])), entries(layers)

    def test_each_is_what_tools_image_makes(self):
        for target in image.PRODUCTS:
            with self.subTest(target):
                ours = Archive(self.folder / "ours" / f"{target}.tar")
                config, files = self.pushed(self.build(target))
                self.assertEqual(files, entries([ours.layer]))
                self.assertGreater(len(files), 10)
                rest = [{key: value for key, value in one.items() if key not in OWN} for one in (config, ours.config)]
                self.assertEqual(*rest)

    def test_the_same_programs_make_the_same_image(self):
        self.assertEqual(self.build("modelyard"), self.build("modelyard"))

    def test_toolchain_and_version_are_the_workspaces(self):
        package = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
        text = (ROOT / "Dockerfile").read_text()
        self.assertIn(f"ARG RUST={package['rust-version']}\n", text)
        self.assertIn(f"ARG VERSION={package['version']}\n", text)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        BINARIES = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
