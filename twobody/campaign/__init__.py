"""Computing raw data: DFTB+ run for many pairs."""
