"""Documents in, spectra out: cuts, names, orders and accounts; never divides."""
