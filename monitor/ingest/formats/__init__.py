"""The payload formats, by name. A new one is a module beside these and a line here.

Each module states its form and its source, and has `NAME`, `KEYS` (what a feed may find under other keys) and `reader(quirks)`, which
makes what reads a payload: its fixes as readings, in our units, and of each that is wrong the fault.
"""

from __future__ import annotations

from monitor.ingest.formats import flespi, native, owntracks, teltonika, thingsboard, traccar
from monitor.ingest.formats.reading import Fault, Format, Quirks, Read, Reading

__all__ = ["FORMATS", "Fault", "Format", "Quirks", "Read", "Reading"]

FORMATS: dict[str, Format] = {form.NAME: form for form in (native, owntracks, traccar, flespi, teltonika, thingsboard)}
