"""How much the trust tests do: minutes, or an hour with TRUST_LONG=1 in the environment."""

from __future__ import annotations

import os

LONG = os.environ.get("TRUST_LONG") == "1"
