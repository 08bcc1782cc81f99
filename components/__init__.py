"""The federated stages as Kubeflow components: typed ports and one call each.

A component's body is all that travels inside a compiled pipeline, so its imports live in the body; only `fl_core` must be in the image.
"""

SERVER_IMAGE = "paddlefl/server:0.3.0"
WORKER_IMAGE = "paddlefl/worker:0.3.0"
