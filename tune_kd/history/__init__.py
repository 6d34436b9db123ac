"""What lives on recorded runs: resume, extend, rerun, export."""
