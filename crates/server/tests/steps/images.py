#!/usr/bin/env python3
"""Writes images.json beside it: image files, steps, and the pixels that Pillow makes of them. `off` is by how many levels a pixel may be off:
none for files without loss but one for rounding, more for JPEG and WebP, whose decoders round in their own ways. Needs
../tokenizers/requirements.txt."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

CASES = []
dice = np.random.default_rng(3)
FILTERS = {"Bilinear": Image.BILINEAR, "Area": Image.BOX, "Bicubic": Image.BICUBIC, "Lanczos": Image.LANCZOS}


def picture(width: int, height: int, noise: float) -> Image.Image:
    """Slopes, edges, a circle, and noise."""
    y, x = np.mgrid[:height, :width]
    planes = [x * 255 / width, y * 255 / height, 128 + 100 * np.sin(x / 5) * np.cos(y / 7)]
    levels = np.stack(planes, -1) + dice.normal(size=(height, width, 3)) * noise
    levels[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 4) ** 2] = [250, 20, 20]
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def case(title: str, file: bytes, step: dict, expected: np.ndarray, off: int) -> None:
    kind = "UINT8" if expected.dtype == np.uint8 else "FP32"
    text = base64.b64encode(np.ascontiguousarray(expected).tobytes()).decode()
    b64 = base64.b64encode(file).decode()
    CASES.append({"name": title, "file": b64, "step": step, "datatype": kind, "shape": list(expected.shape), "data": text, "off": off})


def chw(image: Image.Image) -> np.ndarray:
    levels = np.asarray(image)
    return levels[None] if levels.ndim == 2 else levels.transpose(2, 0, 1)


def step(width: int, height: int, **fields: object) -> dict:
    return {"op": "Image", "columns": ["x"], "width": width, "height": height, "datatype": "UINT8"} | fields


def sizes() -> None:
    image = picture(53, 37, 30)
    file = encoded(image, "PNG")
    for name, filter in FILTERS.items():
        for width, height in [(24, 17), (80, 61), (53, 12), (53, 37), (1, 1)]:
            expected = chw(image.resize((width, height), filter))
            case(f"{name} to {width} x {height}", file, step(width, height, filter=name), expected, 1)
    for width, height, shorter in [(16, 16, 16), (20, 20, 24), (30, 10, 31)]:
        tall = (shorter * 53 // 37, shorter)
        resized = image.resize(tall, Image.BILINEAR)
        left, top = round((tall[0] - width) / 2), round((tall[1] - height) / 2)
        expected = chw(resized.crop((left, top, left + width, top + height)))
        case(f"crop to {width} x {height} of {shorter}", file, step(width, height, fit="Crop", shorter=shorter), expected, 1)
    ratio = 40 / 53
    field = Image.new("RGB", (40, 40), (114, 114, 114))
    inner = image.resize((40, round(37 * ratio)), Image.BILINEAR)
    field.paste(inner, (0, (40 - inner.height) // 2))
    case("padded", file, step(40, 40, fit="Pad", fill=114), chw(field), 1)


def layouts() -> None:
    image = picture(20, 16, 10)
    file = encoded(image, "PNG")
    rgb = np.asarray(image)
    case("HWC", file, step(20, 16, layout="HWC"), rgb, 0)
    case("BGR", file, step(20, 16, channels="BGR"), chw(image)[::-1], 0)
    case("BGR, HWC", file, step(20, 16, channels="BGR", layout="HWC"), rgb[..., ::-1], 0)
    case("GREY", file, step(20, 16, channels="GREY"), chw(image.convert("L")), 0)
    mean, scale = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    scaled = ((chw(image) / 255 - np.array(mean)[:, None, None]) / np.array(scale)[:, None, None]).astype(np.float32)
    fields = step(20, 16, mean=mean, scale=scale)
    del fields["datatype"]
    case("mean and scale", file, fields, scaled, 0)
    fields = step(20, 16, divisor=1, channels="BGR", mean=[104, 117, 123])
    fields["datatype"] = "FP32"
    case("mean alone, BGR", file, fields, (chw(image)[::-1] - np.array([104, 117, 123.0])[:, None, None]).astype(np.float32), 0)


def files() -> None:
    image = picture(48, 40, 4)
    for mode in ["L", "LA", "RGBA", "P", "1", "I;16"]:
        converted = image.convert("L").convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
        if mode == "I;16":
            converted = Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16) * 257))
        if mode in ("LA", "RGBA"):
            converted.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 48).astype(np.uint8), (40, 1))))
        expected = image.convert("L").convert("RGB") if mode == "I;16" else converted.convert("RGB")
        case(f"PNG of mode {mode}", encoded(converted, "PNG"), step(48, 40), chw(expected), 0)
    case("WebP without loss", encoded(image, "WEBP", lossless=True), step(48, 40), chw(image), 0)
    lossy = [
        ("JPEG 4:2:0", "JPEG", {"quality": 90, "subsampling": 2}), ("JPEG 4:4:4", "JPEG", {"quality": 90, "subsampling": 0}),
        ("JPEG 4:2:2", "JPEG", {"quality": 75, "subsampling": 1}), ("JPEG, progressive", "JPEG", {"quality": 85, "progressive": True}),
        ("WebP", "WEBP", {"quality": 85}), ("WebP with alpha", "WEBP", {"quality": 85}),
    ]
    for title, kind, options in lossy:
        source = image.convert("RGBA") if "alpha" in title else image
        file = encoded(source, kind, **options)
        read = Image.open(io.BytesIO(file)).convert("RGB")
        case(title, file, step(48, 40), chw(read), 4)
    grey = encoded(image.convert("L"), "JPEG", quality=90)
    case("JPEG of greys", grey, step(48, 40, channels="GREY"), chw(Image.open(io.BytesIO(grey)).convert("L")), 2)
    cmyk = encoded(image.convert("CMYK"), "JPEG", quality=95)
    case("JPEG of CMYK", cmyk, step(48, 40), chw(Image.open(io.BytesIO(cmyk)).convert("RGB")), 4)


if __name__ == "__main__":
    sizes()
    layouts()
    files()
    lines = ",\n".join(json.dumps(case) for case in CASES)
    (Path(__file__).parent / "images.json").write_text(f"[\n{lines}\n]\n")
