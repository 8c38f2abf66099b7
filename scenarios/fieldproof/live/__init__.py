"""What of the harness touches the machine: the stage of a live run, its view, and `doctor`."""
