"""Bytes that outlive a process: the cache, checkpoints, leases and temporary folders."""
