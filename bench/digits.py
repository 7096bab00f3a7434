"""Request bodies: held-out MNIST digits in the form that each protocol wants."""

import json
import random
import struct
import zipfile

PIXELS = 784


def digits(path, rows):
    """The first rows of heldout.npz, flat."""
    with zipfile.ZipFile(path) as archive, archive.open("pixels.npy") as array:
        head = array.read(10)
        array.read(struct.unpack("<H", head[8:])[0])
        return struct.unpack(f"<{rows * PIXELS}f", array.read(rows * PIXELS * 4))


def dense(rows):
    """Random numbers in 0..1: no zeros, all digits that FP32 has. The dearest JSON that MNIST's shape can have."""
    source = random.Random(7)
    return struct.unpack(f"<{rows * PIXELS}f", struct.pack(f"<{rows * PIXELS}f", *(source.random() for _ in range(rows * PIXELS))))


def packed(values):
    return struct.pack(f"<{len(values)}f", *values)


def shortest(value):
    """The fewest digits that give this FP32 back."""
    if value == int(value):
        return str(int(value))
    for digits_ in range(1, 10):
        text = f"{value:.{digits_}g}"
        if struct.pack("<f", float(text)) == struct.pack("<f", value):
            return text
    return repr(value)


def listed(values):
    return "[" + ",".join(map(shortest, values)) + "]"


def nested(values):
    return "[" + ",".join(listed(values[at : at + PIXELS]) for at in range(0, len(values), PIXELS)) + "]"


def open_inference(name, values):
    """(body, headers) of the Open Inference Protocol's JSON."""
    tensor = f'{{"name":"{name}","shape":[{len(values) // PIXELS},{PIXELS}],"datatype":"FP32","data":{listed(values)}}}'
    return f'{{"inputs":[{tensor}]}}'.encode(), {"Content-Type": "application/json"}


def open_inference_binary(name, values):
    """(body, headers) of the same with the tensors, in and out, as bytes."""
    raw = packed(values)
    tensor = {"name": name, "shape": [len(values) // PIXELS, PIXELS], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}, separators=(",", ":")).encode()
    return head + raw, {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}


def field(number, content):
    """A length-delimited field of a protobuf message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number):
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    low = bytes([number & 0x7F])
    return low if number < 0x80 else bytes([low[0] | 0x80]) + varint(number >> 7)


def grpc(name, values):
    """(body, headers) of ModelInfer: its message (model_name 1, inputs 5, raw_input_contents 7) behind gRPC's five bytes."""
    shape = varint(len(values) // PIXELS) + varint(PIXELS)
    tensor = field(1, name.encode()) + field(2, b"FP32") + field(3, shape)
    message = field(1, b"mnist") + field(5, tensor) + field(7, packed(values))
    return struct.pack(">BI", 0, len(message)) + message, {"Content-Type": "application/grpc", "te": "trailers"}


def tensorflow_serving(values):
    """(body, headers) of TensorFlow Serving's predict, which is KServe's v1 as well."""
    return f'{{"instances":{nested(values)}}}'.encode(), {"Content-Type": "application/json"}


def mosec(values):
    """(body, headers) of one row for bench/peers/mosec_model.py."""
    return f'{{"input":{listed(values[:PIXELS])}}}'.encode(), {"Content-Type": "application/json"}
