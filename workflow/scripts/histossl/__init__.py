"""histossl: from whole-slide images to tables that compare encoders."""
