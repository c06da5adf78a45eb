"""A planet on one machine: hub, operator and regions as plain processes."""
