"""From a slide to patches: tissue, coordinates, shards."""
