"""tritonclient over HTTP: sync and asyncio, JSON and binary tensors, and what the extensions give."""

import asyncio
import itertools

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from values import VALUES, assert_same, matrix, model_of


@pytest.fixture
def client(address):
    with triton.InferenceServerClient(address) as client:
        yield client


def tensor(name, array, datatype="FP32", binary=True):
    one = triton.InferInput(name, list(array.shape), datatype)
    one.set_data_from_numpy(array, binary_data=binary)
    return one


def names(client, model):
    metadata = client.get_model_metadata(model)
    return metadata["inputs"][0]["name"], metadata["outputs"][0]["name"]


def refused(call, status="400"):
    with pytest.raises(InferenceServerException) as caught:
        call()
    assert caught.value.status() == status, caught.value
    return caught.value.message()


def test_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("mnist") and client.is_model_ready("mnist", "1")
    assert not client.is_model_ready("nothing")
    assert {"binary_tensor_data", "classification", "statistics"} <= set(client.get_server_metadata()["extensions"])
    metadata = client.get_model_metadata("mnist")
    assert metadata["platform"] == "onnx_onnxv1" and metadata["versions"] == ["1"]
    assert metadata["inputs"][0]["shape"] == [-1, 784] and metadata["inputs"][0]["datatype"] == "FP32"
    assert client.get_model_config("mnist")["name"] == "mnist"


@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("model", ["mnist", "mnist-cnn"])
def test_digits(client, digits, model, binary_in, binary_out):
    images, labels = digits
    given, asked = names(client, model)
    shape = [20, *client.get_model_metadata(model)["inputs"][0]["shape"][1:]]
    answer = client.infer(
        model,
        [tensor(given, images.reshape(shape), binary=binary_in)],
        outputs=[triton.InferRequestedOutput(asked, binary_data=binary_out)],
        request_id="seven",
    )
    assert answer.get_response()["id"] == "seven"
    scores = answer.as_numpy(asked)
    assert scores.shape == (20, 10)
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-5)
    assert (scores.argmax(1) == labels).mean() >= 0.8


@pytest.mark.parametrize("datatype", VALUES)
def test_every_datatype_comes_back(client, datatype):
    sent = matrix(datatype)
    # The client itself has no JSON for FP16.
    for binary_in, binary_out in [(True, True)] if datatype == "FP16" else itertools.product([True, False], repeat=2):
        outputs = [triton.InferRequestedOutput("y", binary_data=binary_out)]
        answer = client.infer(model_of(datatype), [tensor("x", sent, datatype, binary_in)], outputs=outputs)
        assert_same(sent, answer.as_numpy("y"))


def test_two_inputs_and_two_outputs(client):
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    both = client.infer("add", [tensor("b", x), tensor("a", 10 * x)])
    np.testing.assert_array_equal(both.as_numpy("sum"), 11 * x)
    answer = client.infer("two_outputs", [tensor("x", x)])
    np.testing.assert_array_equal(answer.as_numpy("double"), 2 * x)
    np.testing.assert_array_equal(answer.as_numpy("row_sum"), x.sum(1))
    one = client.infer("two_outputs", [tensor("x", x)], outputs=[triton.InferRequestedOutput("row_sum")])
    assert one.as_numpy("double") is None and one.as_numpy("row_sum").shape == (2,)


@pytest.mark.parametrize("binary", [True, False])
def test_classification(client, digits, binary):
    images, labels = digits
    given, asked = names(client, "mnist")
    outputs = [triton.InferRequestedOutput(asked, binary_data=binary, class_count=3)]
    best = client.infer("mnist", [tensor(given, images)], outputs=outputs).as_numpy(asked)
    assert best.shape == (20, 3)
    first = [one.decode() if isinstance(one, bytes) else one for one in best[:, 0]]
    assert all(len(one.split(":")) == 3 and one.split(":")[1] == one.split(":")[2] for one in first)
    assert np.mean([int(one.split(":")[1]) == label for one, label in zip(first, labels)]) >= 0.8


