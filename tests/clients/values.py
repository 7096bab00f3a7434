"""Values of every datatype that are easily damaged on the way."""

import numpy as np

SPECIAL = [0.0, -0.0, 1.5, -2.25, float("nan"), float("inf"), float("-inf"), 0.1]

#: Datatype of the Open Inference Protocol -> the elements that go to the model that gives them back.
VALUES = {
    "BOOL": np.array([True, False, True, True]),
    "INT8": np.array([-128, -1, 0, 127], np.int8),
    "INT16": np.array([-(2**15), -1, 0, 2**15 - 1], np.int16),
    "INT32": np.array([-(2**31), -1, 0, 2**31 - 1], np.int32),
    "INT64": np.array([-(2**63), -(2**53) - 1, 2**53 + 1, 2**63 - 1], np.int64),
    "UINT8": np.array([0, 1, 128, 255], np.uint8),
    "UINT16": np.array([0, 1, 2**15, 2**16 - 1], np.uint16),
    "UINT32": np.array([0, 1, 2**31, 2**32 - 1], np.uint32),
    "UINT64": np.array([0, 2**53 + 1, 2**63, 2**64 - 1], np.uint64),
    "FP16": np.array(SPECIAL, np.float16),
    "FP32": np.array([*SPECIAL, 1e-45, 3.4028235e38], np.float32),
    "FP64": np.array([*SPECIAL, 5e-324, 1.7976931348623157e308], np.float64),
    "BYTES": np.array([b"", b"plain", "gr\u00fc\u00df \U0001f980".encode(), b'quote " and \\ and \n'], np.object_),
}


def model_of(datatype: str) -> str:
    """The model that answers its input."""
    return "identity_string" if datatype == "BYTES" else f"identity_{datatype.lower()}"


def matrix(datatype: str) -> np.ndarray:
    """The values as the models take them: two dimensions."""
    values = VALUES[datatype]
    return values.reshape(2, values.size // 2)


def assert_same(sent: np.ndarray, got: np.ndarray) -> None:
    """Bit for bit, but for the payload of NaN."""
    assert got.shape == sent.shape
    if sent.dtype == np.object_:
        as_bytes = [one.encode() if isinstance(one, str) else bytes(one) for one in got.ravel()]
        assert as_bytes == list(sent.ravel())
        return
    assert got.dtype == sent.dtype
    np.testing.assert_array_equal(got, sent)
    if np.issubdtype(sent.dtype, np.floating):
        numbers = ~np.isnan(sent)
        assert np.array_equal(np.signbit(got[numbers]), np.signbit(sent[numbers]))
