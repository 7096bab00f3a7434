"""MNIST for Triton's Python backend, the only backend that the wheel carries."""

import triton_python_backend_utils as triton
from session import Session


class TritonPythonModel:
    def initialize(self, args):
        self._session = Session()

    def execute(self, requests):
        inputs = (triton.get_input_tensor_by_name(request, "x").as_numpy() for request in requests)
        return [triton.InferenceResponse([triton.Tensor("y", self._session.run(rows))]) for rows in inputs]
