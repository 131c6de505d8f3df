"""Training SAM3-I: the base detector on concepts, then the three published stages of its instruction adapters."""
