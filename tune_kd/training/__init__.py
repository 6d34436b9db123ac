"""Plain PyTorch without Ray: a student, the loop, the teacher, the examination."""
