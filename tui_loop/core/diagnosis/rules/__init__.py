"""Rules by subject: each is a function from an iteration's facts to the findings it makes."""
