"""What recorded runs came to, for a user of Python: frames, figures and reports of a store or of one study."""
