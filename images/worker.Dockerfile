# The image of a worker: the server's and Paddle. From a clone: docker build -f images/worker.Dockerfile .
ARG BASE=python:3.11-slim
ARG SERVER_IMAGE=paddlefl/server:0.3.0

FROM ${BASE} AS build
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY images/worker.lock wheel[s]/* wheels/
RUN pip install --require-hashes --no-deps --only-binary :all: --target /opt/worker -r wheels/worker.lock \
 && rm -rf /opt/worker/bin /opt/worker/paddle/include

FROM ${SERVER_IMAGE}
ARG VERSION=0.3.0
LABEL org.opencontainers.image.title="paddlefl/worker" \
      org.opencontainers.image.description="A worker of PaddleFL on Kubeflow: the server's image and Paddle" \
      org.opencontainers.image.version="${VERSION}"
USER 0
# Paddle needs it and does not say so.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
COPY --from=build /opt/worker /opt/paddlefl/lib/python3.11/site-packages
USER 1000:1000
