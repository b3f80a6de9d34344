"""``python -m benchmarks`` runs every measurement there is, one after the other."""

from benchmarks import million, throughput

if __name__ == "__main__":
    raise SystemExit(max(throughput.main(), million.main()))
