"""When work runs: keyed queues, lanes, backoff, breakers, leadership. Knows no kind."""
