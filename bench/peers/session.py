"""The model as every peer runs it: ONNX Runtime on one thread."""

import os

import numpy
import onnxruntime


class Session:
    """PEER_MODEL, an .onnx file with one input and one output."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"])
        self.input = self._session.get_inputs()[0].name
        self.output = self._session.get_outputs()[0].name

    def run(self, rows):
        """rows: [N, 784] FP32 or what makes one. Gives [N, 10] FP32."""
        return self._session.run([self.output], {self.input: numpy.asarray(rows, numpy.float32)})[0]
