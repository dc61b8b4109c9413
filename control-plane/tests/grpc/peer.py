"""gRPC's own library as a server and as a client without a proxy. Every line that it writes is one answer.

peer.py server NAME    answers every call with NAME; says the port that it took
peer.py client TARGET  calls TARGET again and again, one call after the other, and says who answered
peer.py calls TARGET KEY  for each line that it is told, makes a call of every kind, and says what came of them, as JSON

A client of an `xds:///` target finds its control plane by GRPC_XDS_BOOTSTRAP.
"""

import itertools
import json
import queue
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


def pack(text):
    """As protobuf's StringValue, for less than 128 bytes."""
    return bytes([10, len(text)]) + text.encode()


def unpack(message):
    return message[2:].decode()


def outcome(call):
    """What a call that answers gives, or the status of one that fails."""
    try:
        return call()
    except grpc.RpcError as error:
        return error.code().name


class Calls:
    """A call of every kind, to the server in `live/grpc.rs`."""

    def __init__(self, target, key):
        self.channel = grpc.insecure_channel(target)
        self.options = {"metadata": [("x-api-key", key)], "timeout": 20}

    def method(self, kind, name):
        return getattr(self.channel, kind)(name, request_serializer=pack, response_deserializer=unpack)

    def unary(self, name="/test.Talk/Echo", **options):
        return self.method("unary_unary", name)("one", **{**self.options, **options})

    def server_streaming(self):
        return " ".join(self.method("unary_stream", "/test.Talk/Count")("3", **self.options))

    def client_streaming(self):
        return self.method("stream_unary", "/test.Talk/Join")(iter("abc"), **self.options)

    def bidirectional(self):
        """Each message waits for the answer to the one before."""
        messages = queue.Queue()
        answers = self.method("stream_stream", "/test.Talk/Echo")(iter(messages.get, None), **self.options)
        heard = []
        for number in range(1, 4):
            messages.put(f"ping {number}")
            heard.append(next(answers))
        messages.put(None)
        return " ".join(itertools.chain(heard, answers))

    def failing(self):
        answers = self.method("unary_stream", "/test.Talk/Fail")("half", **self.options)
        heard = next(answers)
        try:
            return next(answers)
        except grpc.RpcError as error:
            return f"{heard} {error.code().name} {error.details()}"

    def cancelled(self):
        messages = queue.Queue()
        answers = self.method("stream_stream", "/test.Talk/Echo")(iter(messages.get, None), **self.options)
        messages.put("ping")
        next(answers)
        answers.cancel()
        messages.put(None)
        return outcome(lambda: next(answers))

    def all(self):
        return {
            "unary": outcome(self.unary),
            "server streaming": outcome(self.server_streaming),
            "client streaming": outcome(self.client_streaming),
            "bidirectional": outcome(self.bidirectional),
            "failing": outcome(self.failing),
            "deadline": outcome(lambda: self.unary("/test.Talk/Wait", timeout=0.5)),
            "cancelled": outcome(self.cancelled),
            "no key": outcome(lambda: self.unary(metadata=[])),
            "over a limit": outcome(lambda: self.unary("/scarce/Echo")),
        }


def calls(target, key):
    kinds = Calls(target, key)
    for _ in sys.stdin:
        print(json.dumps(kinds.all()), flush=True)


if __name__ == "__main__":
    {"server": server, "client": client, "calls": calls}[sys.argv[1]](*sys.argv[2:])
