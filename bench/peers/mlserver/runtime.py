"""MNIST for MLServer."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from session import Session


class Mnist(MLModel):
    async def load(self):
        self._session = Session()
        return True

    async def predict(self, payload):
        rows = self._session.run(NumpyCodec.decode_input(payload.inputs[0]))
        output = NumpyCodec.encode_output(self._session.output, rows)
        return InferenceResponse(id=payload.id, model_name=self.name, model_version=self.version, outputs=[output])
