"""What a worker's pod does once its run has ended: keeps answering probes until it is scaled away, so that it is not started again for nothing."""

import signal

from prometheus_client import start_http_server

PORT = 9090

if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    start_http_server(PORT)
    print("The run has ended; scale this Deployment to 0, or give it another run.", flush=True)
    signal.sigwait([signal.SIGTERM])
