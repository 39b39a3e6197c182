"""The process that owns the studies of a workspace: it ingests, settles, asks for proposals and launches."""
