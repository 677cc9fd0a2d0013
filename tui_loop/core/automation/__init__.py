"""The loop by itself: what to try next, from a source of suggestions; when to stop; the trail."""
