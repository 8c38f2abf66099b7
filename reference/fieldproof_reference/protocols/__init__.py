"""Wire protocols as pure state: datagrams in, values out; no socket and no clock."""
