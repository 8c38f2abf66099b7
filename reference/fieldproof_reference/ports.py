"""Ports of the telemetry and of its repair, the same at every edge and center: UDP, but for one."""

TELEMETRY = 24985
"""Riometer data flow, 2006 (its "24895" is a slip of the pen)."""

STATUS = 25000
"""Riometer data flow, 2006: the status monitor's stream."""

REPAIR = 24990
"""Repair requests and replies: our assumption."""

MANIFEST = 24991
"""Manifests, at the center: our assumption."""

SOURCE = 32769
"""From which an edge sends telemetry: as in the example lines of the 2006 text."""

ARCHIVE = 24988
"""TCP: an edge's archive, read-only by HTTP: our assumption."""

ARCHIVE_OF_ANOTHER = 24989
"""TCP: the same for an archive that another program writes, which may have a server of its own."""

RSYNC = 24992
"""TCP: an edge's archive, read-only by rsync: our assumption."""

PAGE = 24980
"""TCP: the center's status page: our assumption."""
