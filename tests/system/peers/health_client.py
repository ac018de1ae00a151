"""The official Python client of grpc.health.v1. Prints one line for each answer.

    health_client.py check ADDRESS NAME...   NAME=STATUS, or NAME=!CODE for an error
    health_client.py list ADDRESS            NAME=STATUS for each, sorted
    health_client.py watch ADDRESS NAME      STATUS for each message, until it is killed
"""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

STATUS = health_pb2.HealthCheckResponse.ServingStatus.Name
DEADLINE = 20


def say(line):
    print(line, flush=True)


def check(stub, names):
    for name in names:
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=DEADLINE)
            say(f"{name}={STATUS(answer.status)}")
        except grpc.RpcError as error:
            say(f"{name}=!{error.code().name}")


def names(stub):
    statuses = stub.List(health_pb2.HealthListRequest(), timeout=DEADLINE).statuses
    for name in sorted(statuses):
        say(f"{name}={STATUS(statuses[name].status)}")


def watch(stub, name):
    try:
        for answer in stub.Watch(health_pb2.HealthCheckRequest(service=name)):
            say(STATUS(answer.status))
        say("!END")
    except grpc.RpcError as error:
        say(f"!{error.code().name}")


def main(command, address, *rest):
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        {"check": lambda: check(stub, rest), "list": lambda: names(stub), "watch": lambda: watch(stub, *rest)}[command]()


main(*sys.argv[1:])
