"""The screens of the app; each module is named after its screen."""
