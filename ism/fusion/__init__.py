"""From several engines' scores to one that people can read: calibrate, fuse, explain."""
