"""How a gateway tells an engine to stop a request: what engines listen to under our guard, and the simulator.

A closed connection stops a request as well, but then nobody learns what it has used: the engine goes on for a token or
two and counts them. One that is told ends its answer as it ends any other, with its usage.
"""

from __future__ import annotations

from typing import Final

PATH: Final = "/penstock/abort"
"""Takes a POST without a body, and with the id of the request to stop as its `x-request-id`. Answers 204, whether there
is such a request or not."""
