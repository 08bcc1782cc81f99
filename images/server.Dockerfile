# The image of server, scheduler and submitter: `fl` and what it needs, without Paddle. From a clone: docker build -f images/server.Dockerfile .
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
# pip reads these; with a folder `wheels` in the context and PIP_NO_INDEX=1 PIP_FIND_LINKS=/build/wheels it needs no network.
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python3 -m venv --without-pip /opt/paddlefl
COPY images/build.lock images/server.lock wheel[s]/* wheels/
RUN pip --python /opt/paddlefl/bin/python install --require-hashes -r wheels/build.lock \
 && pip --python /opt/paddlefl/bin/python install --require-hashes --no-build-isolation -r wheels/server.lock
COPY pyproject.toml LICENSE *.md ./
COPY fl_core fl_core
COPY components components
COPY pipelines pipelines
RUN pip --python /opt/paddlefl/bin/python install --no-deps --no-build-isolation . \
 && pip --python /opt/paddlefl/bin/python uninstall --yes setuptools wheel

FROM ${BASE}
ARG VERSION=0.3.0
LABEL org.opencontainers.image.title="paddlefl/server" \
      org.opencontainers.image.description="Server, scheduler and submitter of PaddleFL on Kubeflow" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/paddlefl /opt/paddlefl
# The root file system may be read-only: all that is written outside a mounted place goes to /tmp.
ENV PATH=/opt/paddlefl/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 1000:1000
CMD ["fl", "--help"]
