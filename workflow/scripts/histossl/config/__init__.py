"""The configuration and the sheets: read, checked, and explained when they are wrong."""
