"""Write the page of the documentation: ``python -m mutants [--zarr]``, in the directory tests."""

from __future__ import annotations

import sys

from mutants import FAULTS
from mutants.page import PAGE, page
from mutants.verdicts import record

if "--zarr" in sys.argv[1:]:
    record([*FAULTS, "Sound", "SoundAsync"])
PAGE.write_text(page())
print(f"{len(FAULTS)} faults: {PAGE}")
