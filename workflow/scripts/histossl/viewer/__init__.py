"""A page to look through a slide: deep zoom, tissue and attention as layers, served on this machine or exported."""
