"""Inverse square rank.

Mourão, Martins and Magalhães 2015, "Multimodal medical information retrieval with unsupervised rank fusion".
"""

import numpy as np

from ism.fusion.lists.ranked import Doubles, RankedLists


def isr(lists: RankedLists) -> Doubles:
    """``[n]`` sum of ``1 / rank**2``, times how many lists have the item."""
    return lists.count * lists.summed(1.0 / np.square(lists.rank.astype(np.float64)))


def log_isr(lists: RankedLists) -> Doubles:
    """``[n]`` sum of ``1 / rank**2``, times the log of how many lists have the item; 0 where one list has it."""
    return np.asarray(np.log(lists.count) * lists.summed(1.0 / np.square(lists.rank.astype(np.float64))))
