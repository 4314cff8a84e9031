"""Where the heads look: the attention of a trained MIL head over the slide, as figure, GeoJSON and pyramidal TIFF."""
