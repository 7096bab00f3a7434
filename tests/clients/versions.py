"""Prints the names and versions of the clients that the tests drive."""

import subprocess
from importlib.metadata import version

CLIENTS = {
    "tritonclient": "Open Inference Protocol: HTTP and gRPC, sync, asyncio and stream",
    "kserve": "InferenceRESTClient v1 and v2, InferenceGRPCClient",
    "grpcio": "TensorFlow Serving stubs of grpcio-tools",
    "grpcio-health-checking": "grpc.health.v1",
    "grpcio-reflection": "grpc.reflection.v1alpha",
    "openapi-spec-validator": "/openapi.json",
    "schemathesis": "/openapi.json against the server",
}

for name, what in CLIENTS.items():
    print(f"| {name} | {version(name)} | {what} |")
curl = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
print(f"| curl | {curl} | every REST call of the documentation |")
