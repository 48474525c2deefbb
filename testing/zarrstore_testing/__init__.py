"""The conformance kit: what every store has to do, as tests for its author.

>>> from zarrstore.stores.memory import MemoryStore
>>> from zarrstore_testing import StoreTests, check_store
>>> class TestMemoryStore(StoreTests):          # in a test module, run by pytest
...     def make_store(self):
...         return MemoryStore()
>>> report = check_store(MemoryStore, behaviours=["delete_is_idempotent"])
>>> report.ok
True
"""

from importlib.util import find_spec as _find_spec

_missing = [name for name in ("hypothesis", "trio") if _find_spec(name) is None]
if _missing:
    raise ImportError(
        f"zarrstore_testing needs {' and '.join(_missing)}: pip install 'zarrstore[testing]'"
    )

from zarrstore_testing.behaviour import Behaviour
from zarrstore_testing.contract import registry
from zarrstore_testing.options import Options
from zarrstore_testing.report import Report, Result, matrix
from zarrstore_testing.running import ConformanceError, check_store
from zarrstore_testing.suite import StoreTests

__all__ = [
    "Behaviour",
    "ConformanceError",
    "Options",
    "Report",
    "Result",
    "StoreTests",
    "check_store",
    "matrix",
    "registry",
]
