"""Students of a trained SAM3-I: which, how they begin, and what the teacher tells them."""
