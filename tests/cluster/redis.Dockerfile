# A Redis for the tests that lose the head pod. Debian's own.
ARG PYTHON_MINOR=3.11
FROM python:${PYTHON_MINOR}-slim-bookworm
RUN apt-get update && apt-get install --yes --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
USER 1000:1000
ENTRYPOINT ["redis-server", "--save", "", "--appendonly", "no", "--dir", "/tmp", "--protected-mode", "no"]
