"""Whether the head of a Ray cluster still can be asked of its applications: `python -m penstock.assembly.head_health`.

The liveness probe of the chart's head pods where Ray's state lies in Redis. A head that took the place of a lost one
has been seen whose Serve controller never came back: requests were served, and no change reached anybody. Such a
head is restarted, which costs no request, and its next start finds all there is in Redis.
"""

from __future__ import annotations

import http.client
import sys

from penstock.environment import variable

RAYLET = ("127.0.0.1", 52365, "/api/local_raylet_healthz")
APPLICATIONS = ("127.0.0.1", 8265, "/api/serve/applications/")
"""Answered by Serve's controller, and at once where Serve was never started."""
PATIENCE = 8.0
"""Seconds that each has to answer."""


def trouble(host: str, port: int, path: str, *, token: str | None = None, patience: float = PATIENCE) -> str | None:
    """Why an address does not answer with 200; None where it does.

    Args:
        token: of Ray's ports, where they ask for one.
        patience: seconds.
    """
    connection = http.client.HTTPConnection(host, port, timeout=patience)
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {token}"} if token else {})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{path} on port {port} does not answer within {patience:g} s: {error}"
    finally:
        connection.close()
    return None if status == http.client.OK else f"{path} on port {port} answers {status}"


def main() -> int:
    """0 where both answer, else 1 and a sentence for the pod's events."""
    token = variable("RAY_AUTH_TOKEN")
    told = trouble(*RAYLET) or trouble(*APPLICATIONS, token=token)
    if told:
        print(told)  # noqa: T201  # the kubelet shows it in the pod's events
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
