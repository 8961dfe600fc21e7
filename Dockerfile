# One image for every part: the dashboard by default; another command makes it
#   the worker       python -m services.pipeline.worker
#   the coordinator  python -m services.pipeline.coordinator
#   the watchdog     python -m services.alerts.watchdog
# With --build-arg SANDBOX=yes it also holds the sandbox (python -m services.sandbox), for a demonstration.
# The digest of the multi-architecture index: the tag can be given to another image, the digest cannot.
FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
ARG SANDBOX=no

# With an arena a thread, the dashboard of a season held 319 MB after a hundred viewers; with two it held 303 MB.
ENV MALLOC_ARENA_MAX=2
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 HOST=0.0.0.0 PORT=8080 HOME=/home/desk
WORKDIR /desk

COPY requirements.txt requirements-dev.txt ./
RUN if [ "$SANDBOX" = yes ]; then list=requirements-dev.txt; else list=requirements.txt; fi \
    && pip install --no-deps --require-hashes -r "$list" \
    && rm requirements*.txt \
    && useradd --uid 10001 --create-home --home-dir /home/desk --shell /usr/sbin/nologin desk

COPY .streamlit .streamlit
COPY app app
COPY pages pages
COPY queries queries
COPY deploy/manifest deploy/manifest
COPY services services
RUN if [ "$SANDBOX" != yes ]; then rm -rf services/sandbox; fi

USER 10001
# The sandbox keeps GoogleSQL's compiled module in the home folder: compiled here, it starts in a second.
RUN if [ "$SANDBOX" = yes ]; then python -m services.sandbox.bigquery.googlesql; fi
EXPOSE 8080
# Asks whichever part runs: the dashboard, or the worker and the coordinator. The watchdog is a job and serves nothing.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["python", "-m", "services.core.healthcheck"]
CMD ["python", "-m", "app.server"]
