"""Tests of tools/image: python3 tests/image/test_image.py"""

import hashlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "image"
LOADER = importlib.machinery.SourceFileLoader("image", str(TOOL))
image = importlib.util.module_from_spec(importlib.util.spec_from_loader("image", LOADER))
LOADER.exec_module(image)

PROGRAM = pathlib.Path(shutil.which("ls")).resolve()  # linked with glibc and with more than it


class Archive:
    """An image archive, read by what its index says."""

    def __init__(self, path):
        with tarfile.open(path) as tar:
            self.order = tar.getnames()
            self.members = {member.name: member for member in tar.getmembers()}
            self.data = {name: tar.extractfile(member).read() for name, member in self.members.items() if member.isfile()}
        self.index = json.loads(self.data["index.json"])
        self.manifest = self.blob(self.index["manifests"][0])
        self.config = self.blob(self.manifest["config"])
        self.layer_bytes = self.checked(self.manifest["layers"][0])
        self.layer = tarfile.open(fileobj=io.BytesIO(self.layer_bytes))

    def checked(self, descriptor):
        data = self.data["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]
        assert "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"], "a blob is not what its digest says"
        assert len(data) == descriptor["size"], "a blob is not as long as its descriptor says"
        return data

    def blob(self, descriptor):
        return json.loads(self.checked(descriptor))


class ImageTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.binaries = self.folder / "binaries"
        self.binaries.mkdir()
        for name in ("modelyard", "modelyard-server"):
            shutil.copy(PROGRAM, self.binaries / name)

    def make(self, *words):
        with mock.patch("sys.stdout", io.StringIO()) as said:
            image.main([str(word) for word in words])
        return said.getvalue()

    def refused(self, *words):
        with self.assertRaises(image.Refusal) as caught:
            self.make(*words)
        return str(caught.exception)

    def products(self, folder="images"):
        self.make("--binaries", self.binaries, "--output", self.folder / folder)
        return [self.folder / folder / f"{name}.tar" for name in ("modelyard", "modelyard-server")]

    def one(self, *words, name="box:1"):
        archive = self.folder / "one.tar"
        self.make("--name", name, "--output", archive, *words)
        return Archive(archive)

    def test_the_image_with_onnx_runtime_has_the_library_what_it_needs_and_its_licence(self):
        self.make("--binaries", self.binaries, "--output", self.folder / "images", "--only", "modelyard-server-ort")
        made = Archive(self.folder / "images" / "modelyard-server-ort.tar")
        self.assertEqual(made.config["config"]["Entrypoint"], ["/usr/local/bin/modelyard-server"])
        names = {"/" + name for name in made.layer.getnames()}
        doc = "/usr/share/doc/onnxruntime"
        self.assertLessEqual({"/usr/local/lib/libonnxruntime.so", f"{doc}/LICENSE", f"{doc}/ThirdPartyNotices.txt"}, names)
        for library in ("libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "libc.so.6"):
            self.assertTrue(any(name.endswith("/" + library) for name in names), f"no {library}")

    def test_both_images_bear_their_names_and_the_version(self):
        version = image.project_version()
        self.assertRegex(version, r"^\d+\.\d+\.\d+")
        for path in self.products():
            archive = Archive(path)
            annotations = archive.index["manifests"][0]["annotations"]
            self.assertEqual(annotations["io.containerd.image.name"], f"docker.io/library/{path.stem}:{version}")
            self.assertEqual(json.loads(archive.data["manifest.json"])[0]["RepoTags"], [f"{path.stem}:{version}"])
            self.assertEqual(archive.config["config"]["Entrypoint"], [f"/usr/local/bin/{path.stem}"])
            purges = "MIMALLOC_PURGE_DELAY=0" in archive.config["config"]["Env"]
            self.assertEqual(purges, path.stem == "modelyard", "the operator gives memory back, the server keeps it for the next request")
            self.assertEqual(archive.config["config"]["User"], "65532:65532")
            self.assertEqual(archive.config["config"]["Labels"]["org.opencontainers.image.version"], version)
            self.assertEqual(archive.layer.extractfile(f"usr/local/bin/{path.stem}").read(), PROGRAM.read_bytes())

    def test_the_same_input_gives_the_same_bytes(self):
        first = [path.read_bytes() for path in self.products("first")]
        for binary in self.binaries.iterdir():
            os.utime(binary, (1, 1))
            binary.chmod(0o700)
        before = os.umask(0o077)
        self.addCleanup(os.umask, before)
        self.assertEqual(first, [path.read_bytes() for path in self.products("second")])

    def test_other_input_gives_another_digest(self):
        (self.folder / "a").write_text("a")
        (self.folder / "b").write_text("b")
        a = self.one("--bare", "--file", f"{self.folder}/a=/file")
        b = self.one("--bare", "--file", f"{self.folder}/b=/file")
        self.assertNotEqual(a.index["manifests"][0]["digest"], b.index["manifests"][0]["digest"])

    def test_layers_are_named_by_what_they_hold(self):
        for path in self.products():
            archive = Archive(path)
            self.assertEqual(archive.config["rootfs"]["diff_ids"], ["sha256:" + hashlib.sha256(archive.layer_bytes).hexdigest()])
            docker = json.loads(archive.data["manifest.json"])[0]
            self.assertEqual(archive.data[docker["Layers"][0]], archive.layer_bytes)
            self.assertEqual(json.loads(archive.data[docker["Config"]]), archive.config)

    def test_entries_are_sorted_and_none_comes_twice(self):
        for path in self.products():
            archive = Archive(path)
            for names in (archive.order, archive.layer.getnames()):
                self.assertEqual(names, sorted(names))
                self.assertEqual(len(names), len(set(names)))
            folders = set()
            for member in archive.layer.getmembers():
                self.assertEqual((member.mtime, member.uname, member.gname), (0, "", ""))
                parent = member.name.rpartition("/")[0]
                self.assertIn(parent, folders | {""}, f"{member.name} comes before its folder")
                if member.isdir():
                    folders.add(member.name)

    def test_the_loader_and_every_library_are_inside(self):
        loader = image.interpreter(PROGRAM)
        needed = image.libraries(PROGRAM)
        self.assertIn(loader, needed)
        self.assertTrue(any(path.endswith("/libc.so.6") for path in needed), needed)
        for path in self.products():
            layer = Archive(path).layer
            for library in needed:
                member = layer.getmember(library.lstrip("/"))
                self.assertEqual(layer.extractfile(member).read(), pathlib.Path(library).read_bytes())
                self.assertEqual(member.mode & 0o555, 0o555)

    def test_the_system_is_complete(self):
        layer = Archive(self.products()[0]).layer
        self.assertIn(b"nonroot:x:65532:65532:", layer.extractfile("etc/passwd").read())
        self.assertIn(b"nonroot:x:65532:", layer.extractfile("etc/group").read())
        self.assertIn(b"hosts: files dns", layer.extractfile("etc/nsswitch.conf").read())
        self.assertEqual(layer.getmember("tmp").mode, 0o1777)
        self.assertEqual(layer.getmember("home/nonroot").uid, 65532)
        if image.CERTIFICATES.exists():
            certificates = layer.extractfile("etc/ssl/certs/ca-certificates.crt").read()
            self.assertEqual(certificates, image.CERTIFICATES.read_bytes())

    def test_without_certificates_it_says_so(self):
        with mock.patch.object(image, "CERTIFICATES", pathlib.Path("/nowhere.crt")), mock.patch("sys.stderr", io.StringIO()) as said:
            layer = Archive(self.products()[0]).layer
        self.assertIn("/nowhere.crt is not there", said.getvalue())
        self.assertNotIn("nowhere.crt", layer.getnames())

    def test_the_program_runs_inside_its_image(self):
        archive = Archive(self.products()[0])
        root = self.folder / "root"
        root.mkdir()
        for member in archive.layer.getmembers():  # as whoever runs this, so without owners
            target = root / member.name
            if member.isdir():
                target.mkdir(mode=0o755)
            else:
                target.write_bytes(archive.layer.extractfile(member).read())
                target.chmod(member.mode)
        unshare, chroot = (shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") for name in ("unshare", "chroot"))
        enter = [unshare, "--user", "--map-root-user", chroot]
        if None in enter or subprocess.run([*enter, "/", "true"], capture_output=True).returncode:
            self.skipTest("no user namespaces here")
        listing = subprocess.run([*enter, root, "/usr/local/bin/modelyard", "/etc"], env={}, capture_output=True, text=True)
        self.assertEqual((listing.returncode, listing.stderr), (0, ""))
        self.assertIn("passwd", listing.stdout.split())

    def test_a_folder_of_files_and_modes(self):
        model = self.folder / "model"
        (model / "deep").mkdir(parents=True)
        (model / "model.onnx").write_bytes(b"onnx")
        (model / "deep" / "weights").write_bytes(b"weights")
        script = self.folder / "script"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
        archive = self.one("--file", f"{script}=/run-me", "--file", f"{model}=/models/mnist:600")
        modes = {member.name: member.mode for member in archive.layer.getmembers() if member.isfile()}
        self.assertEqual(modes["models/mnist/model.onnx"], 0o600)
        self.assertEqual(modes["models/mnist/deep/weights"], 0o600)
        self.assertEqual(modes["run-me"], 0o755)
        self.assertEqual(archive.config["config"]["Entrypoint"], ["/run-me"])

    def test_bare_images_hold_the_files_alone(self):
        (self.folder / "file").write_text("")
        archive = self.one("--bare", "--entrypoint", "/file 'two words'", "--file", f"{self.folder}/file=/file")
        self.assertEqual(archive.layer.getnames(), ["file"])
        self.assertEqual(archive.config["config"]["Entrypoint"], ["/file", "two words"])

    def test_names_are_completed_as_runtimes_do(self):
        (self.folder / "file").write_text("")
        for name, complete in {
            "box:1": "docker.io/library/box:1",
            "team/box:1": "docker.io/team/box:1",
            "local.test/box:1": "local.test/box:1",
            "localhost:5000/box:1": "localhost:5000/box:1",
        }.items():
            archive = self.one("--bare", "--file", f"{self.folder}/file=/file", name=name)
            self.assertEqual(archive.index["manifests"][0]["annotations"]["io.containerd.image.name"], complete)

    def test_as_folders_it_is_what_the_archive_holds(self):
        trees = self.folder / "trees"
        self.make("--binaries", self.binaries, "--trees", "--output", trees)
        for path in self.products():
            layer, root = Archive(path).layer, trees / path.stem
            found = {str(item.relative_to(root)): item.stat() for item in root.rglob("*")}
            self.assertEqual(sorted(found), sorted(layer.getnames()))
            for member in layer.getmembers():
                self.assertEqual(found[member.name].st_mode & 0o7777, member.mode, member.name)
                if member.isfile():
                    self.assertEqual((root / member.name).read_bytes(), layer.extractfile(member).read())
        self.assertIn("is there already", self.refused("--binaries", self.binaries, "--trees", "--output", trees))

    def test_mistakes_are_named(self):
        file = self.folder / "file"
        file.write_text("")
        output = ["--output", self.folder / "one.tar"]
        self.assertIn("expected NAME:TAG", self.refused("--name", "box", "--file", f"{file}=/file", *output))
        self.assertIn("expected SOURCE=/PATH", self.refused("--name", "box:1", "--file", f"{file}", *output))
        self.assertIn("there is no file", self.refused("--name", "box:1", "--file", f"{file}x=/file", *output))
        self.assertIn("given twice", self.refused("--name", "box:1", "--file", f"{file}=/file", "--file", f"{file}=/file", *output))
        self.assertIn("cannot lie under it", self.refused("--name", "box:1", "--file", f"{file}=/a", "--file", f"{file}=/a/b", *output))
        self.assertIn("build it", self.refused("--binaries", self.folder / "nowhere", *output))
        self.assertEqual([path.name for path in self.folder.iterdir() if path.suffix == ".partial"], [])

    def test_a_program_for_another_machine_is_refused(self):
        data = bytearray(PROGRAM.read_bytes())
        data[18:20] = (8).to_bytes(2, "little")  # MIPS
        (self.folder / "foreign").write_bytes(data)
        self.assertIn("not a program for this machine", self.refused("--name", "box:1", "--file", f"{self.folder}/foreign=/a", "--output", self.folder / "o.tar"))


if __name__ == "__main__":
    unittest.main()
