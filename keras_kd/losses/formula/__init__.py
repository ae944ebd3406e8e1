"""What the formulas of several losses share."""
