"""MNIST for KServe's model server, v1 and v2."""

import argparse

from kserve import InferOutput, InferResponse, Model, ModelServer, model_server
from session import Session


class Mnist(Model):
    def __init__(self):
        super().__init__("mnist")
        self._session = Session()
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, dict):
            return {"predictions": self._session.run(payload["instances"]).tolist()}
        rows = self._session.run(payload.inputs[0].as_numpy())
        output = InferOutput(self._session.output, list(rows.shape), "FP32")
        output.set_data_from_numpy(rows, binary_data=False)
        return InferResponse(payload.id or "none", self.name, [output])


if __name__ == "__main__":
    argparse.ArgumentParser(parents=[model_server.parser]).parse_args()
    ModelServer().start([Mnist()])
