"""A package, since pytest ends the fixtures of a folder with its last test only if it is one."""
