"""Many systems' scores at once: folders, alignment, normalisation, shares, and the search for them."""
