#!/usr/bin/env python3
"""Writes boxes.json beside it: detectors' answers, Boxes steps, and what ONNX Runtime's NonMaxSuppression leaves of them. It works by class and
gives indices; here they are sorted over all classes, best first, of equal scores the first box, and cut. Needs onnx, onnxruntime and numpy
(bench/engines)."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

CASES = []
dice = np.random.default_rng(11)
NAMES = {"float32": "FP32", "float64": "FP64", "float16": "FP16", "int64": "INT64", "object": "BYTES"}
MADE = ["detection_boxes", "detection_scores", "detection_classes", "num_detections"]


def operator() -> onnxruntime.InferenceSession:
    inputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, None, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, None, None]),
        helper.make_tensor_value_info("most", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("iou", TensorProto.FLOAT, [1]),
        helper.make_tensor_value_info("score", TensorProto.FLOAT, [1]),
    ]
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "score"], ["kept"])
    outputs = [helper.make_tensor_value_info("kept", TensorProto.INT64, [None, 3])]
    model = helper.make_model(helper.make_graph([node], "nms", inputs, outputs), opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


NMS = operator()


def corners(boxes: np.ndarray, format: str) -> np.ndarray:
    a, b, c, d = (boxes[:, at] for at in range(4))
    if format == "CXCYWH":
        return np.stack([a - c / 2, b - d / 2, a + c / 2, b + d / 2], 1)
    if format == "XYWH":
        return np.stack([a, b, a + c, b + d], 1)
    if format == "YXYX":
        a, b, c, d = b, a, d, c
    return np.stack([np.minimum(a, c), np.minimum(b, d), np.maximum(a, c), np.maximum(b, d)], 1)


def left(boxes: np.ndarray, scores: np.ndarray, fields: dict, first: int) -> list:
    """What is kept of one image: (score, box, class, corners). Scores are [boxes, classes]."""
    where = corners(boxes.astype(np.float32), fields.get("format", "CXCYWH"))
    scores = np.nan_to_num(scores.astype(np.float32), nan=-np.inf)
    scores[:, :first] = -np.inf
    # A box that is nowhere is none.
    scores[~np.isfinite(where).all(1)] = -np.inf
    where = np.nan_to_num(where, nan=0, posinf=0, neginf=0)
    # ONNX turns corners around; a width below zero has no area, and the operator is asked about a box without one.
    flat = np.stack([where[:, 0], where[:, 1], np.maximum(where[:, 0], where[:, 2]), np.maximum(where[:, 1], where[:, 3])], 1)
    if not fields.get("multiLabel"):
        best = scores.argmax(1)
        kept = np.full_like(scores, -np.inf)
        kept[np.arange(len(scores)), best] = scores[np.arange(len(scores)), best]
        scores = kept
    count, classes = scores.shape
    if fields.get("classAware", True):
        asked, by_class = flat, scores.T
    else:
        asked, by_class = np.repeat(flat, classes, 0), scores.reshape(1, -1)
    feed = {
        "boxes": asked[None].astype(np.float32), "scores": by_class[None].copy(), "most": np.array([10**6]),
        "iou": np.array([fields.get("iouThreshold", 0.45)], np.float32), "score": np.array([fields.get("scoreThreshold", 0.25)], np.float32),
    }
    found = []
    for _, of, at in NMS.run(None, feed)[0].tolist():
        index, label = (at, of) if fields.get("classAware", True) else divmod(at, classes)
        found.append((float(scores[index, label]), index, label, where[index]))
    return sorted(found, key=lambda one: (-one[0], one[1], one[2]))[: fields.get("maxBoxes", 100)]


def written(where: np.ndarray, format: str) -> list:
    x, y, right, bottom = where.astype(float).tolist()
    return {
        "XYXY": [x, y, right, bottom], "YXYX": [y, x, bottom, right], "XYWH": [x, y, right - x, bottom - y],
        "CXCYWH": [(x + right) / 2, (y + bottom) / 2, right - x, bottom - y],
    }[format]


def tensor(name: str, values: np.ndarray) -> dict:
    def plain(value: object) -> object:
        if isinstance(value, str):
            return value
        return None if np.isnan(value) else float(f"{value:.8g}")

    return {"name": name, "datatype": NAMES[values.dtype.name], "shape": list(values.shape), "data": [plain(one) for one in values.ravel().tolist()]}


def case(title: str, inputs: dict, images: list, fields: dict, names: list | None = None) -> None:
    """Inputs by column, and for each image what is kept."""
    most, rows = fields.get("maxBoxes", 100), len(images)
    boxes, scores = np.zeros((rows, most, 4), np.float32), np.zeros((rows, most), np.float32)
    classes, many, texts = np.full((rows, most), -1), np.zeros(rows, np.int64), np.full((rows, most), "", object)
    for row, kept in enumerate(images):
        many[row] = len(kept)
        for at, (score, _, label, where) in enumerate(kept):
            boxes[row, at], scores[row, at], classes[row, at] = written(where, fields.get("outputFormat", "YXYX")), score, label
            if names:
                texts[row, at] = names[label]
    kind = next(iter(inputs.values())).dtype
    outputs = [tensor(*one) for one in zip(MADE, [boxes.astype(kind), scores.astype(kind), classes, many])]
    step = {"op": "Boxes", "columns": list(inputs)} | fields
    if names:
        outputs.append(tensor("names", texts))
        step |= {"to": [*MADE, "names"], "texts": names}
    model = [[name, NAMES[values.dtype.name], [-1, *values.shape[1:]]] for name, values in inputs.items()]
    CASES.append({"name": title, "model": model, "before": [], "after": [step], "inputs": [tensor(*one) for one in inputs.items()], "outputs": outputs})


def picture(count: int, classes: int, format: str, ties: bool = False) -> tuple:
    """Clusters of boxes, so that many overlap."""
    centres = dice.integers(0, 3, (count, 2)) * 40.0 + 50
    sizes = dice.choice([16.0, 24, 32], (count, 2)) if ties else dice.uniform(20, 40, (count, 2))
    shift = dice.integers(-2, 3, (count, 2)) * 4.0 if ties else dice.normal(0, 4, (count, 2))
    middle = np.concatenate([centres + shift, sizes], 1)
    boxes = {
        "CXCYWH": middle, "XYWH": np.concatenate([middle[:, :2] - sizes / 2, sizes], 1), "XYXY": corners(middle, "CXCYWH"),
        "YXYX": corners(middle, "CXCYWH")[:, [1, 0, 3, 2]],
    }[format]
    scores = dice.choice([0.25, 0.3, 0.5, 0.7], (count, classes)) if ties else dice.uniform(0, 1, (count, classes))
    return boxes.astype(np.float32).round(4), scores.astype(np.float32).round(4)


def one_column() -> None:
    for last in (False, True):
        for title, fields in [
            ("of its best class", {}),
            ("of several classes", {"multiLabel": True, "scoreThreshold": 0.6}),
            ("all classes against one another", {"classAware": False, "iouThreshold": 0.3}),
            ("several classes, against one another", {"classAware": False, "multiLabel": True, "maxBoxes": 30}),
            ("few places", {"maxBoxes": 5, "outputFormat": "XYXY"}),
            ("nothing is above", {"scoreThreshold": 1.0, "maxBoxes": 3}),
        ]:
            pictures = [picture(60, 4, "CXCYWH") for _ in range(2)]
            rows = np.stack([np.concatenate(one, 1) for one in pictures])
            column = np.ascontiguousarray(rows.transpose(0, 2, 1)) if last else rows
            images = [left(*one, fields, 0) for one in pictures]
            case(f"YOLO, {title}, boxes last: {last}", {"y": column}, images, fields | ({"boxesLast": True} if last else {}))
    pictures = [picture(50, 3, "CXCYWH") for _ in range(3)]
    there = [dice.uniform(0, 1, (50, 1)).astype(np.float32).round(4) for _ in pictures]
    rows = np.stack([np.concatenate([boxes, sure, scores], 1) for (boxes, scores), sure in zip(pictures, there)])
    fields = {"objectness": True, "outputFormat": "CXCYWH"}
    images = [left(boxes, scores * sure, fields, 0) for (boxes, scores), sure in zip(pictures, there)]
    case("YOLO with objectness and names", {"y": rows}, images, fields, ["cat", "dog", "cat"])
    for kind in (np.float64, np.float16):
        boxes, scores = picture(20, 2, "XYWH", ties=True)
        fields = {"format": "XYWH", "outputFormat": "XYWH", "maxBoxes": 20, "scoreThreshold": 0.4}
        scores = scores.astype(kind).astype(np.float32)
        case(f"of {np.dtype(kind).name}", {"y": np.concatenate([boxes, scores], 1)[None].astype(kind)}, [left(boxes, scores, fields, 0)], fields)


def two_columns() -> None:
    for format in ("XYXY", "YXYX", "XYWH", "CXCYWH"):
        boxes, scores = picture(60, 4, format)
        fields = {"format": format, "background": True, "multiLabel": True, "scoreThreshold": 0.4, "outputFormat": "XYXY"}
        case(f"SSD of {format}", {"b": boxes[None], "s": scores[None]}, [left(boxes, scores, fields, 1)], fields)
    boxes, scores = picture(40, 3, "XYXY")
    fields = {"format": "XYXY", "boxesLast": True}
    inputs = {"b": np.ascontiguousarray(boxes.T[None]), "s": np.ascontiguousarray(scores.T[None])}
    case("SSD, boxes last", inputs, [left(boxes, scores, fields, 0)], fields)


def odd() -> None:
    for at in range(3):
        boxes, scores = picture(60, 3, "XYXY", ties=True)
        fields = {"format": "XYXY", "multiLabel": at == 1, "classAware": at != 2, "iouThreshold": 0.5}
        case(f"ties, {at}", {"b": boxes[None], "s": scores[None]}, [left(boxes, scores, fields, 0)], fields)
    # The same box again and again, of an overlap of exactly the threshold, turned around, without area, nowhere.
    boxes = np.array(
        [
            [0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 20], [10, 10, 0, 0], [5, 5, 5, 9], [5, 5, 5, 9], [5, 5, 5, 5], [np.nan, 0, 1, 1],
            [0, np.inf, 1, 1], [20, 20, 30, 30], [20, 20, 30, 30], [-5, -5, -1, -1], [1e30, 0, 3e38, 1],
        ],
        np.float32,
    )
    scores = np.array([0.9, 0.9, 0.8, 0.95, 0.5, 0.5, 0.6, 0.99, 0.99, np.nan, 0.3, 0.25, 0.4], np.float32)[:, None]
    for overlap in (0.0, 0.5, 1.0):
        fields = {"format": "XYXY", "iouThreshold": overlap, "maxBoxes": 15}
        # JSON has no infinity.
        told = np.where(np.isinf(boxes), np.nan, boxes)
        case(f"odd boxes, {overlap}", {"b": told[None], "s": scores[None]}, [left(boxes, scores, fields, 0)], fields)
    widths = np.array([[10, 10, -4, 4, 0.9], [10, 10, 4, 4, 0.8], [10, 10, 0, 4, 0.7], [10, 10, 4, 4, 0.6]], np.float32)
    fields = {"maxBoxes": 6}
    case("widths below zero", {"y": widths[None]}, [left(widths[:, :4], widths[:, 4:], fields, 0)], fields)


if __name__ == "__main__":
    one_column()
    two_columns()
    odd()
    lines = ",\n".join(json.dumps(case) for case in CASES)
    (Path(__file__).parent / "boxes.json").write_text(f"[\n{lines}\n]\n")
