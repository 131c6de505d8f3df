"""Output memory: used again, but never while somebody still looks at it."""

import gc

import numpy as np

from sam3i_edge.runtimes.memory import ALIGNMENT, KEPT, Memory

FLOAT = np.dtype(np.float32)


def address(array):
    return array.ctypes.data


def test_used_again_once_it_is_dropped():
    memory = Memory()
    first = address(memory.empty("masks", (4, 5), FLOAT))
    assert address(memory.empty("masks", (2, 5), FLOAT)) == first


def test_not_while_the_array_or_a_view_is_held():
    memory = Memory()
    held = memory.empty("masks", (4, 5), FLOAT)[1:, 2].T.reshape(-1)
    held[:] = 7
    gc.collect()
    for _ in range(5):
        memory.empty("masks", (4, 5), FLOAT)[:] = 0
    assert (held == 7).all()


def test_shapes_types_and_alignment():
    memory = Memory()
    for shape, dtype in (((3, 1, 7), FLOAT), ((), FLOAT), ((0, 4), np.dtype(np.int64)), ((5,), np.dtype(bool))):
        array = memory.empty("masks", shape, dtype)
        assert (array.shape, array.dtype) == (shape, dtype)
        assert array.flags.writeable and array.flags.c_contiguous
        assert address(array) % ALIGNMENT == 0 or array.size == 0


def test_it_keeps_few():
    memory = Memory()
    arrays = [memory.empty("masks", (4,), FLOAT) for _ in range(10)]
    assert len({address(array) for array in arrays}) == 10
    del arrays
    assert len(memory._idle["masks"]) == KEPT


def test_arrays_outlive_it():
    memory = Memory()
    array = memory.empty("masks", (1000,), FLOAT)
    array[:] = 3
    del memory
    gc.collect()
    assert (array == 3).all()
