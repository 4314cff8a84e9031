"""Multiple-instance learning: heads that judge a slide by the features of its patches."""
