# A PostgreSQL for the tests of keys in a release. Debian's own; its data are in /tmp, and go with the pod.
ARG PYTHON_MINOR=3.11
FROM python:${PYTHON_MINOR}-slim-bookworm
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-common \
    && echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf \
    && apt-get install --yes --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --home-dir /tmp penstock
ENV PATH=/usr/lib/postgresql/15/bin:$PATH
USER 1000:1000
# PASSWORD is the user's.
ENTRYPOINT ["sh", "-ec", "printf %s \"$PASSWORD\" >/tmp/password; initdb --pgdata /tmp/data --username penstock --pwfile /tmp/password --auth scram-sha-256 --encoding UTF8 --locale C; echo 'host all all all scram-sha-256' >>/tmp/data/pg_hba.conf; exec postgres -D /tmp/data -c listen_addresses='*' -c unix_socket_directories= -c dynamic_shared_memory_type=mmap -c fsync=off"]
