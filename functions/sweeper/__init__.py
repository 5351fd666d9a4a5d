"""What is stuck, what has expired, what is due: each minute."""
