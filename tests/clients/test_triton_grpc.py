"""tritonclient over gRPC: sync, asyncio and streams; and the house services, health and reflection, beside it."""

import asyncio
import queue

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.utils import InferenceServerException

from values import VALUES, assert_same, matrix, model_of


@pytest.fixture
def client(address):
    with triton.InferenceServerClient(address) as client:
        yield client


def tensor(name, array, datatype="FP32"):
    one = triton.InferInput(name, list(array.shape), datatype)
    one.set_data_from_numpy(array)
    return one


def names(client, model):
    metadata = client.get_model_metadata(model)
    return metadata.inputs[0].name, metadata.outputs[0].name


def refused(call, status):
    with pytest.raises(InferenceServerException) as caught:
        call()
    assert caught.value.status() == f"StatusCode.{status}", caught.value
    return caught.value.message()


def test_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("mnist") and not client.is_model_ready("nothing")
    assert "statistics" in client.get_server_metadata().extensions
    metadata = client.get_model_metadata("mnist")
    assert list(metadata.inputs[0].shape) == [-1, 784] and metadata.platform == "onnx_onnxv1"
    assert client.get_model_config("mnist").config.name == "mnist"
    assert client.get_inference_statistics("mnist").model_stats[0].name == "mnist"


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_digits(client, digits, compression):
    images, labels = digits
    given, asked = names(client, "mnist")
    answer = client.infer("mnist", [tensor(given, images)], request_id="seven", compression_algorithm=compression)
    assert answer.get_response().id == "seven"
    assert (answer.as_numpy(asked).argmax(1) == labels).mean() >= 0.8


@pytest.mark.parametrize("datatype", VALUES)
def test_every_datatype_comes_back(client, datatype):
    sent = matrix(datatype)
    assert_same(sent, client.infer(model_of(datatype), [tensor("x", sent, datatype)]).as_numpy("y"))


def test_classification(client, digits):
    given, asked = names(client, "mnist")
    best = client.infer("mnist", [tensor(given, digits[0])], outputs=[triton.InferRequestedOutput(asked, class_count=2)])
    assert best.as_numpy(asked).shape == (20, 2)


def test_a_message_past_four_megabytes(client):
    x = np.arange(2_000_000, dtype=np.float32).reshape(1000, 2000)
    np.testing.assert_array_equal(client.infer("identity_fp32", [tensor("x", x)]).as_numpy("y"), x)


def test_callbacks(client, digits):
    given, asked = names(client, "mnist")
    done = queue.Queue()
    for row in range(10):
        client.async_infer("mnist", [tensor(given, digits[0][[row]])], callback=lambda result, error: done.put((result, error)))
    for _ in range(10):
        result, error = done.get(timeout=30)
        assert error is None and result.as_numpy(asked).shape == (1, 10)


def test_a_stream_answers_in_order_and_survives_an_error(client, digits):
    given, asked = names(client, "mnist")
    done = queue.Queue()
    client.start_stream(lambda result, error: done.put((result, error)))
    for row in range(10):
        client.async_stream_infer("nothing" if row == 4 else "mnist", [tensor(given, digits[0][[row]])], request_id=str(row))
    answers = [done.get(timeout=30) for _ in range(10)]
    client.stop_stream()
    for row, (result, error) in enumerate(answers):
        if row == 4:
            assert "nothing" in error.message()
        else:
            assert error is None and result.get_response().id == str(row)
            assert result.as_numpy(asked).shape == (1, 10)


def test_deadlines(client):
    x = tensor("x", np.zeros((64, 256), np.float32))
    refused(lambda: client.infer("slow", [x], client_timeout=0.005), "DEADLINE_EXCEEDED")
    refused(lambda: client.infer("slow", [x], timeout=1000), "DEADLINE_EXCEEDED")


def test_errors_are_the_clients_and_say_what(client):
    x = np.zeros((1, 4), np.float32)
    assert "nothing" in refused(lambda: client.infer("nothing", [tensor("x", x)]), "NOT_FOUND")
    assert "'b'" in refused(lambda: client.infer("add", [tensor("a", x)]), "INVALID_ARGUMENT")
    assert "5" in refused(
        lambda: client.infer("add", [tensor("a", x), tensor("b", np.zeros((1, 5), np.float32))]), "INVALID_ARGUMENT"
    )
    refused(lambda: client.infer("gather", [tensor("index", np.array([10**6]), "INT64")]), "INVALID_ARGUMENT")
    refused(lambda: client.register_system_shared_memory("a", "/a", 8), "UNIMPLEMENTED")


def test_index_unload_and_load(client):
    def state():
        return next(one.state for one in client.get_model_repository_index().models if one.name == "scalar")

    client.unload_model("scalar")
    assert state() == "UNAVAILABLE" and not client.is_model_ready("scalar")
    client.load_model("scalar")
    assert state() == "READY" and client.is_model_ready("scalar")


def test_asyncio(address, digits):
    async def talk():
        async with triton_aio.InferenceServerClient(address) as client:
            metadata = await client.get_model_metadata("mnist")
            given, asked = metadata.inputs[0].name, metadata.outputs[0].name
            calls = [client.infer("mnist", [tensor(given, digits[0][[row]])]) for row in range(20)]
            guesses = [answer.as_numpy(asked).argmax() for answer in await asyncio.gather(*calls)]

            async def requests():
                for row in range(5):
                    yield {"model_name": "mnist", "inputs": [tensor(given, digits[0][[row]])], "request_id": str(row)}

            ids = []
            async for result, error in client.stream_infer(requests()):
                assert error is None
                ids.append(result.get_response().id)
            return guesses, ids

    guesses, ids = asyncio.run(talk())
    assert np.mean(np.array(guesses) == digits[1]) >= 0.8
    assert ids == ["0", "1", "2", "3", "4"]


def test_grpc_health(address):
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        serving = health_pb2.HealthCheckResponse.SERVING
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=10).status == serving
        name = "inference.GRPCInferenceService"
        assert health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status == serving
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=10)
        assert next(watch).status == serving
        watch.cancel()
        with pytest.raises(grpc.RpcError) as caught:
            health.Check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=10)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection(address):
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        assert {"inference.GRPCInferenceService", "tensorflow.serving.PredictionService", "grpc.health.v1.Health"} <= services
        pool = DescriptorPool(database)
        infer = pool.FindServiceByName("inference.GRPCInferenceService").methods_by_name["ModelInfer"]
        assert infer.input_type.fields_by_name["raw_input_contents"].number == 7
