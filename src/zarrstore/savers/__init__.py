"""Savers: results appended to one array, put in its place, or written into it.

>>> import numpy as np, zarrstore
>>> saver = ZarrSaver("memory://savers", "losses")
>>> saver.save([0.5, 0.25])
>>> saver.save(np.array([0.125]))
>>> zarrstore.load("memory://savers", path="losses")
array([0.5  , 0.25 , 0.125])
"""

from __future__ import annotations

from zarrstore.savers.base import Saver
from zarrstore.savers.zarr import ZarrSaver

__all__ = ["Saver", "ZarrSaver"]
