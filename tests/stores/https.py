"""Plain https, as Python serves it, with a certificate of an authority of the test's own."""

import contextlib
import dataclasses
import datetime
import http.server
import ipaddress
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from serving import MODELS, refused, serve, sha256, told

SCHEME = "https"
ADD, OTHER = MODELS / "add.onnx", MODELS / "scalar.onnx"


@dataclasses.dataclass
class Running:
    against: str
    url: str
    authority: str


@contextlib.contextmanager
def started(work):
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("an authority", authority, "an authority", authority)
    leaf = _certificate("127.0.0.1", own, "an authority", authority)
    (work / "root.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (work / "own.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + own.private_bytes(*form))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(work / "own.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Running("http.server", f"https://127.0.0.1:{server.server_port}", str(work / "root.pem"))
    finally:
        server.shutdown()
        server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    replaced = False

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = (OTHER if self.path == "/held" and Handler.replaced else ADD).read_bytes()
        if self.path == "/down":
            self.send_response(302)
            self.send_header("location", "http://127.0.0.1:1/m.onnx")
            body = b""
        elif self.headers.get("authorization") != "Bearer of-the-reader":
            self.send_response(401)
        else:
            self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _certificate(name, key, issuer, issuers_key):
    named = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer)).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
    if name != issuer:
        made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
    return made.sign(issuers_key, hashes.SHA256())


def own_authority(store, server):
    """a file from a server of an authority of one's own, by SSL_CERT_FILE; no header: ModelUnauthorized"""
    at = {"SSL_CERT_FILE": store.authority}
    secret = {"HTTP_AUTHORIZATION": "Bearer of-the-reader"}
    assert serve(server, f"{store.url}/m.onnx", at, secret, sha256(ADD)) == sha256(ADD)
    refused(lambda: serve(server, f"{store.url}/m.onnx", at), 77, "ModelUnauthorized", store.url)


def down(store, server):
    """a redirect from https to http: StoreUnavailable"""
    at = {"SSL_CERT_FILE": store.authority}
    refused(lambda: serve(server, f"{store.url}/down", at), 69, "StoreUnavailable", "plain http")


def held(store, server):
    """held to what it led to: the same bytes, or ModelChanged"""
    at, secret, uri = {"SSL_CERT_FILE": store.authority}, {"HTTP_AUTHORIZATION": "Bearer of-the-reader"}, f"{store.url}/held"
    pin = told(server, uri, at, secret)["pin"]
    assert "version" not in pin and serve(server, uri, at, secret, pin=pin) == sha256(ADD), pin
    Handler.replaced = True
    refused(lambda: serve(server, uri, at, secret, pin=pin), 65, "ModelChanged", uri, sha256(ADD), sha256(OTHER))


CASES = [own_authority, down, held]
