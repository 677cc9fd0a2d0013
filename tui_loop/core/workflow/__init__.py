"""The steps of the loop: plan, draft, queue, autopilot, readiness, holdout, end."""
