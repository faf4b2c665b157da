"""A service with Ray Serve: two replicas on the workers say on which of two spirals a point lies.

    ray submit raydog.yaml examples/serve/app.py          # the service stays when the script ends
    ray attach raydog.yaml --port-forward 8000            # keep it open in another terminal
    curl 'http://127.0.0.1:8000/?x=3.5&y=2.5'
    ray exec raydog.yaml 'serve shutdown --yes'

The service listens on the head's loopback address. It survives the loss of a worker, because Serve replaces replicas;
it ends with the head. The nodes' image needs `ray[serve]`.
"""

import math

import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 1})
class Spirals:
    """One replica. Load a real model in `__init__`."""

    def __init__(self) -> None:
        self.node = ray.util.get_node_ip_address()

    async def __call__(self, request: Request) -> dict[str, str | int]:
        """Answer `/?x=...&y=...`."""
        x, y = float(request.query_params["x"]), float(request.query_params["y"])
        turns = (math.hypot(x, y) - math.atan2(y, x)) / math.pi
        return {"spiral": round(turns) % 2, "node": self.node}


app = Spirals.bind()

if __name__ == "__main__":
    ray.init(address="auto")
    serve.run(app)
    print("the service is ready")
