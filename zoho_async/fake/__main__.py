"""`python -m zoho_async.fake`: a FakeZoho for anything that speaks HTTP."""

from __future__ import annotations

import sys

from zoho_async.fake.http.serve import main

if __name__ == "__main__":
    sys.exit(main())
