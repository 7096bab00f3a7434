"""MNIST for Triton's Python backend, the only backend that the wheel carries."""

import os
import sys

import triton_python_backend_utils as triton

# The backend gives its models a path of its own.
sys.path.append(os.environ["PEER_HOME"])

from session import Session


class TritonPythonModel:
    def initialize(self, args):
        self._session = Session()

    def execute(self, requests):
        inputs = (triton.get_input_tensor_by_name(request, "x").as_numpy() for request in requests)
        return [triton.InferenceResponse([triton.Tensor("y", self._session.run(rows))]) for rows in inputs]
