"""An examination of an installation and its state directory: what is wrong, and how to mend it."""
