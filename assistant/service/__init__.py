"""The service layer: one typed call for each use case, for every way in."""
