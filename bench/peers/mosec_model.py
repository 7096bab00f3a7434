"""MNIST for mosec: {"input": [784 numbers]} -> {"probabilities": [10 numbers]}."""

from mosec import Server, Worker
from session import Session


class Mnist(Worker):
    def __init__(self):
        self._session = Session()

    def forward(self, requests):
        rows = self._session.run([request["input"] for request in requests])
        return [{"probabilities": row.tolist()} for row in rows]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Mnist, num=1, max_batch_size=32, max_wait_time=1)
    server.run()
