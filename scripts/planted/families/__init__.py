"""Families of planted training problems, made to test a diagnosis."""
