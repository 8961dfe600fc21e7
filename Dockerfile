# One image for every part: the dashboard by default; another command makes it the worker or the coordinator:
#   python -m services.pipeline.worker      python -m services.pipeline.serve
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 HOST=0.0.0.0 PORT=8080
WORKDIR /desk

COPY requirements.txt .
RUN pip install --no-deps --require-hashes -r requirements.txt && useradd --uid 10001 --no-create-home desk

COPY .streamlit .streamlit
COPY app app
COPY pages pages
COPY queries queries
COPY services services
# The sandbox stays on developers' machines.
RUN rm -rf services/sandbox

USER 10001
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/_stcore/health', timeout=4)"]
CMD ["sh", "-c", "exec python -m streamlit run app/main.py --server.address 0.0.0.0 --server.port \"$PORT\""]
