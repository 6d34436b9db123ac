"""What each run came to: its records, costs, incumbent, replays and carbon."""
