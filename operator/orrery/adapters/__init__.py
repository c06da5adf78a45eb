"""The only code that talks to something outside the process."""
