"""The artifact an ``embed`` task writes: documents and their vectors.

An ``.npz`` archive (media type ``application/x-npz``), read without pickle by
``numpy.load(file)``:

- ``vectors``: float16 ``[n, dimensions]``, each row of length 1 up to rounding;
- ``documents``: uint8, the UTF-8 bytes of the JSON list ``[{"id", "text"}, …]`` in row order.

The same documents and vectors always give the same bytes, so that a repeated attempt stores
nothing new.
"""

import io
import json
import zipfile
from collections.abc import Sequence

import numpy as np

from workeragent.models.answers import Vectors
from workeragent.outcome import PermanentError

MEDIA_TYPE = "application/x-npz"
Document = dict[str, str]


def pack(documents: Sequence[Document], vectors: Vectors) -> bytes:
    """The archive's bytes for these documents and their rows."""
    written = json.dumps(list(documents), ensure_ascii=False).encode()
    file = io.BytesIO()
    np.savez(
        file,
        vectors=vectors.astype(np.float16),
        documents=np.frombuffer(written, dtype=np.uint8),
    )
    return file.getvalue()


def unpack(data: bytes) -> tuple[list[Document], Vectors]:
    """Documents and float32 vectors of an archive.

    Raises PermanentError when the bytes are not such an archive.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            documents = json.loads(archive["documents"].tobytes())
            vectors = archive["vectors"].astype(np.float32)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise PermanentError(
            "vectors_unreadable", "A parent's artifact is not an archive of vectors."
        ) from error
    if vectors.ndim != 2 or len(documents) != len(vectors):
        raise PermanentError("vectors_unreadable", "An archive's documents and vectors differ.")
    return documents, vectors
