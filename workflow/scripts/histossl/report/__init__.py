"""The pages of the report: tables that can be sorted, what the run cost, and what it ran on."""
