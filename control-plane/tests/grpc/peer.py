"""gRPC's own library as a server and as a client without a proxy. Every line that it writes is one answer.

peer.py server NAME    answers every call with NAME; says the port that it took
peer.py client TARGET  calls TARGET again and again, one call after the other, and says who answered

A client of an `xds:///` target finds its control plane by GRPC_XDS_BOOTSTRAP.
"""

import sys
import threading
from concurrent import futures

import grpc

METHOD = "/test.Who/Are"


class Names(grpc.GenericRpcHandler):
    def __init__(self, name):
        self.handler = grpc.unary_unary_rpc_method_handler(lambda request, context: name.encode())

    def service(self, details):
        return self.handler


def server(name):
    serving = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    serving.add_generic_rpc_handlers([Names(name)])
    port = serving.add_insecure_port("127.0.0.1:0")
    serving.start()
    print(port, flush=True)
    serving.wait_for_termination()


def client(target):
    call = grpc.insecure_channel(target).unary_unary(METHOD)
    pause = threading.Event()
    while True:
        try:
            print(call(b"", timeout=20, wait_for_ready=True).decode(), flush=True)
        except grpc.RpcError as error:
            print(f"error: {error.code()}: {error.details()}", flush=True)
        pause.wait(0.002)


if __name__ == "__main__":
    {"server": server, "client": client}[sys.argv[1]](sys.argv[2])
