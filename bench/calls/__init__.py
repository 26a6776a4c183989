"""Scripts that bring every call and hook to its worst case, a file for each part of the runtime."""
