"""``fabric.json``: what a running fabric tells the other processes of its data folder.

The file is mode 0600, written atomically and deleted when the fabric ends. Never imports Django.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil

FILE_NAME = "fabric.json"


@dataclass(frozen=True)
class Fabric:
    """Addresses and secrets of a running fabric; ``started_at`` (Unix seconds) is ``pid``'s."""

    pid: int
    started_at: float
    http: str
    grpc: str
    postgres_dsn: str
    redis_url: str
    agent_redis_url: str
    agent_token: str
    store: str
    queue: str

    @property
    def alive(self) -> bool:
        """Whether the process that wrote the file lives (not a stranger that got its pid)."""
        return process_lives(self.pid, self.started_at)


def process_lives(pid: int, started_at: float) -> bool:
    """Whether ``pid`` lives and started at ``started_at`` (Unix seconds, two seconds' slack)."""
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - started_at) < 2
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def own_start() -> float:
    """When this process started, in Unix seconds as the kernel keeps it."""
    return float(psutil.Process().create_time())


def read(data: Path) -> Fabric | None:
    """The fabric described in the data folder, dead or alive; None where there is none to read."""
    try:
        document = json.loads((data / FILE_NAME).read_text(encoding="utf-8"))
        return Fabric(**{field.name: document[field.name] for field in fields(Fabric)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def living(data: Path) -> Fabric | None:
    """The running fabric of the data folder, or None."""
    found = read(data)
    return found if found and found.alive else None


def write(data: Path, fabric: Fabric) -> None:
    """Put the description into the data folder, readable by its owner only."""
    write_private(data / FILE_NAME, json.dumps(asdict(fabric), indent=2) + "\n")


def make_data_folder(data: Path) -> None:
    """Make the data folder, private; root's can be entered, as its PostgreSQL is nobody's."""
    data.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


def remove(data: Path) -> None:
    """Delete the description when the fabric ends."""
    (data / FILE_NAME).unlink(missing_ok=True)


def write_private(path: Path, content: str) -> None:
    """Replace ``path`` in one step by a file of mode 0600 with this content."""
    # mkstemp makes the file with mode 0600, so there is no moment at which others can read it.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
