"""Charts without a screen: series, scales, strips of text, SVG."""
