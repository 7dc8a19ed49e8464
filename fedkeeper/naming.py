"""The names of deployed functions: "<fabric>-<role>[suffix]". Two fabrics with different names never share one.

fl_server_init, fl_server_aggregator, fl_evaluator    one each, on the server cluster
fl_invoker-<cluster>                                  one per cluster with relay clients, on the server cluster
fl_client | fl_client_relay | fl_client-<client>      shared, shared without store credential, isolation: client
"""

from __future__ import annotations

from fedkeeper.model import Client, Role


def function_name(fabric: str, role: Role, suffix: str = "") -> str:
    return f"{fabric}-{role}{suffix}"


def client_function(fabric: str, client: Client) -> str:
    """The function that serves a client."""
    if client.isolation == "client":
        return function_name(fabric, Role.CLIENT, f"-{client.id}")
    return function_name(fabric, Role.CLIENT, "_relay" if client.weights == "relay" else "")


def invoker_function(fabric: str, cluster: str) -> str:
    """The function that carries weights to the relay clients of a cluster."""
    return function_name(fabric, Role.INVOKER, f"-{cluster}")
