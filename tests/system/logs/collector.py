"""An OTLP collector made of the official packages, with nothing of Farol in it.

Usage: collector.py PORT [BYTES]   (port 0 takes a free one; longer messages than BYTES are refused)

Prints its port, then each thing received as one line of JSON with `signal`: "logs", "traces", "metrics" (one line for
each sample), and "call" for each export with the metadata that came with it.
"""

import json
import sys
from concurrent import futures

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


def plain(value):
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def pairs(attributes):
    names = [pair.key for pair in attributes]
    assert len(names) == len(set(names)), f"a name stands twice: {names}"
    return {pair.key: plain(pair.value) for pair in attributes}


def tell(signal, resource, scope, **fields):
    about = {"signal": signal, "resource": pairs(resource.attributes), "scope": scope.name}
    print(json.dumps(about | fields), flush=True)


def called(signal, context):
    metadata = {key: value for key, value in context.invocation_metadata()}
    print(json.dumps({"signal": "call", "of": signal, "metadata": metadata}), flush=True)


class Logs(logs_service_pb2_grpc.LogsServiceServicer):
    def Export(self, request, context):
        called("logs", context)
        for of in request.resource_logs:
            for scoped in of.scope_logs:
                for record in scoped.log_records:
                    assert record.time_unix_nano > 0, record
                    tell(
                        "logs",
                        of.resource,
                        scoped.scope,
                        level=record.severity_text,
                        number=record.severity_number,
                        message=plain(record.body),
                        fields=pairs(record.attributes),
                        trace=record.trace_id.hex(),
                        span=record.span_id.hex(),
                    )
        return logs_service_pb2.ExportLogsServiceResponse()


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request, context):
        called("traces", context)
        for of in request.resource_spans:
            for scoped in of.scope_spans:
                for span in scoped.spans:
                    assert span.end_time_unix_nano >= span.start_time_unix_nano > 0, span
                    tell(
                        "traces",
                        of.resource,
                        scoped.scope,
                        name=span.name,
                        kind=span.kind,
                        trace=span.trace_id.hex(),
                        span=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        status=span.status.code,
                        why=span.status.message,
                        took_ms=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
                        fields=pairs(span.attributes),
                        events=[event.name for event in span.events],
                    )
        return trace_service_pb2.ExportTraceServiceResponse()


class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def Export(self, request, context):
        called("metrics", context)
        for of in request.resource_metrics:
            for scoped in of.scope_metrics:
                for metric in scoped.metrics:
                    self.samples(of.resource, scoped.scope, metric)
        return metrics_service_pb2.ExportMetricsServiceResponse()

    def samples(self, resource, scope, metric):
        kind = metric.WhichOneof("data")
        data = getattr(metric, kind)
        if kind in ("sum", "histogram"):
            assert data.aggregation_temporality == 2, "cumulative"
        assert kind != "sum" or data.is_monotonic, metric.name
        for point in data.data_points:
            assert point.time_unix_nano > 0, metric
            assert kind == "gauge" or point.time_unix_nano >= point.start_time_unix_nano > 0, metric
            value = {}
            if kind == "histogram":
                assert sum(point.bucket_counts) == point.count, metric
                assert len(point.bucket_counts) == len(point.explicit_bounds) + 1, metric
                value = {"count": point.count, "sum": point.sum, "buckets": list(point.bucket_counts)}
            else:
                value = {"value": getattr(point, point.WhichOneof("value"))}
            about = {"name": metric.name, "kind": kind, "unit": metric.unit, "help": metric.description}
            tell("metrics", resource, scope, **about, fields=pairs(point.attributes), **value)


options = [("grpc.so_reuseport", 0)]
if len(sys.argv) > 2:
    options.append(("grpc.max_receive_message_length", int(sys.argv[2])))
server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=options)
logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Logs(), server)
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)
metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)
port = server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
print(port, flush=True)
server.wait_for_termination()
