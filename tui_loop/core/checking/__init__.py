"""Pre-flight: what can be known of a run before it begins. No training stack."""
