"""kserve's own clients: REST with protocol v1 and v2, and gRPC."""

import asyncio

import httpx
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

from values import VALUES, assert_same, matrix, model_of


def over_rest(protocol, talk):
    async def run():
        async with InferenceRESTClient(RESTConfig(protocol=protocol, retries=0)) as client:
            return await talk(client)

    return asyncio.run(run())


def over_grpc(address, talk):
    async def run():
        async with InferenceGRPCClient(address, retries=0) as client:
            return await talk(client)

    return asyncio.run(run())


def tensor(name, array, datatype="FP32", binary=True):
    one = InferInput(name, list(array.shape), datatype)
    one.set_data_from_numpy(array, binary_data=binary)
    return one


def test_v1(address, digits):
    url = f"http://{address}"

    async def talk(client):
        assert await client.is_server_live(url)
        assert await client.is_model_ready(url, "mnist")
        with pytest.raises(httpx.HTTPStatusError, match="nothing"):
            await client.is_model_ready(url, "nothing")
        answer = await client.infer(url, {"instances": digits[0].tolist()}, model_name="mnist")
        with pytest.raises(httpx.HTTPStatusError) as caught:
            await client.infer(url, {"instances": [[1, 2]]}, model_name="mnist")
        assert caught.value.response.status_code == 400
        return np.array(answer["predictions"]).argmax(1)

    assert (over_rest("v1", talk) == digits[1]).mean() >= 0.8


@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("binary_in", [True, False])
def test_v2(address, digits, binary_in, binary_out):
    url = f"http://{address}"

    async def talk(client):
        assert await client.is_server_live(url) and await client.is_server_ready(url)
        assert await client.is_model_ready(url, "mnist")
        metadata = httpx.get(f"{url}/v2/models/mnist").json()
        given, asked = metadata["inputs"][0]["name"], metadata["outputs"][0]["name"]
        request = InferRequest(
            model_name="mnist",
            request_id="seven",
            infer_inputs=[tensor(given, digits[0], binary=binary_in)],
            request_outputs=[RequestedOutput(asked, parameters={"binary_data": binary_out})],
        )
        answer = await client.infer(url, request, model_name="mnist")
        assert answer.id == "seven"
        return answer.get_output_by_name(asked).as_numpy()

    scores = over_rest("v2", talk)
    assert scores.shape == (20, 10)
    assert (scores.argmax(1) == digits[1]).mean() >= 0.8


@pytest.mark.parametrize("datatype", [one for one in VALUES if one not in ("FP16", "BYTES")])
def test_v2_datatypes(address, datatype):
    sent = matrix(datatype)

    async def talk(client):
        model = model_of(datatype)
        request = InferRequest(model_name=model, infer_inputs=[tensor("x", sent, datatype)], parameters={"binary_data_output": True})
        return (await client.infer(f"http://{address}", request, model_name=model)).outputs[0].as_numpy()

    assert_same(sent, over_rest("v2", talk))


def test_grpc(address, digits):
    async def talk(client):
        assert await client.is_server_live() and await client.is_server_ready()
        assert await client.is_model_ready("mnist")
        requests = [InferRequest(model_name="mnist", infer_inputs=[tensor("pixels", digits[0])])]
        metadata = httpx.get(f"http://{address}/v2/models/mnist").json()
        requests[0].inputs[0]._name = metadata["inputs"][0]["name"]
        answer = await client.infer(requests[0])
        with pytest.raises(Exception, match="nothing"):
            await client.infer(InferRequest(model_name="nothing", infer_inputs=[tensor("x", digits[0])]))
        return answer.outputs[0].as_numpy()

    assert (over_grpc(address, talk).reshape(20, 10).argmax(1) == digits[1]).mean() >= 0.8


@pytest.mark.parametrize("datatype", [one for one in VALUES if one != "BYTES"])
def test_grpc_datatypes(address, datatype):
    sent = matrix(datatype)

    async def talk(client):
        answer = await client.infer(InferRequest(model_name=model_of(datatype), infer_inputs=[tensor("x", sent, datatype)]))
        return answer.outputs[0].as_numpy()

    assert_same(sent, over_grpc(address, talk))
