"""A simulated beamline: ophyd devices, plans, stories, playback of measured files."""
