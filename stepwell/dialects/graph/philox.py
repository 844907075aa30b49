"""The counter-based generator Philox4x32-10, in numpy.

Source: Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.  Counter and key are laid
out as cuRAND does: the key is the seed, the low half of the counter is a position in a stream, the high half the number
of the stream.
"""

from typing import Any

import numpy as np

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox(counter: Any, key: Any) -> list[Any]:
    """Return the four random words of each counter.

    Args:
        counter: four words, lowest first, and
        key: two words: uint64 arrays, or numbers, with values below 2**32.
    """
    words, keys = list(counter), list(key)
    for _ in range(ROUNDS):
        first, second = (np.uint64(factor) * word for factor, word in zip(MULTIPLIERS, words[::2], strict=True))
        words = [
            (second >> _HALF) ^ words[1] ^ keys[0],
            second & _LOW,
            (first >> _HALF) ^ words[3] ^ keys[1],
            first & _LOW,
        ]
        keys = [(each + np.uint64(step)) & _LOW for each, step in zip(keys, KEY_STEPS, strict=True)]
    return words


def random_words(seed: int, position: int, count: int) -> Any:
    """Return four random words for each of ``count`` streams, uint64[count, 4] with values below 2**32.

    Args:
        seed: the key, 64 bits.
        position: where in each stream, 64 bits; one position gives four words.
        count: number of streams, from 0.
    """
    streams = np.arange(count, dtype=np.uint64)
    starts = [np.full(count, half, np.uint64) for half in _halves(position)]
    words = philox([*starts, streams & _LOW, streams >> _HALF], [np.uint64(half) for half in _halves(seed)])
    return np.stack(words, axis=1)


def _halves(value: int) -> tuple[int, int]:
    return value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF
