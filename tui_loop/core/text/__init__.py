"""Text: safe to draw, formatted, redacted, searched within limits, compared."""