@pytest.mark.parametrize("request_encoding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("response_encoding", [None, "gzip", "deflate"])
def test_compression(client, digits, request_encoding, response_encoding):
    given, asked = names(client, "mnist")
    answer = client.infer(
        "mnist",
        [tensor(given, digits[0])],
        request_compression_algorithm=request_encoding,
        response_compression_algorithm=response_encoding,
    )
    assert answer.as_numpy(asked).shape == (20, 10)


def test_asynchronous_requests_of_the_sync_client(address, digits):
    with triton.InferenceServerClient(address, concurrency=4) as client:
        given, asked = names(client, "mnist")
        pending = [client.async_infer("mnist", [tensor(given, digits[0][[row]])]) for row in range(20)]
        rows = np.concatenate([one.get_result().as_numpy(asked) for one in pending])
        np.testing.assert_allclose(rows, client.infer("mnist", [tensor(given, digits[0])]).as_numpy(asked), atol=1e-6)


def test_statistics_grow(client, digits):
    def count():
        return client.get_inference_statistics("mnist")["model_stats"][0]

    before = count()
    given, _ = names(client, "mnist")
    client.infer("mnist", [tensor(given, digits[0])])
    after = count()
    assert after["inference_count"] - before["inference_count"] == 20
    assert after["execution_count"] - before["execution_count"] == 1
    assert after["inference_stats"]["success"]["count"] == before["inference_stats"]["success"]["count"] + 1
    assert len(client.get_inference_statistics()["model_stats"]) > 10


def test_index_unload_and_load(client):
    def state():
        return next(one for one in client.get_model_repository_index() if one["name"] == "no_batch")["state"]

    x = np.ones(3, np.float32)
    assert state() == "READY"
    client.unload_model("no_batch")
    assert state() == "UNAVAILABLE" and not client.is_model_ready("no_batch")
    assert client.is_server_ready()
    with pytest.raises(InferenceServerException, match="no_batch"):
        client.infer("no_batch", [tensor("x", x)])
    client.load_model("no_batch")
    assert state() == "READY"
    assert client.infer("no_batch", [tensor("x", x)]).as_numpy("double").tolist() == [2, 2, 2]
    assert "nothing" in refused(lambda: client.load_model("nothing"), "404")
    assert "nothing" in refused(lambda: client.unload_model("nothing"), "404")


def test_errors_are_the_clients_and_say_what(client):
    x = np.zeros((1, 4), np.float32)
    ask = [triton.InferRequestedOutput("nothing")]
    assert "nothing" in refused(lambda: client.infer("nothing", [tensor("x", x)]), "404")
    assert "9" in refused(lambda: client.infer("add", [tensor("a", x)], model_version="9"), "404")
    assert "'b'" in refused(lambda: client.infer("add", [tensor("a", x)]))
    assert "c" in refused(lambda: client.infer("add", [tensor("a", x), tensor("b", x), tensor("c", x)]))
    assert "5" in refused(lambda: client.infer("add", [tensor("a", x), tensor("b", np.zeros((1, 5), np.float32))]))
    assert "INT64" in refused(lambda: client.infer("add", [tensor("a", x.astype(np.int64), "INT64"), tensor("b", x)]))
    assert "nothing" in refused(lambda: client.infer("add", [tensor("a", x), tensor("b", x)], outputs=ask))
    assert refused(lambda: client.infer("gather", [tensor("index", np.array([10**6]), "INT64")]))
    assert client.infer("gather", [tensor("index", np.array([1]), "INT64")]).as_numpy("row").shape == (1, 3)


def test_timeout_in_microseconds(client):
    x = tensor("x", np.zeros((64, 256), np.float32))
    assert "deadline" in refused(lambda: client.infer("slow", [x], timeout=1000), "504")


def test_asyncio(address, digits):
    async def talk():
        async with triton_aio.InferenceServerClient(address) as client:
            assert await client.is_server_live() and await client.is_model_ready("mnist")
            metadata = await client.get_model_metadata("mnist")
            given, asked = metadata["inputs"][0]["name"], metadata["outputs"][0]["name"]
            calls = [client.infer("mnist", [tensor(given, digits[0][[row]], binary=row % 2 == 0)]) for row in range(20)]
            answers = await asyncio.gather(*calls)
            with pytest.raises(InferenceServerException, match="nothing"):
                await client.infer("nothing", [tensor("x", digits[0])])
            return [answer.as_numpy(asked).argmax() for answer in answers]

    assert np.mean(np.array(asyncio.run(talk())) == digits[1]) >= 0.8
