"""TensorFlow Serving's gRPC services by their stubs, and a saved request sent by curl."""

import json
import subprocess

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from tensorflow import tensor_pb2
from tensorflow_serving import model_pb2, model_service_pb2, model_service_pb2_grpc, prediction_service_pb2, prediction_service_pb2_grpc

from values import VALUES, assert_same, matrix, model_of

DTYPES = {
    "BOOL": "DT_BOOL", "INT8": "DT_INT8", "INT16": "DT_INT16", "INT32": "DT_INT32", "INT64": "DT_INT64", "UINT8": "DT_UINT8",
    "UINT16": "DT_UINT16", "UINT32": "DT_UINT32", "UINT64": "DT_UINT64", "FP16": "DT_HALF", "FP32": "DT_FLOAT", "FP64": "DT_DOUBLE",
    "BYTES": "DT_STRING",
}
#: Where the elements of a datatype are kept, if not as raw content.
FIELDS = {
    "BOOL": "bool_val", "INT8": "int_val", "INT16": "int_val", "INT32": "int_val", "INT64": "int64_val", "UINT8": "int_val",
    "UINT16": "int_val", "UINT32": "uint32_val", "UINT64": "uint64_val", "FP32": "float_val", "FP64": "double_val",
    "BYTES": "string_val", "FP16": "half_val",
}


def proto(array, datatype="FP32", raw=True):
    one = tensor_pb2.TensorProto(dtype=tensor_pb2.DataType.Value(DTYPES[datatype]))
    one.tensor_shape.dim.extend(tensor_pb2.TensorShapeProto.Dim(size=size) for size in array.shape)
    if raw and datatype != "BYTES":
        one.tensor_content = array.tobytes()
    else:
        elements = array.view(np.uint16) if datatype == "FP16" else array
        getattr(one, FIELDS[datatype]).extend(elements.ravel().tolist())
    return one


def array(one, like):
    datatype = next(name for name, dtype in DTYPES.items() if tensor_pb2.DataType.Value(dtype) == one.dtype)
    shape = [dim.size for dim in one.tensor_shape.dim]
    if one.tensor_content:
        return np.frombuffer(one.tensor_content, like.dtype).reshape(shape)
    elements = list(getattr(one, FIELDS[datatype]))
    if datatype == "FP16":
        return np.array(elements, np.uint16).view(np.float16).reshape(shape)
    return np.array(elements, like.dtype).reshape(shape)


def request(model, **inputs):
    return prediction_service_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name=model), inputs=inputs)


@pytest.fixture
def channel(address):
    with grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture
def image_input(prediction):
    return next(iter(signature(prediction)["inputs"]))


def signature(prediction, model="mnist"):
    asked = prediction_service_pb2.GetModelMetadataRequest(
        model_spec=model_pb2.ModelSpec(name=model), metadata_field=["signature_def"]
    )
    answer = prediction.GetModelMetadata(asked, timeout=10)
    held = prediction_service_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(held)
    return MessageToDict(held)["signatureDef"]["serving_default"]


def test_digits(prediction, digits, image_input):
    answer = prediction.Predict(request("mnist", **{image_input: proto(digits[0])}), timeout=10)
    assert answer.model_spec.name == "mnist" and answer.model_spec.version.value == 1
    scores = array(next(iter(answer.outputs.values())), digits[0])
    assert (scores.argmax(1) == digits[1]).mean() >= 0.8


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("datatype", VALUES)
def test_every_datatype_comes_back(prediction, datatype, raw):
    sent = matrix(datatype)
    answer = prediction.Predict(request(model_of(datatype), x=proto(sent, datatype, raw)), timeout=10)
    assert_same(sent, array(answer.outputs["y"], sent))


def test_output_filter(prediction):
    asked = request("two_outputs", x=proto(np.ones((2, 4), np.float32)))
    assert set(prediction.Predict(asked, timeout=10).outputs) == {"double", "row_sum"}
    asked.output_filter.append("row_sum")
    assert set(prediction.Predict(asked, timeout=10).outputs) == {"row_sum"}


def test_metadata(prediction):
    held = signature(prediction)
    (given,) = held["inputs"].values()
    assert given["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in given["tensorShape"]["dim"]] == ["-1", "784"]


def test_status(channel):
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    asked = model_service_pb2.GetModelStatusRequest(model_spec=model_pb2.ModelSpec(name="mnist"))
    (version,) = models.GetModelStatus(asked, timeout=10).model_version_status
    assert version.version == 1 and version.state == model_service_pb2.ModelVersionStatus.AVAILABLE
    asked.model_spec.name = "nothing"
    with pytest.raises(grpc.RpcError) as caught:
        models.GetModelStatus(asked, timeout=10)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_errors_are_the_clients_and_say_what(prediction):
    def refused(asked, code):
        with pytest.raises(grpc.RpcError) as caught:
            prediction.Predict(asked, timeout=10)
        assert caught.value.code() == code, caught.value
        return caught.value.details()

    x = proto(np.ones((2, 4), np.float32))
    assert "nothing" in refused(request("nothing", x=x), grpc.StatusCode.NOT_FOUND)
    assert "b" in refused(request("add", a=x), grpc.StatusCode.INVALID_ARGUMENT)
    assert refused(request("add", a=x, b=proto(np.ones((2, 5), np.float32))), grpc.StatusCode.INVALID_ARGUMENT)
    short = proto(np.ones((2, 4), np.float32))
    short.tensor_content = short.tensor_content[:-1]
    assert refused(request("add", a=x, b=short), grpc.StatusCode.INVALID_ARGUMENT)
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Classify(prediction_service_pb2.ClassificationRequest(), timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED and caught.value.details()


def test_a_saved_request_by_curl(address, digits, image_input, tmp_path):
    saved, answered = tmp_path / "mnist_request.pb", tmp_path / "answer.pb"
    saved.write_bytes(request("mnist", **{image_input: proto(digits[0])}).SerializeToString())
    url = f"http://{address}/v1/models/mnist:predict"
    call = ["curl", "-sS", "--fail-with-body", "-o", answered, "--data-binary", f"@{saved}", "-H", "Content-Type: application/x-protobuf", url]
    subprocess.run(call, check=True, timeout=30)
    answer = prediction_service_pb2.PredictResponse.FromString(answered.read_bytes())
    assert (array(next(iter(answer.outputs.values())), digits[0]).argmax(1) == digits[1]).mean() >= 0.8


def test_rest_and_grpc_agree(prediction, address, digits, image_input, tmp_path):
    body = tmp_path / "request.json"
    body.write_text(json.dumps({"instances": digits[0].tolist()}))
    call = ["curl", "-sS", "--fail-with-body", "--data-binary", f"@{body}", f"http://{address}/v1/models/mnist:predict"]
    spoken = json.loads(subprocess.run(call, check=True, capture_output=True, timeout=30).stdout)["predictions"]
    answer = prediction.Predict(request("mnist", **{image_input: proto(digits[0])}), timeout=10)
    np.testing.assert_array_equal(np.array(spoken, np.float32), array(next(iter(answer.outputs.values())), digits[0]))
